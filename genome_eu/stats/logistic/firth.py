"""Firth's penalized test of one coefficient, the covariates' effects kept as an offset.

REGENIE's approximation: the null model is fitted once with Firth's penalty, its linear predictor
becomes the offset, and of a row remains ĝ = g − X(XᵀX)⁻¹Xᵀg, without weights. The penalized
log-likelihood of β is l(β) + ½ ln Σwĝ².

References
----------
Mbatchou et al. (2021), Nat Genet 53:1097–1103; Firth (1993), Biometrika 80:27–38.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from genome_eu.compiled import compiled, compiled_in_lanes
from genome_eu.stats.aggregate import Aggregate, total
from genome_eu.stats.block import Block
from genome_eu.stats.logistic.dosage import by_trait
from genome_eu.stats.logistic.model import Design
from genome_eu.stats.logistic.null import Fitted, Null
from genome_eu.stats.logistic.tiles import TILE, exp_minus, fill_and_centre, fill_tile, slabs

#: Rounds after which a fit has failed.
MOST_ROUNDS = 60
# Effects are this near to the root, in standard errors.
_TOLERANCE = 1e-11
_LARGEST_STEP = 5.0
_HALVINGS = 25
# A penalized likelihood that falls by more than rounding calls for half the step.
_FALL = 1e-9
_STEPS_TO_ROOT = 4

#: What has become of a fit.
GOING_ON, CONVERGED, FAILED = range(3)


@dataclass(frozen=True, eq=False)
class ProductSums(Aggregate):
    """Xᵀg of the rows to be tested, missing calls imputed, centred within sites that have one."""

    statistic = "logistic_products"

    gx: NDArray = total("dosage·covariate", "rows", "covariates", gate="association")


@dataclass(frozen=True, eq=False)
class FirthSums(Aggregate):
    """One round at the effects sent: the log-likelihood, and its derivatives' sums."""

    statistic = "logistic_firth"

    loglik: NDArray = total("log-likelihood", "rows", gate="association")
    score: NDArray = total("dosage·residual", "rows", gate="association")
    square: NDArray = total("weight·dosage²", "rows", gate="association")
    cube: NDArray = total("weight·dosage³", "rows", gate="association")
    fourth: NDArray = total("weight·dosage⁴", "rows", gate="association")


def summarize_products(
    block: Block, design: Design, trait: NDArray, mean: NDArray | None = None
) -> ProductSums:
    """Xᵀg at one site, without weights.

    Parameters
    ----------
    trait : int array, shape (rows,)
    mean : float64 array, shape (rows,), optional
        `ScoreResult.mean`, with a common intercept.
    """
    gx = np.zeros((block.rows, design.width))
    for one, tests in by_trait(block, trait):
        included = design.included[:, one]
        if not included.any():
            continue
        x = np.where(included[:, None], design.x, 0.0)
        own = np.zeros(block.rows) if mean is None else mean
        if design.site_effects:
            x[included] -= x[included].mean(axis=0)
            called, _, alleles, _ = block.tally(np.where(included, 0, -1), 1)
            own = alleles[:, 0] / np.maximum(called[:, 0], 1)
        dosage, missing = block.matmul(x)
        gx[tests] = (dosage + own[:, None] * missing)[tests]
    return ProductSums(gx=gx)


def projection(null: Null, trait: NDArray, sums: ProductSums) -> NDArray:
    """(XᵀX)⁻¹Xᵀg of every test, (tests, width), to be sent."""
    coefficients = np.zeros(sums.gx.shape)
    for one in np.unique(trait).tolist() if sums.gx.shape[1] else []:
        tests = trait == one
        factor = cho_factor(null.xx[one])
        coefficients[tests] = cho_solve(factor, sums.gx[tests].T).T
    return coefficients


