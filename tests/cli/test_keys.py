"""`genome-eu keys` and `genome-eu roster`: a federation's first day, and what goes wrong on it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from genome_eu.federation.keys import SecretKeys, read_public
from genome_eu.federation.roster import pinned_roster
from tests.cli.running import PROGRAM, Ran, contents, half_made
from tests.federation.keyed import KEYS, write_roster

Cli = Callable[..., Ran]

USAGE, BAD_INPUT = 2, 3
PASSPHRASE = "four words and more"  # noqa: S105


def assert_says(ran: Ran, code: int, *says: str) -> None:
    """One line on stderr, and the exit code of its kind."""
    assert ran.code == code, ran.err
    assert ran.err.startswith("genome-eu: ")
    assert ran.err.count("\n") == 1
    for words in says:
        assert words in ran.err


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person at the terminal types, in turn."""
    answers: list[str] = []

    def prompt(text: str, *, hide_input: bool, **more: object) -> str:
        assert hide_input
        if not answers:
            raise typer.Abort
        return answers.pop(0)

    monkeypatch.setattr(typer, "prompt", prompt)
    return answers


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A folder with the coordinator's key, its roster, and a site's settings."""
    KEYS["hub"].write(tmp_path / "hub.key")
    write_roster(tmp_path)
    return tmp_path


def site_toml(folder: Path, name: str = "FI") -> Path:
    settings = {"name": name, "cohort": "fi.vcz", "exchange": "exchange", "state": "private"}
    path = folder / "site.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return path


# -- keys ------------------------------------------------------------------------------------------


def test_new_keys_and_what_is_shown_of_them(cli: Cli, tmp_path: Path):
    ran = cli("keys", "new", "FI", "--out", tmp_path / "mine")
    assert ran.code == 0, ran.err
    secret = SecretKeys.read(tmp_path / "mine" / "FI.key")
    assert read_public(tmp_path / "mine" / "FI.pub") == ("FI", secret.public)
    assert secret.public.fingerprint in ran.out
    shown = cli("keys", "show", tmp_path / "mine" / "FI.pub").out
    assert 'name = "FI"' in shown
    for text in (shown, cli("keys", "show", tmp_path / "mine" / "FI.key").out):
        assert secret.public.lines() in text
        assert secret.public.fingerprint in text
    private = (tmp_path / "mine" / "FI.key").read_text().splitlines()
    assert not any(line in ran.out + shown for line in private)


def test_keys_are_never_replaced(cli: Cli, tmp_path: Path):
    cli("keys", "new", "FI", "--out", tmp_path)
    before = contents(tmp_path)
    assert_says(cli("keys", "new", "FI", "--out", tmp_path), USAGE, "exists; choose another name")
    (tmp_path / "FI.pub").rename(tmp_path / "kept.pub")
    assert_says(cli("keys", "new", "FI", "--out", tmp_path), USAGE, "FI.key exists")
    (tmp_path / "kept.pub").rename(tmp_path / "FI.pub")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["..", ".FI", "F/I", "", "F I", "x" * 65])
def test_a_name_that_is_none_makes_no_keys(cli: Cli, tmp_path: Path, name: str):
    assert_says(cli("keys", "new", name, "--out", tmp_path), USAGE, "cannot be a party's name")
    assert contents(tmp_path) == {}


def test_a_passphrase_is_asked_for(cli: Cli, tmp_path: Path, typed: list[str]):
    typed.append(PASSPHRASE)
    ran = cli("keys", "new", "FI", "--passphrase", "--out", tmp_path)
    assert ran.code == 0, ran.err
    assert PASSPHRASE not in ran.out + ran.err
    typed.append(PASSPHRASE)
    assert cli("keys", "show", tmp_path / "FI.key").code == 0
    typed.append("not this one either")
    wrong = cli("keys", "show", tmp_path / "FI.key")
    assert_says(wrong, BAD_INPUT, "FI.key", "the passphrase is wrong")
    assert "not this one" not in wrong.err
    assert_says(cli("keys", "show", tmp_path / "FI.key"), USAGE, "GENOME_EU_PASSPHRASE_FILE")


def test_a_short_or_missing_passphrase_makes_no_keys(cli: Cli, tmp_path: Path, typed: list[str]):
    typed.append("hunter2")
    ran = cli("keys", "new", "FI", "--passphrase", "--out", tmp_path)
    assert_says(ran, USAGE, "at least 12 characters")
    assert "hunter2" not in ran.err
    ran = cli("keys", "new", "FI", "--passphrase", "--out", tmp_path)
    assert_says(ran, USAGE, "no passphrase was given")
    assert contents(tmp_path) == {}
    assert not half_made(tmp_path)


def test_a_service_reads_its_passphrase_from_a_private_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    KEYS["FI"].write(tmp_path / "FI.key", PASSPHRASE)
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    monkeypatch.setenv("GENOME_EU_PASSPHRASE_FILE", str(file))
    file.chmod(0o644)
    assert_says(cli("keys", "show", tmp_path / "FI.key"), BAD_INPUT, "open to others (mode 644)")
    file.chmod(0o600)
    assert KEYS["FI"].public.fingerprint in cli("keys", "show", tmp_path / "FI.key").out
    file.write_bytes(b"\xff\xfe")
    assert_says(cli("keys", "show", tmp_path / "FI.key"), BAD_INPUT, "is not UTF-8 text")


def test_with_nobody_to_ask_there_is_one_line(tmp_path: Path):
    KEYS["FI"].write(tmp_path / "FI.key", PASSPHRASE)
    # A session of its own has no terminal, wherever the tests are run from.
    ran = subprocess.run(
        [*PROGRAM, "keys", "show", tmp_path / "FI.key"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert ran.returncode == USAGE
    assert ran.stderr.splitlines()[-1].endswith(
        "set GENOME_EU_PASSPHRASE_FILE to a file that holds it"
    )
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("name", ["nowhere.key", "nowhere.pub", "noise.key", "noise.pub"])
def test_what_is_no_key_file_is_named(cli: Cli, tmp_path: Path, name: str):
    for noise in ("noise.key", "noise.pub"):
        (tmp_path / noise).write_bytes(b"\xff\x00noise")
        (tmp_path / noise).chmod(0o600)
    assert_says(cli("keys", "show", tmp_path / name), BAD_INPUT, name)


# -- rosters ---------------------------------------------------------------------------------------


def test_first_day_of_a_federation(cli: Cli, hub: Path):
    toml = hub / "federation.toml"
    signed = cli("roster", "sign", toml, "--key", hub / "hub.key")
    assert signed.code == 0, signed.err
    shown = cli("roster", "verify", toml)
    assert shown.code == 0, shown.err
    for name in ("hub", "ana", "ES", "FI", "NO"):
        assert KEYS[name].public.fingerprint in shown.out
    accepted = cli("roster", "accept", site_toml(hub), toml, "--yes")
    assert accepted.code == 0, accepted.err
    assert "no roster was accepted here before" in accepted.out
    assert "accepted: federation goe, serial 1" in accepted.out
    assert pinned_roster(hub / "private").serial == 1


def test_a_changed_roster_shows_its_changes(cli: Cli, hub: Path):
    toml, state = hub / "federation.toml", hub / "state"
    cli("roster", "sign", toml, "--key", hub / "hub.key")
    cli("roster", "accept", state, toml, "--yes")
    write_roster(hub, serial=2, top="min_sites = 4", keys=KEYS | {"NO": KEYS["mallory"]})
    toml.write_text(toml.read_text().replace('name = "ES"', 'name = "PT"'))
    cli("roster", "sign", toml, "--key", hub / "hub.key")
    ran = cli("roster", "accept", state, toml, "--yes")
    assert ran.code == 0, ran.err
    for line in (
        "new: PT",
        "gone: ES",
        "changed: the keys of NO",
        "changed: min_sites is 4, was 3",
    ):
        assert line in ran.out.splitlines()


def test_nothing_is_accepted_unasked(cli: Cli, hub: Path, monkeypatch: pytest.MonkeyPatch):
    toml, state = hub / "federation.toml", hub / "state"
    cli("roster", "sign", toml, "--key", hub / "hub.key")
    monkeypatch.setattr(typer, "confirm", lambda text: False)
    assert_says(cli("roster", "accept", state, toml), USAGE, "was not accepted")
    assert not state.exists()
    monkeypatch.setattr(typer, "confirm", lambda text: True)
    assert cli("roster", "accept", state, toml).code == 0
    assert pinned_roster(state).serial == 1


def test_what_a_site_must_not_accept(cli: Cli, hub: Path):
    toml, state = hub / "federation.toml", hub / "state"
    unsigned = cli("roster", "accept", state, toml, "--yes")
    assert_says(unsigned, BAD_INPUT, "has no federation.toml.sig beside it")
    cli("roster", "sign", toml, "--key", hub / "hub.key")
    elsewhere = cli("roster", "accept", site_toml(hub, "SE"), toml, "--yes")
    assert_says(elsewhere, BAD_INPUT, "does not list site SE; ask its coordinator to add it")
    toml.write_text(toml.read_text() + "\n")
    for ran in (cli("roster", "accept", state, toml, "--yes"), cli("roster", "verify", toml)):
        assert_says(ran, BAD_INPUT, "was changed after it was signed")
    assert not state.exists()


def test_only_the_coordinator_signs(cli: Cli, hub: Path):
    KEYS["FI"].write(hub / "FI.key")
    ran = cli("roster", "sign", hub / "federation.toml", "--key", hub / "FI.key")
    assert_says(ran, BAD_INPUT, "lists other keys for hub")
    (hub / "hub.key").chmod(0o640)
    ran = cli("roster", "sign", hub / "federation.toml", "--key", hub / "hub.key")
    assert_says(ran, BAD_INPUT, "open to others (mode 640)", "chmod 600")
    assert not (hub / "federation.toml.sig").exists()
