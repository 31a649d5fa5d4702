"""The question as data: what one round asks of every site."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from genome_eu.canonical import canonical
from genome_eu.errors import BundleError
from genome_eu.federation.parameters import PARAMETERS
from genome_eu.federation.parameters.filters import PeopleFilters
from genome_eu.federation.parameters.types import Frozen, Hash, Name, Names
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, has_rows
from genome_eu.stats.counts import GroupSizes
from genome_eu.stats.qc.removed import RemovedCounts
from genome_eu.stats.variants import VariantList

#: Version of plans, bundles and study folders. Another version is refused, never guessed at.
FORMAT: Final = 2

#: Rows in one shard of an answer: the unit that is gated, written, merged and finished.
ROWS_PER_SHARD = 8192
#: Shards of the largest answer: their numbers have six digits.
MOST_SHARDS: Final = 10**6
# Lists within parameters, as far as any statistic goes and some more.
_DEEPEST = 8

#: Numbers that a shard may hold: rows of many traits come in shorter shards.
NUMBERS_PER_SHARD = 2**23

#: Statistics that name things and are no sums over people.
NAMES: tuple[type[Aggregate], ...] = (GroupSizes, VariantList, RemovedCounts)


class Plan(Frozen):
    """One round of a study. Its hash names it; every answer carries that hash.

    `sites` take part, `reader` may read what they answer. Under a secure sum each of them adds
    masks that only cancel in the sum over all. Each leaves out those of its people that the limits
    of `people` remove.
    """

    format: Literal[2] = FORMAT
    study: Name
    round: int = Field(ge=0, le=99_999)
    sites: Names = Field(min_length=1)
    reader: Name
    secure_sum: bool
    statistic: Name
    version: int
    parameters: dict[str, Any]
    inputs: dict[Name, Hash]
    people: PeopleFilters = PeopleFilters()
    rows: int = Field(ge=0)
    rows_per_shard: int = Field(ge=1, le=2**17)

    @field_validator("sites")
    @classmethod
    def _once(cls, sites: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(sites)) != len(sites):
            raise ValueError("a site is named twice")
        return sites

    @field_validator("parameters")
    @classmethod
    def _plain(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """Numbers, text, and lists of them: what has one spelling, so that a hash names it."""
        _require_plain(parameters, _DEEPEST)
        return parameters

    @model_validator(mode="after")
    def _shards_have_numbers(self) -> Self:
        if self.rows > self.rows_per_shard * MOST_SHARDS:
            raise ValueError("rows come in more shards than have a number")
        return self

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(canonical(self.model_dump(mode="json"))).hexdigest()

    @property
    def masked(self) -> bool:
        """Whether the answers are sums under masks; what is no sum leaves as names only."""
        kind = AGGREGATES.get(self.statistic)
        return self.secure_sum and kind is not None and kind not in NAMES

    @property
    def columns(self) -> tuple[str, ...]:
        """Sample columns that the question names: traits, covariates, groups."""
        named = (self.parameters.get(key) for key in ("traits", "covariates", "by"))
        listed = [names for names in named if isinstance(names, list | tuple)]
        listed += [_columns_of(term) for term in self.parameters.get("terms") or ()]
        if self.parameters.get("ploidy") in ("x", "y"):
            listed.append(["sex"])
        if self.people.sex_check:
            listed.append(["sex"])
        return tuple(dict.fromkeys(str(name) for names in listed for name in names))

    def asked(self) -> Any:
        """The parameters, validated for this statistic.

        Raises
        ------
        BundleError
            The statistic is unknown or its parameters are not what it takes.
        """
        model = PARAMETERS.get(self.statistic)
        if model is None:
            raise BundleError(f"statistic {self.statistic} is not known here")
        try:
            return model.model_validate(self.parameters)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise BundleError(f"plan of {self.statistic}: {where} is not valid") from None

    def spans(self) -> list[tuple[int, int]]:
        """Row ranges of the shards of the answer; one empty range where it has no rows."""
        kind = AGGREGATES.get(self.statistic)
        if kind is None or not has_rows(kind) or not self.rows:
            return [(0, 0)]
        starts = range(0, self.rows, self.rows_per_shard)
        return [(a, min(a + self.rows_per_shard, self.rows)) for a in starts]


def _columns_of(term: Any) -> list[Any]:
    """Columns of one term of a formula; whether it is one is judged elsewhere."""
    factors = term if isinstance(term, list | tuple) else ()
    return [
        factor["column"] for factor in factors if isinstance(factor, dict) and "column" in factor
    ]


def _require_plain(value: Any, depth: int) -> None:
    if isinstance(value, dict | list | tuple):
        if not depth:
            raise ValueError("parameters are nested too deeply")
        for item in value.values() if isinstance(value, dict) else value:
            _require_plain(item, depth - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("parameters hold what is not a number")


@dataclass(frozen=True)
class Ask:
    """What a protocol yields: a statistic, its parameters, and the arrays that go with them."""

    statistic: type[Aggregate]
    parameters: BaseModel
    inputs: Mapping[str, NDArray] = field(default_factory=dict)
    rows: int = 0
    width: int = 1  # numbers of a row of the answer

    def plan(
        self,
        study: str,
        number: int,
        sites: tuple[str, ...],
        rows_per_shard: int,
        *,
        reader: str = "here",
        secure_sum: bool = False,
        people: PeopleFilters | None = None,
    ) -> Plan:
        """This question as round `number` of a study."""
        return Plan(
            study=study,
            round=number,
            sites=sites,
            reader=reader,
            secure_sum=secure_sum,
            statistic=self.statistic.statistic,
            version=self.statistic.version,
            parameters=self.parameters.model_dump(mode="json"),
            inputs={name: array_digest(value) for name, value in self.inputs.items()},
            people=people or PeopleFilters(),
            rows=self.rows,
            rows_per_shard=min(rows_per_shard, max(1, NUMBERS_PER_SHARD // self.width)),
        )


def npy_bytes(array: NDArray) -> bytes:
    """An array in NumPy's own file format, never pickled."""
    buffer = io.BytesIO()
    # ascontiguousarray would give a single number a dimension.
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def array_digest(array: NDArray) -> str:
    """SHA-256 of the array as a `.npy` file."""
    return hashlib.sha256(npy_bytes(array)).hexdigest()
