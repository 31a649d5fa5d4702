"""Rows that are read with their alleles exchanged: copies of REF instead of ALT.

Where another site writes REF and ALT the other way round, a panel may ask for the count of the
other allele. Such a row is numbered `row + EXCHANGED` wherever rows of a store are read or counted:
what does not know of it finds no such row, instead of the wrong one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: More rows than any store has.
EXCHANGED = 2**40


def stored(rows: NDArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Places of rows in the store, and which of them have their alleles exchanged."""
    rows = np.asarray(rows)
    exchanged = rows >= EXCHANGED
    return (np.where(exchanged, rows - EXCHANGED, rows) if exchanged.any() else rows), exchanged


def oriented(rows: NDArray, exchanged: NDArray) -> NDArray[np.int64]:
    """The inverse of `stored`."""
    return np.where(exchanged, rows + EXCHANGED, rows)