def summarize_firth(
    block: Block,
    fitted: Fitted,
    trait: NDArray,
    effect: NDArray,
    coefficients: NDArray,
    mean: NDArray | None = None,
) -> FirthSums:
    """One round at one site.

    Parameters
    ----------
    block : Block
        The rows of the tests.
    fitted : Fitted
        People under Firth's own null model (`start_null(..., firth=True)`).
    trait : int array, shape (rows,)
    effect : float64 array, shape (rows,)
    coefficients : float64 array, shape (rows, width)
        `projection` of the row.
    mean : float64 array, shape (rows,), optional
        `ScoreResult.mean`, with a common intercept.
    """
    design, sums = fitted.design, np.zeros((block.rows, 5))
    for one, tests in by_trait(block, trait):
        who = design.who(one)
        if not who.size:
            continue
        x, weight = design.x[who], None
        if design.site_effects:
            x, weight = x - x.mean(axis=0), np.ones(who.size)
        of_rows = coefficients[tests], *fill_and_centre(block, tests, who, mean, weight)
        y, eta, to = design.y[who, one], fitted.eta[who, one], effect[tests]
        found = np.zeros((tests.size, 5))
        for copies, here, span in slabs(block, who):
            columns = np.asfortranarray(x[span])
            _likelihoods(copies, tests, here, columns, *of_rows, y[span], eta[span], to, found)
        sums[tests] = found
    return FirthSums(
        loglik=sums[:, 0],
        score=sums[:, 1],
        square=sums[:, 2],
        cube=sums[:, 3],
        fourth=sums[:, 4],
    )


@compiled
def _likelihoods(
    copies: NDArray,
    rows: NDArray,
    who: NDArray,
    x: NDArray,
    coefficients: NDArray,
    fill: NDArray,
    centre: NDArray,
    y: NDArray,
    fixed: NDArray,
    effect: NDArray,
    out: NDArray,
) -> None:
    """Add to `out` ln L, Σĝ(y−μ), Σwĝ², Σw(1−2μ)ĝ³ and Σw(1−6w)ĝ⁴ of every row.

    The last two are the first and second derivative of the third.
    """
    tile = np.empty(TILE)
    for start in range(0, who.size, TILE):
        for k in range(rows.size):
            people = fill_tile(
                copies, rows[k], who, x, coefficients[k], fill[k], centre[k], start, tile
            )
            end = start + people
            _add_tile(tile[:people], y[start:end], fixed[start:end], effect[k], out[k])


@compiled_in_lanes
def _add_tile(d: NDArray, y: NDArray, fixed: NDArray, effect: float, out: NDArray) -> None:
    loglik = score = square = cube = fourth = 0.0
    # The logarithm of a product of factors between 1 and 2, at most 2^512.
    product = 1.0
    for i in range(d.size):
        g = d[i]
        eta = fixed[i] + effect * g
        small = exp_minus(abs(eta))
        inverse = 1.0 / (1.0 + small)
        product *= 1.0 + small
        loglik += y[i] * eta - max(eta, 0.0)
        mu = inverse if eta > 0.0 else small * inverse
        w = small * inverse * inverse
        weighted = w * g * g
        score += g * (y[i] - mu)
        square += weighted
        cube += weighted * g * (1.0 - 2.0 * mu)
        fourth += weighted * g * g * (1.0 - 6.0 * w)
    out[0] += loglik - math.log(product)
    out[1] += score
    out[2] += square
    out[3] += cube
    out[4] += fourth


@dataclass(frozen=True, eq=False)
class FirthFits:
    """Where tests stand, all arrays (tests,); the coordinator's own."""

    effect: NDArray  # to be sent
    status: NDArray  # int8
    rounds: int
    base: NDArray  # the best effect so far
    step: NDArray  # from it
    halvings: NDArray  # int64
    objective: NDArray  # penalized log-likelihood at `base`
    at_zero: NDArray  # and without an effect
    square: NDArray  # Σwĝ² at `base`

    @property
    def active(self) -> NDArray[np.int64]:
        """Tests that need another round."""
        return np.flatnonzero(self.status == GOING_ON)

    @property
    def done(self) -> bool:
        """Whether no test needs another round."""
        return not (self.status == GOING_ON).any()


def start_firth(tests: int) -> FirthFits:
    """Tests before their first round, which is at an effect of 0."""
    zeros = np.zeros(tests)
    return FirthFits(
        effect=zeros,
        status=np.full(tests, GOING_ON, np.int8),
        rounds=0,
        base=zeros,
        step=zeros,
        halvings=np.zeros(tests, np.int64),
        objective=np.full(tests, -np.inf),
        at_zero=zeros,
        square=zeros,
    )


