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
for each chromosome. A later question may name the regression, and then begins with rounds 1 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import PanelError, TraitError, UsageError
from genome_eu.federation.answer import Answer
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
    """

    block: int = 1000
    folds: int = ridge.FOLDS
    min_frequency: float = 0.01
    heritability: tuple[float, ...] = ridge.GRID
    binary: bool = False

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


@dataclass(frozen=True, eq=False)
class StepOne:
    """What every party may know of step 1."""

    id: str
    residuals: ridge.ResidualSums
    effects: NDArray  # (covariates, traits)
    people: int
    summary: dict[str, Any]
    left_out: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WgrFit:
    """People analysed for each trait, and finished shards (lazily, in row order)."""

    people: NDArray
    shards: Iterator[ridge.ScoreResult]


def _parameters(model: GwasModel, origins: Origins, folds: int) -> dict[str, Any]:
    x, y = origins.covariates, origins.traits
    if any(origins.groups):
        other = model.traits[int(np.argmax(origins.groups))]
        raise TraitError(
            f"traits {model.traits[0]} and {other} have values for different people; ask for a "
            f"whole-genome regression of one at a time"
        )
    return {
        **model.columns,
        "groups": origins.groups,
        "trait_mean": tuple(y.mean),
        "trait_scale": tuple(y.scale),
        "covariate_mean": tuple(x.mean),
        "covariate_scale": tuple(x.scale),
        "site_effects": model.site_effects,
        "folds": folds,
    }


def _folds(model: GwasModel, origins: Origins, asked: dict[str, Any]) -> Rounds:
    """Products of covariates and traits in each fold; a bad model ends here."""
    answer = yield Ask(ridge.FoldSums, RidgeParameters(**asked))
    folds: ridge.FoldSums = answer.whole()
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
            f"a fold has none of the {int(folds.people.sum())} people with all values; ask with "
            f"fewer folds"
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
    """Fit both levels; offsets stay at the sites under the id of the regression."""
    settings.check()
    asked = _parameters(model, origins, settings.folds)
    folds: ridge.FoldSums = yield from _folds(model, origins, asked)
    inputs, of_block, left_out = yield from _rows(panel, asked, settings)
    block = inputs["block"]
    weights, adjust = yield from _level0(folds, asked, settings, inputs)

    effects = ridge.covariate_effects(folds)
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
        fit = ridge.solve_level1(answer.whole(), penalty)
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
    summary = {
        "rows of step 1": int(block.size),
        "blocks": int(of_block.size),
        held_out: dict(zip(model.traits, best.tolist(), strict=True)),
        "heritability chosen": {
            trait: settings.heritability[place]
            for trait, place in zip(model.traits, fit.chosen.tolist(), strict=True)
        },
    }
    people = int(folds.people.sum())
    return StepOne(name, answer.whole(), effects, people, summary, left_out)


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
        iteration = ridge.LogisticRidge(information, penalty)
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


def step_one_kept(model: GwasModel, origins: Origins, wgr: str, settings: WgrSettings) -> Rounds:
    """What is known of a regression whose offsets the sites have kept."""
    settings.check()
    asked = _parameters(model, origins, settings.folds)
    folds: ridge.FoldSums = yield from _folds(model, origins, asked)
    effects = ridge.covariate_effects(folds)
    answer = yield Ask(
        ridge.ResidualSums,
        OffsetParameters(**asked, wgr=wgr, predictions=None),
        {"effects": effects},
    )
    return StepOne(wgr, answer.whole(), effects, int(folds.people.sum()), {})


def _rows(panel: Panel, asked: dict[str, Any], settings: WgrSettings) -> Rounds:
    """The rows of step 1: what goes with a plan, the chromosome of each block, what is left out."""
    answer = yield Ask(
        ridge.CountSums, RidgeParameters(**asked), panel.inputs, panel.size, 2 * settings.folds
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
        "left out of step 1": {
            "rows withheld by policy": int((~sums.shown).sum()),
            "rows of low frequency": int((sums.shown & ~(common & varies)).sum()),
            "rows not on autosomes": int((~autosomal).sum()),
        },
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
        solved = ridge.solve_block(folds, sums, penalty)
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
    asked = _parameters(model, origins, ridge.FOLDS)
    chromosome = ridge.places(panel.rows["contig"].to_numpy())
    kind = ridge.RidgeScoreSums if model.site_effects else ridge.RawRidgeScoreSums
    covariates, traits = first.effects.shape
    width = linear.numbers_per_row(
        linear.MeanSums if model.site_effects else linear.RawSums, covariates, traits, 1
    )
    answer = yield Ask(
        kind,
        RidgeScoreParameters(**asked, wgr=first.id),
        {**panel.inputs, "effects": first.effects, "chromosome": chromosome},
        panel.size,
        width,
    )
    people = np.array([first.people])
    scale = origins.traits.scale

    def shards() -> Iterator[ridge.ScoreResult]:
        spans = answer.plan.spans()
        for (start, stop), part in zip(spans, answer.shards(people), strict=True):
            yield ridge.finalize(first.residuals, chromosome[start:stop], part, scale)

    return WgrFit(np.repeat(people, traits), shards())
