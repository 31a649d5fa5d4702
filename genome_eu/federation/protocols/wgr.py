"""Whole-genome regression over all sites: REGENIE's two steps.

After the panel and the moments, in six rounds:

1. products of covariates and traits in each fold;
2. alleles of every row in each fold, from which the rows of step 1 are chosen;
3. products of the rows of each block with each other, with covariates and traits, in each fold;
4. products of the predictions of all blocks with each other and with the traits, in each fold;
   the predictions stay, under an id;
5. products of what is left of the traits, for each chromosome left out; the offsets stay, under
   the id of the regression;
6. sums of every row with what is left, as of a linear model: step 2.

Of binary traits, round 4 has the moments of the predictions only, and is followed by a null
logistic model (about 6 rounds, see `logistic`), for each trait the information matrix of the
predictions in each fold and about 12 rounds of gradients; and step 2 is that of `logistic`, once
for each chromosome.

Traits that lack different people are groups, each a regression of its own people: rounds 1 to 5 are
made of one group after the other, and a sixth joins what the sites keep under one id and sums the
residuals of all; step 2 is of all traits in one pass, with each trait's own people and df. A trait
is then tested as if it were asked for alone. REGENIE saves the time by one regression of everybody
who has any of the traits, with missing ones at their mean: there the predictions of a trait shrink
with the number of people who lack it, and change with the traits that were asked for beside it. The
price is a pass of step 1, and its part of the sites' budgets, for every set of people.

Sites with fewer people than `smallest_site` fit nothing, so that neither small blocks nor few folds
are needed for them: their part of rounds 1, 3 and 4 is empty. One more round at the beginning has
products of covariates and traits over everybody; the counts of round 2 are of their people too, so
that rows below a floor there are not used. What it takes of them is round 5: people for each
chromosome left out, as columns.

A later question may name the regression. It begins with products of covariates and traits over
everybody, as of a linear model, and round 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import PanelError, TraitError, UsageError
from genome_eu.federation.answer import Answer
from genome_eu.federation.parameters.linear import LinearParameters
from genome_eu.federation.parameters.wgr import (
    BlockParameters,
    LogisticRidgeParameters,
    OffsetParameters,
    PredictionParameters,
    RidgeParameters,
    RidgeScoreParameters,
)
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols import logistic as logistic_protocol
from genome_eu.federation.protocols.gwas import GwasModel, Origins, covariate_names
from genome_eu.federation.protocols.logistic import LogisticModel
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import linear, ridge
from genome_eu.stats.aggregate import concatenate, rows_between

# Rounds of gradients of one trait; a dozen are usual.
_MOST_ROUNDS = 100


@dataclass(frozen=True)
class WgrSettings:
    """How a whole-genome regression is made.

    Attributes
    ----------
    block : int
        Rows of a block of level 0.
    folds : int
        Folds of each site's people, in their order.
    min_frequency : float
        Least minor allele frequency, among the people analysed, of rows of step 1.
    heritability : tuple of float
        Shares of the variance that penalties stand for, at both levels.
    binary : bool
        Traits are of cases and controls: level 1 and step 2 are logistic.
    smallest_site : int
        Sites with fewer people of a trait fit nothing in step 1. Weights fitted at the others
        predict for their people, who take part in step 2 as everybody does.
    """

    block: int = 1000
    folds: int = ridge.FOLDS
    min_frequency: float = 0.01
    heritability: tuple[float, ...] = ridge.GRID
    binary: bool = False
    smallest_site: int = 0

    @property
    def outsiders(self) -> bool:
        """Whether there may be people in no fold."""
        return self.smallest_site > 0

    def check(self) -> None:
        """Raise where a setting is out of range."""
        if not 1 <= self.block <= 2**14:
            raise UsageError(f"block={self.block}: choose from 1 to {2**14:,} rows")
        if not 2 <= self.folds <= 100:
            raise UsageError(f"folds={self.folds}: choose from 2 to 100 folds")
        if not 0 <= self.min_frequency < 0.5:
            raise UsageError(f"min_frequency={self.min_frequency}: choose from 0 to 0.5")
        if not self.heritability or any(not 0 < h < 1 for h in self.heritability):
            raise UsageError("heritability: give shares between 0 and 1")
        if self.smallest_site < 0:
            raise UsageError(f"smallest_site={self.smallest_site}: give a number of people")


@dataclass(frozen=True, eq=False)
class StepOne:
    """What every party may know of step 1; `residuals` are of all groups of traits."""

    id: str
    residuals: ridge.ResidualSums
    effects: NDArray  # (covariates, traits)
    summary: dict[str, Any]
    left_out: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WgrFit:
    """People analysed for each trait, and finished shards (lazily, in row order)."""

    people: NDArray
    shards: Iterator[ridge.ScoreResult]


def _parameters(model: GwasModel, origins: Origins) -> dict[str, Any]:
    x, y = origins.covariates, origins.traits
    return {
        **model.columns,
        "groups": origins.groups,
        "trait_mean": tuple(y.mean),
        "trait_scale": tuple(y.scale),
        "covariate_mean": tuple(x.mean),
        "covariate_scale": tuple(x.scale),
        "site_effects": model.site_effects,
    }


def _of_group(model: GwasModel, origins: Origins, group: int) -> tuple[GwasModel, Origins]:
    """The model of the traits of one group, which share their people."""
    mine = np.array(origins.groups) == group
    y = origins.traits
    named = tuple(name for name, here in zip(model.traits, mine, strict=True) if here)
    return replace(model, traits=named), Origins(
        origins.covariates,
        replace(y, mean=y.mean[mine], scale=y.scale[mine]),
        (0,) * len(named),
    )


def _folds(model: GwasModel, origins: Origins, asked: dict[str, Any]) -> Rounds:
    """Products of covariates and traits in each fold; a bad model ends here."""
    answer = yield Ask(ridge.FoldSums, RidgeParameters(**asked))
    folds: ridge.FoldSums = answer.whole()
    if asked["smallest"] and not folds.people.any():
        raise TraitError(
            f"every site has fewer than {asked['smallest']} people of trait {model.traits[0]}; ask "
            f"with a lower smallest_site"
        )
    design = linear.DesignSums(
        people=folds.people.sum(keepdims=True),
        intercepts=folds.intercepts[None],
        xx=folds.xx.sum(axis=0)[None],
        xy=folds.xy.sum(axis=0),
        yy=folds.yy.sum(axis=0),
        trait_group=np.zeros(len(model.traits), np.int64),
    )
    names = covariate_names(model, origins.covariates.mean.size)
    linear.require_independent(design, names, model.traits)
    if (folds.people == 0).any():
        raise TraitError(
            f"a fold has none of the {int(folds.people.sum())} people of trait "
            f"{model.traits[0]}; ask with fewer folds"
        )
    return folds


def step_one(
    model: GwasModel,
    panel: Panel,
    origins: Origins,
    settings: WgrSettings,
    *,
    coded_12: bool = False,
) -> Rounds:
    """Fit both levels; offsets stay at the sites under the id of the regression.

    One group of traits after the other, each among its own people; then their offsets are joined.
    """
    settings.check()
    parts: list[StepOne] = []
    for group in range(max(origins.groups) + 1):
        some, of_some = _of_group(model, origins, group)
        part = yield from _regression(some, panel, of_some, settings, coded_12)
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    groups = np.array(origins.groups)
    effects = np.empty((len(parts[0].effects), groups.size))
    for group, part in enumerate(parts):
        effects[:, groups == group] = part.effects
    names = tuple(part.id for part in parts)
    joined = ridge.joined_id(names)
    answer = yield Ask(
        ridge.ResidualSums,
        OffsetParameters(**_parameters(model, origins), wgr=joined, parts=names),
        {"effects": effects},
    )
    return StepOne(
        joined,
        answer.whole(),
        effects,
        _side_by_side([part.summary for part in parts]),
        _side_by_side([part.left_out for part in parts]),
    )


def _side_by_side(said: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of some traits and of others, each by trait."""
    return {name: {k: v for one in said for k, v in one[name].items()} for name in said[0]}


