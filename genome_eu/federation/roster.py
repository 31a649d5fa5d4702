"""The roster, `federation.toml`: who takes part, under which keys, and where messages travel.

Its coordinator signs it (`federation.toml.sig`, over the file's exact bytes); each site pins what
it has accepted, and refuses messages under any other roster.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from genome_eu import toml
from genome_eu.atomic import write_whole
from genome_eu.canonical import canonical
from genome_eu.errors import BadInput, SignatureError
from genome_eu.federation.keys import (
    SecretKeys,
    read_bounded,
    signature_bytes,
    signature_text,
    verify,
)
from genome_eu.federation.parameters.types import Hash
from genome_eu.federation.parties import Coordinator, Party, Roster, fault, inconsistent

__all__ = [
    "Party",
    "Roster",
    "accept_roster",
    "pinned_roster",
    "read_roster",
    "sign_roster",
    "verify_roster",
]

#: Bytes of the largest roster that is read.
ROSTER_LIMIT = 256 * 2**10
_PURPOSE = "roster"


def read_roster(path: Path) -> Roster:
    """Read and validate `federation.toml`. Its signature is not looked at.

    Raises
    ------
    BadInput
        The file is missing, is not TOML, or lacks or misnames something.
    """
    return _parse(_content(path), f"federation file {path}")


def sign_roster(path: Path, keys: SecretKeys) -> Roster:
    """Check `federation.toml` and write `federation.toml.sig` beside it.

    Raises
    ------
    BadInput
        The roster is not valid or has no keys, or these are not the coordinator's.
    """
    content = _content(path)
    roster = _parse(content, f"federation file {path}")
    coordinator = _coordinator(roster, path)
    roster.own(coordinator.name, keys.public)
    write_whole(_signature_path(path), _signature_line(keys.sign(_PURPOSE, content)))
    return roster


def verify_roster(path: Path) -> Roster:
    """Read `federation.toml`, signed by the coordinator that it names.

    Raises
    ------
    BadInput
        The roster is not valid or has no keys.
    SignatureError
        It is not signed, or was changed since.
    """
    return _verified(_content(path), _signature(path), path)


def accept_roster(
    state: Path,
    path: Path,
    *,
    agree: Callable[[Roster | None, Roster], None] | None = None,
    new_coordinator: bool = False,
) -> Roster:
    """Pin a signed roster in a site's state folder; from then on the site knows no other.

    Parameters
    ----------
    state : Path
        The site's private folder.
    path : Path
        `federation.toml`, with its signature beside it.
    agree : callable, optional
        Is shown the pinned roster (None the first time) and this one, and raises to stop. What it
        saw is what is pinned, whatever happens to the file meanwhile.
    new_coordinator : bool
        Accept that another key than the pinned coordinator's signed it.

    Raises
    ------
    BadInput
        The roster is not valid, older than the pinned one, or of another federation.
    SignatureError
        It is not signed by its coordinator, or that is not the pinned one.
    """
    content, signature = _content(path), _signature(path)
    roster = _verified(content, signature, path)
    pinned = pinned_roster(state) if _pin_path(state).exists() else None
    if pinned is not None:
        _check_successor(pinned, roster, path, new_coordinator)
    if agree is not None:
        agree(pinned, roster)
    pin = _Pin(digest=roster.digest, content=content.decode(), signature=signature_text(signature))
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(_pin_path(state), canonical(pin.model_dump(mode="json")), private=True)
    return roster


def pinned_roster(state: Path) -> Roster:
    """The roster that a site has accepted.

    Raises
    ------
    BadInput
        None was accepted yet, or the pinned copy is damaged.
    """
    path = _pin_path(state)
    if not path.exists():
        raise BadInput(
            f"no roster was accepted in {state}; run `genome-eu roster accept {state} "
            f"federation.toml`"
        )
    content = read_bounded(path, 2 * ROSTER_LIMIT)
    try:
        pin = _Pin.model_validate_json(content, strict=True)
        roster = _verified(pin.content.encode(), signature_bytes(pin.signature), path)
    except ValueError:
        roster = None
    if roster is None or roster.digest != pin.digest or content != canonical(pin.model_dump()):
        raise BadInput(
            f"the pinned roster {path} is damaged; remove it and accept the newest roster again"
        )
    return roster


class _Pin(BaseModel):
    """The accepted file and its signature in one, so that no crash can part them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1] = 1
    digest: Hash
    content: str
    signature: str


def _pin_path(state: Path) -> Path:
    return state / "roster.json"


def _signature_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")


def _signature_line(signature: bytes) -> bytes:
    return f"{signature_text(signature)}\n".encode()


def _content(path: Path) -> bytes:
    if not path.exists():
        raise BadInput(f"federation file {path} cannot be read; check the path")
    return read_bounded(path, ROSTER_LIMIT)


def _signature(path: Path) -> bytes:
    place = _signature_path(path)
    if not place.exists():
        raise SignatureError(
            f"federation file {path} has no {place.name} beside it; the coordinator makes one with "
            f"`genome-eu roster sign`"
        )
    line = read_bounded(place, 1024)
    try:
        signature = signature_bytes(line.decode("ascii").removesuffix("\n"))
    except ValueError:
        signature = b""
    if line != _signature_line(signature):
        raise SignatureError(f"{place} is damaged; ask the coordinator for it again")
    return signature


def _parse(content: bytes, what: str) -> Roster:
    try:
        roster = Roster.model_validate(toml.parsed(content.decode()))
    except ValidationError as error:
        raise BadInput(f"{what}: {fault(error)}") from None
    except ValueError as error:
        raise BadInput(f"{what} is not valid TOML: {error}") from None
    wrong = inconsistent(roster)
    if wrong is not None:
        raise BadInput(f"{what} {wrong}")
    return roster


def _coordinator(roster: Roster, path: Path) -> Coordinator:
    if roster.coordinator is None or not roster.keyed:
        raise BadInput(
            f"federation file {path} lists no keys; add those that `genome-eu keys new` made"
        )
    return roster.coordinator


def _verified(content: bytes, signature: bytes, path: Path) -> Roster:
    roster = _parse(content, f"federation file {path}")
    coordinator = _coordinator(roster, path)
    try:
        verify(str(coordinator.signing), _PURPOSE, content, signature)
    except SignatureError:
        raise SignatureError(
            f"federation file {path} was changed after it was signed, or not signed by "
            f"{coordinator.name}; ask the coordinator for both files again"
        ) from None
    return roster


def _check_successor(pinned: Roster, roster: Roster, path: Path, new_coordinator: bool) -> None:
    if roster.name != pinned.name:
        raise BadInput(
            f"{path} is of federation {roster.name}, this site takes part in {pinned.name}; give "
            f"another federation a state folder of its own"
        )
    if roster.serial < pinned.serial:
        raise BadInput(
            f"{path} has serial {roster.serial}, older than the accepted {pinned.serial}; ask the "
            f"coordinator for the newest roster"
        )
    if roster.serial == pinned.serial and roster.digest != pinned.digest:
        raise BadInput(
            f"{path} differs from the accepted roster of the same serial {roster.serial}; the "
            f"coordinator must give every change a new serial"
        )
    before, now = _coordinator(pinned, path), _coordinator(roster, path)
    if before.signing != now.signing and not new_coordinator:
        raise SignatureError(
            f"{path} is signed by another coordinator's key than the accepted one; compare "
            f"fingerprints over the telephone, then accept it with --new-coordinator"
        )