def update_firth(fits: FirthFits, sums: FirthSums) -> FirthFits:
    """The next effects, from the merged answers for the active tests.

    With U* = U + T₃/2V and U*′ = −V + (T₄/V − T₃²/V²)/2, T₃ and T₄ the derivatives of V, the step
    goes to the root of U* + U*′s − T₃s²/2 − T₄s³/6, or by U*/V where U is not concave.
    """
    here = fits.active
    after = replace(
        fits,
        rounds=fits.rounds + 1,
        **{
            name: getattr(fits, name).copy()
            for name in (
                *("effect", "status", "base", "step"),
                *("halvings", "objective", "at_zero", "square"),
            )
        },
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        v = np.where(sums.square > 0, sums.square, np.nan)
        objective = sums.loglik + 0.5 * np.log(v)
        score = sums.score + 0.5 * sums.cube / v
        slope = v - 0.5 * (sums.fourth / v - (sums.cube / v) ** 2)
        concave = slope > 0.1 * v
        slope = np.where(concave, slope, v)
        step = _to_root(score, slope, sums.cube, sums.fourth)
        off = np.abs(step) * np.sqrt(v)
        # A step leaves out the third derivative of ln V, in standard errors below 6(2/√V)³ where
        # no ĝ is beyond 2.
        off = np.where(concave, 1.5 * (2.0 / np.sqrt(v)) ** 3 * off**2, off)
    fell = fits.objective[here] - objective > _FALL * (1.0 + np.abs(objective))
    halve = fell & (fits.halvings[here] < _HALVINGS)
    failed = ~np.isfinite(step) | ~np.isfinite(objective)
    moved = ~halve & ~failed
    to = here[moved]
    after.base[to] = fits.effect[to]
    after.objective[to] = objective[moved]
    after.square[to] = v[moved]
    after.halvings[to] = 0
    after.step[to] = np.clip(step[moved], -_LARGEST_STEP, _LARGEST_STEP)
    after.step[here[halve]] *= 0.5
    after.halvings[here[halve]] += 1
    after.effect[here] = after.base[here] + after.step[here]
    if fits.rounds == 0:
        after.at_zero[:] = after.objective
    converged = moved & (off <= _TOLERANCE)
    # The last step is made, too; what it changes is known without another round.
    to, last = here[converged], step[converged]
    after.objective[to] += (score - 0.5 * slope * step)[converged] * last
    after.square[to] += (sums.cube + 0.5 * sums.fourth * step)[converged] * last
    late = fits.rounds + 1 >= MOST_ROUNDS
    status = np.select(
        [converged, failed & ~halve, np.full(here.size, late)],
        [CONVERGED, FAILED, FAILED],
        default=GOING_ON,
    )
    after.status[here] = status
    return after


def _to_root(score: NDArray, slope: NDArray, cube: NDArray, fourth: NDArray) -> NDArray:
    """The root s of score − slope·s − cube·s²/2 − fourth·s³/6 next to Newton's step, or that."""
    newton = score / slope
    s = newton
    for _ in range(_STEPS_TO_ROOT):
        falls = slope + (cube + 0.5 * fourth * s) * s
        s = s + (score - (slope + (0.5 * cube + fourth * s / 6.0) * s) * s) / falls
    falls = slope + (cube + 0.5 * fourth * s) * s
    trusted = (falls > 0.1 * slope) & (np.abs(s - newton) <= np.abs(newton))
    return np.where(trusted, s, newton)


def finalize_firth(fits: FirthFits) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Effects, standard errors, χ² of the penalized likelihood-ratio test, and where there is one.

    Returns
    -------
    beta, se, chisq : float64 arrays, shape (tests,)
        NaN where the fit failed. SE is (Σwĝ²)^−½.
    found : bool array
    """
    found = fits.status == CONVERGED
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.where(found, 1.0 / np.sqrt(fits.square), np.nan)
    chisq = np.maximum(2.0 * (fits.objective - fits.at_zero), 0.0)
    return np.where(found, fits.effect, np.nan), se, np.where(found, chisq, np.nan), found