def _regression(
    model: GwasModel, panel: Panel, origins: Origins, settings: WgrSettings, coded_12: bool
) -> Rounds:
    """Both levels of traits that share their people."""
    asked = _parameters(model, origins)
    effects: NDArray | None = None
    people = 0
    if settings.outsiders:
        design = yield from _design(model, origins, asked)
        effects, people = ridge.design_effects(design), int(design.people.sum())
    asked |= {"folds": settings.folds, "smallest": settings.smallest_site}
    folds: ridge.FoldSums = yield from _folds(model, origins, asked)
    if effects is None:
        effects = ridge.covariate_effects(folds)
    inputs, of_block, left_out = yield from _rows(panel, asked, settings)
    block = inputs["block"]
    weights, adjust = yield from _level0(folds, effects, asked, settings, inputs)

    inputs |= {"weights": weights, "adjust": adjust}
    rows = inputs.get("panel", inputs.get("places"))
    predictions = ridge.predictions_id(rows, inputs.get("mean"), block, weights, adjust)
    penalties = len(settings.heritability)
    parameters = PredictionParameters(**asked, penalties=penalties, predictions=predictions)
    predictors = of_block.size * penalties
    fit: ridge.Level1Fit
    if settings.binary:
        answer = yield Ask(ridge.Level1Moments, parameters, inputs, block.size)
        moments: ridge.Level1Moments = answer.whole()
        standard = ridge.standardize(int(moments.people), moments.z, moments.square)
        logistic = LogisticModel(model, "score", coded_12=coded_12)
        fit = yield from _logistic(logistic, origins, asked, settings, predictions, standard)
    else:
        answer = yield Ask(ridge.Level1Sums, parameters, {**inputs, "effects": effects}, block.size)
        penalty = ridge.penalties(predictors, settings.heritability)
        fit = ridge.solve_level1(answer.whole(), penalty, outsiders=settings.outsiders)
    chromosome = np.repeat(of_block, penalties)
    name = ridge.offsets_id(predictions, fit.weights, fit.centre, chromosome)
    answer = yield Ask(
        ridge.ResidualSums,
        OffsetParameters(**asked, wgr=name, predictions=predictions),
        {
            "effects": effects,
            "predictor_weights": fit.weights,
            "centre": fit.centre,
            "chromosome": chromosome,
        },
    )
    held_out = "held-out loss" if settings.binary else "held-out R2"
    best = fit.error.min(axis=1) if settings.binary else 1.0 - fit.error.min(axis=1)
    shares = [settings.heritability[place] for place in fit.chosen.tolist()]
    summary = {
        "rows of step 1": dict.fromkeys(model.traits, int(block.size)),
        "blocks": dict.fromkeys(model.traits, int(of_block.size)),
        held_out: dict(zip(model.traits, best.tolist(), strict=True)),
        "heritability chosen": dict(zip(model.traits, shares, strict=True)),
    }
    if settings.outsiders:
        outside = people - int(folds.people.sum())
        summary["people predicted for only"] = dict.fromkeys(model.traits, outside)
    left_out = {"left out of step 1, by trait": dict.fromkeys(model.traits, left_out)}
    return StepOne(name, answer.whole(), effects, summary, left_out)


