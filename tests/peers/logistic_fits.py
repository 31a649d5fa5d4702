"""Logistic fits of PLINK 2 and of this project, row by row, and who is right where they differ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

import genome_eu as ge

# PLINK 2.00a3 fits in single precision. Its logistic steps end when they sum to less than 1e-4, and
# errors are those of the step before. Its penalized ones end at 1e-4, or, where single precision
# gets no further, at 1e-3. So most of its numbers are this near, relative to the odds ratio and to
# its error, and none is further away than `FARTHEST`.
NEAR = {"wald": 2e-5, "firth": 2e-4}
FARTHEST = {"wald": 2e-4, "firth": 2e-3}
# Ours, in standard errors, from fits iterated to their end.
EXACT = 1e-8
# Of the rows of a question, those whose fits PLINK ends too early: there are fewer, or a single one.
EARLY = {"wald": 0.003, "firth": 0.04}
# Of all rows, those that only one of the two fits, or each by another method; or a single one.
OTHERWISE = 2e-3

#: The tests that both have, and what PLINK calls them.
TESTS = (("wald", "no-firth"), ("hybrid", "firth-fallback"), ("firth-full", "firth"))


def assert_maxima(
    name: str,
    found: ge.GwasResult,
    theirs: pd.DataFrame,
    converged: Callable[[int, bool], tuple[float, float]],
    shown: Callable[..., None],
) -> np.ndarray:
    """Every row is PLINK's, or PLINK is farther than that from the maximum and ours is at it.

    `converged` gives β and its standard error of a row, penalized or not, by an oracle that shares
    nothing with ours. Returned is which rows both fit alike.
    """

    def column(label: str) -> np.ndarray:
        return found[f"variant_logreg_{label}"].values[:, 0]

    beta, se, fit = column("beta"), column("se"), column("errcode") == "."
    its_fit = (theirs["ERRCODE"] == ".").to_numpy()
    odds, its_se, people = (
        pd.to_numeric(theirs[label].where(its_fit), errors="coerce").to_numpy(float)
        for label in ("OR", "LOG(OR)_SE", "OBS_CT")
    )
    firth = column("method") == "firth-full"
    its_firth = (theirs["FIRTH?"] == "Y").to_numpy() if "FIRTH?" in theirs else firth
    same = fit & its_fit & (firth == its_firth)
    np.testing.assert_array_equal(column("n")[same], people[same])

    with np.errstate(invalid="ignore"):
        error = np.maximum(np.abs(odds / np.exp(beta) - 1), np.abs(its_se / se - 1))
    for kind, rows in (("wald", same & ~firth), ("firth", same & firth)):
        early = np.flatnonzero(rows & ~(error <= NEAR[kind]))
        exact, nearest = 0.0, np.inf
        for row in early:
            right, right_se = converged(row, kind == "firth")
            exact = max(exact, abs(beta[row] - right) / right_se, abs(se[row] / right_se - 1))
            its_error = (odds[row] / np.exp(right) - 1, its_se[row] / right_se - 1)
            nearest = min(nearest, np.abs(its_error).max())
        shown(
            f"{name}: {kind} of {rows.sum()} rows",
            largest=float(error[rows].max(initial=0)),
            ended_early=early.size,
            ours_then=exact,
        )
        assert exact <= EXACT
        assert nearest > NEAR[kind]
        assert error[rows].max(initial=0) <= FARTHEST[kind]
        assert early.size <= max(1, EARLY[kind] * fit.sum())
    # What PLINK fits otherwise, or not at all, has the maximum here.
    other = np.flatnonzero(fit & ~same)
    for row in other:
        right, right_se = converged(row, bool(firth[row]))
        assert abs(beta[row] - right) <= EXACT * right_se
        assert abs(se[row] / right_se - 1) <= EXACT
    only_its = np.flatnonzero(its_fit & ~fit)
    shown(f"{name}: rows not fitted alike", ours=other.size, only_PLINK=only_its.size)
    assert other.size + only_its.size <= max(1, OTHERWISE * len(theirs))
    return same
