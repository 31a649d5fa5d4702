"""Level 1 of a binary trait at a site: a logistic ridge on the predictions that it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers import logistic as logistic_answers
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.answers.wgr.folds import (
    columns_of,
    digest_of,
    exposed_folds,
    given,
    people_of,
)
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.plan import Plan
from genome_eu.stats import logistic, ridge

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


@dataclass(frozen=True, eq=False)
class _Binary:
    """One binary trait of the predictions that a site keeps."""

    people: ridge.FoldedDesign
    cases: NDArray
    offset: NDArray
    predictions: ridge.Predictions
    standard: ridge.Standard


def _binary(site: Site, plan: Plan, inputs: Inputs) -> _Binary:
    asked = plan.asked()
    linear_model, folded, _ = people_of(site, plan)
    x, y = logistic_answers.columns(site, asked)
    if asked.trait >= folded.traits:
        raise BundleError("the plan has no trait of that number")
    mean, scale = np.asarray(asked.covariate_mean), np.asarray(asked.covariate_scale)
    x = np.where(linear_model.members(0)[:, None], x, np.nan)
    design = logistic.design(
        (x - mean) / scale, y[:, [asked.trait]], site_effects=asked.site_effects
    )
    predictions = site.state.ridge.predictions(asked.predictions, site.store.genotype_digest)
    shape = (folded.traits, predictions.values.shape[1])
    null, centre, spread = given(plan, inputs, null=(design.width,), centre=shape, scale=shape)
    fitted = logistic.fit_people(design, null[None])
    # A site without cases or without controls says nothing of the trait.
    fold = np.where(design.included[:, 0], folded.fold, -1)
    return _Binary(
        replace(folded, fold=fold),
        design.y[:, 0],
        fitted.eta[:, 0],
        predictions,
        ridge.Standard(centre, spread),
    )


def _effective(weight: NDArray) -> int:
    """How many people a weighted sum is of: as many as have the largest weight."""
    return int(weight.sum() / weight.max() + 1e-9) if weight.size and weight.max() > 0 else 0


def _information(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    one = _binary(site, plan, inputs)
    part = ridge.summarize_information(
        one.people, plan.asked().trait, one.offset, one.predictions, one.standard
    )
    chance = expit(one.offset)
    weight = chance * (1.0 - chance)
    groups = tuple(Facts(people=_effective(weight[members])) for members in one.people.members)
    yield part, Facts(people=int((one.people.fold >= 0).sum()), groups=groups)


def _gradient(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    asked = plan.asked()
    one = _binary(site, plan, inputs)
    left_out, position = given(
        plan, inputs, left_out=(None,), position=(None, one.predictions.values.shape[1])
    )
    if len(left_out) != len(position) or np.any((left_out < 0) | (left_out >= one.people.sets)):
        raise BundleError("the fits of the plan do not leave out folds")
    shared = (asked.trait, one.cases, one.offset, one.predictions, one.standard)
    part = ridge.summarize_gradients(one.people, *shared, left_out, position)
    groups = [Facts(people=members.size) for members in one.people.members]
    if site.policy is not None:
        groups += [
            Facts(people=_effective(np.abs(left)))
            for left in ridge.left_of_cases(one.people, *shared, left_out, position)
        ]
    yield part, Facts(people=int((one.people.fold >= 0).sum()), groups=tuple(groups))


def _exposure_of_information(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    asked, own = plan.asked(), inputs["centre"].shape[1]
    return exposed_folds(
        exposed, asked, columns_of(site, asked), rows=own, panel=asked.predictions, own=own
    )


def _exposure_of_gradient(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    """Every fit of every round multiplies predictions by a column of its own."""
    asked = plan.asked()
    _, folded, _ = people_of(site, plan)
    if not folded.fitted.any():
        return exposed.everybody()
    x, y = columns_of(site, asked)
    name = f"{asked.predictions} {asked.trait} {digest_of(inputs, 'position')}"
    position = inputs["position"]
    return exposed.beside(
        x, y, (), name, rows=position.shape[1], panel=asked.predictions, own=len(position)
    )


ANSWERING: Mapping[str, Answering] = {
    "ridge_information": Answering(_information, _exposure_of_information),
    "ridge_gradient": Answering(_gradient, _exposure_of_gradient),
}
