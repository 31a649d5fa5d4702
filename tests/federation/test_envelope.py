"""Envelopes: only those named can read, only those listed can write, and no byte can change."""

from __future__ import annotations

import errno
import json
import logging
import random
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genome_eu.atomic import AtomicFile
from genome_eu.canonical import canonical
from genome_eu.disclosure.ledger import Head
from genome_eu.errors import BadInput, BundleError, SignatureError
from genome_eu.federation.cover import COVER_LIMIT, PART_BYTES, Cover, read_cover
from genome_eu.federation.envelope import unseal
from genome_eu.federation.keys import signature_text
from genome_eu.federation.parties import Roster
from tests.federation.keyed import (
    KEYS,
    PLAN,
    SITES,
    STUDY,
    covering,
    flips,
    keyed_roster,
    sealed_by,
)
from tests.federation.mutations import rewrite

SEGMENT = 65_536 + 28
LIMIT = 2**30


@pytest.fixture(scope="module")
def roster(tmp_path_factory: pytest.TempPathFactory) -> Roster:
    return keyed_roster(tmp_path_factory.mktemp("roster"))


def opened(sealed: Path, cover: Cover, by: str = "FI", limit: int = LIMIT) -> bytes:
    clear = sealed.with_name("opened")
    unseal(sealed, cover, KEYS[by], clear, limit)
    content = clear.read_bytes()
    clear.unlink()
    return content


def assert_not_opened(sealed: Path, cover: Cover, says: str, by: str = "FI") -> None:
    clear = sealed.with_name("opened")
    with pytest.raises(BundleError, match=says) as caught:
        unseal(sealed, cover, KEYS[by], clear, LIMIT)
    assert "\n" not in str(caught.value)
    assert not clear.exists()
    assert not list(sealed.parent.glob("*.partial"))


def assert_not_read(content: bytes, roster: Roster, says: str, **where: str) -> None:
    with pytest.raises(BundleError, match=says) as caught:
        read_cover(content, roster, **where)
    assert "\n" not in str(caught.value)


def signed_as(body: bytes, by: str = "FI") -> bytes:
    """Any bytes as the cover of a listed party, signed."""
    signature = signature_text(KEYS[by].sign("cover", body))
    return b'{"cover":' + body + b',"signature":"' + signature.encode() + b'"}'


# -- what is sent is what is read ------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 300_000])
def test_what_is_sealed_is_what_its_readers_open(tmp_path: Path, roster: Roster, size: int):
    content = random.Random(size).randbytes(size)
    cover, sealed = sealed_by("hub", tmp_path, roster, content)
    assert cover.clear_bytes == size
    assert cover.bytes == sealed.stat().st_size
    found = read_cover(cover.content, roster, name=cover.name, plan=PLAN)
    assert found == cover
    for reader in (*SITES, "hub"):
        assert opened(sealed, found, reader) == content
    if size > 64:
        assert content[:64] not in sealed.read_bytes()


def test_a_cover_says_where_a_message_belongs(tmp_path: Path, roster: Roster):
    head = Head(count=7, hash="b" * 64)
    cover, _ = sealed_by("FI", tmp_path, roster, ledger=head)
    found = read_cover(cover.content, roster)
    assert found.name == f"{STUDY}/0003/FI.answer"
    assert (found.ledger, found.plan, found.readers) == (head, PLAN, ("FI", "hub"))
    assert json.loads(cover.content)["cover"]["roster"] == roster.digest


def test_nothing_of_the_content_shows_and_no_two_messages_are_alike(tmp_path: Path, roster: Roster):
    first, sealed = sealed_by("FI", tmp_path, roster)
    bytes_of_first = sealed.read_bytes()
    second, _ = sealed_by("FI", tmp_path, roster)
    assert first.sha256 != second.sha256
    assert sealed.read_bytes()[16:] != bytes_of_first[16:]


