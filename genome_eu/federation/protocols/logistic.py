"""Logistic association over all sites.

Rounds, and what leaves in each: the moments of covariates (`gwas.moments`); then until the null
models have converged, about 6 times, a gradient and an information matrix per trait; one round of
score sums of all rows; and of the rows that are followed up

- `firth`: about 10 rounds of Firth's null models, one of Xᵀg, and 3 or 4 of five sums a row;
- `spa`: about 5 rounds of eight sums a row, and where a score has no root, as `firth`;
- `wald`, `firth-full`, `hybrid`: 5 to 10 rounds of a gradient and two matrices a row.

`score` ends with the score sums. Tests of different traits are followed up one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import UsageError
from genome_eu.federation.parameters.logistic import LogisticFitParameters, LogisticParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.gwas import (
    GwasModel,
    Origins,
    covariate_names,
    given_origins,
)
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import logistic
from genome_eu.stats.aggregate import AGGREGATES
from genome_eu.stats.logistic import rounds as follow
from genome_eu.stats.ploidy import PloidyName


@dataclass(frozen=True)
class LogisticModel:
    """What a logistic GWAS fits: the model of the traits, and how rows are tested.

    With the id `wgr` of a whole-genome regression, beside its predictions but for a `chromosome`.
    """

    model: GwasModel
    test: follow.Test = "firth"
    cutoff: float = logistic.CUTOFF
    coded_12: bool = False
    wgr: str | None = None
    chromosome: int | None = None
    ploidy: PloidyName = "diploid"

    def check(self) -> None:
        """Raise where the question contradicts itself."""
        self.model.check()
        if self.test not in get_args(follow.Test):
            raise UsageError(f"test={self.test!r}: choose one of {', '.join(logistic.TESTS)}")
        if not self.cutoff >= 0:
            raise UsageError(f"the cutoff is {self.cutoff:g}; give a |z| of 0 or more")
        if self.model.transform is not None:
            raise UsageError("a binary trait has no other scale; leave the transform out")
        every = self.test in logistic.OF_EVERY_ROW and self.cutoff == 0
        if self.model.missing == "drop" and not every:
            raise UsageError(
                f"missing='drop' is for fits of every row; choose a test of "
                f"{', '.join(sorted(logistic.OF_EVERY_ROW))} and a cutoff of 0"
            )

    def parameters(self, origins: Origins) -> dict[str, Any]:
        """What every plan of the model says."""
        return {
            **self.model.columns,
            "ploidy": self.ploidy,
            "x_males": self.model.x_males,
            "covariate_mean": tuple(origins.covariates.mean),
            "covariate_scale": tuple(origins.covariates.scale),
            "site_effects": self.model.site_effects,
            "coded_12": self.coded_12,
            "dosages": self.model.dosages,
            "wgr": self.wgr,
            "chromosome": self.chromosome,
        }


@dataclass(frozen=True, eq=False)
class Nulls:
    """The null models of all traits, and Firth's where a test needs them."""

    null: logistic.Null
    firth: logistic.Null | None

    @property
    def people(self) -> NDArray:
        """People analysed for each trait."""
        return self.null.cases + self.null.controls


def nulls(asked: LogisticModel, origins: Origins) -> Rounds:
    """Fit the null models; nothing of the genotypes is read."""
    asked.check()
    null = yield from _null(asked, origins, firth=False)
    penalized = None
    if asked.test in logistic.WITH_FIRTH_NULL:
        penalized = yield from _null(asked, origins, firth=True)
    return Nulls(null, penalized)


def _null(asked: LogisticModel, origins: Origins, *, firth: bool) -> Rounds:
    parameters = LogisticParameters(**asked.parameters(origins))
    names = asked.model.traits
    width = origins.covariates.mean.size + (not asked.model.site_effects)
    fits = logistic.start_null(len(names), width, firth=firth)
    sums: Any = None
    while not fits.done:
        inputs = {"theta": fits.theta} | ({"inverse": fits.inverse} if firth else {})
        answer = yield Ask(logistic.NullSums, parameters, inputs)
        sums = answer.whole()
        fits = logistic.update_null(fits, sums)
    return logistic.finish_null(fits, sums, names)


