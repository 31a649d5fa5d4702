"""Step 2 at a site: what is left of its traits beside predictions, and rows tested with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers import linear as linear_answers
from genome_eu.federation.answers.answering import Answering, Inputs, Part, panel_name
from genome_eu.federation.answers.offsets import kept_offsets, said_of
from genome_eu.federation.answers.wgr.folds import (
    columns_of,
    exposed_folds,
    given,
)
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.parameters.wgr import OffsetParameters, RidgeScoreParameters
from genome_eu.federation.plan import Plan
from genome_eu.stats import exposure, linear, ridge

if TYPE_CHECKING:
    from genome_eu.federation.site import Site

# What is summed of each row in step 2.
_SCORES: Mapping[str, type[linear.RowSums]] = {
    kind.statistic: kind for kind in ridge.SCORE_SUMS.values()
}


def _residuals(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    asked: OffsetParameters = plan.asked()
    model, facts = linear_answers.model(site, plan)
    (effects,) = given(plan, inputs, effects=(model.width, model.traits))
    offsets = _offsets(site, plan, inputs, model)
    left = ridge.residuals(model, effects, offsets)
    yield (
        ridge.summarize_residuals(model, left),
        replace(facts, leverage=_leverage(site, model, left)),
    )
    if asked.predictions is not None or asked.parts:
        cohort, said = site.store.genotype_digest, said_of(asked, _people(model))
        site.state.ridge.keep_offsets(asked.wgr, cohort, offsets, said)


def _leverage(site: Site, model: linear.Design, left: ridge.Residuals) -> float:
    """The largest leverage of anybody on what is left of a trait beside every chromosome.

    People in no fold were judged by no sum of predictions before.
    """
    if site.policy is None or site.policy.max_leverage >= 1:
        return 0.0
    found = [0.0]
    for trait, group in enumerate(model.trait_group):
        members = model.members(group)
        if members.any():
            columns = np.hstack([model.covariates(group), left.values[:, :, trait].T])
            found.append(exposure.largest_leverage(columns[members]))
    return max(found)


def _people(model: linear.Design) -> NDArray[np.bool_]:
    """Who is of which trait, (people, traits)."""
    return model.included[:, model.trait_group]


def _offsets(site: Site, plan: Plan, inputs: Inputs, model: linear.Design) -> ridge.Offsets:
    """Offsets of all traits: new, joined of parts, or those that an earlier question kept."""
    asked: OffsetParameters = plan.asked()
    if asked.predictions is not None:
        return _new_offsets(site, plan, inputs, model, asked.predictions)
    if asked.parts:
        return _joined_offsets(site, asked, model)
    return kept_offsets(site, asked, _people(model))


def _new_offsets(
    site: Site, plan: Plan, inputs: Inputs, model: linear.Design, name: str
) -> ridge.Offsets:
    """Offsets of one group of traits, made of the predictions that an earlier round kept."""
    asked: OffsetParameters = plan.asked()
    folded = ridge.folded(model, asked.folds, smallest=asked.smallest)
    predictions = site.state.ridge.predictions(name, site.store.genotype_digest)
    width = predictions.values.shape[1]
    level1, centre, chromosome = given(
        plan,
        inputs,
        predictor_weights=(folded.sets, folded.traits, width),
        centre=(folded.traits, width),
        chromosome=(width,),
    )
    if not width or not 0 <= chromosome.min() <= chromosome.max() < ridge.AUTOSOMES:
        raise BundleError("predictors are not of autosomes")
    if asked.wgr != ridge.offsets_id(name, level1, centre, chromosome):
        raise BundleError("the plan's regression is not that of its weights")
    return ridge.leave_one_out(folded, predictions, level1, centre, chromosome, ridge.AUTOSOMES)


def _joined_offsets(site: Site, asked: OffsetParameters, model: linear.Design) -> ridge.Offsets:
    """Offsets of all traits, from those that were kept of each group."""
    if asked.wgr != ridge.joined_id(asked.parts):
        raise BundleError("the plan's regression is not that of its parts")
    people = _people(model)
    values = np.zeros((ridge.AUTOSOMES + 1, model.traits, site.store.people))
    for group, name in enumerate(asked.parts):
        mine = np.flatnonzero(model.trait_group == group)
        named = tuple(asked.traits[trait] for trait in mine)
        one = asked.model_copy(update={"traits": named, "wgr": name})
        values[:, mine] = kept_offsets(site, one, people[:, mine]).values
    return ridge.Offsets(values)


def _score(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    asked: RidgeScoreParameters = plan.asked()
    kind = _SCORES[plan.statistic]
    dosages = issubclass(kind, linear.DOSAGE_SUMS)
    if kind is not ridge.SCORE_SUMS[asked.site_effects, dosages]:
        raise BundleError(f"{plan.statistic} does not go with site_effects={asked.site_effects}")
    model, facts = linear_answers.model(site, plan)
    offsets = kept_offsets(site, asked, _people(model))
    effects, chromosome = given(
        plan, inputs, effects=(model.width, model.traits), chromosome=(plan.rows,)
    )
    if plan.rows and not 0 <= chromosome.min() <= chromosome.max() < len(offsets.values):
        raise BundleError("chromosomes of rows are not those of the regression")
    width, columns = _widths(plan.statistic, asked, site.store.people)
    for part in site.stream(
        plan,
        rows,
        ridge.summarize_score,
        model,
        ridge.residuals(model, effects, offsets),
        dosages,
        by_row=(chromosome,),
        width=width,
        columns=columns,
        dosages=dosages,
    ):
        yield part, facts


def _exposure_of_residuals(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    asked: OffsetParameters = plan.asked()
    x, y = columns_of(site, asked)
    # Squares of what two predictions leave of a trait, which differ in one person, give that trait.
    offsets = _offsets(site, plan, inputs, linear_answers.model(site, plan)[0]).values
    if asked.predictions is None:
        return exposed.model(x, y, asked.traits, offsets=offsets)
    rows = len(asked.traits) * (ridge.AUTOSOMES + 1)
    found = exposed_folds(exposed, asked, (x, y), rows=rows, panel=asked.wgr, outsiders=True)
    return exposed.with_offsets(found, x, y, offsets)


def _exposure_of_score(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    asked = plan.asked()
    x, y = columns_of(site, asked)
    of_dosages = issubclass(_SCORES[plan.statistic], linear.DOSAGE_SUMS)
    return exposed.beside(
        x,
        y,
        asked.traits,
        asked.wgr,
        rows=plan.rows,
        panel=panel_name(inputs, dosages=of_dosages),
        offsets=kept_offsets(site, asked, _people(linear_answers.model(site, plan)[0])).values,
    )


def _widths(statistic: str, asked: RidgeScoreParameters, people: int) -> tuple[int, int]:
    """Numbers of a row of a score, and columns that are multiplied at a time."""
    kind = _SCORES[statistic]
    covariates = len(asked.covariate_mean) + (not asked.site_effects)
    model = covariates, len(asked.traits), max(asked.groups) + 1
    columns = linear.columns_at_a_time(kind, *model, people)
    return linear.numbers_per_row(kind, *model) + columns, columns


def _width_of(statistic: str) -> Callable[[RidgeScoreParameters, int], int]:
    return lambda asked, people: _widths(statistic, asked, people)[0]


ANSWERING: Mapping[str, Answering] = {
    "ridge_residuals": Answering(_residuals, _exposure_of_residuals),
} | {
    statistic: Answering(_score, _exposure_of_score, _width_of(statistic)) for statistic in _SCORES
}
