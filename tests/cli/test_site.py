"""What the operator and the data officer of a site run: init, review, approve, refuse, log, status."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.ledger import Ledger
from genome_eu.disclosure.policy import load_policy
from genome_eu.disclosure.review import collect
from genome_eu.federation.daemon.settings import read_settings
from genome_eu.federation.daemon.status import StatusFile, read_status
from genome_eu.federation.keys import SecretKeys, write_public
from genome_eu.federation.roster import pinned_roster, sign_roster
from tests.cli.running import Ran, contents
from tests.disclosure.held_answers import COHORT, events, hold, plan_of
from tests.federation.small_sites import Made

Cli = Callable[..., Ran]
USAGE, BAD_INPUT, REFUSED, NO_ANSWER = 2, 3, 4, 5


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site.toml whose state folder exists; its cohort is not needed to decide."""
    (tmp_path / "state").mkdir(mode=0o700)
    path = tmp_path / "site.toml"
    path.write_text('name = "FI"\ncohort = "fi.vcz"\nexchange = "exchange"\n')
    return path


@pytest.fixture
def case(site: Path) -> Case:
    return hold(site.parent / "state", ledger_of(site))


def ledger_of(site: Path) -> Ledger:
    return Ledger(site.parent / "state" / "ledger.jsonl")


def written(site: Path) -> list[str]:
    return events(ledger_of(site))


def assert_failed(ran: Ran, code: int, problem: str) -> None:
    assert ran.code == code, ran
    assert problem in ran.err
    assert ran.err.startswith("genome-eu: ")
    assert ran.err.count("\n") == 1


# -- review, approve, refuse -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["init", "serve", "review", "approve", "refuse", "log", "status"]
)
def test_every_command_has_help(cli: Cli, command: str):
    ran = cli("site", command, "--help")
    assert ran.code == 0
    assert f"genome-eu site {command} [OPTIONS]" in ran.out


def test_nothing_to_decide(cli: Cli, site: Path):
    assert cli("site", "review", site).out == "nothing waits for a decision\n"
    assert json.loads(cli("site", "review", site, "--json").out) == []


def test_review_then_approve_as_it_says(cli: Cli, site: Path, case: Case):
    shown = cli("site", "review", site)
    assert shown.code == 0, shown.err
    assert "counts of alleles for 33 variants in 93 people" in " ".join(shown.out.split())
    (found,) = json.loads(cli("site", "review", site, "--json").out)
    words = found["commands"][0].split()
    assert words[:3] == ["genome-eu", "site", "approve"]
    ran = cli(*words[1:], "--site", site, "--who", "A. Officer")
    assert ran.code == 0, ran.err
    assert ran.out == f"plan {case.plan[:12]} approved: bundle {case.answer[:12]} may leave\n"
    assert written(site) == ["held", "approval"]
    target = site.parent / "out.tar"
    policy = load_policy("default")
    made = collect(site.parent / "state", case.plan, target, cohort=COHORT, policy=policy)
    assert made.who == "A. Officer"
    assert cli("site", "review", site).out == "nothing waits for a decision\n"
    # It can still be looked at by name.
    assert "approved" in cli("site", "review", site, "--plan", case.plan[:8]).out


def test_review_as_a_page(cli: Cli, site: Path, case: Case, tmp_path: Path):
    page = tmp_path / "review.html"
    ran = cli("site", "review", site, "--html", page)
    assert ran.out == f"{page}: 1 to decide\n"
    assert case.answer in page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_refuse_says_why_to_the_ledger(cli: Cli, site: Path, case: Case):
    assert_failed(cli("site", "refuse", case.plan, "--site", site), USAGE, "say why it is refused")
    ran = cli("site", "refuse", case.plan[:9], "--why", "too few people", "--site", site, "--json")
    assert json.loads(ran.out)["verdict"] == "refused"
    entry = list(ledger_of(site).entries())[-1]
    assert (entry.event, entry.fields["why"]) == ("denial", "too few people")
    ran = cli("site", "approve", case.plan, "--site", site)
    assert_failed(ran, USAGE, "has been refused")


