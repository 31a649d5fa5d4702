"""A line of the ledger: what it may hold, how it is chained to the line before it, how it is read.

    {"event":...,"fields":{...},"number":7,"previous":HASH OF LINE 6,"time":...,"hash":HASH}

The last value is the SHA-256 of all that stands before its key, so a changed byte shows in its own
line, and a line that is missing or out of place in the one after it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from genome_eu.canonical import canonical
from genome_eu.errors import UsageError

EVENTS: Final = frozenset(
    {
        "opened",  # a site began to serve
        "policy",  # a policy was taken into use
        "roster",  # a roster was accepted
        "request",  # a plan came, its signature and meaning checked
        "refusal",  # the policy lets nothing of the answer out
        "held",  # an answer waits for a person
        "approval",  # a person let it out
        "denial",  # a person kept it
        "study_approval",  # a person approved a study within bounds
        "ready",  # the site takes part in a secure sum
        "release",  # sealed bytes are about to leave
        "delivered",  # they have been posted
        "withdrawn",  # an approval was taken back
    }
)

#: Longest line: room for the names of ten thousand traits.
LONGEST = 2**20
_LONGEST_TEXT = 2000

_BEFORE_HASH: Final = b',"hash":"'
_AFTER_HASH: Final = b'"}\n'


class Head(BaseModel):
    """The last line of a ledger: how many there are, and its hash. Pins all that lies before."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    count: int = Field(ge=0)
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


START: Final = Head(count=0, hash="0" * 64)


@dataclass(frozen=True)
class Entry:
    """One line of a ledger.

    `torn` is how many bytes of an unfinished line were cut off before this one was written: a crash
    came before the writer of that line was told that it stands.
    """

    number: int
    time: str
    event: str
    fields: Mapping[str, Any]
    previous: str
    hash: str
    torn: int = 0

    @property
    def head(self) -> Head:
        """The head of a ledger that ends here."""
        return Head(count=self.number, hash=self.hash)


def chained(last: Head, event: str, fields: Mapping[str, Any], torn: int) -> tuple[Entry, bytes]:
    """The entry that follows `last`, and its line.

    `torn` is how many bytes of an unfinished line are cut off to make room for it.

    Raises
    ------
    UsageError
        The event is not known, or the fields are not what a ledger may hold.
    """
    if event not in EVENTS:
        raise UsageError(f"{event} is not an event of the ledger")
    _require_plain(event, fields)
    body: dict[str, Any] = {
        "event": event,
        "fields": fields,
        "number": last.count + 1,
        "previous": last.hash,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if torn:
        body["torn"] = torn
    content = canonical(body)[:-1]
    digest = hashlib.sha256(content).hexdigest()
    line = content + _BEFORE_HASH + digest.encode() + _AFTER_HASH
    if len(line) > LONGEST:
        raise UsageError(f"an entry of {len(line):,} bytes is too long for the ledger")
    return Entry(**json.loads(line)), line


def parsed(line: bytes) -> Entry | None:
    """A line as it was written; None where it is anything else."""
    content, hashed, end = line[:-76], line[-76:-3], line[-3:]
    digest = hashlib.sha256(content).hexdigest().encode()
    if end != _AFTER_HASH or hashed != _BEFORE_HASH + digest:
        return None
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    return entry if isinstance(entry.number, int) and entry.number > 0 else None


def _require_plain(name: str, value: Any) -> None:
    """Nothing but short text, numbers, and lists and dictionaries of them."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _require_plain(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_plain(name, item)
    elif isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            raise UsageError(f"{name} is too long for the ledger")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} is not a number, and cannot stand in the ledger")
    elif value is not None and not isinstance(value, bool | int | float):
        raise UsageError(f"{name} is not text or a number, and cannot stand in the ledger")
