"""Rows of a panel that are asked about apart, and their answers in the order of the panel.

People have one copy of some rows and two of others, so each kind of rows is a question of its own:
as many rounds as the panel has kinds, one for most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import PanelError
from genome_eu.federation.protocols.panel import Panel
from genome_eu.stats.ploidy import CLASSES, PloidyClass, PloidyName, classes, rows_of


def kinds(panel: Panel) -> dict[PloidyName, Panel]:
    """The rows of each kind that the panel has."""
    found: dict[PloidyName, Panel] = {}
    for kind in CLASSES:
        places = np.flatnonzero(rows_of(kind, panel.ploidy))
        if places.size:
            found[kind] = panel.take(places)
    return found


def autosomal(panel: Panel) -> Panel:
    """The rows on autosomes.

    Raises
    ------
    PanelError
        There is none.
    """
    chosen = np.flatnonzero(panel.ploidy == PloidyClass.AUTOSOMAL)
    if chosen.size == panel.size:
        return panel
    if not chosen.size:
        raise PanelError("no row that is asked about lies on an autosome (1 to 22)")
    names = np.array(panel.contigs, object)
    on = classes(names, np.zeros(names.size), panel.build) == PloidyClass.AUTOSOMAL
    return replace(panel.take(chosen), contigs=list(names[on]))


def in_row_order(panel: Panel, answers: Mapping[PloidyName, Iterator[Any]]) -> Iterator[Any]:
    """Finished shards of all rows, from those of each kind.

    Parameters
    ----------
    panel : Panel
    answers : mapping of kind to iterator
        Results of consecutive rows: dataclasses whose arrays have the rows first, or datasets.
    """
    if len(answers) == 1:
        yield from next(iter(answers.values()))
        return
    code = np.full(panel.size, -1)
    for number, kind in enumerate(answers):
        code[rows_of(kind, panel.ploidy)] = number
    waiting = [_Pieces(shards) for shards in answers.values()]
    edges = np.flatnonzero(np.diff(code, prepend=-2, append=-2))
    for start, stop in pairwise(edges):
        yield from waiting[code[start]].take(int(stop - start))
    for pieces in waiting:
        pieces.finish()


class _Pieces:
    """Shards of one kind, handed out in pieces."""

    def __init__(self, shards: Iterator[Any]) -> None:
        self._shards = shards
        self._shard: Any = None
        self._at = self._size = 0

    def take(self, rows: int) -> Iterator[Any]:
        while rows:
            if self._at == self._size:
                self._shard, self._at = next(self._shards), 0
                self._size = _length(self._shard)
            stop = min(self._at + rows, self._size)
            whole = stop - self._at == self._size
            yield self._shard if whole else _rows(self._shard, slice(self._at, stop))
            rows -= stop - self._at
            self._at = stop

    def finish(self) -> None:
        """What runs after the last shard."""
        if next(self._shards, None) is not None:
            raise ValueError("there are more shards than rows")


def _length(result: Any) -> int:
    """Rows of a result: of its first array."""
    if hasattr(result, "sizes"):
        return int(result.sizes["variants"])
    for item in fields(result):
        value = getattr(result, item.name)
        if isinstance(value, np.ndarray):
            return len(value)
        if is_dataclass(value):
            return _length(value)
    raise TypeError(f"{type(result).__name__} has no rows")


def _rows(result: Any, rows: slice) -> Any:
    """Some rows of a result."""
    if hasattr(result, "isel"):
        return result.isel(variants=rows)
    return replace(
        result, **{item.name: _some(getattr(result, item.name), rows) for item in fields(result)}
    )


def _some(value: Any, rows: slice) -> Any:
    if is_dataclass(value):
        return _rows(value, rows)
    return value[rows] if isinstance(value, np.ndarray) else value


def places(panel: Panel) -> NDArray[np.int64]:
    """Places of the panel's rows among those of the one cohort that is asked."""
    return panel.inputs.get("places", np.arange(panel.size))
