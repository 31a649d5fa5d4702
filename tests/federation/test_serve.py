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
from dataclasses import replace
from pathlib import Path

import pytest

import genome_eu as ge
from genome_eu.errors import BadInput, NoAnswer, PolicyError
from genome_eu.federation.answers import ANSWERING
from genome_eu.federation.daemon.desk import Desk
from genome_eu.federation.daemon.serve import open_desk, serve
from genome_eu.federation.daemon.settings import read_settings
from genome_eu.federation.daemon.status import read_status
from genome_eu.federation.parameters.counts import GroupSizesParameters
from genome_eu.federation.parameters.linear import LinearParameters, TraitMomentsParameters
from genome_eu.federation.parameters.pca import ProjectionParameters
from genome_eu.federation.parameters.variants import VariantListParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.roster import accept_roster, sign_roster
from genome_eu.stats.counts import GroupSizes
from genome_eu.stats.linear import DesignSums
from genome_eu.stats.pca import ProjectionSums
from genome_eu.stats.traits import TraitMoments
from genome_eu.stats.variants import VariantList
from tests.federation.exchanges import (
    arrived,
    asked,
    desk_of,
    keys_of,
    name_of,
    posted,
    reply,
    roster,
    served,
    state_of,
)
from tests.federation.policies import floors_file
from tests.federation.small_sites import Made, make

WAIT_S = 60.0


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
                groups=(0,),
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
def es(made: dict[str, Made], tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, Path]:
    """A desk that is asked many things, and the folder of its federation."""
    folder = tmp_path_factory.mktemp("es")
    roster(folder, list(made))
    return desk_of(made["ES"], folder, floors_file(folder)), folder


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_says_why_and_nothing_of_people_or_places(es, made, case):
    question, reason, words = REFUSALS[case]
    desk, folder = es
    manifest = reply(desk, question, folder, case.replace(" ", "-")).manifest
    assert (manifest.kind, manifest.site, manifest.reason) == ("refusal", "ES", reason)
    assert words in manifest.message
    assert manifest.members == ()
    assert manifest.evidence == ()
    assert "\n" not in manifest.message
    for secret in (*made["ES"].table.index, "person", "ward", "/", ".vcz", "Traceback", "w3"):
        assert secret not in manifest.message


def test_a_damaged_cohort_is_told_to_the_log_and_not_to_the_coordinator(made, tmp_path, caplog):
    roster(tmp_path, list(made))
    desk = desk_of(make(tmp_path, "ES"), tmp_path, floors_file(tmp_path))
    for chunk in (desk.site.store.path / "genome_eu" / "row_counts").rglob("0*"):
        chunk.write_bytes(b"damage")
    with caplog.at_level(logging.ERROR):
        question = Ask(VariantList, VariantListParameters())
        manifest = reply(desk, question, tmp_path).manifest
    assert (manifest.kind, manifest.reason) == ("refusal", "input")
    assert manifest.message == "its cohort or the plan of variant_list cannot be used; see its log"
    assert "damaged" in caplog.text


@pytest.fixture
def desk(made: dict[str, Made], tmp_path: Path) -> Desk:
    """A desk of its own."""
    roster(tmp_path, list(made))
    return desk_of(made["ES"], tmp_path, floors_file(tmp_path))


def test_a_bug_of_ours_becomes_a_refusal_without_details_and_the_daemon_lives_on(
    desk, tmp_path, caplog, monkeypatch
):
    def bug(site, plan, inputs):
        raise RuntimeError("ES-person-004 at /secret/place has genotype 2")
        yield

    broken, sound = sizes("sex"), moments("ldl")
    faulty = replace(ANSWERING["group_sizes"], answer=bug)
    monkeypatch.setitem(ANSWERING, "group_sizes", faulty)
    plans = [asked(broken, ("ES",), "first"), asked(sound, ("ES",), "second")]
    with caplog.at_level(logging.INFO), served(desk):
        for plan, kind in zip(plans, ("refusal", "answer"), strict=True):
            posted(desk.post, desk.roster, plan)
            wait_for(lambda plan=plan, kind=kind: arrived(desk, plan, tmp_path, kind))
    said = arrived(desk, plans[0], tmp_path, "refusal").path.read_bytes()
    assert b"internal error; see its log" in said
    assert b'"reason":"fault"' in said
    for secret in (b"person", b"secret", b"genotype", b"RuntimeError", b"Traceback"):
        assert secret not in said
    assert "ES-person-004" in caplog.text
    ledger = (state_of(tmp_path, "ES") / "ledger.jsonl").read_text()
    assert "ES-person-004" not in ledger


