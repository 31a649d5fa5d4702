"""Keys: what one party signs no other can; a private file stays private."""

from __future__ import annotations

import base64
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import pytest

from genome_eu.errors import BadInput, SignatureError, UsageError
from genome_eu.federation.keys import (
    PublicKeys,
    SecretKeys,
    decoded,
    read_public,
    signature_bytes,
    signature_text,
    verify,
    write_public,
)
from tests.federation.keyed import flips

PASSPHRASE = "four words and more"  # noqa: S105


@pytest.fixture
def keys() -> SecretKeys:
    return SecretKeys.new()


def key_text(raw: bytes, kind: str) -> str:
    return f"{kind}:{base64.b64encode(raw).decode()}"


# -- signatures ------------------------------------------------------------------------------------


def test_a_signature_is_good_for_one_key_purpose_and_content(keys: SecretKeys):
    signature = keys.sign("roster", b"content")
    verify(keys.public.signing, "roster", b"content", signature)
    for signing, purpose, content in (
        (SecretKeys.new().public.signing, "roster", b"content"),
        (keys.public.signing, "cover", b"content"),
        (keys.public.signing, "roster", b"content "),
        (keys.public.signing, "roster", b""),
    ):
        with pytest.raises(SignatureError, match=r"was not signed by ed25519:.*ask for it again"):
            verify(signing, purpose, content, signature)


def test_no_content_turns_one_purpose_into_another(keys: SecretKeys):
    signature = keys.sign("ledger", b"head\ncontent")
    with pytest.raises(SignatureError):
        verify(keys.public.signing, "ledger head", b"content", signature)
    for purpose in ("", "cover\n", "cover  x", "Cover", "cover: x"):
        with pytest.raises(ValueError, match="is not the purpose"):
            keys.sign(purpose, b"content")


def test_every_flipped_byte_of_a_signature_or_its_content_is_seen(keys: SecretKeys):
    content = b"some content of some length"
    signature = keys.sign("roster", content)
    for damaged in flips(signature, (1, 0x80)):
        with pytest.raises(SignatureError):
            verify(keys.public.signing, "roster", content, damaged)
    for damaged in flips(content, (1, 0x80)):
        with pytest.raises(SignatureError):
            verify(keys.public.signing, "roster", damaged, signature)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_what_is_no_signature_is_refused(keys: SecretKeys, signature: bytes):
    with pytest.raises(SignatureError):
        verify(keys.public.signing, "roster", b"content", signature)


def test_a_written_signature_has_one_spelling(keys: SecretKeys):
    signature = keys.sign("roster", b"content")
    text = signature_text(signature)
    assert signature_bytes(text) == signature
    for damaged in flips(text.encode(), (1, 2, 4, 8, 0x10, 0x20, 0x40)):
        try:
            assert signature_bytes(damaged.decode()) != signature
        except BadInput:
            continue


# -- public keys -----------------------------------------------------------------------------------

BAD_KEYS = [
    "",
    "ed25519:",
    "AAAA",
    key_text(bytes(31), "ed25519"),
    key_text(bytes(33), "ed25519"),
    key_text(bytes(range(32)), "x25519"),
    key_text(bytes(range(32)), "ed25519") + "\n",
    key_text(bytes(range(32)), "ed25519").replace("=", ""),
    " " + key_text(bytes(range(32)), "ed25519"),
    key_text(bytes(range(32)), "ed25519")[:-2] + "9=",
    "ed25519:" + "ä" * 44,
]


@pytest.mark.parametrize("signing", BAD_KEYS)
def test_a_bad_public_key_is_refused(keys: SecretKeys, signing: str):
    with pytest.raises(BadInput, match="must be ed25519: and 32 bytes in base64"):
        PublicKeys(signing, keys.public.sealing)


@pytest.mark.parametrize("raw", [bytes(32), b"\x01" + bytes(31)])
def test_a_sealing_key_that_anybody_could_open_is_refused(keys: SecretKeys, raw: bytes):
    with pytest.raises(BadInput, match="not a safe X25519 key"):
        PublicKeys(keys.public.signing, key_text(raw, "x25519"))


def test_fingerprint_tells_keys_apart_and_covers_both(keys: SecretKeys):
    other = SecretKeys.new().public
    mine = keys.public
    prints = {
        mine.fingerprint,
        other.fingerprint,
        PublicKeys(mine.signing, other.sealing).fingerprint,
        PublicKeys(other.signing, mine.sealing).fingerprint,
    }
    assert len(prints) == 4
    assert all(len(one.replace(" ", "")) == 32 for one in prints)


