"""Envelopes: a message sealed with crypt4gh for its readers, under a signed cover.

crypt4gh alone misses a flipped byte in another reader's packet, swapped segments, and a cut at the
end of a segment. So the cover holds size and digest of the sealed bytes, and its signature is
checked before anything else of a message is looked at.
"""

from __future__ import annotations

import builtins
import hashlib
import logging
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError

from genome_eu.atomic import AtomicFile
from genome_eu.disclosure.ledger import Head
from genome_eu.errors import BundleError
from genome_eu.federation.cover import (
    COVER_LIMIT,
    MAGIC_BYTES,
    PACKET_BYTES,
    PART_BYTES,
    Cover,
    Kind,
    Part,
    check_parties,
    read_cover,
)
from genome_eu.federation.keys import SecretKeys, raw_sealing
from genome_eu.federation.parties import Roster, fault

__all__ = [
    "COVER_LIMIT",
    "PART_BYTES",
    "Cover",
    "Head",
    "Kind",
    "Part",
    "read_cover",
    "seal",
    "unseal",
]


def seal(
    clear: Path,
    sealed: Path,
    *,
    roster: Roster,
    keys: SecretKeys,
    study: str,
    round: int,  # noqa: A002
    kind: Kind,
    sender: str,
    plan: str,
    readers: Iterable[str],
    ledger: Head | None = None,
) -> Cover:
    """Seal a file for its readers and sign for it; memory does not grow with the file.

    Parameters
    ----------
    clear, sealed : Path
        What to send, and where the sealed bytes are written, whole or not at all.
    roster : Roster
        With keys; its digest is part of what is signed.
    keys : SecretKeys
        The sender's, as the roster lists them.
    study, round, kind, sender, plan
        Where the message belongs.
    readers : iterable of str
        Who can open it. The sender cannot, unless it is one of them.
    ledger : Head, optional
        Where the sender's ledger stood.

    Raises
    ------
    BadInput
        The keys are not the sender's, it may not send this to them, or the file is too large.
    """
    names = tuple(sorted(set(readers)))
    roster.own(sender, keys.public)
    check_parties(roster, kind, sender, names)
    recipients = [raw_sealing(str(roster.party(name).sealing)) for name in names]
    with clear.open("rb") as content, AtomicFile(sealed) as file:
        digests = _Digests(file)
        _encrypt(content, digests, recipients)
        try:
            cover = Cover(
                federation=roster.name,
                roster=roster.digest,
                study=study,
                round=round,
                kind=kind,
                sender=sender,
                plan=plan,
                readers=names,
                bytes=digests.bytes,
                sha256=digests.whole.hexdigest(),
                parts=digests.parts(),
                ledger=ledger,
            )
        except ValidationError as error:
            raise BundleError(f"a {kind} cannot be sent: {fault(error)}") from None
        if cover.clear_bytes != content.tell():
            raise BundleError(f"{clear} changed while it was sealed; try again")
        cover = cover.signed_by(keys)
        if len(cover.content) > COVER_LIMIT:
            raise BundleError(f"a {kind} cannot be sent: its cover has over {COVER_LIMIT:,} bytes")
    return cover


def unseal(sealed: Path, cover: Cover, keys: SecretKeys, clear: Path, limit: int) -> None:
    """Open the sealed bytes of a cover that `read_cover` has checked.

    Parameters
    ----------
    sealed, clear : Path
        What came, and where its content is written (readable by its owner only), whole or not at
        all.
    cover : Cover
        Its size and digest are compared before anything is decrypted.
    keys : SecretKeys
        One of the readers'.
    limit : int
        Bytes of the largest content that is wanted.

    Raises
    ------
    BundleError
        The bytes are not those of the cover, are not sealed for these keys, or are too many.
    """
    what = f"message {cover.name}"
    if cover.clear_bytes > limit:
        raise BundleError(
            f"{what} holds {cover.clear_bytes:,} bytes, at most {limit:,} are taken here; send less"
        )
    try:
        source = sealed.open("rb")
    except OSError as error:
        raise BundleError(f"{what} cannot be read: {error.strerror}; fetch it again") from None
    with source:
        _check_sealed(source, cover, what)
        with AtomicFile(clear, private=True) as file:
            written = _decrypt(source, file, cover, keys, what)
            if written != cover.clear_bytes:
                raise BundleError(f"{what} is not as long as it must be; ask {cover.sender} again")