def test_what_changed_since_it_was_held_is_refused(cli: Cli, site: Path, case: Case):
    other = hold(site.parent / "state", ledger_of(site), plan=plan_of(number=1))
    path = site.parent / "state" / "held" / case.plan / "answer.tar"
    path.write_bytes(path.read_bytes()[:-1])
    ran = cli("site", "approve", case.plan, "--site", site)
    assert_failed(ran, REFUSED, "is not the one that was held, so nothing leaves")
    # The others are still shown.
    ran = cli("site", "review", site, "--json")
    assert ran.code == REFUSED
    assert [found["case"]["plan"] for found in json.loads(ran.out)] == [other.plan]


def test_another_answer_than_the_one_seen(cli: Cli, site: Path, case: Case):
    ran = cli("site", "approve", case.plan, "--site", site, "--answer", "0000")
    assert_failed(ran, REFUSED, "as you saw it; review it again")
    assert written(site) == ["held"]


def test_approve_and_withdraw_a_study(cli: Cli, site: Path, case: Case):
    bounds = ("--rounds", 4, "--rows", 100, "--statistic", "group_sizes", "--column", "sex")
    ran = cli("site", "approve", "--study", "study", *bounds, "--site", site)
    assert ran.code == 0, ran.err
    assert ran.out == (
        "study study approved: 4 rounds of at most 100 rows × 6 numbers, genotype_counts, "
        "group_sizes\n"
    )
    assert written(site) == ["held", "study_approval", "approval"]
    ran = cli("site", "refuse", "--study", "study", "--why", "another cohort", "--site", site)
    assert ran.code == 0, ran.err
    assert written(site)[3:] == ["withdrawn", "withdrawn"]
    (found,) = json.loads(cli("site", "review", site, "--json").out)
    assert found["standing"] == "waiting"


@pytest.mark.parametrize(
    "words",
    [
        ("approve",),
        ("approve", "abc", "--rounds", "3"),
        ("approve", "--study", "study"),
        ("approve", "abc", "--study", "study", "--rounds", "3"),
        ("refuse", "--why", "because"),
        ("refuse", "abc", "--study", "study", "--why", "because"),
        ("approve", "abc"),
        ("approve", "--study", "unheard-of", "--rounds", "3"),
    ],
    ids=" ".join,
)
def test_decisions_name_one_thing(cli: Cli, site: Path, words: tuple[str, ...]):
    assert_failed(cli("site", *words, "--site", site), USAGE, "")


def test_a_missing_site_file(cli: Cli, tmp_path: Path):
    for words in (("review",), ("log",), ("status",)):
        ran = cli("site", *words, tmp_path / "none.toml")
        assert_failed(ran, BAD_INPUT, "make one with `genome-eu site init`")


# -- log -------------------------------------------------------------------------------------------


def test_log(cli: Cli, site: Path, case: Case):
    (line,) = cli("site", "log", site).out.splitlines()
    assert "held" in line
    assert f"plan {case.plan[:12]}" in line
    (entry,) = map(json.loads, cli("site", "log", site, "--json").out.splitlines())
    assert entry["fields"]["plan"] == case.plan
    assert cli("site", "log", site, "--verify").out.startswith("1 lines, all as they were written")


def test_log_against_a_pinned_head(cli: Cli, site: Path, case: Case, tmp_path: Path):
    pinned = tmp_path / "head.json"
    head = json.loads(cli("site", "log", site, "--verify", "--json").out)
    pinned.write_text(json.dumps(head))
    assert cli("site", "log", site, "--head", pinned).code == 0
    pinned.write_text(json.dumps(head | {"count": 2}))
    assert_failed(cli("site", "log", site, "--head", pinned), BAD_INPUT, "cut short")
    pinned.write_text("{}")
    assert_failed(cli("site", "log", site, "--head", pinned), BAD_INPUT, "is not the head of")