def test_the_senders_key_opens_nothing_that_it_sent(tmp_path: Path, roster: Roster):
    cover, sealed = sealed_by("FI", tmp_path, roster, readers=("hub",))
    assert opened(sealed, cover, "hub")
    assert_not_opened(sealed, cover, "is sealed for hub; the key given here opens it not")


def test_unsealed_content_is_private(tmp_path: Path, roster: Roster):
    cover, sealed = sealed_by("hub", tmp_path, roster)
    unseal(sealed, cover, KEYS["FI"], tmp_path / "opened", LIMIT)
    assert (tmp_path / "opened").stat().st_mode & 0o777 == 0o600


def test_parts_cover_a_large_message_and_memory_does_not_grow(tmp_path: Path, roster: Roster):
    content = bytes(2 * PART_BYTES)
    tracemalloc.start()
    cover, sealed = sealed_by("hub", tmp_path, roster, content)
    unseal(sealed, cover, KEYS["FI"], tmp_path / "opened", LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [part.bytes for part in cover.parts[:2]] == [PART_BYTES, PART_BYTES]
    assert sum(part.bytes for part in cover.parts) == cover.bytes
    assert len(cover.parts) == 3
    assert peak < 4 * 2**20
    assert (tmp_path / "opened").stat().st_size == 2 * PART_BYTES


# -- who may send what to whom ---------------------------------------------------------------------

NOT_THEIRS = {
    "plan of a site": ("FI", {"kind": "plan"}, "listed as site, and so sends no plan"),
    "answer of the hub": ("hub", {"kind": "answer"}, "listed as coordinator, .* no answer"),
    "refusal of an analyst": ("ana", {"kind": "refusal"}, "listed as analyst, .* no refusal"),
    "ready of the hub": ("hub", {"kind": "ready"}, "sends no ready"),
    "answer to another site": ("FI", {"readers": ("ES", "hub")}, "ES, listed as site, who may not"),
    "refusal to another site": ("FI", {"kind": "refusal", "readers": ("ES",)}, "who may not read"),
    "unknown reader": ("FI", {"readers": ("mallory",)}, "mallory is not listed"),
}


@pytest.mark.parametrize(("sender", "changes", "says"), NOT_THEIRS.values(), ids=list(NOT_THEIRS))
def test_nobody_sends_what_is_not_theirs(
    tmp_path: Path, roster: Roster, sender: str, changes: dict[str, Any], says: str
):
    with pytest.raises(BundleError, match=says):
        sealed_by(sender, tmp_path, roster, **changes)
    assert not (tmp_path / "sealed").exists()
    # Nor does anybody read it, should a listed party sign it all the same.
    cover, _ = sealed_by(sender, tmp_path, roster)
    forged = cover.model_copy(update=changes).signed_by(KEYS[sender])
    assert_not_read(forged.content, roster, says)


@pytest.mark.parametrize(
    ("sender", "kind", "readers"),
    [
        ("ana", "plan", SITES),
        ("hub", "plan", (*SITES, "hub")),
        ("FI", "ready", (*SITES, "hub")),
        ("FI", "answer", ("ana",)),
        ("FI", "refusal", ("FI", "hub")),
    ],
)
def test_everybody_sends_what_is_theirs(
    tmp_path: Path, roster: Roster, sender: str, kind: str, readers: tuple[str, ...]
):
    cover, _ = sealed_by(sender, tmp_path, roster, kind=kind, readers=readers)
    assert read_cover(cover.content, roster).kind == kind


def test_only_with_ones_own_keys(tmp_path: Path, roster: Roster):
    with pytest.raises(BadInput, match="lists other keys for FI"):
        sealed_by("FI", tmp_path, roster, keys=KEYS["ES"])
    with pytest.raises(BadInput, match="mallory is not listed"):
        sealed_by("mallory", tmp_path, roster)
    with pytest.raises(BundleError, match=r"cannot be sent: study"):
        sealed_by("FI", tmp_path, roster, study="..")
    with pytest.raises(BundleError, match="names no reader"):
        sealed_by("FI", tmp_path, roster, readers=())
    assert not (tmp_path / "sealed").exists()


def test_a_stranger_or_a_party_in_anothers_name_is_not_read(tmp_path: Path, roster: Roster):
    cover, _ = sealed_by("FI", tmp_path, roster)
    assert_not_read(
        cover.signed_by(KEYS["mallory"]).content, roster, "signed by nobody in federation goe"
    )
    assert_not_read(
        cover.signed_by(KEYS["ES"]).content, roster, "claims to be by FI and is signed by ES"
    )
    for purpose in ("roster", "ready"):
        text = signature_text(KEYS["FI"].sign(purpose, cover.signed))
        other = cover.model_copy(update={"signature": text})
        assert_not_read(other.content, roster, "signed by nobody")


def test_a_message_copied_to_another_place_is_not_read(tmp_path: Path, roster: Roster):
    cover, _ = sealed_by("FI", tmp_path, roster)
    for name in (
        f"{STUDY}/0004/FI.answer",
        f"another/{cover.name.partition('/')[2]}",
        f"{STUDY}/0003/ES.answer",
        f"{STUDY}/0003/FI.refusal",
    ):
        assert_not_read(
            cover.content, roster, rf"{name}' is {cover.name}, copied to another", name=name
        )
    assert_not_read(cover.content, roster, "about another plan", name=cover.name, plan="b" * 64)
    assert_not_read(cover.content, roster, "copied", name="\x1b[2J\n" + "x" * 9999)


def test_a_message_under_another_roster_is_not_read(tmp_path: Path, roster: Roster):
    cover, _ = sealed_by("FI", tmp_path, roster)
    for change in ({"serial": 2}, {"name": "other"}, {"top": "min_sites = 5"}):
        other = keyed_roster(tmp_path / "other", **change)
        assert_not_read(cover.content, other, "another roster than the one accepted here")


# -- changed bytes ---------------------------------------------------------------------------------


def test_every_flipped_byte_of_a_cover_is_detected(tmp_path: Path, roster: Roster):
    cover, _ = sealed_by("FI", tmp_path, roster, ledger=Head(count=7, hash="b" * 64))
    for damaged in flips(cover.content, (0x01, 0x02, 0x04, 0x20, 0x80)):
        with pytest.raises(SignatureError, match="is damaged, or signed by nobody"):
            read_cover(damaged, roster)


def test_a_cover_cut_short_or_added_to_is_detected(tmp_path: Path, roster: Roster):
    content = sealed_by("FI", tmp_path, roster)[0].content
    for length in range(len(content)):
        with pytest.raises(SignatureError):
            read_cover(content[:length], roster)
    for damaged in (b" " + content, content + b"\n", content + content, content * 3):
        with pytest.raises(SignatureError):
            read_cover(damaged, roster)


def test_every_flipped_byte_of_a_sealed_message_is_detected(tmp_path: Path, roster: Roster):
    cover, sealed = sealed_by("hub", tmp_path, roster, b"some numbers" * 20)
    content = sealed.read_bytes()
    for damaged in flips(content, (0x01, 0x80)):
        rewrite(sealed, damaged)
        with pytest.raises(BundleError, match="is not what hub signed; fetch it again"):
            opened(sealed, cover)
    for length in range(len(content)):
        rewrite(sealed, content[:length])
        with pytest.raises(BundleError, match="is not what hub signed"):
            opened(sealed, cover)
    sealed.write_bytes(content + b"\0")
    assert_not_opened(sealed, cover, "is not what hub signed")


@pytest.mark.slow
def test_ten_thousand_flips_of_a_large_message_are_detected(tmp_path: Path, roster: Roster):
    rng = random.Random(4)
    cover, sealed = sealed_by("hub", tmp_path, roster, rng.randbytes(300_000))
    with sealed.open("r+b", buffering=0) as file:
        for _ in range(10_000):
            at = rng.randrange(cover.bytes)
            file.seek(at)
            before = file.read(1)
            file.seek(at)
            file.write(bytes([before[0] ^ rng.randrange(1, 256)]))
            with pytest.raises(BundleError, match="is not what hub signed"):
                unseal(sealed, cover, KEYS["FI"], tmp_path / "opened", LIMIT)
            file.seek(at)
            file.write(before)
    assert len(opened(sealed, cover)) == 300_000


def flip_in_anothers_packet(content: bytes) -> bytes:
    return content[:40] + bytes([content[40] ^ 1]) + content[41:]


def cut_at_a_segment(content: bytes) -> bytes:
    return content[:-SEGMENT]


def swap_segments(content: bytes) -> bytes:
    body = len(content) - 3 * SEGMENT
    first, second = content[body : body + SEGMENT], content[body + SEGMENT : body + 2 * SEGMENT]
    return content[:body] + second + first + content[body + 2 * SEGMENT :]


@pytest.mark.parametrize("damage", [flip_in_anothers_packet, cut_at_a_segment, swap_segments])
def test_what_crypt4gh_alone_would_miss_is_detected(tmp_path: Path, roster: Roster, damage: Any):
    from crypt4gh import lib

    content = b"".join(bytes([number]) * 65_536 for number in range(3))
    cover, sealed = sealed_by("hub", tmp_path, roster, content)
    sealed.write_bytes(damage(sealed.read_bytes()))
    with sealed.open("rb") as source, (tmp_path / "missed").open("wb") as target:
        lib.decrypt([(0, KEYS["FI"].sealing_key, None)], source, target)
    assert (tmp_path / "missed").stat().st_size >= 2 * 65_536
    assert_not_opened(sealed, cover, "is not what hub signed; fetch it again")


def test_a_missing_file_and_a_wrong_reader_are_named(tmp_path: Path, roster: Roster):
    cover, sealed = sealed_by("hub", tmp_path, roster, readers=("ES", "NO"))
    assert_not_opened(sealed, cover, "is sealed for ES, NO; the key given here opens it not")
    assert_not_opened(sealed, cover, "is sealed for ES, NO", by="mallory")
    sealed.unlink()
    assert_not_opened(sealed, cover, "cannot be read: No such file .* fetch it again")


def test_more_than_is_wanted_is_not_decrypted(tmp_path: Path, roster: Roster):
    cover, sealed = sealed_by("hub", tmp_path, roster, bytes(100_000))
    assert opened(sealed, cover, limit=100_000) == bytes(100_000)
    with pytest.raises(BundleError, match="holds 100,000 bytes, at most 99,999 are taken here"):
        opened(sealed, cover, limit=99_999)


# -- listed parties with bad intent ----------------------------------------------------------------


def crafted(packets: list[tuple[str, bytes]], body: bytes = b"", count: int | None = None) -> bytes:
    """A crypt4gh file with packets and a body of one's own."""
    from crypt4gh import header

    secret = KEYS["mallory"].sealing_key
    public = {name: KEYS[name]._sealing.public_key().public_bytes_raw() for name, _ in packets}
    made = [
        packet
        for name, content in packets
        for packet in header.encrypt(content, [(0, secret, public[name])])
    ]
    content = header.serialize(made)
    return content[:12] + (count or len(made)).to_bytes(4, "little") + content[16:] + body


def data_packet(key: bytes = bytes(32)) -> bytes:
    return bytes(8) + key


def edit_packet(*lengths: int) -> bytes:
    content = b"".join(length.to_bytes(8, "little") for length in lengths)
    return b"\x01\0\0\0" + len(lengths).to_bytes(4, "little") + content.ljust(32, b"\0")


def segment(content: bytes, key: bytes = bytes(32)) -> bytes:
    from crypt4gh import sodium

    sealed = bytearray(len(content) + 28)
    sodium.chacha20poly1305_encrypt(sealed, content, key)
    return bytes(sealed)


HEADER, SEGMENTS = "is not sealed as its cover says", "was sealed wrongly"
CRAFTED = {
    "no packets": (lambda: b"crypt4gh" + bytes([1, 0, 0, 0, 0, 0, 0, 0]) + bytes(216), HEADER),
    "four billion packets": (
        lambda: crafted([("FI", data_packet()), ("hub", data_packet())], count=2**32 - 1),
        HEADER,
    ),
    "another version": (lambda: b"crypt4gh\x02\0\0\0\x02\0\0\0" + bytes(216), HEADER),
    "packet of four gigabytes": (
        lambda: b"crypt4gh\x01\0\0\0\x02\0\0\0" + b"\xff" * 216,
        HEADER,
    ),
    "short key": (
        lambda: crafted([("FI", data_packet(b"short")), ("hub", data_packet())], bytes(27)),
        HEADER,
    ),
    "nothing for this reader": (
        lambda: crafted([("hub", data_packet()), ("hub", data_packet())]),
        "opens it not",
    ),
    "unknown packet": (
        lambda: crafted([("FI", b"\x07" + bytes(39)), ("hub", data_packet())]),
        "opens it not",
    ),
    "unknown cipher": (
        lambda: crafted([("FI", b"\0\0\0\0\x07" + bytes(35)), ("hub", data_packet())]),
        "opens it not",
    ),
    "key of small order": (
        lambda: b"crypt4gh\x01\0\0\0\x02\0\0\0" + 2 * (b"\x6c\0\0\0" + bytes(104)),
        "opens it not",
    ),
    "edit list": (
        lambda: crafted([("FI", data_packet()), ("FI", edit_packet(0, 5))], segment(b"some more")),
        "header that no genome_eu makes",
    ),
    "edit list that wants more than there is": (
        lambda: crafted([("FI", data_packet()), ("FI", edit_packet(0, 2**62))], segment(b"x")),
        "header that no genome_eu makes",
    ),
    "two keys": (
        lambda: crafted([("FI", data_packet()), ("FI", data_packet(b"k" * 32))], segment(b"x")),
        "header that no genome_eu makes",
    ),
    "another key": (
        lambda: crafted([("FI", data_packet()), ("hub", data_packet())], segment(b"x", b"k" * 32)),
        SEGMENTS,
    ),
    "noise": (
        lambda: crafted([("FI", data_packet()), ("hub", data_packet())], b"\x5a" * 100_000),
        SEGMENTS,
    ),
}


@pytest.mark.parametrize(("make", "says"), CRAFTED.values(), ids=list(CRAFTED))
def test_what_a_listed_party_seals_wrongly_is_refused(
    tmp_path: Path, roster: Roster, make: Any, says: str
):
    content = make()
    cover, sealed = sealed_by("hub", tmp_path, roster, readers=("FI", "hub"))
    sealed.write_bytes(content)
    forged = covering(cover, content, KEYS["hub"])
    assert_not_opened(sealed, read_cover(forged.content, roster), says)


SIZES = {
    "parts that miss a byte": {"bytes": 999},
    "shorter than its header": {"bytes": 100, "parts": ({"bytes": 100, "sha256": PLAN},)},
    "half a segment": {"bytes": 260, "parts": ({"bytes": 260, "sha256": PLAN},)},
    "small parts": {
        "bytes": 999,
        "parts": ({"bytes": 500, "sha256": PLAN}, {"bytes": 499, "sha256": PLAN}),
    },
    "parts of nothing": {"parts": ({"bytes": 0, "sha256": PLAN},)},
    "huge": {"bytes": 2**80},
    "negative": {"bytes": -1},
    "words": {"bytes": "many"},
    "truth": {"round": True},
    "fraction": {"round": 3.5},
    "format": {"format": 2},
    "unknown": {"colour": "red"},
    "kind": {"kind": "order"},
    "path": {"study": "../x"},
    "hidden": {"study": ".."},
    "digest": {"sha256": "A" * 64},
    "readers out of order": {"readers": ("hub", "FI")},
    "readers twice": {"readers": ("hub", "hub")},
    "no readers": {"readers": ()},
    "ledger": {"ledger": {"count": -1, "hash": PLAN}},
    "signature inside": {"signature": ""},
}


@pytest.mark.parametrize("changes", SIZES.values(), ids=list(SIZES))
def test_a_signed_cover_that_makes_no_sense_is_refused(
    tmp_path: Path, roster: Roster, changes: dict[str, Any]
):
    cover, _ = sealed_by("FI", tmp_path, roster)
    said = cover.model_dump(mode="json", exclude={"signature"}) | changes
    assert_not_read(signed_as(canonical(said)), roster, "FI|hub")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"NaN",
        b"\xff\xfe",
        b"[" * 500_000,
        b'{"round":' + b"9" * 9000 + b"}",
    ],
    ids=["empty", "object", "list", "null", "nan", "not utf-8", "deep", "long number"],
)
def test_a_signed_cover_that_is_no_cover_is_refused(roster: Roster, body: bytes):
    assert_not_read(signed_as(body), roster, "by FI: its cover is not valid")


