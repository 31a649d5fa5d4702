"""A federation with keys, for tests: a hub, an analyst, three sites, and one who is not listed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genome_eu.federation.cover import PART_BYTES, Cover, Part
from genome_eu.federation.envelope import seal
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.parties import Roster
from genome_eu.federation.roster import read_roster

SITES = ("ES", "FI", "NO")
KEYS = {name: SecretKeys.new() for name in ("hub", "ana", *SITES, "mallory")}
PLAN = "a" * 64
STUDY = "0123456789abcdef"


def roster_text(
    *, serial: int = 1, name: str = "goe", top: str = "", keys: dict[str, SecretKeys] = KEYS
) -> str:
    """`federation.toml` of everybody but mallory."""
    lines = [f'name = "{name}"', f"serial = {serial}", 'exchange = "exchange"', top]
    for table, party in (
        ("[coordinator]", "hub"),
        ("[[analyst]]", "ana"),
        *(("[[site]]", site) for site in SITES),
    ):
        lines += [table, f'name = "{party}"', keys[party].public.lines()]
    return "\n".join(lines)


def write_roster(folder: Path, **changes: Any) -> Path:
    """`federation.toml` in a folder, not yet signed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "federation.toml"
    path.write_text(roster_text(**changes))
    return path


def keyed_roster(folder: Path, **changes: Any) -> Roster:
    """The same as a `Roster`."""
    return read_roster(write_roster(folder, **changes))


def sealed_by(
    sender: str, folder: Path, roster: Roster, content: bytes = b"what is asked", **changes: Any
) -> tuple[Cover, Path]:
    """A message by a party, as `seal` makes it."""
    clear, sealed = folder / "clear", folder / "sealed"
    clear.write_bytes(content)
    asks = sender in ("hub", "ana")
    fields: dict[str, Any] = {
        "roster": roster,
        "keys": KEYS[sender],
        "study": STUDY,
        "round": 3,
        "kind": "plan" if asks else "answer",
        "sender": sender,
        "plan": PLAN,
        "readers": (*SITES, "hub") if asks else ("hub", sender),
    }
    return seal(clear, sealed, **(fields | changes)), sealed


def covering(cover: Cover, content: bytes, keys: SecretKeys, **changes: Any) -> Cover:
    """A cover that is true to other sealed bytes: what a listed party with bad intent can sign."""
    starts = range(0, len(content), PART_BYTES)
    pieces = [content[at : at + PART_BYTES] for at in starts]
    about = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "parts": tuple(
            Part(bytes=len(piece), sha256=hashlib.sha256(piece).hexdigest()) for piece in pieces
        ),
    }
    return cover.model_copy(update=about | changes).signed_by(keys)


def flips(content: bytes, masks: tuple[int, ...]) -> Iterator[bytes]:
    """Every byte changed, in each of these ways."""
    for at in range(len(content)):
        for mask in masks:
            damaged = bytearray(content)
            damaged[at] ^= mask
            yield bytes(damaged)