def scores(asked: LogisticModel, panel: Panel, origins: Origins, found: Nulls) -> Rounds:
    """Score tests of all rows in one round; the shards come lazily, in row order."""
    raw = not asked.model.site_effects
    kind: type[Any] = logistic.RawScoreSums if raw else logistic.ScoreSums
    dosages = asked.model.dosages
    if dosages:
        kind = next(one for one in logistic.DOSAGE_SCORE_SUMS if issubclass(one, kind))
    traits, width = found.null.theta.shape
    answer = yield Ask(
        kind,
        LogisticParameters(**asked.parameters(origins)),
        {**panel.inputs, "theta": found.null.theta},
        panel.size,
        logistic.numbers_per_row(width, traits, raw=raw, dosages=dosages),
    )
    return _finished(answer, found.null)


def scores_once(
    asked: LogisticModel, panel: Panel, origins: Mapping[str, tuple[float, float]]
) -> Rounds:
    """Score tests within sites, in one round: every site fits its own null models.

    What leaves a site: of each row alleles of cases and controls, the score, and its information
    given the site's covariates. `origins` is as in `protocols.gwas.fit_once`.
    """
    asked.check()
    names = covariate_names(asked.model, 0)
    means, scales = given_origins(origins, names, ())
    parameters = LogisticParameters(
        **asked.model.columns,
        covariate_mean=means,
        covariate_scale=scales,
        site_effects=True,
        coded_12=asked.coded_12,
        dosages=asked.model.dosages,
    )
    answer = yield Ask(
        logistic.STRATIFIED_SUMS[asked.model.dosages],
        parameters,
        panel.inputs,
        panel.size,
        logistic.numbers_per_row(
            *(len(names), len(asked.model.traits)), raw=False, dosages=asked.model.dosages
        ),
    )
    return (logistic.score_tests(logistic.finalize_stratified(part)) for part in answer.shards())


def _finished(answer: Any, null: logistic.Null) -> Iterator[logistic.ScoreResult]:
    for sums in answer.shards():
        yield logistic.finalize_score(null, sums)


def follow_up(
    asked: LogisticModel,
    panel: Panel,
    origins: Origins,
    found: Nulls,
    score: logistic.ScoreResult,
    first: int = 0,
) -> Rounds:
    """The tests that follow some score tests: of the panel's rows from `first` on."""
    result: Any = logistic.score_tests(score)
    for trait in range(score.z.shape[1]):
        asks = follow.follow_up(
            found.null,
            score,
            asked.test,
            firth_null=found.firth,
            site_effects=asked.model.site_effects,
            cutoff=asked.cutoff,
            trait=trait,
            result=result,
        )
        result = yield from _driven(asks, asked, panel, origins, found, first)
    return result


def _driven(
    asks: follow.Answers,
    asked: LogisticModel,
    panel: Panel,
    origins: Origins,
    found: Nulls,
    first: int,
) -> Rounds:
    try:
        ask = next(asks)
        while True:
            rows = panel.take(ask.rows + first)
            answer = yield _plan(ask, asked, rows, origins, found)
            ask = asks.send(answer.whole())
    except StopIteration as done:
        return done.value


def _plan(
    ask: follow.Ask, asked: LogisticModel, panel: Panel, origins: Origins, found: Nulls
) -> Ask:
    """One round of some tests as what a protocol asks; `panel` has their rows."""
    null = found.null
    inputs: dict[str, NDArray] = {}
    if ask.kind is logistic.FirthSums and found.firth is not None:
        null = found.firth
        inputs["inverse"] = null.inverse
    fits = ask.kind is logistic.FitSums
    for name, values in ask.inputs.items():
        row = fits and name in ("theta", "inverse")
        inputs[f"row_{name}" if row else name] = np.ascontiguousarray(values, dtype="<f8")
    inputs |= {"theta": null.theta, "trait": ask.trait.astype("<i8")}
    parameters = asked.parameters(origins)
    numbers = sum(values[0].size for values in ask.inputs.values() if len(values))
    return Ask(
        AGGREGATES[ask.kind.statistic],
        LogisticFitParameters(**parameters, missing=asked.model.missing)
        if fits
        else LogisticParameters(**parameters),
        panel.inputs | inputs,
        panel.size,
        max(8, 2 * numbers),
    )