def test_public_file_comes_back(keys: SecretKeys, tmp_path: Path):
    write_public(tmp_path / "FI.pub", "FI", keys.public)
    assert read_public(tmp_path / "FI.pub") == ("FI", keys.public)
    with pytest.raises(UsageError, match=r"FI\.pub exists"):
        write_public(tmp_path / "FI.pub", "FI", SecretKeys.new().public)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"name = 1", b'name = "FI"', b"[" * 60_000, b"x" * 70_000]
)
def test_what_is_no_public_file_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "FI.pub"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"FI\.pub") as caught:
        read_public(path)
    assert "\n" not in str(caught.value)


# -- private files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_private_file_comes_back_and_is_its_owners_alone(
    keys: SecretKeys, tmp_path: Path, passphrase: str | None
):
    path = tmp_path / "FI.key"
    keys.write(path, passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    again = SecretKeys.read(path, lambda: PASSPHRASE)
    assert again.public == keys.public
    assert again.sealing_key == keys.sealing_key
    assert again.sign("cover", b"x") == keys.sign("cover", b"x")


def test_mode_does_not_depend_on_the_umask(keys: SecretKeys, tmp_path: Path):
    before = os.umask(0)
    try:
        keys.write(tmp_path / "FI.key")
    finally:
        os.umask(before)
    assert (tmp_path / "FI.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601, 0o644])
def test_a_private_file_open_to_others_is_refused(keys: SecretKeys, tmp_path: Path, mode: int):
    path = tmp_path / "FI.key"
    keys.write(path)
    path.chmod(mode)
    with pytest.raises(BadInput, match=rf"open to others \(mode {mode:o}\); run `chmod 600"):
        SecretKeys.read(path)
    path.chmod(0o400)
    assert SecretKeys.read(path).public == keys.public


def test_a_passphrase_is_asked_for_only_where_there_is_one(keys: SecretKeys, tmp_path: Path):
    keys.write(tmp_path / "open.key")

    def never() -> str:
        raise AssertionError("asked for nothing")

    assert SecretKeys.read(tmp_path / "open.key", never).public == keys.public


def test_a_missing_or_wrong_passphrase_is_refused_and_not_repeated(
    keys: SecretKeys, tmp_path: Path
):
    path = tmp_path / "FI.key"
    keys.write(path, PASSPHRASE)
    assert b"ENCRYPTED" in path.read_bytes()
    with pytest.raises(BadInput, match="protected by a passphrase"):
        SecretKeys.read(path)
    with pytest.raises(BadInput, match="damaged; or the passphrase is wrong") as caught:
        SecretKeys.read(path, lambda: "quite another one")
    assert "quite another" not in str(caught.value)
    with pytest.raises(UsageError, match="at least 12 characters") as short:
        keys.write(tmp_path / "other.key", "hunter2")
    assert "hunter2" not in str(short.value)
    assert not (tmp_path / "other.key").exists()


def test_private_files_are_never_replaced(keys: SecretKeys, tmp_path: Path):
    path = tmp_path / "FI.key"
    keys.write(path)
    with pytest.raises(UsageError, match="exists"):
        SecretKeys.new().write(path)
    assert SecretKeys.read(path).public == keys.public
    with pytest.raises(UsageError, match="does not exist"):
        keys.write(tmp_path / "nowhere" / "FI.key")


def test_what_is_no_private_file_is_refused(keys: SecretKeys, tmp_path: Path):
    path = tmp_path / "FI.key"
    keys.write(path)
    good = path.read_bytes()
    first, second = (
        block + b"-----END PRIVATE KEY-----\n"
        for block in good.split(b"-----END PRIVATE KEY-----\n")[:2]
    )
    for content in (
        b"",
        b"\xff" * 40,
        first,
        second + first,
        good + first,
        good + b"x",
        good[:-40],
    ):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"FI\.key") as caught:
            SecretKeys.read(path)
        assert "\n" not in str(caught.value)
        assert not any(line in str(caught.value) for line in good.decode().splitlines())
    with pytest.raises(BadInput, match=r"nowhere\.key cannot be read"):
        SecretKeys.read(tmp_path / "nowhere.key")
    with pytest.raises(BadInput, match="cannot be read"):
        SecretKeys.read(tmp_path)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
def test_openssl_reads_the_file(keys: SecretKeys, tmp_path: Path):
    keys.write(tmp_path / "FI.key")
    done = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "FI.key", "-pubout", "-outform", "DER"],
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert done.stdout[-32:] == decoded("ed25519", keys.public.signing, 32)


def test_secrets_are_not_shown_and_not_pickled(keys: SecretKeys):
    assert repr(keys) == f"<SecretKeys {keys.public.fingerprint}>"
    assert keys.sealing_key.hex() not in f"{keys!r}{keys}{vars(keys)}"
    with pytest.raises(TypeError):
        pickle.dumps(keys)
