"""Rows that would set single people apart among the rows that they are multiplied with.

Sums of products of rows are linear in each of them. Where a combination of rows is zero for
everybody but one person, say because two rows differ in that person only, the same combination of
their sums with any other row is that person's genotype there. How near rows come to this is the
largest leverage of anybody on the space that they span; rows are taken in order, and one that would
raise it above a limit is left out.

References
----------
Belsley, Kuh & Welsch (1980), Regression Diagnostics, chapter 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# What rounding leaves of a row that others make up, relative to its square: one person of a
# thousand million is above it.
_NOTHING = 1e-10


def block_size(band: int) -> int:
    """Rows to give to `Leverage.leave_out` at a time."""
    return max(band // 2, 8)


class Leverage:
    """Leaves out rows, given in order a block at a time, and holds those of two bands.

    Rows need not be multiplied with each other to be combined: it is enough that both are with a
    third, which may lie a band after the one and a band before the other.

    Parameters
    ----------
    band : int
        Rows that a row is multiplied with, itself included.
    limit : float
        Largest leverage that anybody may have on the rows of two bands, beside the intercept.
    """

    def __init__(self, band: int, limit: float) -> None:
        self._band = band
        self._limit = limit + 1e-9
        self._seen = 0
        # Rows taken, none of which others make up, and their places.
        self._rows: NDArray | None = None
        self._places = np.empty(0, dtype=np.int64)

    def leave_out(self, dosage: NDArray) -> NDArray[np.bool_]:
        """Which of the next rows must not be multiplied with others, bool (rows,).

        Parameters
        ----------
        dosage : array, shape (rows, people)
            Copies of the ALT, no call missing.
        """
        rows = np.asarray(dosage, dtype=np.float64)
        rows = rows - rows.mean(axis=1, keepdims=True)
        held = self._places > self._seen - 2 * self._band + 1
        before = np.empty((0, rows.shape[1])) if self._rows is None else self._rows[held]
        basis = np.linalg.qr(before.T)[0]
        leverage = (basis**2).sum(axis=1)
        # Subtracting twice is enough (Kahan).
        rest = rows - (rows @ basis) @ basis.T
        rest -= (rest @ basis) @ basis.T
        found = np.zeros(len(rows), dtype=bool)
        taken: list[int] = []
        directions = np.empty_like(rest)
        for row, own in enumerate(rest):
            new = directions[: len(taken)]
            own = own - (new @ own) @ new
            own = own - (new @ own) @ new
            square = float(own @ own)
            if square <= _NOTHING * float(rows[row] @ rows[row]):
                continue
            raised = leverage + own**2 / square
            if raised.max() > self._limit:
                found[row] = True
                continue
            leverage = raised
            directions[len(taken)] = own / np.sqrt(square)
            taken.append(row)
        self._rows = np.concatenate([before, rows[taken]])
        self._places = np.concatenate([self._places[held], self._seen + np.array(taken, np.int64)])
        self._seen += len(rows)
        return found


def filled_dosage(dosage: NDArray) -> NDArray:
    """Dosages (rows, people) with missing calls as the most common genotype of their row."""
    tallies = np.stack([(dosage == copies).sum(axis=1) for copies in (0, 1, 2)])
    fill = np.argmax(tallies, axis=0).astype(dosage.dtype)
    return np.where(dosage < 0, fill[:, np.newaxis], dosage)
