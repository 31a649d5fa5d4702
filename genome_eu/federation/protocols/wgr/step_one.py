"""Step 1: both levels, one group of traits after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import TraitError
from genome_eu.federation.parameters.wgr import (
    LogisticRidgeParameters,
    OffsetParameters,
    PredictionParameters,
    RidgeParameters,
)
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols import logistic as logistic_protocol
from genome_eu.federation.protocols.gwas import GwasModel, Origins, covariate_names
from genome_eu.federation.protocols.logistic import LogisticModel
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.federation.protocols.wgr.level0 import level0, step_one_rows
from genome_eu.federation.protocols.wgr.model import StepOne, WgrSettings, common, whole_design
from genome_eu.stats import linear, ridge

# Rounds of gradients of one trait; a dozen are usual.
_MOST_ROUNDS = 100


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
        OffsetParameters(**common(model, origins), wgr=joined, parts=names),
        {"effects": effects},
    )
    return StepOne(
        joined,
        answer.whole(),
        effects,
        _side_by_side([part.summary for part in parts]),
        _side_by_side([part.left_out for part in parts]),
    )


def step_one_kept(model: GwasModel, origins: Origins, wgr: str) -> Rounds:
    """What is known of a regression whose offsets the sites have kept."""
    asked = common(model, origins)
    design = yield from whole_design(model, origins, asked)
    effects = ridge.design_effects(design)
    answer = yield Ask(ridge.ResidualSums, OffsetParameters(**asked, wgr=wgr), {"effects": effects})
    return StepOne(wgr, answer.whole(), effects, {})


def _regression(
    model: GwasModel, panel: Panel, origins: Origins, settings: WgrSettings, coded_12: bool
) -> Rounds:
    """Both levels of traits that share their people."""
    asked = common(model, origins)
    effects: NDArray | None = None
    people = 0
    if settings.outsiders:
        design = yield from whole_design(model, origins, asked)
        effects, people = ridge.design_effects(design), int(design.people.sum())
    asked |= {"folds": settings.folds, "smallest": settings.smallest_site}
    folds: ridge.FoldSums = yield from _folds(model, origins, asked)
    if effects is None:
        effects = ridge.covariate_effects(folds)
    inputs, of_block, left_out = yield from step_one_rows(panel, asked, settings)
    block = inputs["block"]
    weights, adjust = yield from level0(folds, effects, asked, settings, inputs)

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


def _side_by_side(said: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of some traits and of others, each by trait."""
    return {name: {k: v for one in said for k, v in one[name].items()} for name in said[0]}