def _logistic(
    model: LogisticModel,
    origins: Origins,
    asked: dict[str, Any],
    settings: WgrSettings,
    predictions: str,
    standard: ridge.Standard,
) -> Rounds:
    """Level 1 of binary traits, one after the other."""
    found = yield from logistic_protocol.nulls(model, origins)
    traits, predictors = standard.scale.shape
    penalty = ridge.liability_penalties(predictors, settings.heritability)
    fits = []
    for trait in range(traits):
        parameters = LogisticRidgeParameters(
            **asked, predictions=predictions, trait=trait, coded_12=model.coded_12
        )
        inputs = {
            "centre": standard.centre,
            "scale": standard.scale,
            "null": found.null.theta[trait],
        }
        answer = yield Ask(ridge.InformationSums, parameters, inputs)
        information: ridge.InformationSums = answer.whole()
        iteration = ridge.LogisticRidge(information, penalty, outsiders=settings.outsiders)
        while not iteration.done:
            if iteration.rounds == _MOST_ROUNDS:
                raise TraitError(
                    f"the logistic ridge of trait {model.model.traits[trait]} has not converged "
                    f"in {_MOST_ROUNDS} rounds; ask with fewer folds or without small shares"
                )
            chosen = iteration.unfinished
            answer = yield Ask(
                ridge.GradientSums,
                parameters,
                {
                    **inputs,
                    "left_out": iteration.left_out[chosen],
                    "position": iteration.position[chosen],
                },
            )
            iteration.absorb(answer.whole())
        fits.append(iteration.finish(int(information.people.sum())))
    return ridge.logistic_fit(standard, fits)


def step_one_kept(model: GwasModel, origins: Origins, wgr: str) -> Rounds:
    """What is known of a regression whose offsets the sites have kept."""
    asked = _parameters(model, origins)
    design = yield from _design(model, origins, asked)
    effects = ridge.design_effects(design)
    answer = yield Ask(ridge.ResidualSums, OffsetParameters(**asked, wgr=wgr), {"effects": effects})
    return StepOne(wgr, answer.whole(), effects, {})


def _design(model: GwasModel, origins: Origins, asked: dict[str, Any]) -> Rounds:
    """Products of covariates and traits over everybody; a bad model ends here."""
    answer = yield Ask(linear.DesignSums, LinearParameters(**asked))
    design: linear.DesignSums = answer.whole()
    names = covariate_names(model, origins.covariates.mean.size)
    linear.require_independent(design, names, model.traits)
    return design


