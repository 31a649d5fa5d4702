"""Converged fits of all parameters, row by row: maximum likelihood (Wald) and Firth's penalty.

These are PLINK's fits. Each round the coordinator sends every row's parameters, and for Firth's
penalty the inverse information matrix of the round before, from which sites work out leverages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, count, total
from genome_eu.stats.block import Block
from genome_eu.stats.logistic import codes, newton
from genome_eu.stats.logistic.dosage import by_trait, chunks, imputed
from genome_eu.stats.logistic.model import Design
from genome_eu.stats.logistic.null import Null
from genome_eu.stats.logistic.profile import profile
from genome_eu.stats.logistic.score import ScoreResult

# A fit whose information on the row has fallen to this part of the null model's is separated.
_SEPARATED = 1e-3


@dataclass(frozen=True, eq=False)
class FitSums(Aggregate):
    """One round of every row's fit; the last of its parameters is the row's effect."""

    statistic = "logistic_fit"

    cases: NDArray = count("people", "rows", gate="missing")
    controls: NDArray = count("people", "rows", gate="missing")
    intercepts: NDArray = count("sites", "rows", gate="missing")
    score: NDArray = total("column·residual", "rows", "parameters", gate="missing")
    information: NDArray = total("column²", "rows", "parameters", "parameters", gate="missing")
    curvature: NDArray = total("column²", "rows", "parameters", "parameters", gate="missing")
    loglik: NDArray = total("log-likelihood", "rows", gate="missing")
    log_weight: NDArray = total("log weight", "rows", gate="missing")


@dataclass(frozen=True, eq=False)
class FullResult:
    """Converged fits, float64 (tests,) unless said otherwise; NaN where there is none."""

    beta: NDArray
    se: NDArray
    z: NDArray
    n_cases: NDArray  # int64
    n_controls: NDArray
    errcode: NDArray  # int8, a place in `ERRCODES`


def start_full(
    null: Null, score: ScoreResult, rows: NDArray, trait: NDArray, *, firth: bool
) -> newton.Fits:
    """Fits before their first round: one step from the null model.

    Parameters
    ----------
    null : Null
    score : ScoreResult
    rows, trait : int arrays, shape (tests,)
        Places in `score` of the tests.
    firth : bool
    """
    width = null.theta.shape[1]
    effect = np.nan_to_num(np.clip(score.beta[rows, trait], -1.0, 1.0))
    c, v = score.coefficients[rows, trait], score.v[rows, trait]
    theta = np.column_stack([null.theta[trait] - c * effect[:, None], effect])
    if not firth:
        return newton.start(theta, firth=False)
    # The inverse of the null model's information, bordered by the row.
    v = np.where(v > 0, v, 1.0)[:, None, None]
    inverse = np.empty((rows.size, width + 1, width + 1))
    inverse[:, :width, :width] = null.inverse[trait] + c[:, :, None] * c[:, None, :] / v
    inverse[:, :width, width] = inverse[:, width, :width] = -c / v[:, :, 0]
    inverse[:, width, width] = 1.0 / v[:, 0, 0]
    return newton.start(theta, firth=True, inverse=inverse)


def summarize_full(
    block: Block,
    design: Design,
    trait: NDArray,
    theta: NDArray,
    inverse: NDArray | None = None,
    *,
    missing: Literal["mean", "drop"] = "mean",
    mean: NDArray | None = None,
) -> FitSums:
    """One round at one site.

    Parameters
    ----------
    block : Block
        The rows of the tests.
    design : Design
    trait : int array, shape (rows,)
    theta : float64 array, shape (rows, width + 1)
        `Fits.theta` of the active tests.
    inverse : float64 array, shape (rows, width + 1, width + 1), optional
        `Fits.inverse`, given for Firth's penalty only.
    missing : {"mean", "drop"}
        Replace missing calls, or leave those people out of the row.
    mean : float64 array, shape (rows,), optional
        `ScoreResult.mean`, with a common intercept and `missing="mean"`.
    """
    copies, (rows, size) = block.dosages(), theta.shape
    firth = inverse is not None
    counts = np.zeros((rows, 2), np.int64)
    score, loglik, log_weight = np.zeros((rows, size)), np.zeros(rows), np.zeros(rows)
    information, curvature = np.zeros((2, rows, size, size))
    nothing = np.full(rows, np.nan)
    for one, tests in by_trait(block, trait):
        who = design.who(one)
        if not who.size:
            continue
        x = np.ascontiguousarray(design.x[who])
        y, offset = design.y[who, one], design.offset[who, one]
        instead = nothing if missing == "drop" else None if design.site_effects else mean
        for some in chunks(tests, who.size):
            own = [
                np.empty((some.size, size)),
                *np.empty((2, some.size, size, size)),
                *np.empty((2, some.size)),
                np.empty((some.size, 2), np.int64),
            ]
            profile(
                x,
                imputed(copies, some, who, instead),
                y,
                offset,
                theta[some],
                inverse[some] if inverse is not None else np.empty((some.size, 0, 0)),
                firth,
                design.site_effects,
                *own,
                np.empty(some.size),
            )
            score[some], information[some], curvature[some] = own[:3]
            loglik[some], log_weight[some], counts[some] = own[3:]
    return FitSums(
        cases=counts[:, 1],
        controls=counts[:, 0],
        intercepts=(counts.sum(axis=1) > 0) & design.site_effects,
        score=score,
        information=information,
        curvature=curvature,
        loglik=loglik,
        log_weight=log_weight,
    )


def update_full(fits: newton.Fits, sums: FitSums) -> newton.Fits:
    """The next parameters, from the merged answers for the active tests."""
    people = (sums.cases, sums.controls)
    return newton.update(
        fits,
        sums.score,
        sums.information,
        sums.curvature,
        sums.loglik,
        sums.log_weight,
        people,
    )


def finalize_full(fits: newton.Fits, first: FitSums, v: NDArray) -> FullResult:
    """Effects, standard errors and Wald's z.

    Parameters
    ----------
    fits : Fits
        Once it is done.
    first : FitSums
        The merged answer of the first round, which has all tests.
    v : float64 array, shape (tests,)
        `ScoreResult.v`, the information on the row in the null model.
    """
    variance = fits.inverse[:, -1, -1]
    parameters = fits.theta.shape[1] + first.intercepts
    with np.errstate(divide="ignore", invalid="ignore"):
        separated = ~(variance * v < 1.0 / _SEPARATED)
    failed = codes.FIRTH_CONVERGE_FAIL if fits.firth else codes.LOGISTIC_CONVERGE_FAIL
    errcode = np.select(
        [
            (first.cases == 0) | (first.controls == 0),
            first.cases + first.controls <= parameters,
            fits.status == newton.CONVERGED,
            fits.status == newton.SINGULAR,
            separated & (not fits.firth),
        ],
        [codes.CONST_TRAIT, codes.TOO_FEW, codes.FIT, codes.VIF_INFINITE, codes.SEPARATION],
        default=failed,
    ).astype(np.int8)
    fit = errcode == codes.FIT
    beta = np.where(fit, fits.theta[:, -1], np.nan)
    se = np.sqrt(np.where(fit, variance, np.nan))
    return FullResult(beta, se, beta / se, first.cases, first.controls, errcode)