def test_a_changed_ledger_is_noticed(cli: Cli, site: Path, case: Case):
    path = site.parent / "state" / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"hub"', b'"hob"', 1))
    assert_failed(cli("site", "log", site, "--verify"), BAD_INPUT, "line 1")


# -- status ----------------------------------------------------------------------------------------


def test_status_before_any_daemon(cli: Cli, site: Path):
    assert cli("site", "status", site).out == "no daemon has run here yet\n"
    assert json.loads(cli("site", "status", site, "--json").out) is None
    assert_failed(cli("site", "status", site, "--check", 60), NO_ANSWER, "no daemon has run")


def test_status_of_a_daemon_at_work(cli: Cli, site: Path):
    file = StatusFile(site.parent / "state", "FI")
    file.polled(waiting=2, ledger=(7, "a" * 64))
    file.begins("b" * 64, "study", 3, "genotype_counts", 1000)
    file.advances(250, "reading")
    file.failed("disk\nfull")
    shown = cli("site", "status", site).out
    for part in (
        f"running (process {os.getpid()}",
        "genotype_counts, round 3 of study study, 250 of 1,000 rows",
        "7 lines, head aaaaaaaaaaaa",
        "disk full",
    ):
        assert part in shown
    found = json.loads(cli("site", "status", site, "--json", "--check", 60).out)
    assert (found["alive"], found["waiting"], found["work"]["rows_done"]) == (True, 2, 250)
    assert stat.S_IMODE((site.parent / "state" / "status.json").stat().st_mode) == 0o600
    file.ends(answered=True)
    file.stops()
    found = json.loads(cli("site", "status", site, "--json").out)
    assert (found["alive"], found["answered"], found["work"]) == (False, 1, None)
    assert_failed_check(cli("site", "status", site, "--check", 60))


def assert_failed_check(ran: Ran) -> None:
    assert ran.code == NO_ANSWER
    assert "does not answer" in ran.err


def test_status_of_a_daemon_that_was_killed(cli: Cli, site: Path):
    state = site.parent / "state"
    StatusFile(state, "FI").polled(waiting=0)
    found = read_status(state)
    assert found is not None
    # Above the largest process number that Linux gives.
    dead = found.model_copy(update={"pid": 2**22 + 1})
    (state / "status.json").write_text(dead.model_dump_json())
    assert "not running" in cli("site", "status", site).out


def test_a_daemon_that_is_stuck_fails_the_check(cli: Cli, site: Path):
    state = site.parent / "state"
    StatusFile(state, "FI").set(polled="2026-01-01T00:00:00+00:00")
    assert_failed_check(cli("site", "status", site, "--check", 60))


def test_a_damaged_status(cli: Cli, site: Path):
    (site.parent / "state" / "status.json").write_text("{")
    assert_failed(cli("site", "status", site), BAD_INPUT, "is damaged; restart")


# -- init ------------------------------------------------------------------------------------------


def init(cli: Cli, folder: Path, made: dict[str, Made], *more: object) -> Ran:
    return cli("site", "init", folder, "--name", "FI", "--cohort", made["FI"].store, *more)


def test_init_makes_keys(cli: Cli, made: dict[str, Made], tmp_path: Path):
    folder = tmp_path / "site"
    ran = init(cli, folder, made, "--new-keys")
    assert ran.code == 0, ran.err
    files = {"site.toml", "policy.toml", "policy.schema.json", "FI.key", "FI.pub"}
    assert set(contents(folder)) == files
    settings = read_settings(folder / "site.toml")
    assert (settings.keys, settings.exchange) == ("FI.key", None)
    public = SecretKeys.read(folder / "FI.key").public
    assert f"fingerprint {public.fingerprint}" in ran.out
    assert load_policy(folder / "policy.toml") == load_policy("default")