def test_a_plan_that_keeps_killing_its_site_is_given_up(desk, tmp_path):
    """Out of memory, say: the site restarts, and would otherwise begin the same plan for ever."""
    plan = asked(sizes("sex"), ("ES",), "deadly")
    posted(desk.post, desk.roster, plan)
    attempts = 20
    for attempt in range(attempts):
        assert desk.site.state.begin(plan.hash) == attempt
    assert desk.attend() == 1
    answer = arrived(desk, plan, tmp_path, "refusal").manifest
    assert (answer.kind, answer.reason) == ("refusal", "fault")
    # Asked anew, it has a clean slate.
    assert desk.site.state.begin(plan.hash) == 0


def wait_for(ready, limit_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not ready():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def test_the_exchange_losing_a_study_does_not_stop_the_daemon(desk, tmp_path):
    """A coordinator that tidies up while a site still computes."""
    gone, after = (asked(sizes("sex"), ("ES",), study) for study in ("gone", "after"))
    answer = desk.site.answer

    def slowly(plan, inputs):
        if plan.study == "gone":
            desk.post.discard(name_of(gone, "hub", "plan"))
        return answer(plan, inputs)

    desk.site.answer = slowly
    posted(desk.post, desk.roster, gone)
    with served(desk):
        wait_for(lambda: arrived(desk, gone, tmp_path))
        posted(desk.post, desk.roster, after)
        wait_for(lambda: arrived(desk, after, tmp_path))
    assert desk.post.cover(name_of(gone, "hub", "plan")) is None


def test_a_daemon_without_plans_stops_when_told_or_when_idle(desk):
    stop = threading.Event()
    assert serve([desk], stop=stop, idle_exit_s=0.2) == 0
    stop.set()
    assert serve([desk], stop=stop) == 0
    posted(desk.post, desk.roster, asked(sizes("sex"), ("ES",)))
    stop.clear()
    assert serve([desk], stop=stop, idle_exit_s=0.2) == 1


def test_an_exchange_out_of_reach_is_waited_for(desk, tmp_path, monkeypatch):
    """What goes wrong meanwhile stands in the status; nobody is refused for it."""
    plan, state = asked(sizes("sex"), ("ES",)), state_of(tmp_path, "ES")
    posted(desk.post, desk.roster, plan)
    publish = type(desk.post).publish

    def unreachable(*_):
        raise NoAnswer("the exchange cannot be reached")

    monkeypatch.setattr(type(desk.post), "publish", unreachable)
    with served(desk):
        wait_for(lambda: (found := read_status(state)) and found.last_error)
        assert read_status(state).last_error == "the exchange cannot be reached"
        monkeypatch.setattr(type(desk.post), "publish", publish)
        wait_for(lambda: arrived(desk, plan, tmp_path))
    assert arrived(desk, plan, tmp_path, "refusal") is None
    status = read_status(state)
    assert (status.waiting, status.work, status.stopped is not None) == (0, None, True)


def test_one_daemon_serves_several_cohorts(made, tmp_path):
    roster(tmp_path, list(made))
    desks = [desk_of(site, tmp_path, floors_file(tmp_path)) for site in made.values()]
    plan = asked(sizes("sex"), tuple(made))
    posted(desks[0].post, desks[0].roster, plan)
    assert serve(desks, stop=threading.Event(), idle_exit_s=0.2) == len(made)


# -- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "cannot be read; make one with `genome-eu site init`"),
        (b"name = ", "is not valid TOML"),
        (b"\xff", "is not valid TOML"),
        (b'name = "ES"\n', "cohort: field required"),
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
    """`site.toml` of a site that has accepted the roster in that folder."""
    values = {"name": made.name, "cohort": str(made.store), "keys": f"{made.name}.key"}
    values |= {"state": f"sites/{made.name}", "exchange": "exchange"} | more
    path = folder / f"{made.name}.toml"
    path.write_text("".join(f'{key} = "{value}"\n' for key, value in values.items()))
    if not (folder / f"{made.name}.key").exists():
        keys_of(made.name).write(folder / f"{made.name}.key", None)
    if (folder / "federation.toml").exists():
        accept_roster(state_of(folder, made.name), folder / "federation.toml")
    return path


def opened(path: Path) -> Desk:
    with open_desk(path) as desk:
        return desk


def test_nothing_is_served_under_a_policy_that_cannot_be_read(made, tmp_path):
    roster(tmp_path, list(made))
    with pytest.raises(PolicyError, match="cannot be read"):
        opened(settings(tmp_path, made["ES"], policy="missing.toml"))


def test_nothing_is_served_before_a_roster_is_accepted(made, tmp_path):
    with pytest.raises(BadInput, match="no roster was accepted"):
        opened(settings(tmp_path, made["ES"]))


def test_nothing_is_served_under_keys_that_the_roster_does_not_list(made, tmp_path):
    roster(tmp_path, list(made))
    keys_of("somebody").write(tmp_path / "ES.key", None)
    with pytest.raises(BadInput, match="lists other keys for ES"):
        opened(settings(tmp_path, made["ES"]))


def test_two_daemons_on_one_state_are_refused(made, tmp_path):
    """Each of them would answer, and the ledger would have two stories."""
    roster(tmp_path, list(made))
    path = settings(tmp_path, made["ES"])
    with open_desk(path), pytest.raises(BadInput, match="another `genome-eu site serve` works in"):
        opened(path)
    assert opened(path).site.name == "ES"


def test_the_floor_of_the_roster_holds_at_every_site(made, tmp_path):
    path = roster(tmp_path, list(made))
    path.write_text(path.read_text() + "[floor]\nmin_people = 42\n")
    sign_roster(path, keys_of("hub"))
    desk = opened(settings(tmp_path, made["ES"], policy="open-data"))
    assert desk.airlock.policy.min_people == 42
    said = reply(desk, sizes("sex"), tmp_path).manifest
    assert (said.kind, said.reason) == ("refusal", "policy")


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
    """Table and inode of each socket of a process that anybody outside of it could reach.

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
                found.append(f"{table} {line.split()[9]}")
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if f"socket:[{words[6]}]" in own and (len(words) > 7 or int(words[3], 16) & 0x10000):
            found.append(f"unix {words[6]}")
    return found


@pytest.mark.skipif(not Path("/proc/self/net/unix").exists(), reason="needs Linux's /proc")
def test_a_socket_that_listens_would_be_found(tmp_path):
    # What other tests of this process have left open is not this one's.
    before = set(listening(os.getpid()))
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        found = set(listening(os.getpid())) - before
        assert sorted(one.split()[0] for one in found) == ["tcp", "unix"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_sites_in_processes_listen_on_nothing_and_stop_on_sigterm(made, tmp_path):
    path = roster(tmp_path, list(made), timeout_s=WAIT_S, secure_sum=True)
    running = {
        name: start(settings(tmp_path, site, policy="open-data"), tmp_path / f"{name}.log")
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
    expected = ge.federate(cohorts, policy="open-data").frequencies(by="sex")
    assert (found["cohort_allele_count"].values == expected["cohort_allele_count"].values).all()
    for name, site in made.items():
        log = (tmp_path / f"{name}.log").read_text()
        assert len(re.findall(r"answer sent, [\d]+ bytes", log)) == 3
        assert "Traceback" not in log
        assert not [person for person in site.table.index if person in log]
