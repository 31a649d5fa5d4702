"""What the first member of a bundle says: whose it is, what it answers, and its other members."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field

from genome_eu._version import __version__
from genome_eu.federation.parameters.types import Hash, Name
from genome_eu.federation.plan import FORMAT, Plan
from genome_eu.federation.secure_sum import Floors

MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.sha256"
# In memory it may be 27 times that: what `[]` takes, over its bytes.
MANIFEST_LIMIT = 16 * 2**20
MEMBER_LIMIT = 4 * 2**30

MemberName = Annotated[str, Field(pattern=r"^(inputs|shard-\d{6})/[a-z_]{1,64}\.npy$")]
# What another party wrote and a person reads: nothing that moves a cursor or begins a line.
Line = Annotated[str, Field(pattern=r"^[^\p{C}\p{Zl}\p{Zp}]*$")]


class Member(BaseModel):
    """One array of a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: MemberName
    bytes: int = Field(ge=0, le=MEMBER_LIMIT)
    sha256: Hash


class EvidenceRecord(BaseModel):
    """One check of the airlock, as it travels."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    check: Line = Field(max_length=100)
    limit: float
    withheld: int
    of: int
    verdict: Literal["pass", "withheld", "review"]


class SecureSum(BaseModel):
    """What an answer under masks says of itself: nothing of the numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    context: Hash
    floors: Floors  # for the publisher: the strictest of all who take part
    commitments: Annotated[tuple[Hash, ...], FailFast()]  # one a shard


class Manifest(BaseModel):
    """The first member of every bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[2] = FORMAT
    kind: Literal["plan", "answer", "refusal"]
    software: Line = Field(default=f"genome_eu {__version__}", max_length=100)
    site: Name | None = None
    plan: Hash
    content: Plan | None = None
    cohort: Hash | None = None
    statistic: Name | None = None
    version: int | None = None
    shards: int = Field(default=0, ge=0)
    policy: Name | None = None
    floors: bool | None = None
    evidence: Annotated[tuple[EvidenceRecord, ...], FailFast()] = ()
    secure_sum: SecureSum | None = None
    reason: Literal["policy", "input", "fault", "review"] | None = None
    message: Line | None = Field(default=None, max_length=500)
    members: Annotated[tuple[Member, ...], FailFast()] = ()
