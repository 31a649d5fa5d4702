"""Level 0 at a site: products of covariates, traits and rows, in each fold of its people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers import linear as linear_answers
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.answers.wgr.folds import (
    centre_of,
    columns_of,
    digest_of,
    ends_of,
    exposed_folds,
    facts_of_folds,
    given,
    lacking,
    leverage_of,
    people_of,
)
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.parameters.wgr import BlockParameters, RidgeParameters
from genome_eu.federation.plan import Plan
from genome_eu.stats import ridge
from genome_eu.stats.aggregate import Aggregate, concatenate, rows_between

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


def _folds(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    _, folded, facts = people_of(site, plan)
    yield ridge.summarize_folds(folded), facts_of_folds(site, folded, facts)


def _counts(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    _, folded, facts = people_of(site, plan)
    known = facts_of_folds(site, folded, facts, outsiders=True)
    width = 2 * folded.sets
    for part in site.stream(plan, rows, ridge.summarize_counts, folded, width=width):
        yield part, known


def _block(block: Any, *given: Any) -> tuple[ridge.BlockSums, float]:
    """The sums of a block, and the leverage of anybody on its rows."""
    *mean, folded, width, judged = given
    part = ridge.summarize_block(block, folded, width, *mean)
    if not judged:
        return part, 0.0
    dosage = block.dosages().astype(np.float64)
    counted = np.maximum((dosage >= 0).sum(axis=1), 1)
    own = np.where(dosage < 0, 0.0, dosage).sum(axis=1) / counted
    filled = np.where(dosage < 0, own[:, None], dosage)
    return part, leverage_of(folded, filled.T)


def _blocks(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    asked: BlockParameters = plan.asked()
    _, folded, facts = people_of(site, plan)
    (blocks,) = given(plan, inputs, block=(plan.rows,))
    ends = ends_of(blocks)
    if np.bincount(blocks, minlength=1).max() > asked.width:
        raise BundleError("a ridge block has more rows than the plan says")
    if site.repeats(rows):
        # A row in every block would be multiplied with the whole genome.
        raise BundleError("a row is in two ridge blocks")
    mean = centre_of(plan, inputs)
    results = site.by_blocks(
        plan.statistic,
        rows,
        _block,
        folded,
        asked.width,
        site.policy is not None and site.policy.max_leverage < 1,
        by_row=mean,
        ends=ends,
        summary_bytes=8 * asked.width * _width_of_block(asked, 0),
    )
    known = facts_of_folds(site, folded, facts)
    largest = [0.0]

    def parts() -> Iterator[ridge.BlockSums]:
        for part, leverage in results:
            largest.append(leverage)
            yield part

    for part in _in_shards(parts(), plan):
        # With a mean of the plan's in their place, who lacks a call can be told by changing it.
        missing = lacking(folded, part.called) if mean else None
        yield part, replace(known, leverage=max(largest), missing=missing)


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


def _exposure_of_folds(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    columns = columns_of(site, plan.asked())
    rows, panel = linear_answers.of_genotypes(plan.asked(), columns[0])
    return exposed_folds(exposed, plan.asked(), columns, rows=rows, panel=panel, counted=True)


def _exposure_of_rows(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    asked, counted = plan.asked(), plan.statistic == "ridge_counts"
    return exposed_folds(
        exposed,
        asked,
        columns_of(site, asked),
        rows=plan.rows,
        panel=digest_of(inputs, "panel"),
        own=0 if counted else asked.width,
        counted=counted,
        outsiders=counted,
    )


def _width_of_counts(asked: RidgeParameters, people: int) -> int:
    return 2 * (asked.folds + 1)


def _width_of_block(asked: BlockParameters, people: int) -> int:
    covariates = len(asked.covariate_mean) + 1
    return asked.folds * (asked.width + covariates + len(asked.traits) + 2)


ANSWERING: Mapping[str, Answering] = {
    "ridge_folds": Answering(_folds, _exposure_of_folds),
    "ridge_counts": Answering(_counts, _exposure_of_rows, _width_of_counts),
    "ridge_block": Answering(_blocks, _exposure_of_rows, _width_of_block),
}