class _Digests:
    """A file that is digested as it is written, whole and in parts."""

    def __init__(self, file: AtomicFile) -> None:
        self._file = file
        self._parts: list[Part] = []
        self._part = hashlib.sha256()
        self._part_bytes = 0
        self.bytes = 0
        self.whole = hashlib.sha256()

    def write(self, content: builtins.bytes | bytearray) -> int:
        """Add bytes."""
        view = memoryview(content)
        self._file.write(view)
        self.whole.update(view)
        self.bytes += len(view)
        while view:
            piece = view[: PART_BYTES - self._part_bytes]
            self._part.update(piece)
            self._part_bytes += len(piece)
            view = view[len(piece) :]
            if self._part_bytes == PART_BYTES:
                self._close_part()
        return len(content)

    def parts(self) -> tuple[Part, ...]:
        """All parts, the last one as long as it came out."""
        if self._part_bytes:
            self._close_part()
        return tuple(self._parts)

    def _close_part(self) -> None:
        self._parts.append(Part(bytes=self._part_bytes, sha256=self._part.hexdigest()))
        self._part, self._part_bytes = hashlib.sha256(), 0


class _Spill:
    """Where crypt4gh sends what it has decrypted; more than was foreseen is an error."""

    def __init__(self, file: AtomicFile, limit: int) -> None:
        self._file = file
        self._limit = limit
        self.written = 0

    def send(self, content: builtins.bytes | bytearray) -> None:
        self.written += len(content)
        if self.written > self._limit:
            raise ValueError("longer than its segments")
        self._file.write(memoryview(content))


def _crypt4gh() -> tuple[Any, Any]:
    """crypt4gh's header and body, loaded when needed and silenced."""
    from crypt4gh import header, lib  # type: ignore[import-untyped]

    # Their debug lines spell out secret keys: none may reach a log, whatever level it is set to.
    for module in (header, lib):
        logging.getLogger(module.__name__).disabled = True
    return header, lib


def _encrypt(content: BinaryIO, sealed: _Digests, recipients: list[bytes]) -> None:
    _, lib = _crypt4gh()
    # A key of this message alone: whoever steals the sender's cannot read what it has sent.
    once = X25519PrivateKey.generate().private_bytes_raw()
    lib.encrypt([(0, once, recipient) for recipient in recipients], content, sealed)


def _decrypt(
    source: BufferedReader, file: AtomicFile, cover: Cover, keys: SecretKeys, what: str
) -> int:
    """Decrypt into a file; how many bytes came out."""
    header, lib = _crypt4gh()
    spill = _Spill(file, cover.clear_bytes)
    try:
        session_keys, edits = header.deconstruct(source, [(0, keys.sealing_key, None)])
    except Exception:
        raise BundleError(
            f"{what} is sealed for {', '.join(cover.readers)}; the key given here opens it not, "
            f"so use the key of one of them or ask {cover.sender} to seal it anew"
        ) from None
    if edits is not None or len(session_keys) != 1:
        raise BundleError(f"{what} has a header that no genome_eu makes; ask {cover.sender} why")
    try:
        # Not `lib.decrypt`: it keeps the error of a full disk to itself.
        lib.body_decrypt(source, session_keys, spill, 0)
    except OSError:
        raise
    except Exception:
        raise BundleError(
            f"{what} was sealed wrongly: ask {cover.sender} to seal it anew"
        ) from None
    return spill.written


def _check_sealed(source: BufferedReader, cover: Cover, what: str) -> None:
    """Size, digest and header of the sealed bytes; leaves the file at its beginning."""
    size = source.seek(0, 2)
    source.seek(0)
    digest = hashlib.file_digest(source, "sha256").hexdigest() if size == cover.bytes else ""
    if digest != cover.sha256:
        raise BundleError(f"{what} is not what {cover.sender} signed; fetch it again")
    # The library reads keys as long as it finds them: one packet of one size for each reader, so
    # that not even a listed party can hand it a short one.
    source.seek(0)
    head = b"crypt4gh" + (1).to_bytes(4, "little") + len(cover.readers).to_bytes(4, "little")
    fits = source.read(MAGIC_BYTES) == head
    for _ in cover.readers:
        fits &= source.read(PACKET_BYTES)[:8] == PACKET_BYTES.to_bytes(4, "little") + bytes(4)
    if not fits:
        raise BundleError(f"{what} is not sealed as its cover says; ask {cover.sender} why")
    source.seek(0)
