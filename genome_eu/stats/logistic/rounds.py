"""Which tests follow the score test, and the rounds that they take.

`follow_up` is the coordinator's side: a generator that asks and is sent merged answers, without any
idea of how they travel. `answer` is the site's side.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, Private
from genome_eu.stats.block import Block
from genome_eu.stats.logistic import codes, newton
from genome_eu.stats.logistic.firth import (
    FirthSums,
    ProductSums,
    finalize_firth,
    projection,
    start_firth,
    summarize_firth,
    summarize_products,
    update_firth,
)
from genome_eu.stats.logistic.full import (
    FitSums,
    finalize_full,
    start_full,
    summarize_full,
    update_full,
)
from genome_eu.stats.logistic.null import Fitted, Null
from genome_eu.stats.logistic.result import LogisticResult, replace_tests, score_tests
from genome_eu.stats.logistic.score import ScoreResult
from genome_eu.stats.logistic.spa import (
    LEAST,
    SpaSums,
    finalize_spa,
    start_spa,
    summarize_spa,
    update_spa,
)
from genome_eu.stats.tails import normal_from_neg_log10_p

Test: TypeAlias = Literal["score", "spa", "firth", "firth-full", "wald", "hybrid"]
Missing: TypeAlias = Literal["mean", "drop"]

#: What can be asked for; see `follow_up`.
TESTS: tuple[Test, ...] = ("score", "spa", "firth", "firth-full", "wald", "hybrid")
#: Tests that need Firth's own null model.
WITH_FIRTH_NULL: frozenset[Test] = frozenset({"spa", "firth"})
#: Tests that are made of every row unless a smaller part is asked for.
OF_EVERY_ROW: frozenset[Test] = frozenset({"firth-full", "wald", "hybrid"})
#: Score statistics beyond this are followed up by the other tests.
CUTOFF = 2.0


@dataclass(frozen=True, eq=False)
class Ask:
    """One round of some tests: what to sum, for which rows, given which numbers.

    `rows` are places among the rows of the score sums; the other arrays have one entry per row.
    """

    kind: type[Aggregate]
    rows: NDArray  # int64 (tests,); sorted within a trait
    trait: NDArray  # int64 (tests,)
    inputs: dict[str, NDArray]


@dataclass(frozen=True, eq=False)
class People(Private):
    """A site's people under the null models of a study."""

    fitted: Fitted
    firth: Fitted | None = None  # under Firth's null models


Answers: TypeAlias = Generator[Ask, Aggregate, LogisticResult]


def answer(
    block: Block,
    people: People,
    kind: type[Aggregate],
    trait: NDArray,
    inputs: dict[str, NDArray],
    missing: Missing = "mean",
) -> Aggregate:
    """A site's sums for one `Ask`, of the rows in `block`; its arrays are those of these rows."""
    if kind is ProductSums:
        return summarize_products(block, people.fitted.design, trait, **inputs)
    if kind is SpaSums:
        return summarize_spa(block, people.fitted, trait, **inputs)
    if kind is FitSums:
        return summarize_full(block, people.fitted.design, trait, missing=missing, **inputs)
    if kind is FirthSums and people.firth is not None:
        return summarize_firth(block, people.firth, trait, **inputs)
    raise TypeError(f"{kind.__name__} is not a follow-up of the score test")


def follow_up(
    null: Null,
    score: ScoreResult,
    test: Test,
    *,
    firth_null: Null | None = None,
    site_effects: bool,
    cutoff: float = CUTOFF,
    trait: int | None = None,
    result: LogisticResult | None = None,
) -> Answers:
    """The rounds of the tests that follow the score test, and their result.

    Parameters
    ----------
    null : Null
        The null model of each trait.
    score : ScoreResult
        The score tests of a shard of rows.
    test : str
        `score`: no other test. `spa`: saddlepoint p-values, or Firth's approximate test where the
        score is at the end of its range. `firth`: Firth's approximate test. `firth-full`: the
        penalized fit of all parameters. `wald`: their maximum-likelihood fit. `hybrid`: that fit,
        and the penalized one where it does not converge or an allele is never seen in cases or in
        controls.
    firth_null : Null, optional
        Firth's null models, which the tests in `WITH_FIRTH_NULL` need.
    site_effects : bool
    cutoff : float
        Rows are followed up where the score's |z| is larger.
    trait : int, optional
        Follow up only the tests of this trait.
    result : LogisticResult, optional
        What is known of other traits already.

    Yields
    ------
    Ask
        The answers, merged over sites, are to be sent back.
    """
    result = score_tests(score) if result is None else result
    if test == "score":
        return result
    fits = score.errcode == codes.FIT
    if test == "spa":
        cutoff = max(cutoff, LEAST)
    with np.errstate(invalid="ignore"):
        chosen = fits & (np.abs(score.z) > cutoff) if cutoff > 0 else fits
    if trait is not None:
        chosen &= np.arange(chosen.shape[1]) == trait
    whose, rows = np.nonzero(chosen.T)
    if not rows.size:
        return result
    if test in WITH_FIRTH_NULL:
        if firth_null is None:
            raise TypeError(f"the test {test} needs Firth's null model")
        if test == "spa":
            result, found = yield from _spa(result, score, rows, whose, site_effects)
            rows, whose = rows[~found], whose[~found]
        return (yield from _firth(result, firth_null, score, rows, whose, site_effects))
    at_once = np.zeros(rows.size, bool)
    if test == "hybrid":
        at_once = _one_sided(score, rows, whose)
    if test != "firth-full":
        wald = ~at_once
        result = yield from _full(
            result, null, score, rows[wald], whose[wald], site_effects, firth=False
        )
    if test != "wald":
        failed = np.isin(
            result.errcode[rows, whose], (codes.SEPARATION, codes.LOGISTIC_CONVERGE_FAIL)
        )
        again = failed | at_once | (test == "firth-full")
        result = yield from _full(
            result, null, score, rows[again], whose[again], site_effects, firth=True
        )
    return result


