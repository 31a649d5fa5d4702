"""What a coordinator's machine holds after a question to many sites, answered or not."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.running import PROGRAM, Ran, contents, federation, half_made
from tests.federation.exchanges import roster
from tests.federation.policies import floors_file
from tests.federation.small_sites import Made

WAIT_S = 60.0
QUESTIONS = {
    "freq": ("--by", "sex"),
    "pca": ("--components", "2"),
    "gwas": ("--trait", "ldl", "--trait", "crp", "--covariates", "age,sex"),
}

Cli = Callable[..., Ran]


@pytest.mark.parametrize("command", QUESTIONS)
def test_nothing_about_a_person_is_in_a_federated_result(
    cli: Cli, made: dict[str, Made], tmp_path: Path, command: str
):
    toml = federation(tmp_path / "eu", *made.values(), policy=str(floors_file(tmp_path)))
    ran = cli(command, toml, *QUESTIONS[command], "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    files = contents(tmp_path / "out")
    assert "result.json" in files
    assert any(name.startswith("study/") for name in files)
    assert not [name for name in files if "eigenvec" in name or "scores" in name]
    for name, content in files.items():
        assert b"-person-" not in content, name
    assert "-person-" not in ran.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--trait", "sparse"), "fewer than 10 people would be described"),
        (("--trait", "one_person"), "class of fewer than 5 people"),
        (("--trait", "ldl", "--covariates", "one_person"), "class of fewer than 5 people"),
        (("--trait", "ldl", "--covariates", "age,age_but_one"), r"leverage of more than 0\.5"),
    ],
)
def test_every_refusal_is_one_line_that_names_the_site_and_its_policy(
    cli: Cli, made: dict[str, Made], tmp_path: Path, options: tuple[str, ...], says: str
):
    toml = federation(tmp_path / "eu", *made.values(), policy="default")
    ran = cli("gwas", toml, *options, "--out", tmp_path / "out")
    assert ran.code == 4
    assert ran.err.count("\n") == 1
    assert re.search(says, ran.err), ran.err
    assert ran.err.startswith("genome-eu: site ")
    assert "policy default" in ran.err
    assert not (tmp_path / "out" / "result.json").exists()
    assert not half_made(tmp_path)


def test_what_a_person_must_decide_about_is_said_in_one_line(
    cli: Cli, made: dict[str, Made], tmp_path: Path
):
    toml = federation(tmp_path / "eu", *made.values(), policy="default")
    ran = cli("freq", toml, "--out", tmp_path / "out")
    assert (ran.code, ran.err.count("\n")) == (4, 1)
    assert "the site's data officer must decide" in ran.err
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_site_is_left_out_only_when_one_says_so(cli: Cli, made: dict[str, Made], tmp_path: Path):
    toml = federation(tmp_path / "eu", *made.values())
    for options, sites in ((("--without", "IT"), ["ES", "FI"]), ((), ["ES", "FI", "IT"])):
        ran = cli("freq", toml, *options, "--out", tmp_path / "out")
        assert ran.code == 0, ran.err
        releases = json.loads((tmp_path / "out" / "result.json").read_text())["releases"]
        assert sorted({item["site"] for item in releases}) == sites


def test_a_damaged_chunk_at_one_site_names_that_site(
    cli: Cli, made: dict[str, Made], tmp_path: Path
):
    store = shutil.copytree(made["ES"].store, tmp_path / "es.vcz")
    for chunk in (store / "genome_eu" / "packed").rglob("0*"):
        chunk.write_bytes(chunk.read_bytes()[:-1] + b"!")
    broken = Made("ES", store, made["ES"].bed, made["ES"].table, made["ES"].dosage)
    toml = federation(tmp_path / "eu", broken, made["FI"])
    ran = cli("gwas", toml, "--trait", "ldl", "--out", tmp_path / "out")
    assert ran.code == 3
    assert ran.err.startswith("genome-eu: site ES: cohort es.vcz: ")
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "out" / "result.json").exists()
    assert not half_made(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_question_keeps_its_study_and_no_result(
    tmp_path: Path, number: signal.Signals
):
    """It waits for a site that does not answer; asked again, it would go on from here."""
    toml = roster(tmp_path, ["ES"], timeout_s=10 * WAIT_S)
    process = subprocess.Popen(
        [*PROGRAM, "freq", str(toml), "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + WAIT_S
        while not any((tmp_path / "exchange").rglob("hub.plan.cover.json")):
            assert process.poll() is None, "it ended before it was interrupted"
            assert time.monotonic() < end, "it asked nothing"
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out) == (128 + number, "")
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 1
    left = {Path(name).name for name in contents(tmp_path / "out")}
    assert left == {"study.json", "log.jsonl", "plan.tar", "heads.json"}


def test_a_reader_that_goes_away_is_no_error(made: dict[str, Made]):
    command = f"'{sys.executable}' -m genome_eu.cli.main info '{made['ES'].store}' --json"
    ran = subprocess.run(  # noqa: S602
        f"{command} | head -c 1", shell=True, capture_output=True, timeout=WAIT_S, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"{", b"")
