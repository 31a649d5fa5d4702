"""Covers: what is written on a message and signed, and checked before the message is looked at.

Nothing in a cover tells of the content: no digest of the clear bytes, which would let anybody at
the exchange test a guess.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genome_eu.canonical import canonical
from genome_eu.disclosure.ledger import Head
from genome_eu.errors import BadInput, BundleError, SignatureError
from genome_eu.federation.keys import SecretKeys, signature_bytes, signature_text, verify
from genome_eu.federation.parameters.types import Hash
from genome_eu.federation.parties import Party, PartyName, Role, Roster, fault

Kind = Literal["plan", "ready", "held", "answer", "refusal"]

#: Sealed bytes in one part of a message: what is sent again where a transfer broke off.
PART_BYTES = 16 * 2**20
#: Bytes of the largest cover that is read.
COVER_LIMIT = 2**20
_MOST_PARTS = 8192
_PURPOSE = "cover"

# crypt4gh, version 1: sixteen bytes, one packet a reader, then segments of 64 KiB.
MAGIC_BYTES, PACKET_BYTES = 16, 108
_SEGMENT, _SEGMENT_EXTRA = 65_536, 28

_ASKS: frozenset[Role] = frozenset({"coordinator", "analyst"})
_SITE: frozenset[Role] = frozenset({"site"})
#: Who may send each kind, and who else than the sender may read it.
_SENDERS: Mapping[Kind, frozenset[Role]] = {
    "plan": _ASKS,
    "ready": _SITE,
    "held": _SITE,
    "answer": _SITE,
    "refusal": _SITE,
}
_READERS: Mapping[Kind, frozenset[Role]] = {
    "plan": _ASKS | _SITE,
    "ready": _ASKS | _SITE,
    "held": _ASKS,
    "answer": _ASKS,
    "refusal": _ASKS,
}


class Part(BaseModel):
    """A stretch of the sealed bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    bytes: int = Field(ge=1, le=PART_BYTES)
    sha256: Hash


