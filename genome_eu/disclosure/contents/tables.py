"""What a person reads of an answer: words, small tables, bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.case import Case

# Most lines of a table that a person reads; the fields of a bundle are never cut.
LINES = 20

# Where one size of a count ends and the next begins.
EDGES = np.array([0, 1, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000])


@dataclass(frozen=True)
class Table:
    """A small table; numbers stay numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Bars:
    """Counts by label, to be drawn as bars."""

    title: str
    labels: Sequence[str]
    values: Sequence[float]
    note: str = ""


@dataclass(frozen=True)
class Contents:
    """What one answer shows. `withheld` counts rows of everybody that the floors removed."""

    what: str
    withheld: int = 0
    tables: tuple[Table, ...] = ()
    bars: tuple[Bars, ...] = ()


#: `describe(shards, case)` reads an answer of one statistic once.
Describe: TypeAlias = Callable[[Iterator[Any], Case], Contents]


class Sizes:
    """How many counts are of which size."""

    def __init__(self) -> None:
        self.counts = np.zeros(EDGES.size, np.int64)
        self.smallest: int | None = None

    def add(self, values: NDArray) -> None:
        """Take in some counts."""
        where = np.searchsorted(EDGES, values.ravel(), side="right") - 1
        self.counts += np.bincount(where, minlength=EDGES.size)
        positive = values[values > 0]
        if positive.size:
            least = int(positive.min())
            self.smallest = least if self.smallest is None else min(self.smallest, least)

    def bars(self, title: str) -> Bars:
        """Counts by their size."""
        used = np.flatnonzero(self.counts)
        last = int(used[-1]) + 1 if used.size else 1
        note = "" if self.smallest is None else f"The smallest that is not 0: {self.smallest:,}."
        return Bars(title, _LABELS[:last], self.counts[:last].tolist(), note)


def _labels() -> list[str]:
    names = []
    for low, end in pairwise(EDGES.tolist()):
        names.append(f"{low:,}" if end == low + 1 else f"{low:,}–{end - 1:,}")
    return [*names, f"{EDGES[-1]:,} or more"]


_LABELS = _labels()


def many(number: int, one: str, several: str | None = None) -> str:
    """A number of things, in words."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def people_of(number: int) -> str:
    """A number of people, in words."""
    return many(number, "person", "people")
