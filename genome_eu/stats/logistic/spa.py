"""Saddlepoint p-values of score statistics: right where cases are few and alleles rare.

S = Σ ĝ(y − μ) has the cumulant generating function K(t) = Σ ln(1 − μ + μe^{tĝ}) − tΣĝμ, ĝ what the
covariates leave of the dosage, weighted by μ(1−μ). Both tails, at S and at −S, are worked out: each
round the coordinator sends a t per tail, and sites send K, K′ and K″ there.

References
----------
Dey, Schmidt, Abecasis & Lee (2017), Am J Hum Genet 101:37–49; Barndorff-Nielsen (1990), J R Stat
Soc B 52:485–496.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from genome_eu.compiled import compiled, compiled_in_lanes
from genome_eu.stats.aggregate import Aggregate, total
from genome_eu.stats.block import Block
from genome_eu.stats.logistic.dosage import by_trait
from genome_eu.stats.logistic.null import Fitted
from genome_eu.stats.logistic.tiles import TILE, exp_minus, fill_and_centre, fill_tile, slabs

#: Scores nearer to 0 are left alone: there S is normal, and the formula a quotient of roundings.
LEAST = 0.1
#: Rounds after which a root has not been found.
MOST_ROUNDS = 60
# Relative to the standard deviation of S at the root.
_TOLERANCE = 1e-11
# A statistic so near the end of its range has no root worth finding: the probability there is that
# of a single outcome.
_EDGE = 1e-9
# People whose factors are multiplied before a logarithm is taken.
_FACTORS = 16

#: What has become of a tail: going on, found, out of range (nothing lies beyond), or failed.
GOING_ON, FOUND, BEYOND, FAILED = range(4)


@dataclass(frozen=True, eq=False)
class SpaSums(Aggregate):
    """K and two derivatives at one t per tail, and the range that S can have."""

    statistic = "logistic_spa"

    cumulant: NDArray = total("cumulant", "rows", "tails", gate="association")
    slope: NDArray = total("dosage", "rows", "tails", gate="association")
    spread: NDArray = total("dosage²", "rows", "tails", gate="association")
    least: NDArray = total("dosage", "rows", gate="association")
    most: NDArray = total("dosage", "rows", gate="association")


@dataclass(frozen=True, eq=False)
class Tails:
    """Where the roots of K′(t) = S and −S stand; the coordinator's own. Arrays are (tests, 2)."""

    t: NDArray  # to be sent
    score: NDArray  # what K′ should be
    status: NDArray  # int8
    rounds: int
    low: NDArray  # between these lies the root
    high: NDArray
    log_p: NDArray  # ln of the tail's probability, where found

    @property
    def active(self) -> NDArray[np.int64]:
        """Tests with a tail that needs another round."""
        return np.flatnonzero((self.status == GOING_ON).any(axis=1))

    @property
    def done(self) -> bool:
        """Whether no tail needs another round."""
        return not (self.status == GOING_ON).any()


def start_spa(u: NDArray, v: NDArray) -> Tails:
    """Tails of tests with scores `u` and variances `v`, float64 (tests,)."""
    score = np.column_stack([u, -u])
    shape = score.shape
    return Tails(
        t=score / v[:, None],
        score=score,
        status=np.full(shape, GOING_ON, np.int8),
        rounds=0,
        low=np.full(shape, -np.inf),
        high=np.full(shape, np.inf),
        log_p=np.full(shape, -np.inf),
    )


def summarize_spa(
    block: Block,
    fitted: Fitted,
    trait: NDArray,
    t: NDArray,
    coefficients: NDArray,
    mean: NDArray | None = None,
) -> SpaSums:
    """One round at one site.

    Parameters
    ----------
    block : Block
        The rows of the tests.
    fitted : Fitted
    trait : int array, shape (rows,)
    t : float64 array, shape (rows, 2)
    coefficients : float64 array, shape (rows, width)
        `ScoreResult.coefficients`.
    mean : float64 array, shape (rows,), optional
        `ScoreResult.mean`, with a common intercept; a site with its own takes its own mean.
    """
    design, rows = fitted.design, block.rows
    sums, ends = np.zeros((rows, 2, 3)), np.zeros((rows, 2))
    for one, tests in by_trait(block, trait):
        who = design.who(one)
        if not who.size:
            continue
        weight = np.ascontiguousarray(fitted.weight[who, one]) if design.site_effects else None
        of_rows = coefficients[tests], *fill_and_centre(block, tests, who, mean, weight)
        x, mu, at = design.x[who] - fitted.centre[one], fitted.mu[who, one], t[tests]
        found, limits = np.zeros((tests.size, 2, 3)), np.zeros((tests.size, 2))
        for copies, here, span in slabs(block, who):
            columns = np.asfortranarray(x[span])
            _cumulants(copies, tests, here, columns, *of_rows, mu[span], at, found, limits)
        sums[tests], ends[tests] = found, limits
    return SpaSums(
        cumulant=sums[..., 0],
        slope=sums[..., 1],
        spread=sums[..., 2],
        least=ends[:, 0],
        most=ends[:, 1],
    )