class Cover(BaseModel):
    """What is written on a message, and signed: who sends it to whom, in answer to what."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    format: Literal[1] = 1
    federation: PartyName
    roster: Hash
    study: PartyName
    round: int = Field(ge=0, le=99_999)
    kind: Kind
    sender: PartyName
    plan: Hash
    readers: tuple[PartyName, ...] = Field(min_length=1, max_length=1000)
    bytes: int = Field(ge=1, le=_MOST_PARTS * PART_BYTES)
    sha256: Hash
    parts: tuple[Part, ...] = Field(min_length=1, max_length=_MOST_PARTS)
    ledger: Head | None = None
    signature: str = ""

    @property
    def name(self) -> str:
        """Where the message lies on the exchange."""
        return f"{self.study}/{self.round:04d}/{self.sender}.{self.kind}"

    @property
    def content(self) -> builtins.bytes:
        """The cover as it travels: canonical JSON, then the signature over it."""
        return _OPEN + self.signed + _CLOSE % self.signature.encode()

    @property
    def signed(self) -> builtins.bytes:
        """What the signature is over."""
        return canonical(self.model_dump(mode="json", exclude={"signature"}))

    def signed_by(self, keys: SecretKeys) -> Self:
        """This cover with a signature."""
        signature = signature_text(keys.sign(_PURPOSE, self.signed))
        return self.model_copy(update={"signature": signature})

    @property
    def clear_bytes(self) -> int:
        """Bytes of the content once it is unsealed; negative where there can be none."""
        sealed = self.bytes - MAGIC_BYTES - PACKET_BYTES * len(self.readers)
        segments = -(-sealed // (_SEGMENT + _SEGMENT_EXTRA))
        return sealed - segments * _SEGMENT_EXTRA


# The signature can be cut out without parsing: it stands last, and its length is fixed.
_OPEN, _CLOSE = b'{"cover":', b',"signature":"%b"}'
_SIGNATURE = len(signature_text(bytes(64)))


def read_cover(
    content: bytes, roster: Roster, *, name: str | None = None, plan: str | None = None
) -> Cover:
    """Check a cover: size, then signature, then what it says.

    Parameters
    ----------
    content : bytes
        As it was found on the exchange.
    roster : Roster
        The pinned one.
    name : str, optional
        Where it was found. A true message that somebody copied elsewhere is refused.
    plan : str, optional
        Hash of the plan that it must be about.

    Raises
    ------
    SignatureError
        It is damaged, or nobody on the roster signed it, or somebody in another's name.
    BundleError
        It is of another federation, roster, place or plan, or its sender may not send it.
    """
    what = "a message" if name is None else f"message {name[:200]!a}"
    signer, body, signature = _signer(content, roster, what)
    try:
        cover = Cover.model_validate_json(body).model_copy(update={"signature": signature})
    except ValidationError as error:
        raise BundleError(
            f"{what} by {signer.name}: its cover is not valid: {fault(error)}"
        ) from None
    if cover.content != content:
        raise BundleError(f"{what} by {signer.name}: its cover is not in its one spelling")
    if cover.sender != signer.name:
        raise SignatureError(
            f"{what} claims to be by {cover.sender} and is signed by {signer.name}; tell both"
        )
    if (cover.federation, cover.roster) != (roster.name, roster.digest):
        raise BundleError(
            f"{what} by {cover.sender} was sent under another roster than the one accepted here "
            f"(serial {roster.serial}); compare rosters, accept the newest, and send it again"
        )
    if name is not None and cover.name != name:
        raise BundleError(f"{what} is {cover.name}, copied to another place; remove the copy")
    if plan is not None and cover.plan != plan:
        raise BundleError(f"{what} by {cover.sender} is about another plan; ask for it again")
    check_parties(roster, cover.kind, cover.sender, cover.readers)
    _check_sizes(cover, what)
    return cover


def _signer(content: bytes, roster: Roster, what: str) -> tuple[Party, bytes, str]:
    """Who on the roster signed a cover; what is signed; the signature."""
    if len(content) > COVER_LIMIT:
        raise BundleError(f"{what} has a cover of over {COVER_LIMIT:,} bytes; it is not read")
    tail = content[-len(_CLOSE % bytes(_SIGNATURE)) :]
    text = tail[-_SIGNATURE - 2 : -2]
    body = content[len(_OPEN) : -len(tail)]
    if tail == _CLOSE % text and content == _OPEN + body + tail:
        try:
            written = text.decode("ascii")
            signature = signature_bytes(written)
        except ValueError:
            pass
        else:
            for party in roster.parties:
                if party.signing is not None and _is_by(party.signing, body, signature):
                    return party, body, written
    raise SignatureError(
        f"{what} is damaged, or signed by nobody in federation {roster.name} (serial "
        f"{roster.serial}); it is not read"
    )


def _is_by(signing: str, body: bytes, signature: bytes) -> bool:
    try:
        verify(signing, _PURPOSE, body, signature)
    except SignatureError:
        return False
    return True


def check_parties(roster: Roster, kind: Kind, sender: str, readers: tuple[str, ...]) -> None:
    """May this party send that, and to them? Asked before sealing and after reading."""
    role = roster.party(sender).role
    if role not in _SENDERS[kind]:
        raise BundleError(f"{sender} is listed as {role}, and so sends no {kind}")
    if not readers:
        raise BundleError(f"a {kind} by {sender} names no reader; name those who may open it")
    if readers != tuple(sorted(set(readers))):
        raise BundleError(f"a {kind} by {sender} does not list its readers in order, each once")
    for reader in readers:
        try:
            other = roster.party(reader)
        except BadInput as error:
            raise BundleError(f"a {kind} by {sender} cannot be sealed: {error}") from None
        if reader != sender and other.role not in _READERS[kind]:
            raise BundleError(
                f"a {kind} by {sender} is for {reader}, listed as {other.role}, who may not read it"
            )


def _check_sizes(cover: Cover, what: str) -> None:
    sizes = [part.bytes for part in cover.parts]
    whole = all(size == PART_BYTES for size in sizes[:-1]) and sum(sizes) == cover.bytes
    sealed = cover.bytes - MAGIC_BYTES - PACKET_BYTES * len(cover.readers)
    last = sealed % (_SEGMENT + _SEGMENT_EXTRA)
    if not whole or sealed < 0 or 0 < last <= _SEGMENT_EXTRA:
        raise BundleError(f"{what} by {cover.sender} has sizes that do not fit each other")
