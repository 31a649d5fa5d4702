"""Dosages of chosen tests, person by person, as columns of a model; they never leave the site."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import compiled
from genome_eu.stats.block import Block

# Bytes of float64 dosages at a time: what stays in a near cache.
_CHUNK_BYTES = 4 * 2**20


def chunks(rows: NDArray, people: int) -> Iterator[NDArray]:
    """Rows in turn, as many at a time as fit a cache."""
    size = max(1, _CHUNK_BYTES // (8 * max(people, 1)))
    for first in range(0, rows.size, size):
        yield rows[first : first + size]


def by_trait(block: Block, trait: NDArray) -> Iterator[tuple[int, NDArray]]:
    """The traits that a block's rows are to be tested with, and the rows of each."""
    for one in np.unique(trait).tolist():
        yield one, np.flatnonzero(trait == one)


def imputed(copies: NDArray, rows: NDArray, who: NDArray, mean: NDArray | None) -> NDArray:
    """Dosages of some rows and people, float64 (rows, people).

    Parameters
    ----------
    copies : int8 array, shape (all rows, all people)
        What `Block.dosages` gives.
    rows, who : int64 arrays
        The rows, and the people.
    mean : float64 array, shape (all rows,), optional
        What replaces a missing call; the mean of these people if not given, NaN where the row's
        mean is.
    """
    out = np.empty((rows.size, who.size))
    own = mean is None
    _impute(copies, rows, who, np.empty(0) if mean is None else mean, own, out)
    return out


@compiled
def _impute(
    copies: NDArray, rows: NDArray, who: NDArray, mean: NDArray, own: bool, out: NDArray
) -> None:
    for place in range(rows.size):
        row = rows[place]
        total, called = 0.0, 0
        for i in range(who.size):
            value = float(copies[row, who[i]])
            out[place, i] = value
            if value >= 0.0:
                total += value
                called += 1
        if called == who.size:
            continue
        instead = total / max(called, 1) if own else mean[row]
        for i in range(who.size):
            if not out[place, i] >= 0.0:
                out[place, i] = instead
