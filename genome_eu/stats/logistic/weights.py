"""How many people stand behind the sums of a row at the numbers that a coordinator chooses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import compiled, compiled_in_lanes
from genome_eu.stats.block import Block
from genome_eu.stats.logistic.dosage import by_trait
from genome_eu.stats.logistic.null import Fitted
from genome_eu.stats.logistic.tiles import TILE, exp_minus, fill_and_centre, fill_tile, slabs


def people_behind(
    block: Block,
    fitted: Fitted,
    trait: NDArray,
    tilts: NDArray,
    coefficients: NDArray,
    mean: NDArray | None = None,
    *,
    weighted: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """People by their weights μ(1−μ) where ĝ times a tilt is added to the linear predictor.

    Parameters
    ----------
    block : Block
        The rows of the tests.
    fitted : Fitted
    trait : int array, shape (rows,)
    tilts : float64 array, shape (rows, any)
        Effects of Firth's test, or the two t of a saddlepoint.
    coefficients : float64 array, shape (rows, width)
    mean : float64 array, shape (rows,), optional
        What replaces missing calls, with a common intercept.
    weighted : bool
        Whether ĝ is centred with the weights of the null model, as in the saddlepoint.

    Returns
    -------
    people : float64 array, shape (rows,)
        Σw/max w, `exposure.effective_people`, of the tilt where it is least.
    sides : float64 array, shape (rows,)
        People on the smaller side of ĝ = 0. Both are infinite where nobody takes part, this one
        also where ĝ is 0 of everybody.
    """
    design = fitted.design
    people, sides = np.full((2, block.rows), np.inf)
    for one, tests in by_trait(block, trait):
        who = design.who(one)
        if not who.size:
            continue
        x, weight = design.x[who], None
        if design.site_effects:
            weight = fitted.weight[who, one].copy() if weighted else np.ones(who.size)
            x = x - (fitted.centre[one] if weighted else x.mean(axis=0))
        of_rows = coefficients[tests], *fill_and_centre(block, tests, who, mean, weight)
        eta, by = fitted.eta[who, one], tilts[tests]
        weights, signs = np.zeros((tests.size, tilts.shape[1], 2)), np.zeros((tests.size, 2))
        for copies, here, span in slabs(block, who):
            columns = np.asfortranarray(x[span])
            _weigh(copies, tests, here, columns, *of_rows, eta[span], by, weights, signs)
        with np.errstate(invalid="ignore"):
            each = np.where(weights[..., 1] > 0, weights[..., 0] / weights[..., 1], 0.0)
        people[tests] = each.min(axis=1)
        sides[tests] = np.where(signs.any(axis=1), signs.min(axis=1), np.inf)
    return people, sides


@compiled
def _weigh(
    copies: NDArray,
    rows: NDArray,
    who: NDArray,
    x: NDArray,
    coefficients: NDArray,
    fill: NDArray,
    centre: NDArray,
    eta: NDArray,
    tilts: NDArray,
    weights: NDArray,
    signs: NDArray,
) -> None:
    """Add up weights, and find the largest, at each tilt; count who is on which side of 0."""
    tile = np.empty(TILE)
    for start in range(0, who.size, TILE):
        for k in range(rows.size):
            people = fill_tile(
                copies, rows[k], who, x, coefficients[k], fill[k], centre[k], start, tile
            )
            left, here = tile[:people], eta[start : start + people]
            signs[k, 0] += (left > 0.0).sum()
            signs[k, 1] += (left < 0.0).sum()
            for number in range(tilts.shape[1]):
                _add_weights(left, here, tilts[k, number], weights[k, number])


@compiled_in_lanes
def _add_weights(left: NDArray, eta: NDArray, tilt: float, out: NDArray) -> None:
    total, largest = 0.0, out[1]
    for i in range(left.size):
        small = exp_minus(abs(eta[i] + tilt * left[i]))
        inverse = 1.0 / (1.0 + small)
        weight = small * inverse * inverse
        total += weight
        largest = max(largest, weight)
    out[0] += total
    out[1] = largest
