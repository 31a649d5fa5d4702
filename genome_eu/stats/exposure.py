"""How far columns of a model set single people apart: the numbers that disclosure checks judge.

They look at columns as they are and at nothing that a plan says of them, and none changes when a
column is scaled; classes and leverage do not change when it is shifted, either.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def smallest_class(columns: NDArray) -> int | None:
    """Fewest people who differ from the most common value, over the columns that vary.

    Parameters
    ----------
    columns : float64 array, shape (people, columns)
        NaN where missing.

    Returns
    -------
    int or None
        None where no column varies.
    """
    fewest = []
    for column in columns.T:
        sizes = np.unique(column[~np.isnan(column)], return_counts=True)[1]
        if sizes.size > 1:
            fewest.append(int(sizes.sum() - sizes.max()))
    return min(fewest, default=None)


def smallest_cell(cells: NDArray, members: NDArray[np.bool_]) -> int | None:
    """Fewest people of one cell of a classification, the reference's included.

    Parameters
    ----------
    cells : int64 array, shape (people, classifications)
        The cell that each person is in.
    members : bool array, shape (people,)
        Who counts.

    Returns
    -------
    int or None
        None where no classification tells anybody apart.
    """
    fewest = []
    for column in cells[members].T:
        sizes = np.unique(column, return_counts=True)[1]
        if sizes.size > 1:
            fewest.append(int(sizes.min()))
    return min(fewest, default=None)


def largest_leverage(columns: NDArray) -> float:
    """The largest share that one person has in any combination of the columns.

    1 means that some combination is zero for everybody but one person, so that its products with
    genotypes are that person's. The intercept, which everybody shares alike, is taken out first.

    Parameters
    ----------
    columns : float64 array, shape (people, columns)
        No missing values.

    Returns
    -------
    float
        Largest diagonal element of the projection on the centred columns; 0 where none varies.

    References
    ----------
    Belsley, Kuh & Welsch (1980), Regression Diagnostics, chapter 2.
    """
    if not columns.size:
        return 0.0
    # Each column by its own largest value first: none can hide behind the scale of another.
    largest = np.abs(columns).max(axis=0)
    scaled = columns / np.where(largest > 0, largest, 1.0)
    centred = scaled - scaled.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0))
    varies = spread > 1e-12
    if not varies.any():
        return 0.0
    left, sizes, _ = np.linalg.svd(centred[:, varies] / spread[varies], full_matrices=False)
    # What rounding leaves of a combination; a person who is left by more could be read from sums.
    kept = left[:, sizes > 1e-12 * sizes.max()]
    return float((kept**2).sum(axis=1).max())


def effective_people(weights: NDArray) -> NDArray[np.float64]:
    """How many people a weighted sum is of: as many as have the largest weight would add up to it.

    1 where one person has all of the weight, and 0 where nobody has any.

    Parameters
    ----------
    weights : float64 array, shape (people,) or (sums, people)
        Signs do not count.

    Returns
    -------
    float64 array, shape () or (sums,)
    """
    size = np.abs(np.asarray(weights, np.float64))
    largest = size.max(axis=-1, initial=0.0)
    return np.where(largest > 0, size.sum(axis=-1) / np.where(largest > 0, largest, 1.0), 0.0)
