"""Level 1 at a site: predictions of its people, which stay, and products of them in each fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.answers.wgr.folds import (
    centre_of,
    columns_of,
    ends_of,
    exposed_folds,
    facts_of_folds,
    given,
    lacking,
    leverage_of,
    people_of,
)
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.plan import Plan
from genome_eu.stats import ridge
from genome_eu.stats.aggregate import Aggregate

if TYPE_CHECKING:
    from genome_eu.federation.site import Site

# What predictions are made with.
_WEIGHTS = ("block", "weights", "adjust")


def _predict(block: Any, *given: Any) -> tuple[NDArray, NDArray, NDArray]:
    """Predictions of a block; by row the fewest minor alleles in any fold, and who lacks a call."""
    *mean, weights, number, folded, adjust, shape = given
    solved = ridge.BlockWeights(
        weights.reshape(len(weights), *shape), adjust[number[0]].reshape(-1, *shape)
    )
    counted = ridge.summarize_counts(block, folded)
    there = counted.called.any(axis=0)
    minor = np.minimum(counted.allele_count, 2 * counted.called - counted.allele_count)
    fewest = minor[:, there].min(axis=1, initial=np.iinfo(np.int64).max)
    missing = lacking(folded, counted.called)
    return ridge.predict_block(block, folded, solved, *mean), fewest, missing


def _predictions(
    site: Site, plan: Plan, inputs: Inputs, folded: ridge.FoldedDesign, room: NDArray
) -> tuple[NDArray, NDArray | None]:
    """Fill in the predictions of all blocks; the fewest minor alleles of every row in any fold.

    And the people of each fold who lack a call, where what stands for it comes with the plan.
    """
    rows = site.panel(plan, inputs)
    asked = plan.asked()
    shape = (folded.sets, asked.penalties, folded.traits)
    weights, blocks = given(
        plan, inputs, weights=(plan.rows, int(np.prod(shape))), block=(plan.rows,)
    )
    ends = ends_of(blocks)
    (adjust,) = given(plan, inputs, adjust=(len(ends), folded.x.shape[1], int(np.prod(shape))))
    minor, missing = [], []
    mean = centre_of(plan, inputs)
    results = site.by_blocks(
        f"{plan.statistic}, {room.nbytes / 2**30:.2g} GiB kept",
        rows,
        _predict,
        folded,
        adjust,
        shape,
        by_row=[*mean, weights, blocks],
        ends=ends,
        summary_bytes=8 * site.store.people * asked.penalties * folded.traits,
    )
    for number, (values, fewest, lack) in enumerate(results):
        room[:, number * asked.penalties : (number + 1) * asked.penalties] = values.swapaxes(0, 1)
        minor.append(fewest)
        missing.append(lack)
    told = np.concatenate(missing) if mean and missing else None
    return np.concatenate([np.empty(0, np.int64), *minor]), told


def _level1(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    """Predict, and sum products of the predictions; they are kept once the sums may leave."""
    asked = plan.asked()
    _, folded, facts = people_of(site, plan)
    given(plan, inputs, weights=(plan.rows, None), block=(plan.rows,), adjust=(None, None, None))
    rows = inputs.get("panel", inputs.get("places"))
    made = ridge.predictions_id(rows, inputs.get("mean"), *(inputs[name] for name in _WEIGHTS))
    if asked.predictions != made:
        raise BundleError("the plan's predictions are not those of its weights")
    number = len(ends_of(inputs["block"])) * asked.penalties
    shape = (folded.traits, number, site.store.people)
    with site.state.ridge.room(asked.predictions, site.store.genotype_digest, shape) as room:
        minor, missing = _predictions(site, plan, inputs, folded, room)
        kept = ridge.Predictions(room)
        part: Aggregate
        if plan.statistic == "ridge_moments":
            part = ridge.summarize_moments(folded, kept)
        else:
            (effects,) = given(plan, inputs, effects=(folded.x.shape[1], folded.traits))
            part = ridge.summarize_level1(folded, kept, effects)
        # Nothing is kept unless the airlock lets the sums out, which makes it come back here.
        yield (
            part,
            facts_of_folds(
                site,
                folded,
                facts,
                minor_alleles=minor,
                missing=missing,
                leverage=_leverage(site, folded, room),
            ),
        )


def _leverage(site: Site, folded: ridge.FoldedDesign, room: NDArray) -> float:
    """The largest leverage of anybody on the predictions of a trait."""
    if site.policy is None or site.policy.max_leverage >= 1:
        return 0.0
    return max((leverage_of(folded, np.asarray(one).T) for one in room), default=0.0)


def _exposure(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    asked = plan.asked()
    own = len(ends_of(inputs["block"])) * asked.penalties
    return exposed_folds(
        exposed, asked, columns_of(site, asked), rows=own, panel=asked.predictions, own=own
    )


ANSWERING: Mapping[str, Answering] = {
    "ridge_moments": Answering(_level1, _exposure),
    "ridge_level1": Answering(_level1, _exposure),
}
