"""Answers of pooled people by the oracles of the tests: row by row, fold by fold.

As those of `formulas`, where no question to one cohort is the same: dosages have each site's own
mean where a call is missing, and `x` has a column for each site.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.exactness.formulas import of_rows
from genome_eu.stats import ridge as folds
from tests.oracles import logistic, ridge

#: β, its standard error, z, and −log₁₀ p.
Tested = tuple[float, float, float, float]


def logistic_tests(
    dosage: NDArray, y: NDArray, x: NDArray, test: str, cutoff: float, beside: NDArray | None = None
) -> xr.Dataset:
    """A test of each row, (rows, people); `beside` is an offset, (rows, people) too.

    `hybrid` is of rows whose fits converge, so it is `wald`.
    """
    offset = np.zeros(dosage.shape) if beside is None else beside
    tests = [_test(g, x, y, here, test, cutoff) for g, here in zip(dosage, offset, strict=True)]
    beta, se, z, neg_log10_p = np.array(tests).T
    everywhere = np.ones(len(dosage), bool)
    return of_rows("logreg", everywhere, beta=beta, se=se, z_value=z, neg_log10_p=neg_log10_p)


def _test(g: NDArray, x: NDArray, y: NDArray, offset: NDArray, test: str, cutoff: float) -> Tested:
    if test in ("wald", "firth-full", "hybrid"):
        beta, se = logistic.wald(g, x, y, offset, firth=test == "firth-full")
        return beta, se, beta / se, logistic.neg_log10_p(beta / se)
    u, v, _, _ = logistic.score(g, x, y, offset)
    beta, se, z = u / v, v**-0.5, u / v**0.5
    if test == "score" or abs(z) <= cutoff:
        return beta, se, z, logistic.neg_log10_p(z)
    p = logistic.spa(g, x, y, offset) if test == "spa" else None
    if p is not None:
        z = math.copysign(norm.isf(p / 2), beta)
        return beta, beta / z, z, -math.log10(p)
    beta, se, chisq = logistic.firth_approximate(g, x, y, offset)
    z = math.copysign(math.sqrt(chisq), beta)
    return beta, se, z, logistic.neg_log10_p_chisq(chisq)


def beside_chromosomes(
    dosage: NDArray,
    rows: pd.DataFrame,
    y: NDArray,
    covariates: NDArray,
    site: NDArray,
    settings: Mapping[str, Any],
    *,
    site_effects: bool = True,
) -> NDArray[np.float64]:
    """Step 1 of a whole-genome regression: for each row the predictions of other chromosomes.

    `dosage` has −1 for a missing call, and `settings` are those of the regression. People of a site
    that is too small are predicted for only.
    """
    number, binary = settings["folds"], settings.get("binary", False)
    fold = np.full(y.size, -1)
    for name in np.unique(site):
        here, smallest = site == name, settings.get("smallest_site", 0)
        fold[here] = folds.assign_folds(np.ones(here.sum(), bool), number, smallest)
    fold[fold == number] = -1
    known = dosage >= 0
    share = np.where(known, dosage, 0).sum(axis=1) / np.maximum(2 * known.sum(axis=1), 1)
    chosen = np.minimum(share, 1 - share) >= settings["min_frequency"]
    contigs = rows["contig"].to_numpy()
    blocks, of_block = _blocks(contigs[chosen], settings["block"])
    shares = settings["heritability"]
    level1 = folds.liability_penalties if binary else folds.penalties
    found = ridge.step_one(
        dosage[chosen],
        y.astype(float),
        covariates,
        site,
        fold,
        blocks,
        of_block,
        folds.penalties(int(chosen.sum()), shares),
        level1(len(of_block) * len(shares), shares),
        site_effects=site_effects,
        binary=binary,
    )
    return np.stack([found.loco[name] for name in contigs])


def _blocks(contigs: NDArray, rows: int) -> tuple[NDArray, NDArray]:
    """The block of each row, and the chromosome of each block."""
    block = np.empty(contigs.size, np.int64)
    chromosome: list[str] = []
    for name in dict.fromkeys(contigs):
        here = np.flatnonzero(contigs == name)
        block[here] = len(chromosome) + np.arange(here.size) // rows
        chromosome += [name] * -(-here.size // rows)
    return block, np.array(chromosome)


def linear_tests(
    dosage: NDArray, y: NDArray, covariates: NDArray, site: NDArray, beside: NDArray, **how: bool
) -> xr.Dataset:
    """Step 2 of a whole-genome regression; `dosage` has −1 for a missing call."""
    columns = np.empty((3, len(dosage)))
    for name in np.unique(beside, axis=0):
        here = (beside == name).all(axis=1)
        beta, se, _, p = ridge.step_two(dosage[here], y, covariates, site, name, **how)
        columns[:, here] = beta, se, p
    beta, se, neg_log10_p = columns
    found = {"beta": beta, "se": se, "t_value": beta / se, "neg_log10_p": neg_log10_p}
    return of_rows("linreg", np.isfinite(beta), **found)
