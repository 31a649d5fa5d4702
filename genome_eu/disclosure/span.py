"""What the columns of all releases together can be combined to: nobody's own, or nearly.

Two columns that differ in one person pass one after the other, each by itself, and their products
with genotypes differ by that person's. So a site keeps the directions that its columns span, over
all the people whom it ever described, and looks at the leverage that anybody has on them (Belsley,
Kuh & Welsch 1980). A column on some of the people is zero for the others, and so is their
indicator: columns of parts and of the whole are compared as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# What rounding leaves of a column of unit length that others make up.
_NOTHING = 1e-11


class Span:
    """Orthonormal directions over the people of a roll; who joins it later is 0 in those before."""

    def __init__(self) -> None:
        self._directions = np.empty((0, 0))

    @property
    def directions(self) -> NDArray[np.float64]:
        """(directions, people)."""
        return self._directions

    def add(self, directions: NDArray[np.float64]) -> None:
        """Take in what `beside` gave."""
        people = max(self._directions.shape[1], directions.shape[1])
        self._directions = np.vstack([_wide(self._directions, people), _wide(directions, people)])

    def beside(self, columns: NDArray) -> tuple[NDArray[np.float64], float]:
        """What columns add to the span, and the largest leverage of anybody for whom they do.

        Parameters
        ----------
        columns : float64 array, shape (columns, people)
            0 for whom they do not describe.

        Returns
        -------
        directions : float64 array, shape (new directions, people)
        leverage : float
            0 where nothing is added.
        """
        people = max(columns.shape[1], self._directions.shape[1])
        known = _wide(self._directions, people)
        columns = _wide(np.asarray(columns, np.float64), people)
        largest = np.abs(columns).max(axis=1, initial=0.0)
        columns = columns[largest > 0] / largest[largest > 0, None]
        rest = columns / np.sqrt((columns**2).sum(axis=1, keepdims=True))
        # Subtracting twice is enough (Kahan).
        for _ in range(2):
            rest = rest - (rest @ known.T) @ known
        _, sizes, right = np.linalg.svd(rest, full_matrices=False)
        new = right[sizes > _NOTHING]
        if not len(new):
            return new, 0.0
        # Also of who is not described: somebody who has left is set apart by those who stayed.
        more = (new**2).sum(axis=0)
        leverage = (known**2).sum(axis=0) + more
        return new, float(leverage[more > _NOTHING].max(initial=0.0))


def _wide(rows: NDArray[np.float64], people: int) -> NDArray[np.float64]:
    """Rows over more people, who are 0 in them."""
    if rows.shape[1] == people:
        return rows
    return np.hstack([rows, np.zeros((len(rows), people - rows.shape[1]))])