def test_a_cover_has_one_spelling(tmp_path: Path, roster: Roster):
    body = sealed_by("FI", tmp_path, roster)[0].signed
    for other in (
        b" " + body,
        body.replace(b",", b", "),
        body.replace(b'"round":3', b'"round":3,"round":3'),
        body.replace(b'"FI"', b'"\\u0046I"'),
        body.replace(b'"format":1,', b""),
    ):
        assert_not_read(signed_as(other), roster, "not in its one spelling")


def test_an_overlong_cover_is_not_read(roster: Roster):
    assert_not_read(signed_as(b"x" * COVER_LIMIT), roster, "over 1,048,576 bytes; it is not read")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    content=st.binary(max_size=400),
    said=st.dictionaries(st.sampled_from(list(Cover.model_fields)), JSON),
)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_noise_gives_clear_errors_only(roster: Roster, content: bytes, said: dict[str, Any]):
    for attempt in (content, signed_as(content), signed_as(json.dumps(said).encode())):
        with pytest.raises(BundleError) as caught:
            read_cover(attempt, roster)
        assert re.fullmatch(r"[^\n]{1,600}", str(caught.value))


# -- secrets and trouble ---------------------------------------------------------------------------


def test_no_secret_reaches_a_log(tmp_path: Path, roster: Roster, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    for name in ("crypt4gh", "crypt4gh.lib", "crypt4gh.header"):
        caplog.set_level(logging.DEBUG, logger=name)
    cover, sealed = sealed_by("hub", tmp_path, roster)
    opened(sealed, cover)
    assert_not_opened(sealed, cover, "opens it not", by="mallory")
    assert not [record for record in caplog.records if record.name.startswith("crypt4gh")]
    assert KEYS["FI"].sealing_key.hex() not in caplog.text


@pytest.mark.parametrize("step", ["seal", "unseal"])
def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, roster: Roster, monkeypatch: pytest.MonkeyPatch, step: str
):
    cover, sealed = sealed_by("hub", tmp_path, roster, bytes(100_000))
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(self: AtomicFile, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(AtomicFile, "write", full)
    with pytest.raises(OSError, match="No space left"):
        if step == "seal":
            sealed_by("hub", tmp_path, roster, bytes(100_000))
        else:
            unseal(sealed, cover, KEYS["FI"], tmp_path / "opened", LIMIT)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_crypt4gh_is_loaded_when_something_is_sealed():
    program = "import sys, genome_eu.federation.envelope; print('crypt4gh' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
