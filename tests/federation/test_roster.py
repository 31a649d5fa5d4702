"""The roster: signed by its coordinator, pinned by each site, never older than it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genome_eu.disclosure import load_policy
from genome_eu.errors import BadInput, SignatureError
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.parties import Roster
from genome_eu.federation.roster import (
    ROSTER_LIMIT,
    accept_roster,
    pinned_roster,
    read_roster,
    sign_roster,
    verify_roster,
)
from tests.federation.keyed import KEYS, SITES, flips, keyed_roster, roster_text, write_roster

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7Vd8cNc3JkHqGHSkbPqPpgbvpGpcbQqVIrEnNPQXYp"


def signed(folder: Path, **changes: object) -> Path:
    path = write_roster(folder, **changes)
    keys = changes.get("keys", KEYS)
    sign_roster(path, keys["hub"])  # type: ignore[index]
    return path


def signature(path: Path) -> Path:
    return path.with_name("federation.toml.sig")


# -- what it says ----------------------------------------------------------------------------------


def test_a_roster_tells_who_takes_part(tmp_path: Path):
    roster = keyed_roster(tmp_path)
    assert roster.sites == SITES
    assert roster.keyed
    assert (roster.min_sites, roster.secure_sum, roster.timeout_s) == (3, True, 600.0)
    roles = {party.name: party.role for party in roster.parties}
    assert roles == {"hub": "coordinator", "ana": "analyst"} | dict.fromkeys(SITES, "site")
    assert roster.party("FI").signing == KEYS["FI"].public.signing
    assert roster.own("FI", KEYS["FI"].public) == roster.party("FI")
    with pytest.raises(BadInput, match=r"mallory is not listed in federation goe \(serial 1\)"):
        roster.party("mallory")
    with pytest.raises(BadInput, match=r"lists other keys for FI .* send FI\.pub"):
        roster.own("FI", KEYS["ES"].public)


def test_without_keys_sites_may_answer_in_this_process(tmp_path: Path):
    path = tmp_path / "federation.toml"
    path.write_text('name = "here"\n[[site]]\nname = "FI"\ncohort = "fi.vcz"\n')
    roster = read_roster(path)
    assert not roster.keyed
    with pytest.raises(BadInput, match="lists no keys"):
        roster.own("FI", KEYS["FI"].public)
    with pytest.raises(BadInput, match="lists no keys"):
        sign_roster(path, KEYS["hub"])


def test_digest_is_of_what_is_said_not_of_how(tmp_path: Path):
    roster = keyed_roster(tmp_path)
    path = tmp_path / "federation.toml"
    path.write_text("# a comment\n" + roster_text().replace(" = ", "="))
    assert read_roster(path).digest == roster.digest
    assert keyed_roster(tmp_path, serial=2).digest != roster.digest
    assert keyed_roster(tmp_path, top="min_sites = 4").digest != roster.digest
    assert len({keyed_roster(tmp_path, name=name).digest for name in ("goe", "eog")}) == 2


SOUND = {
    "floor": "floor = {min_people = 20, max_leverage = 0.4}",
    "host key": f'host_key = "{HOST_KEY}"',
}


@pytest.mark.parametrize("top", SOUND.values(), ids=list(SOUND))
def test_further_keys_are_read(tmp_path: Path, top: str):
    roster = keyed_roster(tmp_path, top=top)
    assert roster.floor or roster.host_key == HOST_KEY


def test_a_floor_makes_a_sites_policy_stricter_and_never_weaker(tmp_path: Path):
    default = load_policy("default")
    strict = keyed_roster(tmp_path, top="floor = {min_people = 20, max_leverage = 0.9}")
    found = strict.floored(default)
    assert (found.min_people, found.max_leverage) == (20, default.max_leverage)
    assert found.name == "strictest"
    assert keyed_roster(tmp_path, top="floor = {min_people = 1}").floored(default) == default
    assert keyed_roster(tmp_path).floored(default) == default


def without(text: str, line: str) -> str:
    return "\n".join(one for one in text.splitlines() if not one.startswith(line))


def rename(old: str, new: str) -> str:
    return roster_text().replace(f'name = "{old}"', f'name = "{new}"')


BAD = {
    "no serial": (without(roster_text(), "serial"), r"no serial; begin with serial = 1"),
    "no coordinator": (
        roster_text().replace("[coordinator]", "[[analyst]]"),
        "keys but no coordinator",
    ),
    "one key short": (
        roster_text().replace(f'sealing = "{KEYS["NO"].public.sealing}"', ""),
        r"lacks a key of NO; copy both from NO\.pub",
    ),
    "one key for two": (
        roster_text(keys=KEYS | {"FI": KEYS["ES"]}),
        "one key for two parties",
    ),
    "coordinator named as a site": (rename("hub", "FI"), "two parties one name"),
    "names alike": (rename("ana", "fi"), "differ in more than upper and lower case"),
    "hidden name": (rename("FI", ".."), r"site\.1\.name"),
    "line in a name": (rename("FI", "F\\n"), r"site\.1\.name"),
    "key of another kind": (
        roster_text().replace("x25519:", "ed25519:"),
        r"coordinator\.sealing: .* x25519: and 32 bytes",
    ),
    "password": (
        roster_text().replace('"exchange"', '"sftp://me:secret@host/x"'),
        "holds a password",
    ),
    "sftp without host key": (
        roster_text().replace('"exchange"', '"sftp://host/x"'),
        "no host_key for its exchange",
    ),
    "host key": (roster_text(top='host_key = "ssh-ed25519 AAAA"'), "as `ssh-keyscan` prints it"),
    "host key of another kind": (
        roster_text(top=f'host_key = "{HOST_KEY.replace("ssh-ed25519", "ssh-rsa")}"'),
        "as `ssh-keyscan` prints it",
    ),
    "two sites are few": (roster_text(top="min_sites = 2"), "min_sites"),
    "for ever": (roster_text(top="timeout_s = inf"), "timeout_s"),
    "unknown floor": (roster_text(top="floor = {min_peple = 3}"), "floor: min_peple: extra inputs"),
    "floor of a name": (roster_text(top='floor = {name = "x"}'), "name cannot be prescribed"),
    "floor out of range": (roster_text(top="floor = {max_leverage = 4}"), "floor: max_leverage"),
    "floor of another type": (roster_text(top='floor = {min_people = "9"}'), "floor: min_people"),
    "unknown key": (roster_text(top="secure = true"), "secure: extra inputs"),
    "deep": ("a = " + "[" * 50_000, "not valid TOML"),
}


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=list(BAD))
def test_a_roster_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, says: str):
    path = tmp_path / "federation.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=says) as caught:
        read_roster(path)
    assert "\n" not in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"#" * (ROSTER_LIMIT + 1)])
def test_what_is_not_text_or_too_long_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "federation.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="not valid TOML|is longer than"):
        read_roster(path)


# -- signed ----------------------------------------------------------------------------------------


def test_a_signed_roster_is_verified(tmp_path: Path):
    path = signed(tmp_path)
    assert verify_roster(path) == read_roster(path)


def test_only_its_coordinator_signs_a_roster(tmp_path: Path):
    path = write_roster(tmp_path)
    for name in ("ana", "FI", "mallory"):
        with pytest.raises(BadInput, match="lists other keys for hub"):
            sign_roster(path, KEYS[name])
    assert not signature(path).exists()


def test_an_unsigned_roster_is_refused(tmp_path: Path):
    with pytest.raises(SignatureError, match=r"no federation\.toml\.sig beside it"):
        verify_roster(write_roster(tmp_path))


def test_another_files_signature_is_refused(tmp_path: Path):
    old, new = signed(tmp_path / "old"), signed(tmp_path / "new", serial=2)
    signature(new).write_bytes(signature(old).read_bytes())
    with pytest.raises(SignatureError, match="was changed after it was signed"):
        verify_roster(new)


@pytest.mark.parametrize("which", ["roster", "signature"])
def test_every_flipped_byte_is_detected(tmp_path: Path, which: str):
    path = signed(tmp_path)
    target = path if which == "roster" else signature(path)
    for damaged in flips(target.read_bytes(), (0x01, 0x20, 0x80)):
        target.write_bytes(damaged)
        with pytest.raises(BadInput):
            verify_roster(path)


@pytest.mark.parametrize("line", [b"", b"\xff", b"ed25519:AAAA\n", b"x" * 2000, "cut", "longer"])
def test_a_damaged_signature_file_is_refused(tmp_path: Path, line: bytes | str):
    path = signed(tmp_path)
    good = signature(path).read_bytes()
    content = {"cut": good[:-1], "longer": good + b"\n"}.get(line, line)  # type: ignore[call-overload]
    signature(path).write_bytes(content)
    with pytest.raises(BadInput, match=r"federation\.toml\.sig"):
        verify_roster(path)


# -- pinned ----------------------------------------------------------------------------------------


def test_a_site_knows_the_roster_that_it_accepted(tmp_path: Path):
    state = tmp_path / "state"
    with pytest.raises(BadInput, match=r"no roster was accepted in .*genome-eu roster accept"):
        pinned_roster(state)
    path = signed(tmp_path)
    roster = accept_roster(state, path)
    path.unlink()
    assert pinned_roster(state) == roster
    assert pinned_roster(state).digest == roster.digest
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "roster.json").stat().st_mode & 0o777 == 0o600


def test_a_newer_roster_waits_until_it_is_accepted(tmp_path: Path):
    state, path = tmp_path / "state", signed(tmp_path)
    old = accept_roster(state, path)
    signed(tmp_path, serial=2, top="min_sites = 5")
    assert pinned_roster(state) == old

    def refuse(pinned: Roster | None, roster: Roster) -> None:
        assert pinned == old
        assert roster.min_sites == 5
        raise BadInput("no")

    with pytest.raises(BadInput, match="no"):
        accept_roster(state, path, agree=refuse)
    assert pinned_roster(state) == old
    assert accept_roster(state, path) == pinned_roster(state) != old


def test_what_was_shown_is_what_is_pinned(tmp_path: Path):
    state, path = tmp_path / "state", signed(tmp_path)

    def swap(pinned: Roster | None, roster: Roster) -> None:
        signed(tmp_path, serial=9)

    assert accept_roster(state, path, agree=swap).serial == 1
    assert pinned_roster(state).serial == 1


def test_older_rosters_and_second_versions_of_one_serial_are_refused(tmp_path: Path):
    state = tmp_path / "state"
    new = accept_roster(state, signed(tmp_path, serial=7))
    with pytest.raises(BadInput, match="serial 6, older than the accepted 7"):
        accept_roster(state, signed(tmp_path, serial=6))
    with pytest.raises(BadInput, match="differs from the accepted roster of the same serial 7"):
        accept_roster(state, signed(tmp_path, serial=7, top="min_sites = 5"))
    with pytest.raises(BadInput, match="is of federation other, this site takes part in goe"):
        accept_roster(state, signed(tmp_path, serial=8, name="other"))
    assert pinned_roster(state) == new
    assert accept_roster(state, signed(tmp_path, serial=7)) == new


def test_an_unsigned_or_changed_roster_is_not_accepted(tmp_path: Path):
    path = signed(tmp_path)
    path.write_text(roster_text(top="min_sites = 5"))
    with pytest.raises(SignatureError):
        accept_roster(tmp_path / "state", path)
    assert not (tmp_path / "state").exists()


def test_another_coordinator_must_be_accepted_by_name(tmp_path: Path):
    state = tmp_path / "state"
    accept_roster(state, signed(tmp_path))
    path = signed(tmp_path, serial=2, keys=KEYS | {"hub": SecretKeys.new()})
    with pytest.raises(SignatureError, match="another coordinator's key .* --new-coordinator"):
        accept_roster(state, path)
    assert accept_roster(state, path, new_coordinator=True) == pinned_roster(state)


def test_every_flipped_byte_of_the_pinned_copy_is_detected(tmp_path: Path):
    state = tmp_path / "state"
    accept_roster(state, signed(tmp_path))
    pin = state / "roster.json"
    for damaged in flips(pin.read_bytes(), (0x01, 0x80)):
        pin.write_bytes(damaged)
        with pytest.raises(BadInput, match="is damaged; remove it and accept"):
            pinned_roster(state)
    with pytest.raises(BadInput, match="is damaged"):
        accept_roster(state, tmp_path / "federation.toml")


def test_a_pin_forged_without_the_coordinator_is_detected(tmp_path: Path):
    state = tmp_path / "state"
    accept_roster(state, signed(tmp_path))
    pin = state / "roster.json"
    content = json.loads(pin.read_bytes())
    content["content"] = roster_text(top="min_sites = 5")
    content["digest"] = keyed_roster(tmp_path, top="min_sites = 5").digest
    pin.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")))
    with pytest.raises(BadInput, match="is damaged"):
        pinned_roster(state)
