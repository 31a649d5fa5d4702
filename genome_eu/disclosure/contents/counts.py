"""What groups of people and counts of their genotypes show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.contents.tables import (
    LINES,
    Contents,
    Describe,
    Sizes,
    Table,
    many,
    people_of,
)
from genome_eu.stats.counts import HaploidCounts
from genome_eu.stats.dosages import DOSAGE_COUNTS

_OF_DOSAGES = tuple(kind.statistic for kind in DOSAGE_COUNTS)


def _group_sizes(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    groups = [[name, n] for name, n in zip(part.names, part.people.tolist(), strict=True)]
    sizes = Sizes()
    sizes.add(part.people)
    by = f" by {', '.join(case.names)}" if case.names else ""
    return Contents(
        f"the sizes of {many(len(groups), 'group')}{by} of {people_of(int(part.people_total))}",
        0,
        (Table("People", ["Group", "People"], [["everybody", int(part.people_total)], *groups]),),
        (sizes.bars("Groups by number of people"),),
    )


def _genotype_counts(shards: Iterator[Any], case: Case) -> Contents:
    minor, expected, classes, missing = Sizes(), Sizes(), Sizes(), Sizes()
    people, shown, total = np.zeros(1, np.int64), np.zeros(1, np.int64), 0
    for part in shards:
        total += part.rows
        people, shown = part.people, shown + part.alleles_shown.sum(axis=0)
        seen = part.alleles_shown
        fewer = np.minimum(part.allele_count, part.allele_number - part.allele_count)
        minor.add(fewer[seen])
        if isinstance(part, DOSAGE_COUNTS):
            others = part.dosage_number - part.dosage_sum
            expected.add(np.minimum(part.dosage_sum, others)[seen])
        missing.add((part.people - part.called)[seen])
        told = part.genotypes_shown
        for kind in (part.hom_ref, part.het, part.hom_alt):
            classes.add(kind[told])
        if isinstance(part, HaploidCounts):
            classes.add(part.hap_ref[told])
            classes.add(part.hap_alt[told])
    names = ["everybody", *(str(name) for name in case.parameters.get("groups") or ())]
    names += [f"group {number}" for number in range(len(names), people.size)]
    rows = [
        [name, int(size), int(seen), total - int(seen)]
        for name, size, seen in zip(
            names, people, np.broadcast_to(shown, people.shape), strict=True
        )
    ]
    described = int(people[0]) if people.size else 0
    groups = f", and in {many(people.size - 1, 'group')} of them" if people.size > 1 else ""
    numbers = "counts of alleles"
    bars = [
        minor.bars("Minor alleles in each number shown"),
        classes.bars("People in each genotype class shown"),
        missing.bars("People without a call in each row shown"),
    ]
    if case.statistic in _OF_DOSAGES:
        numbers = "sums of dosages and counts of their hard calls"
        bars.insert(0, expected.bars("Minor alleles by dosage in each number shown"))
    return Contents(
        f"{numbers} for {many(int(shown[0]), 'variant')} in {people_of(described)}{groups}",
        total - int(shown[0]),
        (Table("Rows by group", ["Group", "People", "Rows shown", "Rows withheld"], rows[:LINES]),),
        tuple(bars),
    )


DESCRIBED: Mapping[str, Describe] = {
    "group_sizes": _group_sizes,
    "genotype_counts": _genotype_counts,
    "haploid_counts": _genotype_counts,
    **dict.fromkeys(_OF_DOSAGES, _genotype_counts),
}