def _rows(panel: Panel, asked: dict[str, Any], settings: WgrSettings) -> Rounds:
    """The rows of step 1: what goes with a plan, the chromosome of each block, what is left out."""
    answer = yield Ask(
        ridge.CountSums,
        RidgeParameters(**asked),
        panel.inputs,
        panel.size,
        2 * (settings.folds + settings.outsiders),
    )
    sums: ridge.CountSums = answer.whole()
    called, copies = sums.called.sum(axis=1), sums.allele_count.sum(axis=1)
    frequency = copies / np.maximum(2.0 * called, 1.0)
    common = np.minimum(frequency, 1.0 - frequency) >= settings.min_frequency
    varies = (copies > 0) & (copies < 2 * called)
    place = ridge.places(panel.rows["contig"].to_numpy())
    autosomal = place < ridge.AUTOSOMES
    chosen = np.flatnonzero(sums.shown & common & varies & autosomal)
    if not chosen.size:
        raise PanelError("no row can be used for step 1 of a whole-genome regression")
    block, chromosome = _blocks(place[chosen], settings.block)
    inputs = {**panel.take(chosen).inputs, "block": block}
    if not asked["site_effects"]:
        inputs["mean"] = copies[chosen] / called[chosen]
    left_out = {
        "rows withheld by policy": int((~sums.shown).sum()),
        "rows of low frequency": int((sums.shown & ~(common & varies)).sum()),
        "rows not on autosomes": int((~autosomal).sum()),
    }
    return inputs, chromosome, left_out


def _blocks(place: NDArray, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The block of each row, and the chromosome of each block, from the chromosomes of the rows."""
    ends = [*np.flatnonzero(np.diff(place)) + 1, place.size]
    block, start = np.empty(place.size, np.int64), 0
    chromosomes: list[int] = []
    for end in ends:
        for first in range(start, end, size):
            block[first : min(first + size, end)] = len(chromosomes)
            chromosomes.append(int(place[first]))
        start = end
    return block, np.array(chromosomes, np.int64)


def _level0(
    folds: ridge.FoldSums,
    effects: NDArray,
    asked: dict[str, Any],
    settings: WgrSettings,
    inputs: dict[str, NDArray],
) -> Rounds:
    """Weights of every row and adjustments of every block, solved as the sums come in."""
    block = inputs["block"]
    sizes = np.bincount(block)
    width = int(sizes.max())
    covariates, traits = folds.xy.shape[1:]
    answer = yield Ask(
        ridge.BlockSums,
        BlockParameters(**asked, width=width),
        inputs,
        block.size,
        settings.folds * (width + covariates + traits + 2),
    )
    penalty = ridge.penalties(block.size, settings.heritability)
    weights, adjust = [], []
    for sums in _whole_blocks(answer, sizes.tolist()):
        solved = ridge.solve_block(
            folds, sums, penalty, effects=effects, outsiders=settings.outsiders
        )
        weights.append(solved.weights.reshape(sums.rows, -1))
        adjust.append(solved.adjust.reshape(covariates, weights[-1].shape[1]))
    return np.concatenate(weights), np.stack(adjust)


def _whole_blocks(answer: Answer, sizes: list[int]) -> Iterator[ridge.BlockSums]:
    """Sums of one ridge block after the other, from shards that do not know of blocks."""
    shards = answer.shards()
    held: ridge.BlockSums | None = None
    for size in sizes:
        while held is None or held.rows < size:
            part = next(shards)
            held = part if held is None or not held.rows else concatenate([held, part])
        yield rows_between(held, 0, size)
        held = rows_between(held, size, held.rows)


def step_two(model: GwasModel, panel: Panel, origins: Origins, first: StepOne) -> Rounds:
    """Test every row beside the predictions of all chromosomes but its own."""
    chromosome = ridge.places(panel.rows["contig"].to_numpy())
    kind = ridge.SCORE_SUMS[model.site_effects, model.dosages]
    covariates, traits = first.effects.shape
    people = first.residuals.people
    width = linear.numbers_per_row(kind, covariates, traits, people.size)
    answer = yield Ask(
        kind,
        RidgeScoreParameters(**_parameters(model, origins), wgr=first.id),
        {**panel.inputs, "effects": first.effects, "chromosome": chromosome},
        panel.size,
        width,
    )
    scale = origins.traits.scale

    def shards() -> Iterator[ridge.ScoreResult]:
        spans = answer.plan.spans()
        for (start, stop), part in zip(spans, answer.shards(people), strict=True):
            yield ridge.finalize(first.residuals, chromosome[start:stop], part, scale)

    return WgrFit(people[first.residuals.trait_group], shards())
