"""A site's groups of people and their genotypes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.federation.answers.absent import panel_rows
from genome_eu.federation.answers.answering import Answering, Inputs, Part, panel_name
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.parameters.counts import GenotypeCountsParameters
from genome_eu.federation.plan import Plan
from genome_eu.stats import counts
from genome_eu.stats import dosages as dosage_stats

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


# Numbers of a group in a row: of hard calls, and of dosages beside them.
_NUMBERS, _OF_DOSAGES = 5, 3


def counts_width(asked: GenotypeCountsParameters, people: int, *, dosages: bool = False) -> int:
    """Numbers of each row, everybody being the first of the groups."""
    return (_NUMBERS + _OF_DOSAGES * dosages) * (1 + len(asked.groups))


def _group_sizes(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    labels = site.table.groups(plan.asked().by)
    names, sizes = np.unique(labels[labels != ""].astype(str), return_counts=True)
    part = counts.group_sizes(list(names), sizes, site.people)
    yield part, Facts(people=site.people, hidden_people=site.people - int(sizes.sum()))


def numbered(
    site: Site, asked: GenotypeCountsParameters, counted: NDArray | None = None
) -> tuple[NDArray, int]:
    """The group of each person as a number, and how many people are in none that was asked for.

    Those are counted apart, under the last number: they could be found by subtracting the groups
    from everybody. −1 is for people who do not take part, or are not `counted`.
    """
    groups = site.everybody()
    if counted is not None:
        groups = np.where(counted, groups, -1)
    if not asked.by:
        return groups, 0
    place = {name: number for number, name in enumerate(asked.groups, start=1)}
    last = len(asked.groups) + 1
    numbers = np.array([place.get(label, last) for label in site.table.groups(asked.by)])
    groups = np.where(groups < 0, -1, numbers)
    return groups, int((groups == last).sum())


def genotype_counts(
    site: Site, plan: Plan, inputs: Inputs, *, dosages: bool = False
) -> Iterator[Part]:
    """Genotypes by group, or sums of dosages beside them."""
    asked = plan.asked()
    asked_of = panel_rows(site, plan, inputs)
    rows = asked_of.rows
    groups, hidden = numbered(site, asked)
    shown = len(asked.groups) + 1
    if shown == 1 and not hidden and site.included.all():
        parts = _counted_at_import(site, plan, rows, dosages=dosages)
    else:
        counted = shown + bool(hidden)
        parts = site.stream(
            plan,
            rows,
            dosage_stats.summarize if dosages else counts.summarize,
            groups,
            counted,
            width=counts_width(asked, site.people, dosages=dosages) * counted // shown,
            dosages=dosages,
        )
    start = 0
    for counted_here in parts:
        part = asked_of.fill(counted_here, start)
        start += part.rows
        yield (
            part.select(slice(shown)),
            Facts(
                people=site.people,
                hidden_people=hidden,
                hidden_counts=part.select(slice(shown, None)) if hidden else None,
            ),
        )


def _counted_at_import(
    site: Site, plan: Plan, rows: NDArray, *, dosages: bool
) -> Iterator[counts.GenotypeCounts]:
    """Counts of everybody, without reading a genotype."""
    for start, stop in plan.spans():
        if dosages:
            yield dosage_stats.summed(*site.store.dosage_sums(rows[start:stop]), site.people)
            continue
        tallies = site.store.counts(rows[start:stop])
        yield counts.tallied(tallies[:, None], np.array([site.people]))


def _of_sizes(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    return exposed.groups(site.table.groups(plan.asked().by), None)


def exposure_of_counts(
    site: Site, exposed: Exposed, plan: Plan, inputs: Inputs, *, dosages: bool = False
) -> Exposure:
    """Everybody, and the people of every group."""
    asked = plan.asked()
    labels = site.table.groups(asked.by) if asked.by else None
    panel = panel_name(inputs, dosages=dosages)
    return exposed.groups(labels, asked.groups, rows=plan.rows, panel=panel)


ANSWERING: Mapping[str, Answering] = {
    "group_sizes": Answering(_group_sizes, _of_sizes),
    "genotype_counts": Answering(genotype_counts, exposure_of_counts, counts_width),
}
