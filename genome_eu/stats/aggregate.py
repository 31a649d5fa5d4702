"""What a sum over people is: typed fields that say how they merge, and what gates their release.

A statistic declares its sums once, as a frozen dataclass. From the field declarations follow the
merge (`merge`), the joining of row blocks (`concatenate`), the wire schema (bundles), and the rule
that the airlock applies before anything leaves a site. People merge; rows concatenate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import BadInput

MergeKind = Literal["total", "same", "every"]

#: Every declared statistic by name; a name that is not here cannot be released or read.
AGGREGATES: dict[str, type[Aggregate]] = {}


class Private:
    """State that stays at its site between rounds. It has no release rule, so it cannot leave."""


@dataclass(frozen=True, eq=False)
class Aggregate:
    """Base of everything that may leave a site once the airlock has passed it.

    Subclasses set `statistic` and `version` and declare their fields with `count`, `total`,
    `same` and `every`. Field values are NumPy arrays whose dimensions are named in the field.
    """

    statistic: ClassVar[str] = ""
    version: ClassVar[int] = 1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.statistic:
            if cls.statistic in AGGREGATES:
                raise TypeError(f"statistic {cls.statistic!r} is declared twice")
            AGGREGATES[cls.statistic] = cls

    def __post_init__(self) -> None:
        for item in fields(self):
            value = self._exactly(item)
            if value.ndim != len(item.metadata["dims"]):
                raise BadInput(
                    f"{self.statistic}.{item.name} has {value.ndim} dimensions, "
                    f"but is declared over {item.metadata['dims']}"
                )
            object.__setattr__(self, item.name, value)
        dimension_sizes(self)

    def _exactly(self, item: Field[Any]) -> NDArray:
        """A field as its declared type; counts and flags are never rounded to fit."""
        given = np.asarray(getattr(self, item.name))
        with np.errstate(invalid="ignore"):
            value = given.astype(item.metadata["dtype"], copy=False)
        unlike = value.dtype.kind != "f" and value.dtype != given.dtype
        if unlike and not np.array_equal(value, given):
            raise BadInput(f"{self.statistic}.{item.name} holds values that are not {value.dtype}")
        return value

    @property
    def rows(self) -> int:
        """Rows that this aggregate covers; 0 for one that has no row dimension."""
        return dimension_sizes(self).get("rows", 0)


AnyAggregate = TypeVar("AnyAggregate", bound=Aggregate)


def _declare(merge: MergeKind, dtype: Any, unit: str, dims: tuple[str, ...], gate: str) -> Any:
    return field(
        metadata={"merge": merge, "dtype": dtype, "unit": unit, "dims": dims, "gate": gate}
    )


def count(unit: str, *dims: str, gate: str) -> Any:
    """An int64 number of people, calls or alleles; sites add."""
    return _declare("total", np.int64, unit, dims, gate)


def total(unit: str, *dims: str, gate: str) -> Any:
    """A float64 sum over people; sites add."""
    return _declare("total", np.float64, unit, dims, gate)


def same(unit: str, *dims: str, gate: str, dtype: Any = np.int64) -> Any:
    """A value on which all sites must agree."""
    return _declare("same", dtype, unit, dims, gate)


def every(unit: str, *dims: str, gate: str = "state") -> Any:
    """A boolean that holds in the answer only where it holds at every site."""
    return _declare("every", np.bool_, unit, dims, gate)


def declared(kind: type[Aggregate] | Aggregate) -> tuple[Field[Any], ...]:
    """The declared fields of an aggregate type, in wire order."""
    return fields(kind)


def has_rows(kind: type[Aggregate]) -> bool:
    """Whether an aggregate has a value per row, and so comes in shards."""
    return any("rows" in item.metadata["dims"] for item in fields(kind))


def dimension_sizes(aggregate: Aggregate) -> dict[str, int]:
    """Size of every named dimension; raises where two fields disagree."""
    sizes: dict[str, int] = {}
    for item in fields(aggregate):
        shape = getattr(aggregate, item.name).shape
        for name, size in zip(item.metadata["dims"], shape, strict=True):
            if sizes.setdefault(name, size) != size:
                raise BadInput(
                    f"{aggregate.statistic}.{item.name} has {size} {name}, "
                    f"another field has {sizes[name]}"
                )
    return sizes


def merge(parts: Sequence[AnyAggregate]) -> AnyAggregate:
    """Add people: the same rows, seen at several sites (or in several parts of one site).

    The order of `parts` is the order of summation, so callers pass sites sorted by name and a
    rerun is bit-identical.

    Raises
    ------
    BadInput
        Where the parts are different statistics, shapes, or disagree on a `same` field.
    """
    first = parts[0]
    if any(type(part) is not type(first) for part in parts):
        raise BadInput(f"cannot merge {sorted({type(part).__name__ for part in parts})}")
    merged: dict[str, Any] = {}
    for item in fields(first):
        values = [getattr(part, item.name) for part in parts]
        if len({value.shape for value in values}) > 1:
            raise BadInput(f"{first.statistic}.{item.name} differs in shape between sites")
        if item.metadata["merge"] == "same":
            if any(not np.array_equal(value, values[0]) for value in values):
                raise BadInput(f"sites disagree on {first.statistic}.{item.name}")
            merged[item.name] = values[0]
        elif item.metadata["merge"] == "every":
            merged[item.name] = np.logical_and.reduce(values)
        else:
            result = values[0].copy()
            for value in values[1:]:
                result += value
            merged[item.name] = result
    return type(first)(**merged)


def concatenate(blocks: Sequence[AnyAggregate]) -> AnyAggregate:
    """Join consecutive row blocks of the same people.

    Fields without a row dimension describe the people, so they must be equal in every block.
    """
    first = blocks[0]
    if len(blocks) == 1:
        return first
    joined: dict[str, Any] = {}
    for item in fields(first):
        values = [getattr(block, item.name) for block in blocks]
        if "rows" in item.metadata["dims"]:
            joined[item.name] = np.concatenate(values, axis=item.metadata["dims"].index("rows"))
        elif any(not np.array_equal(value, values[0], equal_nan=True) for value in values):
            raise BadInput(f"blocks disagree on {first.statistic}.{item.name}")
        else:
            joined[item.name] = values[0]
    return type(first)(**joined)


def rows_between(whole: AnyAggregate, start: int, stop: int) -> AnyAggregate:
    """The rows `start` to `stop` of an aggregate: what `concatenate` undoes."""
    parts: dict[str, Any] = {}
    for item in fields(whole):
        value = getattr(whole, item.name)
        if "rows" in item.metadata["dims"]:
            axis = item.metadata["dims"].index("rows")
            value = value.take(np.arange(start, stop), axis=axis)
        parts[item.name] = value
    return type(whole)(**parts)