@compiled
def _cumulants(
    copies: NDArray,
    rows: NDArray,
    who: NDArray,
    x: NDArray,
    coefficients: NDArray,
    fill: NDArray,
    centre: NDArray,
    mu: NDArray,
    t: NDArray,
    sums: NDArray,
    ends: NDArray,
) -> None:
    """Add K, K′ and K″ at each t, and the least and most that S can be."""
    tile, expected = np.empty(TILE), np.zeros(rows.size)
    for start in range(0, who.size, TILE):
        for k in range(rows.size):
            people = fill_tile(
                copies, rows[k], who, x, coefficients[k], fill[k], centre[k], start, tile
            )
            here = mu[start : start + people]
            expected[k] += _add_ends(tile[:people], here, ends[k])
            for tail in range(2):
                _add_tile(tile[:people], here, t[k, tail], sums[k, tail])
    for k in range(rows.size):
        ends[k] -= expected[k]
        sums[k, :, 0] -= t[k] * expected[k]
        sums[k, :, 1] -= expected[k]


@compiled_in_lanes
def _add_ends(d: NDArray, mu: NDArray, ends: NDArray) -> float:
    """Add what S can be at least and at most, before what is expected; and tell that."""
    least = most = expected = 0.0
    for i in range(d.size):
        expected += d[i] * mu[i]
        least += min(d[i], 0.0)
        most += max(d[i], 0.0)
    ends[0] += least
    ends[1] += most
    return expected


@compiled_in_lanes
def _add_tile(d: NDArray, mu: NDArray, t: float, sums: NDArray) -> None:
    k = k1 = k2 = 0.0
    for first in range(0, d.size, _FACTORS):
        product = 1.0
        last = min(first + _FACTORS, d.size)
        for i in range(first, last):
            exponent = t * d[i]
            small = exp_minus(abs(exponent))
            # Both weights are divided by the larger of 1 and e^{tĝ}.
            case = mu[i] if exponent > 0.0 else mu[i] * small
            control = 1.0 - mu[i] if exponent <= 0.0 else (1.0 - mu[i]) * small
            inverse = 1.0 / (case + control)
            k += max(exponent, 0.0)
            product *= case + control
            tilted = case * inverse * d[i]
            k1 += tilted
            k2 += tilted * d[i] * control * inverse
        if product > 1e-290:
            k += math.log(product)
            continue
        # Where some are all but certain the product leaves the range of floats.
        for i in range(first, last):
            at = t * d[i]
            small = math.exp(-abs(at))
            k += math.log(mu[i] + (1.0 - mu[i]) * small if at > 0 else mu[i] * small + 1.0 - mu[i])
    sums[0] += k
    sums[1] += k1
    sums[2] += k2


def update_spa(tails: Tails, sums: SpaSums) -> Tails:
    """The next t of every tail, from the merged answers for the active tests."""
    here = tails.active
    after = replace(
        tails,
        rounds=tails.rounds + 1,
        **{name: getattr(tails, name).copy() for name in ("t", "status", "low", "high", "log_p")},
    )
    t, status = tails.t[here], tails.status[here]
    low, high, log_p = tails.low[here], tails.high[here], tails.log_p[here]
    score = tails.score[here]
    off = sums.slope - score
    spread = np.sqrt(np.maximum(sums.spread, np.finfo(float).tiny))

    width = (sums.most - sums.least)[:, None]
    beyond = (score >= sums.most[:, None] - _EDGE * width) | (
        score <= sums.least[:, None] + _EDGE * width
    )
    low, high = np.where(off < 0, t, low), np.where(off > 0, t, high)
    found = np.abs(off) <= _TOLERANCE * spread
    with np.errstate(over="ignore", invalid="ignore"):
        step = t - off / spread**2
        outside = ~((step > low) & (step < high))
        # Halve a bracket, or go further out where there is none yet.
        middle = np.where(np.isinf(low) | np.isinf(high), 2.0 * t, 0.5 * (low + high))
        step = np.where(outside, middle, step)
    moving = status == GOING_ON
    fresh = np.select(
        [beyond, found, np.full(t.shape, tails.rounds + 1 >= MOST_ROUNDS)],
        [BEYOND, FOUND, FAILED],
        default=GOING_ON,
    )
    newly = moving & (fresh == FOUND)
    log_p = np.where(newly, _log_tail(t, sums.cumulant, spread, score), log_p)
    after.status[here] = np.where(moving, fresh, status)
    after.t[here] = np.where(moving & (fresh == GOING_ON), step, t)
    after.low[here], after.high[here], after.log_p[here] = low, high, log_p
    return after


def _log_tail(t: NDArray, k: NDArray, spread: NDArray, score: NDArray) -> NDArray:
    """ln of the probability beyond a score, away from 0, by Barndorff-Nielsen's formula."""
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.sqrt(np.maximum(2.0 * (t * score - k), 0.0))
        v = np.abs(t) * spread
        return log_ndtr(-(w + np.log(v / w) / w))


def finalize_spa(tails: Tails) -> tuple[NDArray, NDArray]:
    """−log10 of the two-sided p-values, (tests,), NaN where the tail of S itself has no root.

    Returns
    -------
    neg_log10_p : float64 array
    found : bool array
        Where the observed tail has a root. Nothing lies beyond the other one where it has none.
    """
    observed = tails.status[:, 0] == FOUND
    other = (tails.status[:, 1] == FOUND) | (tails.status[:, 1] == BEYOND)
    found = observed & other
    log_p = np.logaddexp(tails.log_p[:, 0], tails.log_p[:, 1])
    neg = np.maximum(-log_p / math.log(10.0), 0.0)
    return np.where(found, neg, np.nan), found