def _one_sided(score: ScoreResult, rows: NDArray, trait: NDArray) -> NDArray:
    """Tests of which an allele is never seen in cases, or never in controls."""
    cases = score.allele_frequency_cases[rows, trait]
    controls = score.allele_frequency_controls[rows, trait]
    return np.isin(cases, (0.0, 1.0)) | np.isin(controls, (0.0, 1.0))


def _means(
    score: ScoreResult, rows: NDArray, trait: NDArray, site_effects: bool
) -> dict[str, NDArray]:
    """What replaces missing calls, where that is not a site's own mean."""
    return {} if site_effects else {"mean": score.mean[rows, trait]}


def _spa(
    result: LogisticResult, score: ScoreResult, rows: NDArray, trait: NDArray, site_effects: bool
) -> Generator[Ask, Aggregate, tuple[LogisticResult, NDArray]]:
    tails = start_spa(score.u[rows, trait], score.v[rows, trait])
    while not tails.done:
        on = tails.active
        which, whose = rows[on], trait[on]
        inputs = {"t": tails.t[on], "coefficients": score.coefficients[which, whose]}
        inputs |= _means(score, which, whose, site_effects)
        tails = update_spa(tails, cast(SpaSums, (yield Ask(SpaSums, which, whose, inputs))))
    neg_log10_p, found = finalize_spa(tails)
    which, whose = rows[found], trait[found]
    beta = score.beta[which, whose]
    z = np.copysign(normal_from_neg_log10_p(neg_log10_p[found]), beta)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.where(z == 0.0, score.se[which, whose], beta / z)
    result = replace_tests(
        result,
        which,
        whose,
        beta=beta,
        se=se,
        z=z,
        method=codes.SPA,
        errcode=np.zeros(which.size, np.int8),
    )
    return result, found


def _firth(
    result: LogisticResult,
    null: Null,
    score: ScoreResult,
    rows: NDArray,
    trait: NDArray,
    site_effects: bool,
) -> Answers:
    if not rows.size:
        return result
    ask = Ask(ProductSums, rows, trait, _means(score, rows, trait, site_effects))
    coefficients = projection(null, trait, cast(ProductSums, (yield ask)))
    fits = start_firth(rows.size)
    while not fits.done:
        on = fits.active
        which, whose = rows[on], trait[on]
        inputs = {"effect": fits.effect[on], "coefficients": coefficients[on]}
        inputs |= _means(score, which, whose, site_effects)
        fits = update_firth(fits, cast(FirthSums, (yield Ask(FirthSums, which, whose, inputs))))
    beta, se, chisq, found = finalize_firth(fits)
    errcode = np.where(found, codes.FIT, codes.FIRTH_CONVERGE_FAIL)
    z = np.copysign(np.sqrt(chisq), beta)
    return replace_tests(
        result, rows, trait, beta=beta, se=se, z=z, method=codes.FIRTH, errcode=errcode
    )


def _full(
    result: LogisticResult,
    null: Null,
    score: ScoreResult,
    rows: NDArray,
    trait: NDArray,
    site_effects: bool,
    *,
    firth: bool,
) -> Answers:
    if not rows.size:
        return result
    fits: newton.Fits = start_full(null, score, rows, trait, firth=firth)
    first: Any = None
    while not fits.done:
        on = fits.active
        which, whose = rows[on], trait[on]
        inputs = {"theta": fits.theta[on]}
        if firth:
            inputs["inverse"] = fits.inverse[on]
        inputs |= _means(score, which, whose, site_effects)
        sums = cast(FitSums, (yield Ask(FitSums, which, whose, inputs)))
        first = sums if first is None else first
        fits = update_full(fits, sums)
    found = finalize_full(fits, first, score.v[rows, trait])
    return replace_tests(
        result,
        rows,
        trait,
        beta=found.beta,
        se=found.se,
        z=found.z,
        method=codes.FIRTH_FULL if firth else codes.WALD,
        errcode=found.errcode,
        n_cases=found.n_cases,
        n_controls=found.n_controls,
    )
