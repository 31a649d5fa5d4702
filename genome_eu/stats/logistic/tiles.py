"""What covariates leave of dosages, ĝ = g − ḡ − (x − x̄)ᵀc, a tile of people at a time.

A tile of a few hundred people stays in the nearest cache, their covariates with it, while all rows
pass; its loops are of vector instructions, the exponential function's included.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import bits_of, compiled, compiled_in_lanes, from_bits
from genome_eu.stats.block import Block

#: People of a tile.
TILE = 512
# Dosages at a time, of as many tiles as that makes.
_SLAB_ENTRIES = 2**20

_LOG2_E = 1.4426950408889634
_LN_2_HIGH, _LN_2_LOW = 0.6931471803691238, 1.9082149292705877e-10
# Adding it leaves a whole number in the lowest bits.
_WHOLE = 6755399441055744.0


@compiled_in_lanes
def _polynomial(r: float) -> float:
    """e^r by Taylor's series, for |r| up to (ln 2)/2, where what is left out is below 1e-17."""
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    return p * r + 1.0


@compiled
def exp_minus(x: float) -> float:
    """e^−x of x ≥ 0 within 1e-15 relative; from 708 on it stays what it is there, about 1e-308."""
    y = -min(x, 708.0)
    shifted = y * _LOG2_E + _WHOLE
    power = shifted - _WHOLE
    r = (y - power * _LN_2_HIGH) - power * _LN_2_LOW
    return _polynomial(r) * from_bits((bits_of(shifted) + 1023) << 52)


def slabs(block: Block, who: NDArray) -> Iterator[tuple[NDArray, NDArray, slice]]:
    """Dosages of a few tiles of people at a time: those of everybody would not stay in a cache.

    Parameters
    ----------
    block : Block
    who : int64 array
        The people who take part, in order.

    Yields
    ------
    copies : array, shape (rows, people of the slab)
        What `Block.dosages` gives.
    here : int64 array
        Who of them takes part, as places in `copies`.
    span : slice
        Their places in `who`.
    """
    size = TILE * max(1, _SLAB_ENTRIES // (TILE * max(block.rows, 1)))
    for start in range(0, block.people, size):
        stop = min(start + size, block.people)
        first, last = np.searchsorted(who, (start, stop)).tolist()
        if first < last:
            yield block.dosages(start, stop), who[first:last] - start, slice(first, last)


def fill_and_centre(
    block: Block, rows: NDArray, who: NDArray, mean: NDArray | None, weight: NDArray | None
) -> tuple[NDArray, NDArray]:
    """What replaces missing calls in some rows, and what their dosages are centred at.

    Parameters
    ----------
    block : Block
    rows, who : int64 arrays
        The rows, and the people.
    mean : float64 array, shape (all rows,), optional
        Of the called, with a common intercept: it replaces missing calls, and nothing is centred.
    weight : float64 array, shape (people of `who`,), optional
        Where a site has an intercept of its own: its own mean of the called replaces missing calls,
        and dosages are centred at the mean with these weights. One of the two is given.
    """
    fill, centre = np.zeros((2, rows.size))
    if weight is not None:
        everybody, weights = np.full(block.people, -1), np.zeros((block.people, 1))
        everybody[who], weights[who, 0] = 0, weight
        called, _, copies, _ = block.tally(everybody, 1)
        dosage, missing = block.matmul(weights)
        fill = (copies / np.maximum(called, 1))[rows, 0]
        centre = (dosage[rows, 0] + fill * missing[rows, 0]) / weight.sum()
    elif mean is not None:
        fill[:] = mean[rows]
    return fill, centre


@compiled_in_lanes
def fill_tile(
    copies: NDArray,
    row: int,
    who: NDArray,
    x: NDArray,
    coefficients: NDArray,
    fill: float,
    centre: float,
    start: int,
    out: NDArray,
) -> int:
    """Fill in ĝ of one row for the people from `start` on; how many they are.

    `x` is (people, width), contiguous along people, and `coefficients` (width,).
    """
    people = min(out.size, who.size - start)
    if who.size == copies.shape[1]:
        for i in range(people):
            value = float(copies[row, start + i])
            out[i] = (value if value >= 0.0 else fill) - centre
    else:
        for i in range(people):
            value = float(copies[row, who[start + i]])
            out[i] = (value if value >= 0.0 else fill) - centre
    width = coefficients.size
    # Four columns in one go over the tile.
    whole = width - width % 4
    for c in range(0, whole, 4):
        c0, c1, c2, c3 = coefficients[c : c + 4]
        x0, x1, x2, x3 = x[start:, c], x[start:, c + 1], x[start:, c + 2], x[start:, c + 3]
        for i in range(people):
            out[i] -= (c0 * x0[i] + c1 * x1[i]) + (c2 * x2[i] + c3 * x3[i])
    for c in range(whole, width):
        by, column = coefficients[c], x[start:, c]
        for i in range(people):
            out[i] -= by * column[i]
    return people
