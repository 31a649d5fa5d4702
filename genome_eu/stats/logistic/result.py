"""Tests of every row and trait, whichever method each of them comes from."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.logistic import codes
from genome_eu.stats.logistic.score import ScoreResult
from genome_eu.stats.tails import normal_neg_log10_p


@dataclass(frozen=True, eq=False)
class LogisticResult:
    """Per row and trait, each float64 (rows, traits) unless said otherwise.

    `method` says where the numbers come from, a place in `METHODS`; −1 where there is no test.
    `beta` is a log odds ratio per copy of ALT. Of `score` and `spa` it is one Newton step from the
    null model, not a converged fit. `z` is the normal statistic that has the p-value: of `firth`
    the signed root of the likelihood-ratio statistic; of `spa` that of the saddlepoint p, and `se`
    is then β/z.

    `errcode` is a place in `ERRCODES`: `.` is a test, `CONST_ALLELE` a row that does not vary,
    `VIF_INFINITE` one that the covariates explain entirely, `TOO_FEW` one with no more people than
    parameters, `CONST_TRAIT` one among whose people there are no cases or no controls,
    `SEPARATION` one that predicts cases perfectly, `WITHHELD` one that a site's policy kept back.
    The other codes are fits that did not converge.
    """

    beta: NDArray
    se: NDArray
    z: NDArray
    neg_log10_p: NDArray
    method: NDArray  # int8
    n_cases: NDArray  # int64; −1 where withheld
    n_controls: NDArray  # int64
    allele_frequency: NDArray
    allele_frequency_cases: NDArray
    allele_frequency_controls: NDArray
    errcode: NDArray  # int8

    @property
    def errcode_words(self) -> NDArray:
        """The codes as text."""
        return np.array(codes.ERRCODES)[self.errcode]

    @property
    def method_words(self) -> NDArray:
        """The methods as text, empty where there is no test."""
        return np.array([*codes.METHODS, ""])[self.method]


def score_tests(score: ScoreResult) -> LogisticResult:
    """Every test by its score; arrays are copies, for `replace_tests` to fill in."""
    return LogisticResult(
        beta=score.beta.copy(),
        se=score.se.copy(),
        z=score.z.copy(),
        neg_log10_p=normal_neg_log10_p(score.z),
        method=np.where(score.errcode == codes.FIT, codes.SCORE, -1).astype(np.int8),
        n_cases=score.n_cases.copy(),
        n_controls=score.n_controls.copy(),
        allele_frequency=score.allele_frequency,
        allele_frequency_cases=score.allele_frequency_cases,
        allele_frequency_controls=score.allele_frequency_controls,
        errcode=score.errcode.copy(),
    )


def untested(rows: int, traits: int, errcode: int = codes.VIF_INFINITE) -> LogisticResult:
    """Rows without a test, all for the same reason; nobody took part."""
    nothing = np.full((rows, traits), np.nan)
    nobody = np.zeros((rows, traits), np.int64)
    return LogisticResult(
        **dict.fromkeys((item.name for item in fields(LogisticResult)), nothing)
        | {
            "method": np.full((rows, traits), -1, np.int8),
            "n_cases": nobody,
            "n_controls": nobody,
            "errcode": np.full((rows, traits), errcode, np.int8),
        }
    )


def replace_tests(
    result: LogisticResult,
    rows: NDArray,
    trait: NDArray,
    *,
    beta: NDArray,
    se: NDArray,
    z: NDArray,
    method: int,
    errcode: NDArray,
    n_cases: NDArray | None = None,
    n_controls: NDArray | None = None,
) -> LogisticResult:
    """The same result with some tests of another method; NaN where that gives none.

    Parameters
    ----------
    rows, trait : int arrays, shape (tests,)
        Their places.
    beta, se, z : float64 arrays, shape (tests,)
    method : int
        A place in `METHODS`.
    errcode : int array, shape (tests,)
    n_cases, n_controls : int64 arrays, shape (tests,), optional
        Who took part, where that is not who is called.
    """
    changed = {item.name: getattr(result, item.name) for item in fields(result)}
    fits = errcode == codes.FIT
    for name, values in (
        ("beta", np.where(fits, beta, np.nan)),
        ("se", np.where(fits, se, np.nan)),
        ("z", np.where(fits, z, np.nan)),
        ("neg_log10_p", normal_neg_log10_p(np.where(fits, z, np.nan))),
        ("method", np.where(fits, method, -1)),
        ("errcode", errcode),
        ("n_cases", n_cases),
        ("n_controls", n_controls),
    ):
        if values is None:
            continue
        changed[name] = changed[name].copy()
        changed[name][rows, trait] = values
    return LogisticResult(**changed)