def test_init_takes_a_url_and_its_options(cli: Cli, made: dict[str, Made], tmp_path: Path):
    folder = tmp_path / "site"
    options = ("--exchange-option", "username=fi", "--exchange-option", "port=2222")
    ran = init(cli, folder, made, "--exchange", "sftp://hub.example/in", *options)
    assert ran.code == 0, ran.err
    found = tomllib.loads((folder / "site.toml").read_text())
    assert found["exchange"] == "sftp://hub.example/in"
    assert found["exchange_options"] == {"username": "fi", "port": "2222"}
    assert read_settings(folder / "site.toml").exchange_options == found["exchange_options"]


def signed_roster(folder: Path, keys: dict[str, SecretKeys]) -> Path:
    """federation.toml and its signature."""
    lines = ['name = "small"', "serial = 1", 'exchange = "exchange"', "[coordinator]"]
    lines += ['name = "hub"', keys["hub"].public.lines()]
    for name in ("ES", "FI", "IT"):
        lines += ["[[site]]", f'name = "{name}"', keys[name].public.lines()]
    path = folder / "federation.toml"
    path.write_text("\n".join(lines))
    sign_roster(path, keys["hub"])
    return path


@pytest.fixture(scope="module")
def keys() -> dict[str, SecretKeys]:
    return {name: SecretKeys.new() for name in ("hub", "ES", "FI", "IT")}


def test_init_accepts_a_roster(
    cli: Cli, made: dict[str, Made], keys: dict[str, SecretKeys], tmp_path: Path
):
    own = tmp_path / "own.key"
    keys["FI"].write(own)
    write_public(tmp_path / "own.pub", "FI", keys["FI"].public)
    roster = signed_roster(tmp_path, keys)
    folder = tmp_path / "site"
    ran = init(cli, folder, made, "--keys", own, "--roster", roster, "--yes")
    assert ran.code == 0, ran.err
    assert keys["hub"].public.fingerprint in ran.out
    assert pinned_roster(folder / "state").serial == 1
    assert read_settings(folder / "site.toml").keys == str(own)


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        ((), USAGE, "say where messages are exchanged"),
        (("--exchange", "nowhere"), BAD_INPUT, "--exchange nowhere does not exist"),
        (("--exchange", "s3://x", "--exchange-option", "a"), USAGE, "write NAME=VALUE"),
        (("--new-keys", "--keys", "x"), USAGE, "not both"),
        (("--keys", "nowhere"), BAD_INPUT, "--keys nowhere does not exist"),
        (("--exchange", "s3://x", "--passphrase"), USAGE, "--passphrase is for --new-keys"),
        (("--new-keys", "--roster", "x"), USAGE, "--roster needs --keys"),
        (("--exchange", "s3://x", "--policy", "mine"), BAD_INPUT, "policy mine is not shipped"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_init_says_what_is_missing(
    cli: Cli, made: dict[str, Made], tmp_path: Path, options, code: int, problem: str
):
    assert_failed(init(cli, tmp_path / "site", made, *options), code, problem)
    assert not (tmp_path / "site").exists()


# -- the container ---------------------------------------------------------------------------------

ENTRY = Path(__file__).parents[2] / "cluster" / "site-entry.sh"


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ("", "site serve /site/site.toml"),
        ("serve --device cpu", "site serve /site/site.toml --device cpu"),
        ("review --json", "site review /site/site.toml --json"),
        ("approve 3f2a --answer 9c", "site approve --site /site/site.toml 3f2a --answer 9c"),
        ("keys show x.pub", "keys show x.pub"),
    ],
)
def test_the_entry_of_the_container_names_the_site(tmp_path: Path, given: str, run: str):
    program = tmp_path / "genome-eu"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", ENTRY, *given.split()], env=path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{run}\n"
