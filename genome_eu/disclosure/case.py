"""What is written down of a release that waits for a person, and of what was decided on it."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genome_eu.canonical import canonical
from genome_eu.disclosure.policy import Policy
from genome_eu.errors import BadInput
from genome_eu.stats.aggregate import Aggregate, declared

FORMAT: Final = 1

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
#: Text of a person, on one line.
Person = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Why = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Record(BaseModel):
    """A file of the review: validated, frozen, with one spelling."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1] = FORMAT

    @property
    def content(self) -> bytes:
        """Canonical JSON."""
        return canonical(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.content).hexdigest()


class CheckRecord(BaseModel):
    """One check of the airlock. `measured` and `reason` stay inside the site."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    check: str = Field(max_length=100)
    limit: float
    withheld: int
    of: int
    verdict: Literal["pass", "withheld", "review", "refuse"]
    reason: str = Field(default="", max_length=1000)
    measured: float | None = None


class Membership(BaseModel):
    """How well somebody who holds a genome can tell whether its owner takes part."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    rows: int
    people: int
    alpha: float = Field(gt=0, lt=1)
    power: float = Field(ge=0, le=1)


class Case(Record):
    """One release that waits for a person, as `case.json`."""

    site: Name
    plan: Hash
    study: Name
    round: int
    asker: Name
    reader: Name
    sites: tuple[Name, ...]
    secure_sum: bool
    statistic: Name
    version: int
    parameters: dict[str, Any]
    question: Hash | None  # of the whole study, as its asker states it
    cohort: Hash
    people: int
    policy: Name
    policy_digest: Hash
    evidence: tuple[CheckRecord, ...]
    verdict: Literal["pass", "review"]
    reasons: tuple[str, ...]
    membership: Membership | None
    rows: int
    columns: int  # numbers for every row
    bytes: int
    answer: Hash
    time: str

    @property
    def names(self) -> tuple[str, ...]:
        """Sample columns that the plan names: traits, covariates, groups."""
        listed = (self.parameters.get(key) or () for key in ("traits", "covariates", "by"))
        return tuple(dict.fromkeys(str(name) for names in listed for name in names))

    @property
    def doubts(self) -> tuple[str, ...]:
        """The checks that ask for a person."""
        return tuple(item.check for item in self.evidence if item.verdict == "review")

    @property
    def facts(self) -> dict[str, Any]:
        """What the ledger says of this release; later ones are compared with it."""
        kept = {"plan", "study", "round", "asker", "reader", "sites", "statistic", "version"}
        kept |= {"cohort", "people", "policy", "policy_digest", "rows", "columns", "answer"}
        return self.model_dump(mode="json", include=kept) | {"names": list(self.names)}


class Decision(Record):
    """What a person decided on one case, as `decision.json`."""

    plan: Hash
    study: Name
    round: int
    case: Hash
    answer: Hash
    cohort: Hash
    policy_digest: Hash
    verdict: Literal["approved", "refused"]
    who: Person
    why: Why = ""
    under: Hash | None = None  # the approval of a study that this follows from
    time: str


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read(path: Path, kind: type[AnyRecord]) -> AnyRecord | None:
    """A file of the review; None where there is none. It must have the spelling it was written in.

    Raises
    ------
    BadInput
        It is damaged.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        record = kind.model_validate_json(content)
    except ValidationError:
        record = None
    if record is None or record.content != content:
        raise BadInput(f"{path} is damaged; remove its folder, and the site computes it again")
    return record


def policy_digest(policy: Policy) -> str:
    """SHA-256 of what a policy says, whatever file it came from."""
    return hashlib.sha256(canonical(policy.model_dump(mode="json"))).hexdigest()


def numbers_per_row(part: Aggregate) -> int:
    """Numbers that an answer holds for every row; 0 for one that has no rows."""
    numbers = 0
    for item in declared(part):
        dims = item.metadata["dims"]
        if "rows" in dims:
            width = 1
            for name, size in zip(dims, getattr(part, item.name).shape, strict=True):
                width *= 1 if name == "rows" else size
            numbers += width
    return numbers


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
