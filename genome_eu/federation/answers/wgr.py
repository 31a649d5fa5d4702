"""A site's part in a whole-genome regression."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers import linear as linear_answers
from genome_eu.federation.answers import logistic as logistic_answers
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.answers.offsets import kept_offsets, said_of
from genome_eu.federation.exposed import Exposed
from genome_eu.federation.parameters.wgr import BlockParameters, RidgeParameters
from genome_eu.federation.plan import Plan, array_digest
from genome_eu.stats import exposure, linear, logistic, ridge
from genome_eu.stats.aggregate import Aggregate, concatenate, rows_between

if TYPE_CHECKING:
    from genome_eu.federation.site import Site

# What predictions are made with.
_WEIGHTS = ("block", "weights", "adjust")


def _people(site: Site, plan: Plan) -> tuple[linear.Design, ridge.FoldedDesign, Facts]:
    """The people of a plan: in their model, in their folds, and what the checks must know."""
    model, facts = linear_answers.model(site, plan)
    folded = ridge.folded(model, plan.asked().folds)
    return model, folded, facts


def _facts_of_folds(site: Site, folded: ridge.FoldedDesign, facts: Facts, **more: Any) -> Facts:
    """The facts of everybody, then those of each fold: every sum is of one fold."""
    groups = list(facts.groups)
    for members in folded.members:
        columns = np.hstack([folded.x[members], folded.y[members]])
        if site.policy is None or not members.size:
            groups.append(Facts(people=members.size))
            continue
        groups.append(
            Facts(
                people=members.size,
                smallest_class=exposure.smallest_class(columns),
                leverage=exposure.largest_leverage(columns),
            )
        )
    return Facts(people=facts.people, groups=tuple(groups), **more)


def _given(plan: Plan, inputs: Inputs, **shapes: tuple[int | None, ...]) -> list[NDArray]:
    """Arrays that must come with a plan, each of its shape; None is any size.

    Raises
    ------
    BundleError
        One is missing, or has another shape.
    """
    found = []
    for name, shape in shapes.items():
        array = inputs.get(name)
        if array is None or any(
            want not in (None, size) for want, size in zip(shape, array.shape, strict=True)
        ):
            raise BundleError(f"input {name} of {plan.statistic} does not fit the plan")
        found.append(array)
    return found


def _centre(plan: Plan, inputs: Inputs) -> list[NDArray]:
    """The mean that every site centres rows by: none where each has its own."""
    if plan.asked().site_effects:
        if "mean" in inputs:
            raise BundleError(f"{plan.statistic} centres within sites; send no mean")
        return []
    return _given(plan, inputs, mean=(plan.rows,))


def _ends(blocks: NDArray) -> list[int]:
    """Where ridge blocks end. They lie one after the other, numbered from 0."""
    steps = np.diff(blocks, prepend=0)
    if blocks.size and (blocks[0] != 0 or np.any((steps != 0) & (steps != 1))):
        raise BundleError("ridge blocks are not numbered in the order of their rows")
    return [*np.flatnonzero(np.diff(blocks)) + 1, blocks.size] if blocks.size else []


def _folds(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    _, folded, facts = _people(site, plan)
    yield ridge.summarize_folds(folded), _facts_of_folds(site, folded, facts)


def _counts(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    _, folded, facts = _people(site, plan)
    known = _facts_of_folds(site, folded, facts)
    width = 2 * folded.folds
    for part in site.stream(plan, rows, ridge.summarize_counts, folded, width=width):
        yield part, known


def _block(block: Any, *given: Any) -> ridge.BlockSums:
    *mean, folded, width = given
    return ridge.summarize_block(block, folded, width, *mean)


def _blocks(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    asked: BlockParameters = plan.asked()
    _, folded, facts = _people(site, plan)
    (blocks,) = _given(plan, inputs, block=(plan.rows,))
    ends = _ends(blocks)
    if np.bincount(blocks, minlength=1).max() > asked.width:
        raise BundleError("a ridge block has more rows than the plan says")
    parts = site.by_blocks(
        plan.statistic,
        rows,
        _block,
        folded,
        asked.width,
        by_row=_centre(plan, inputs),
        ends=ends,
        summary_bytes=8 * asked.width * _width_of_block(asked, 0),
    )
    known = _facts_of_folds(site, folded, facts)
    for part in _in_shards(parts, plan):
        yield part, known


def _in_shards(parts: Iterator[Any], plan: Plan) -> Iterator[Any]:
    """Aggregates of blocks of any size, cut and joined to the shards of a plan."""
    held: list[Aggregate] = []
    have = 0
    for start, stop in plan.spans():
        while have < stop - start:
            part = next(parts)
            held.append(part)
            have += part.rows
        whole = concatenate(held)
        size = stop - start
        yield rows_between(whole, 0, size)
        held = [rows_between(whole, size, whole.rows)] if whole.rows > size else []
        have -= size


def _predict(block: Any, *given: Any) -> tuple[NDArray, NDArray]:
    """Predictions of a block, and the fewest minor alleles of its rows in any fold."""
    *mean, weights, number, folded, adjust, shape = given
    solved = ridge.BlockWeights(
        weights.reshape(len(weights), *shape), adjust[number[0]].reshape(-1, *shape)
    )
    counted = ridge.summarize_counts(block, folded)
    there = counted.called.any(axis=0)
    minor = np.minimum(counted.allele_count, 2 * counted.called - counted.allele_count)
    fewest = minor[:, there].min(axis=1, initial=np.iinfo(np.int64).max)
    return ridge.predict_block(block, folded, solved, *mean), fewest


def _predictions(
    site: Site, plan: Plan, inputs: Inputs, folded: ridge.FoldedDesign, room: NDArray
) -> NDArray:
    """Fill in the predictions of all blocks; the fewest minor alleles of every row in any fold."""
    rows = site.panel(plan, inputs)
    asked = plan.asked()
    shape = (folded.folds, asked.penalties, folded.traits)
    weights, blocks = _given(
        plan, inputs, weights=(plan.rows, int(np.prod(shape))), block=(plan.rows,)
    )
    ends = _ends(blocks)
    (adjust,) = _given(plan, inputs, adjust=(len(ends), folded.x.shape[1], int(np.prod(shape))))
    minor = []
    results = site.by_blocks(
        f"{plan.statistic}, {room.nbytes / 2**30:.2g} GiB kept",
        rows,
        _predict,
        folded,
        adjust,
        shape,
        by_row=[*_centre(plan, inputs), weights, blocks],
        ends=ends,
        summary_bytes=8 * site.store.people * asked.penalties * folded.traits,
    )
    for number, (values, fewest) in enumerate(results):
        room[:, number * asked.penalties : (number + 1) * asked.penalties] = values.swapaxes(0, 1)
        minor.append(fewest)
    return np.concatenate([np.empty(0, np.int64), *minor])


def _level1(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    """Predict, and sum products of the predictions; they are kept once the sums may leave."""
    asked = plan.asked()
    _, folded, facts = _people(site, plan)
    _given(plan, inputs, weights=(plan.rows, None), block=(plan.rows,), adjust=(None, None, None))
    rows = inputs.get("panel", inputs.get("places"))
    made = ridge.predictions_id(rows, inputs.get("mean"), *(inputs[name] for name in _WEIGHTS))
    if asked.predictions != made:
        raise BundleError("the plan's predictions are not those of its weights")
    number = len(_ends(inputs["block"])) * asked.penalties
    shape = (folded.traits, number, site.store.people)
    with site.state.ridge.room(asked.predictions, site.store.genotype_digest, shape) as room:
        minor = _predictions(site, plan, inputs, folded, room)
        kept = ridge.Predictions(room)
        part: Aggregate
        if plan.statistic == "ridge_moments":
            part = ridge.summarize_moments(folded, kept)
        else:
            (effects,) = _given(plan, inputs, effects=(folded.x.shape[1], folded.traits))
            part = ridge.summarize_level1(folded, kept, effects)
        # Nothing is kept unless the airlock lets the sums out, which makes it come back here.
        yield part, _facts_of_folds(site, folded, facts, minor_alleles=minor)


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
    linear_model, folded, _ = _people(site, plan)
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
    null, centre, spread = _given(plan, inputs, null=(design.width,), centre=shape, scale=shape)
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
    left_out, position = _given(
        plan, inputs, left_out=(None,), position=(None, one.predictions.values.shape[1])
    )
    if len(left_out) != len(position) or np.any((left_out < 0) | (left_out >= one.people.folds)):
        raise BundleError("the fits of the plan do not leave out folds")
    given = (asked.trait, one.cases, one.offset, one.predictions, one.standard)
    part = ridge.summarize_gradients(one.people, *given, left_out, position)
    groups = [Facts(people=members.size) for members in one.people.members]
    if site.policy is not None:
        groups += [
            Facts(people=_effective(np.abs(left)))
            for left in ridge.left_of_cases(one.people, *given, left_out, position)
        ]
    yield part, Facts(people=int((one.people.fold >= 0).sum()), groups=tuple(groups))


def _residuals(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    asked = plan.asked()
    _, folded, facts = _people(site, plan)
    (effects,) = _given(plan, inputs, effects=(folded.x.shape[1], folded.traits))
    offsets = None
    if asked.predictions is not None:
        offsets = _new_offsets(site, plan, inputs, folded)
    else:
        offsets = kept_offsets(site, asked, folded.fold >= 0)
    yield ridge.summarize_residuals(folded, effects, offsets), facts
    if asked.predictions is not None:
        cohort = site.store.genotype_digest
        said = said_of(asked, folded.fold >= 0)
        site.state.ridge.keep_offsets(asked.wgr, cohort, offsets, said)


def _new_offsets(
    site: Site, plan: Plan, inputs: Inputs, folded: ridge.FoldedDesign
) -> ridge.Offsets:
    asked = plan.asked()
    predictions = site.state.ridge.predictions(asked.predictions, site.store.genotype_digest)
    width = predictions.values.shape[1]
    level1, centre, chromosome = _given(
        plan,
        inputs,
        predictor_weights=(folded.folds, folded.traits, width),
        centre=(folded.traits, width),
        chromosome=(width,),
    )
    if not width or not 0 <= chromosome.min() <= chromosome.max() < ridge.AUTOSOMES:
        raise BundleError("predictors are not of autosomes")
    if asked.wgr != ridge.offsets_id(asked.predictions, level1, centre, chromosome):
        raise BundleError("the plan's regression is not that of its weights")
    return ridge.leave_one_out(folded, predictions, level1, centre, chromosome, ridge.AUTOSOMES)


def _score(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    asked = plan.asked()
    if asked.site_effects != (plan.statistic == "ridge_score"):
        raise BundleError(f"{plan.statistic} does not go with site_effects={asked.site_effects}")
    model, folded, facts = _people(site, plan)
    offsets = kept_offsets(site, asked, folded.fold >= 0)
    effects, chromosome = _given(
        plan, inputs, effects=(folded.x.shape[1], folded.traits), chromosome=(plan.rows,)
    )
    if plan.rows and not 0 <= chromosome.min() <= chromosome.max() < len(offsets.values):
        raise BundleError("chromosomes of rows are not those of the regression")
    width, columns = _widths(plan.statistic, asked, site.store.people)
    for part in site.stream(
        plan,
        rows,
        ridge.summarize_score,
        model,
        folded,
        effects,
        offsets,
        by_row=(chromosome,),
        width=width,
        columns=columns,
    ):
        yield part, facts


# -- whom it exposes ---------------------------------------------------------------------------


def _exposure(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    """Everybody and every fold; of each the columns that rows, or predictions, are multiplied by.

    Rows are multiplied by the rows of their own block, and predictions by all predictions: each
    of those is a column.
    """
    asked = plan.asked()
    x, y = _columns(site, asked)
    rows, panel, own = 0, "", 0
    if plan.statistic in ("ridge_counts", "ridge_block"):
        rows, panel = plan.rows, _digest(inputs, "panel")
        own = asked.width if plan.statistic == "ridge_block" else 0
    elif plan.statistic in ("ridge_level1", "ridge_moments"):
        own = rows = len(_ends(inputs["block"])) * asked.penalties
        panel = asked.predictions
    elif plan.statistic == "ridge_information":
        own = rows = inputs["centre"].shape[1]
        panel = asked.predictions
    elif plan.statistic == "ridge_residuals" and asked.predictions is not None:
        rows, panel = len(asked.traits) * (ridge.AUTOSOMES + 1), asked.wgr
    elif plan.statistic == "ridge_folds":
        rows, panel = linear_answers.of_genotypes(asked, x)
    return exposed.folds(
        x,
        y,
        lambda members: ridge.assign_folds(members, asked.folds),
        rows=rows,
        panel=panel,
        own=own,
        counted=plan.statistic in ("ridge_counts", "ridge_folds"),
    )


def _exposure_of_gradient(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    """Every fit of every round multiplies predictions by a column of its own."""
    asked = plan.asked()
    x, y = _columns(site, asked)
    name = f"{asked.predictions} {asked.trait} {_digest(inputs, 'position')}"
    position = inputs["position"]
    return exposed.beside(
        x, y, (), name, rows=position.shape[1], panel=asked.predictions, own=len(position)
    )


def _exposure_of_score(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    asked = plan.asked()
    x, y = _columns(site, asked)
    return exposed.beside(
        x,
        y,
        asked.traits,
        asked.wgr,
        rows=plan.rows,
        panel=_digest(inputs, "panel"),
        own=len(asked.traits),
    )


def _columns(site: Site, asked: RidgeParameters) -> tuple[NDArray, NDArray]:
    x = linear_answers.covariates(site, asked)
    return x, linear_answers.traits(site, asked, x)


def _digest(inputs: Inputs, name: str) -> str:
    return array_digest(inputs[name]) if name in inputs else ""


def _width_of_counts(asked: RidgeParameters, people: int) -> int:
    return 2 * asked.folds


def _width_of_block(asked: BlockParameters, people: int) -> int:
    covariates = len(asked.covariate_mean) + 1
    return asked.folds * (asked.width + covariates + len(asked.traits) + 2)


def _widths(statistic: str, asked: RidgeParameters, people: int) -> tuple[int, int]:
    """Numbers of a row of a score, and columns that are multiplied at a time."""
    kind = linear.MeanSums if statistic == "ridge_score" else linear.RawSums
    covariates = len(asked.covariate_mean) + (not asked.site_effects)
    model = covariates, len(asked.traits), 1
    columns = linear.columns_at_a_time(kind, *model, people)
    return linear.numbers_per_row(kind, *model) + columns, columns


def _width_of(statistic: str) -> Callable[[RidgeParameters, int], int]:
    return lambda asked, people: _widths(statistic, asked, people)[0]


ANSWERING: Mapping[str, Answering] = {
    "ridge_folds": Answering(_folds, _exposure),
    "ridge_counts": Answering(_counts, _exposure, _width_of_counts),
    "ridge_block": Answering(_blocks, _exposure, _width_of_block),
    "ridge_moments": Answering(_level1, _exposure),
    "ridge_level1": Answering(_level1, _exposure),
    "ridge_information": Answering(_information, _exposure),
    "ridge_gradient": Answering(_gradient, _exposure_of_gradient),
    "ridge_residuals": Answering(_residuals, _exposure),
} | {
    statistic: Answering(_score, _exposure_of_score, _width_of(statistic))
    for statistic in ("ridge_score", "ridge_score_raw")
}
