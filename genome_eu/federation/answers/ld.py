"""A site's sums over pairs of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError, Refused
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.parameters.ld import NUMBERS, PairParameters
from genome_eu.federation.plan import Plan
from genome_eu.stats import ld

if TYPE_CHECKING:
    from genome_eu.federation.site import Site

_SUMMARIES: Mapping[str, Callable[..., Any]] = {
    "ld_pairwise": ld.summarize_pairwise,
    "ld_filled": ld.summarize_filled,
}


def _lengths(plan: Plan, inputs: Inputs) -> NDArray:
    """How many rows each row is paired with, checked."""
    lengths, band = inputs.get("lengths"), plan.asked().band
    if lengths is None or lengths.shape != (plan.rows,):
        raise BundleError("the lengths of pairs do not have the rows of the panel")
    left = plan.rows - np.arange(plan.rows)
    if np.any((lengths < 1) | (lengths > np.minimum(left, band))):
        raise BundleError("the lengths of pairs go beyond the panel or the band")
    return lengths


def _pairs(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows, lengths = site.panel(plan, inputs), _lengths(plan, inputs)
    if site.repeats(rows):
        # A row between all others would be multiplied with the whole genome.
        raise BundleError("a panel of pairs names a row twice")
    band = plan.asked().band
    apart = _apart(site, plan, rows, int(lengths.max(initial=1)))
    start = 0
    for part in site.stream(
        plan,
        rows,
        _SUMMARIES[plan.statistic],
        site.included,
        band,
        by_row=(lengths,),
        width=NUMBERS[plan.statistic] * band,
        reach=np.arange(rows.size) + lengths,
    ):
        reached = np.arange(start, start + part.rows)[:, np.newaxis] + np.arange(band)
        there = np.minimum(reached, rows.size - 1)
        yield part, Facts(people=site.people, apart=apart[there] | apart[there[:, :1]])
        start += part.rows


def _apart(site: Site, plan: Plan, rows: NDArray, band: int) -> NDArray[np.bool_]:
    """Rows that set single people apart among those beside them, bool (rows,)."""
    apart = np.zeros(rows.size, dtype=bool)
    if site.policy is None or site.policy.max_leverage >= 1:
        return apart
    leverage = ld.Leverage(band, site.policy.max_leverage)
    ends = [*range(ld.block_size(band), rows.size, ld.block_size(band)), rows.size]
    start = 0
    for dosage in site.by_blocks(
        f"{plan.statistic}, leverage",
        rows,
        _dosages,
        site.included,
        by_row=(),
        ends=ends,
        summary_bytes=ld.block_size(band) * site.people,
    ):
        apart[start : start + len(dosage)] = leverage.leave_out(dosage)
        start += len(dosage)
    if plan.masked and apart.any():
        # A total of fewer sites for some rows than for others would be wrong.
        raise Refused(
            f"{int(apart.sum())} rows differ from rows beside them in so few people that sums of "
            f"both would give these away (policy {site.policy.name}); ask of fewer rows"
        )
    return apart


def _dosages(block: Any, included: NDArray) -> NDArray[np.int8]:
    dosage: NDArray[np.int8] = ld.filled_dosage(block.dosages()[:, included])
    return dosage


def _exposure(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    # Each row is multiplied by the rows beside it, and summed. Where a call is missing, it is also
    # multiplied by the indicators of who is called in them.
    columns = int(_lengths(plan, inputs).max(initial=1)) + 1
    if plan.statistic == "ld_pairwise" and site.has_missing(site.panel(plan, inputs)):
        columns *= 2
    return exposed.pairs(inputs, plan.rows, columns)


def _width(statistic: str) -> Callable[[PairParameters, int], int]:
    def width(asked: PairParameters, people: int) -> int:
        return NUMBERS[statistic] * asked.band

    return width


ANSWERING: Mapping[str, Answering] = {
    name: Answering(_pairs, _exposure, _width(name)) for name in _SUMMARIES
}
