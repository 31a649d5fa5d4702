"""A site's daemon: answers, refuses in words that say nothing of people, outlives mistakes, stops."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import genome_eu as ge
from genome_eu.errors import BadInput, PolicyError
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.carriers.exchange import ExchangeInbox
from genome_eu.federation.plan import (
    Ask,
    GroupSizesParameters,
    LinearParameters,
    ProjectionParameters,
    TraitMomentsParameters,
    VariantListParameters,
)
from genome_eu.federation.serve import answer_one, open_served, read_settings, serve
from genome_eu.federation.site import Site
from genome_eu.stats.counts import GroupSizes
from genome_eu.stats.linear import DesignSums
from genome_eu.stats.pca import ProjectionSums
from genome_eu.stats.traits import TraitMoments
from genome_eu.stats.variants import VariantList
from tests.federation.exchanges import asked, reply, roster, served, site_of
from tests.federation.small_sites import Made, make
from tests.federation.test_exchange import put_plan

WAIT_S = 60.0


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    path = tmp_path / "exchange"
    path.mkdir()
    return path


def sizes(*by: str) -> Ask:
    return Ask(GroupSizes, GroupSizesParameters(by=by))


def moments(trait: str, *covariates: str) -> Ask:
    parameters = TraitMomentsParameters(traits=(trait,), covariates=covariates, pca=None)
    return Ask(TraitMoments, parameters)


# -- refusals ----------------------------------------------------------------------------------

REFUSALS = {
    "few people": (moments("sparse"), "policy", "fewer than 10 people"),
    "one person": (moments("ldl", "one_person"), "policy", "class of fewer than 5 people"),
    "no column": (moments("nope"), "input", "trait nope is not a column"),
    "text": (moments("words"), "input", "trait words is not numeric"),
    "no group column": (sizes("nope"), "input", "nope is not a column"),
    "labels": (sizes("label"), "input", "values that cannot name a group"),
    "no inputs": (Ask(ProjectionSums, ProjectionParameters(), {}, 5), "input", "see its log"),
    "origins": (
        Ask(
            DesignSums,
            LinearParameters(
                traits=("ldl",),
                covariates=(),
                pca=None,
                trait_mean=(),
                trait_scale=(),
                covariate_mean=(),
                covariate_scale=(),
                site_effects=True,
            ),
        ),
        "input",
        "see its log",
    ),
}


@pytest.fixture(scope="module")
def es(made: dict[str, Made]) -> Site:
    return site_of(made["ES"])


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_says_why_and_nothing_of_people_or_places(es, made, exchange, case):
    question, reason, words = REFUSALS[case]
    manifest = reply(es, exchange, question).manifest
    assert (manifest.kind, manifest.site, manifest.reason) == ("refusal", "ES", reason)
    assert words in manifest.message
    assert manifest.members == ()
    assert manifest.evidence == ()
    assert "\n" not in manifest.message
    for secret in (*made["ES"].table.index, "person", "ward", "/", ".vcz", "Traceback", "w3"):
        assert secret not in manifest.message


def test_a_damaged_cohort_is_told_to_the_log_and_not_to_the_coordinator(tmp_path, exchange, caplog):
    site = site_of(make(tmp_path, "ES"))
    for chunk in (site.store.path / "genome_eu" / "row_counts").rglob("0*"):
        chunk.write_bytes(b"damage")
    with caplog.at_level(logging.ERROR):
        manifest = reply(site, exchange, Ask(VariantList, VariantListParameters())).manifest
    assert (manifest.kind, manifest.reason) == ("refusal", "input")
    assert manifest.message == "its cohort or the plan of variant_list cannot be used; see its log"
    assert "damaged" in caplog.text


def test_a_bug_of_ours_becomes_a_refusal_without_details_and_the_daemon_lives_on(
    made, exchange, caplog
):
    site = site_of(made["ES"])

    def bug(plan, inputs):
        raise RuntimeError("ES-person-004 at /secret/place has genotype 2")
        yield

    broken, sound = sizes("sex"), moments("ldl")
    site._answers["group_sizes"] = bug
    plans = [asked(broken, ("ES",), "first"), asked(sound, ("ES",), "second")]
    with caplog.at_level(logging.INFO), served(exchange, [site]):
        for plan in plans:
            put_plan(exchange, plan)
            answer = exchange / plan.study / "0000" / "ES.tar"
            wait_for(answer.exists)
    said = (exchange / "first" / "0000" / "ES.tar").read_bytes()
    assert b"internal error; see its log" in said
    assert b'"reason":"fault"' in said
    for secret in (b"person", b"secret", b"genotype", b"RuntimeError", b"Traceback"):
        assert secret not in said
    assert "ES-person-004" in caplog.text
    assert b'"kind":"answer"' in (exchange / "second" / "0000" / "ES.tar").read_bytes()


def test_a_plan_that_keeps_killing_its_site_is_given_up(made, tmp_path, exchange):
    """Out of memory, say: the site restarts, and would otherwise begin the same plan for ever."""
    plan = asked(sizes("sex"), ("ES",), "deadly")
    put_plan(exchange, plan)
    for attempt in range(10):
        site = site_of(made["ES"], state=tmp_path / "state")
        if attempt < 9:
            assert site.state.begin(plan.hash) == attempt
    (request,) = ExchangeInbox(exchange, "ES").plans()
    assert answer_one(site, ExchangeInbox(exchange, "ES"), request)
    answer = Bundle(exchange / "deadly" / "0000" / "ES.tar").manifest
    assert (answer.kind, answer.reason) == ("refusal", "fault")
    # Asked anew, it has a clean slate.
    assert site_of(made["ES"], state=tmp_path / "state").state.begin(plan.hash) == 0


def wait_for(ready, limit_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not ready():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def test_the_exchange_losing_a_study_does_not_stop_the_daemon(made, exchange):
    """A coordinator that tidies up while a site still computes."""
    site = site_of(made["ES"])
    answer, plan = site.answer, asked(sizes("sex"), ("ES",), "gone")
    after = asked(sizes("sex"), ("ES",), "after")
    place = put_plan(exchange, plan)

    def slowly(plan, inputs):
        if plan.study == "gone":
            (place / "plan.tar").unlink(missing_ok=True)
            place.rmdir()
        return answer(plan, inputs)

    site.answer = slowly
    with served(exchange, [site]):
        wait_for(lambda: not place.exists())
        put_plan(exchange, after)
        wait_for((exchange / "after" / "0000" / "ES.tar").exists)


def test_a_daemon_without_plans_stops_when_told_or_when_idle(made, exchange):
    site, stop = site_of(made["ES"]), threading.Event()
    assert serve(site, ExchangeInbox(exchange, "ES"), stop=stop, idle_exit_s=0.2) == 0
    stop.set()
    assert serve(site, ExchangeInbox(exchange, "ES"), stop=stop) == 0
    put_plan(exchange, asked(sizes("sex"), ("ES",)))
    stop.clear()
    assert serve(site, ExchangeInbox(exchange, "ES"), stop=stop, idle_exit_s=0.2) == 1


# -- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "cannot be read; make one with `genome-eu site init`"),
        (b"name = ", "is not valid TOML"),
        (b"\xff", "is not valid TOML"),
        (b'name = "ES"\ncohort = "a.vcz"\n', "exchange: field required"),
        (b'name = "E/S"\ncohort = "a"\nexchange = "b"\n', "name: string should match pattern"),
        (b'name = "ES"\ncohort = "a"\nexchange = "b"\nport = 80\n', "port: extra inputs"),
    ],
)
def test_settings_that_are_wrong_say_what_and_where(tmp_path, content, match):
    path = tmp_path / "site.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=match) as wrong:
        read_settings(path)
    assert "site.toml" in str(wrong.value)


def settings(folder: Path, made: Made, **more: str) -> Path:
    values = {"name": made.name, "cohort": str(made.store), "exchange": "exchange"}
    values |= {"state": f"state-{made.name}"} | more
    path = folder / f"{made.name}.toml"
    path.write_text("".join(f'{key} = "{value}"\n' for key, value in values.items()))
    return path


def test_nothing_is_served_under_a_policy_that_cannot_be_read(made, tmp_path, exchange):
    with pytest.raises(PolicyError, match="cannot be read"):
        open_served(settings(tmp_path, made["ES"], policy="missing.toml"))


# -- the process -------------------------------------------------------------------------------


def start(path: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "genome_eu.cli.main", "site", "serve", str(path)]
    quiet = dict(os.environ, OPENBLAS_NUM_THREADS="1")
    with log.open("wb") as out:
        return subprocess.Popen(
            [*command, "--idle-exit", "120"],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=quiet,
        )


def listening(pid: int) -> list[str]:
    """Sockets of a process that anybody outside of it could reach.

    An event loop's pair of sockets to itself has no name and accepts nothing.
    """
    own = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            own.add(os.readlink(link))
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        path = Path(f"/proc/{pid}/net/{table}")
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            if f"socket:[{line.split()[9]}]" in own:
                found.append(f"{table} {line}")
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if f"socket:[{words[6]}]" in own and (len(words) > 7 or int(words[3], 16) & 0x10000):
            found.append(f"unix {line}")
    return found


@pytest.mark.skipif(not Path("/proc/self/net/unix").exists(), reason="needs Linux's /proc")
def test_a_socket_that_listens_would_be_found(tmp_path):
    assert listening(os.getpid()) == []
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        assert sorted(one.split()[0] for one in listening(os.getpid())) == ["tcp", "unix"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_sites_in_processes_listen_on_nothing_and_stop_on_sigterm(made, tmp_path):
    path = roster(tmp_path, list(made), timeout_s=WAIT_S)
    running = {
        name: start(settings(tmp_path, site), tmp_path / f"{name}.log")
        for name, site in made.items()
    }
    try:
        found = ge.open_federation(path).frequencies(by="sex")
        for process in running.values():
            assert listening(process.pid) == []
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        codes = {name: process.wait(timeout=30) for name, process in running.items()}
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
                process.wait(timeout=30)
    assert codes == dict.fromkeys(made, 0)
    cohorts = {name: ge.open_cohort(site.store) for name, site in made.items()}
    expected = ge.federate(cohorts).frequencies(by="sex")
    assert (found["cohort_allele_count"].values == expected["cohort_allele_count"].values).all()
    for name, site in made.items():
        log = (tmp_path / f"{name}.log").read_text()
        assert len(re.findall(r"answered, [\d]+ bytes", log)) == 3
        assert "Traceback" not in log
        assert not [person for person in site.table.index if person in log]
