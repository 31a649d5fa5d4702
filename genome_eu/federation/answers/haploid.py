"""A site's genotype counts at rows where some of its people have one copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.federation.answers.absent import panel_rows
from genome_eu.federation.answers.answering import Answering, Inputs, Part, panel_name
from genome_eu.federation.answers.counts import numbered
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.parameters.counts import HaploidCountsParameters
from genome_eu.federation.plan import Plan
from genome_eu.stats import counts
from genome_eu.stats import dosages as dosage_stats

if TYPE_CHECKING:
    from genome_eu.federation.site import Site

# Numbers of a group in a row: of hard calls, and of dosages beside them.
_NUMBERS, _OF_DOSAGES = 7, 4


def haploid_width(asked: HaploidCountsParameters, people: int, *, dosages: bool = False) -> int:
    """Numbers of each row, everybody being the first of the groups."""
    return (_NUMBERS + _OF_DOSAGES * dosages) * (1 + len(asked.groups))


def haploid_counts(
    site: Site, plan: Plan, inputs: Inputs, *, dosages: bool = False
) -> Iterator[Part]:
    """Genotypes by group, or sums of dosages beside them."""
    asked = plan.asked()
    asked_of = panel_rows(site, plan, inputs)
    copies = site.copies(asked.ploidy)
    groups, hidden = numbered(site, asked, copies.counted)
    people = int((groups >= 0).sum())
    shown = len(asked.groups) + 1
    counted = shown + bool(hidden)
    single = np.bincount(groups[copies.haploid & (groups >= 0)], minlength=counted)
    single[0] = single.sum()
    parts = site.stream(
        plan,
        asked_of.rows,
        dosage_stats.summarize_haploid if dosages else counts.summarize_haploid,
        groups,
        counted,
        copies.haploid,
        width=haploid_width(asked, people, dosages=dosages) * counted // shown,
        dosages=dosages,
        haploid=site.haploid_calls(asked.ploidy),
    )
    start = 0
    for counted_here in parts:
        part = asked_of.fill(counted_here, start, single)
        start += part.rows
        yield (
            part.select(slice(shown)),
            Facts(
                people=people,
                hidden_people=hidden,
                hidden_counts=part.select(slice(shown, None)) if hidden else None,
            ),
        )


def exposure_of_haploid(
    site: Site, exposed: Exposed, plan: Plan, inputs: Inputs, *, dosages: bool = False
) -> Exposure:
    """The haploid and the diploid of every group: AN tells how many there are of each."""
    asked = plan.asked()
    copies = site.copies(asked.ploidy)
    labels = np.full(site.store.people, "everybody", dtype=object)
    if asked.by:
        own = site.table.groups(asked.by)
        labels = np.where(np.isin(own, asked.groups), own, "")
    named = copies.counted & site.included & (labels != "")
    labels = np.where(named, labels + np.where(copies.haploid, "/1", "/2"), "")
    panel = panel_name(inputs, dosages=dosages)
    return exposed.groups(labels, None, rows=plan.rows, panel=panel)


ANSWERING: Mapping[str, Answering] = {
    "haploid_counts": Answering(haploid_counts, exposure_of_haploid, haploid_width),
}
