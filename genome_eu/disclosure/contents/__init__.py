"""What an answer shows, in words, tables and counts that a person can judge.

Each statistic says what it is in one line and in the tables that matter for it; a table of every
field comes with all of them, so that nothing in a bundle is unseen, whatever the statistic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.contents import (
    counts,
    filters,
    ld,
    linear,
    logistic,
    pca,
    scores,
    variants,
    wgr,
)
from genome_eu.disclosure.contents.tables import Bars, Contents, Describe, Table, people_of
from genome_eu.stats.aggregate import Aggregate, declared

_KINDS = (variants, counts, filters, ld, linear, logistic, pca, scores, wgr)

_STATISTICS: Mapping[str, Describe] = {
    statistic: described for kind in _KINDS for statistic, described in kind.DESCRIBED.items()
}

__all__ = ["Bars", "Contents", "Table", "describe"]


def describe(shards: Iterable[Aggregate], case: Case) -> Contents:
    """Read an answer once and say what it shows.

    Parameters
    ----------
    shards : iterable of Aggregate
        All shards of the held bundle, in order.
    case : Case
        What is known of it.
    """
    fields = _Fields()
    said = _STATISTICS.get(case.statistic, _anything)(fields.watch(shards), case)
    return Contents(said.what, said.withheld, (*said.tables, fields.table()), said.bars)


def _anything(shards: Iterator[Any], case: Case) -> Contents:
    for _ in shards:
        pass
    return Contents(f"{case.statistic} of {people_of(case.people)}")


@dataclass
class _Fields:
    """Every field of a bundle: what it counts, how much of it, and its extremes."""

    rows: dict[str, list[Any]] = field(default_factory=dict)

    def watch(self, shards: Iterable[Aggregate]) -> Iterator[Any]:
        for part in shards:
            for item in declared(part):
                self._add(item.name, item.metadata, getattr(part, item.name))
            yield part

    def _add(self, name: str, declaration: Any, value: NDArray) -> None:
        dims = " × ".join(declaration["dims"]) or "one number"
        line = self.rows.setdefault(name, [declaration["unit"], dims, 0, None, None])
        line[2] += value.size
        if declaration["unit"] == "byte" or not value.size:
            return
        sizes = np.abs(value.astype(float))
        positive = sizes[sizes > 0]
        if positive.size:
            least, most = float(positive.min()), float(sizes.max())
            line[3] = least if line[3] is None else min(line[3], least)
            line[4] = most if line[4] is None else max(line[4], most)

    def table(self) -> Table:
        return Table(
            "Every field of the bundle",
            ["Field", "Unit", "One for each", "Numbers", "Smallest (not 0)", "Largest"],
            [[name, *line] for name, line in self.rows.items()],
        )
