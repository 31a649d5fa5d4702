"""Score tests within sites, for sites that release only once.

Every site fits a null model of its own, so that one round is enough: scores and their information
add up over sites. The pooled test that this is has every covariate interacting with the site.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, count, every, total
from genome_eu.stats.block import Block
from genome_eu.stats.logistic import newton
from genome_eu.stats.logistic.model import Design
from genome_eu.stats.logistic.null import (
    Fitted,
    fit_people,
    separated,
    start_null,
    summarize_null,
    update_null,
)
from genome_eu.stats.logistic.score import (
    HardCallsOfClasses,
    ScoreResult,
    ScoreSums,
    finalize_score,
    hard_calls,
    summarize_score_stratified,
)


@dataclass(frozen=True, eq=False)
class StratifiedSums(Aggregate):
    """Scores (`gr`) and their information given the site's covariates (`gg`), row by row.

    `sites` is 1 where the site's own null model of a trait has converged; its people count for
    nothing where it has not.
    """

    statistic = "logistic_stratified"

    sites: NDArray = count("sites", "traits", gate="label")
    called_cases: NDArray = count("people", "rows", "traits", gate="association")
    called_controls: NDArray = count("people", "rows", "traits", gate="association")
    alleles_cases: NDArray = total("alleles", "rows", "traits", gate="association")
    alleles_controls: NDArray = total("alleles", "rows", "traits", gate="association")
    gg: NDArray = total("dosage²", "rows", "traits", gate="association")
    gr: NDArray = total("dosage·residual", "rows", "traits", gate="association")
    shown: NDArray = every("flag", "rows", "traits")


@dataclass(frozen=True, eq=False)
class DosageStratifiedSums(HardCallsOfClasses, StratifiedSums):
    """`StratifiedSums` of dosages."""

    statistic = "logistic_stratified_dosage"


#: The sums of hard calls, and of dosages.
STRATIFIED_SUMS = (StratifiedSums, DosageStratifiedSums)


def fit_own_null(design: Design) -> Fitted:
    """A site's people under null models of its own.

    Traits without cases or controls here, or that covariates separate, have nobody.
    """
    fits = start_null(design.traits, design.width)
    sums = summarize_null([design], fits.theta)
    while not fits.done:
        sums = summarize_null([design], fits.theta)
        fits = update_null(fits, sums)
    people = sums.cases + sums.controls
    fitted = (
        (sums.cases > 0)
        & (sums.controls > 0)
        & (fits.status == newton.CONVERGED)
        & ~separated(sums.loglik, people)
    )
    included = design.included & fitted
    kept = replace(
        design,
        included=included,
        y=np.where(included, design.y, 0.0),
        offset=np.where(included, design.offset, 0.0),
    )
    return fit_people(kept, np.where(fitted[:, None], fits.theta, 0.0))


def summarize_stratified(
    block: Block, fitted: Fitted, kind: type[StratifiedSums] = StratifiedSums
) -> StratifiedSums:
    """Row sums at one site, under its own null models."""
    sums = summarize_score_stratified(block, fitted)
    return kind(
        **hard_calls(block, fitted.design, kind),
        sites=fitted.design.included.any(axis=0).astype(np.int64),
        called_cases=sums.called_cases,
        called_controls=sums.called_controls,
        alleles_cases=sums.alleles_cases,
        alleles_controls=sums.alleles_controls,
        gg=sums.gg,
        gr=sums.gr,
        shown=sums.shown,
    )


def finalize_stratified(sums: StratifiedSums) -> ScoreResult:
    """Score tests of every row and trait, from sums over sites; see `finalize_score`."""
    return finalize_score(
        None,
        ScoreSums(
            called_cases=sums.called_cases,
            called_controls=sums.called_controls,
            alleles_cases=sums.alleles_cases,
            alleles_controls=sums.alleles_controls,
            gg=sums.gg,
            gx=np.empty((*sums.gg.shape, 0)),
            gr=sums.gr,
            shown=sums.shown,
        ),
    )
