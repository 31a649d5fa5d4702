"""What leaves of groups of people and their genotypes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.checks import (
    Evidence,
    Facts,
    below,
    require_people,
    row_evidence,
    withhold,
)
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules.dosages import rare
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.counts import GenotypeCounts, GroupSizes, HaploidCounts
from genome_eu.stats.dosages import DOSAGE_COUNTS, DosageCounts, HaploidDosageCounts


def group_sizes(part: GroupSizes, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """Everybody, and the groups only if each of them (and the people in none) is large enough."""
    evidence = [require_people(part.people_total, policy)]
    sizes = np.append(part.people, facts.hidden_people)
    small = bool(np.any((sizes > 0) & (sizes < policy.min_people)))
    groups = part.people.size
    if small:
        part = replace(part, people=part.people[:0], labels=part.labels[:0])
    verdict: Literal["pass", "withheld"] = "withheld" if small else "pass"
    evidence.append(
        Evidence("people per group", policy.min_people, groups if small else 0, groups, verdict)
    )
    return part, evidence


def genotype_counts(
    part: GenotypeCounts, policy: Policy, facts: Facts
) -> tuple[Any, list[Evidence]]:
    """Two-tailed allele floor; genotype classes gated together; siblings fall with each other.

    With the sum of dosages, the sum of their squares says how many people carry one copy and how
    many two, so it goes with the genotypes.
    """
    evidence = [require_people(part.people[0], policy)]

    def failing(counts: GenotypeCounts) -> tuple[NDArray, NDArray]:
        alleles = _few_alleles(counts, policy)
        classes = np.stack([counts.hom_ref, counts.het, counts.hom_alt])
        possible: Any = True
        if isinstance(counts, HaploidCounts):
            # AN tells how many people of each ploidy are called: on X, of each sex.
            called = _by_ploidy(counts)
            alleles |= ((called > 0) & (called < policy.min_people)).any(axis=(0, 1))
            classes = np.concatenate([classes, np.stack([counts.hap_ref, counts.hap_alt])])
            # A genotype that nobody of a ploidy can have says nothing.
            single, double = (called > 0).any(axis=0)
            possible = np.stack([double, double, double, single, single])
        small = below(classes, policy.genotype_floor, policy)
        if isinstance(counts, DOSAGE_COUNTS):
            # A class that nobody is in may be that of somebody whose call is uncertain.
            small |= (classes < policy.genotype_floor) & (counts.called < counts.imputed)
        genotypes = alleles | (small & possible).any(axis=0)
        # A group without people has nothing to hide and must not fail its siblings.
        return alleles & (counts.people > 0), genotypes & (counts.people > 0)

    # Rows that the site does not speak of are withheld already.
    told = part.alleles_shown
    alleles, genotypes = failing(part)
    sizes = np.append(part.people[1:], facts.hidden_people)
    small_group = bool(np.any((sizes > 0) & (sizes < policy.min_people)))
    shown = []
    for fails, of_hidden in zip(
        (alleles, genotypes),
        failing(facts.hidden_counts) if facts.hidden_counts is not None else (None, None),
        strict=True,
    ):
        siblings = fails[:, 1:].any(axis=1) | small_group
        if of_hidden is not None:
            siblings |= of_hidden[:, 0]
        keep = np.empty(fails.shape, bool)
        keep[:, 0] = ~fails[:, 0]
        keep[:, 1:] = ~siblings[:, None] | (part.people[1:] == 0)
        shown.append(keep)
    if small_group:
        part = replace(part, people=np.where(np.arange(part.people.size) == 0, part.people, 0))
    part = withhold(part, shown[0], "alleles_shown", ("alleles", "genotypes"))
    part = withhold(part, shown[0] & shown[1], "genotypes_shown", ("genotypes",))
    evidence.append(row_evidence("alleles, both tails", policy.allele_floor, shown[0] & told))
    evidence.append(row_evidence("genotype classes", policy.genotype_floor, shown[1] & told))
    return part, evidence


def _few_alleles(counts: GenotypeCounts, policy: Policy) -> NDArray[np.bool_]:
    """Where alleles on either tail are too few, of dosages by their hard calls as well."""
    floor, alt = policy.allele_floor, counts.allele_count
    others = counts.allele_number - alt
    if isinstance(counts, DOSAGE_COUNTS):
        expected = counts.dosage_sum
        return rare((expected, alt), (counts.dosage_number - expected, others), floor, policy)
    return below(alt, floor, policy) | below(others, floor, policy)


def _by_ploidy(counts: HaploidCounts) -> NDArray[np.int64]:
    """People called, (1 or 2, haploid and diploid, rows, groups); those with a dosage apart."""
    called = [(counts.haploid, counts.called)]
    if isinstance(counts, HaploidDosageCounts):
        called.append((counts.imputed_haploid, counts.imputed))
    return np.array([(single, everybody - single) for single, everybody in called])


def haploid_counts(part: HaploidCounts, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """As genotype counts, with the haploid and the diploid called apart; few people are nobody.

    Calls that could not be haploid leave as they are only where they are enough to be shown.
    """
    part = replace(
        part, lost=np.where(below(part.lost, policy.genotype_floor, policy), 0, part.lost)
    )
    if int(part.people[0]) >= policy.min_people:
        return genotype_counts(part, policy, facts)
    # Where the class has few people, such as males on Y, the others' answers should still count.
    nothing = np.zeros(part.alleles_shown.shape, bool)
    part = replace(part, people=np.zeros_like(part.people))
    part = withhold(part, nothing, "alleles_shown", ("alleles", "genotypes"))
    part = withhold(part, nothing, "genotypes_shown", ("genotypes",))
    return part, [row_evidence("alleles, both tails", policy.allele_floor, nothing)]


def _published(part: GenotypeCounts, policy: Policy, people: NDArray | None) -> Any:
    rule = haploid_counts if isinstance(part, HaploidCounts) else genotype_counts
    return rule(part, policy, _hidden(part))[0]  # type: ignore[arg-type]


def _hidden(part: GenotypeCounts) -> Facts:
    """The people in no group: everybody's counts less those of the groups."""
    everybody = int(part.people[0])
    if part.people.size == 1 or everybody == int(part.people[1:].sum()):
        return Facts(people=everybody)

    def rest(values: NDArray) -> NDArray:
        return values[..., :1] - values[..., 1:].sum(axis=-1, keepdims=True)

    numbers = [item.name for item in fields(part) if item.metadata["merge"] == "total"]
    hidden = replace(part.select(slice(1)), **{name: rest(getattr(part, name)) for name in numbers})
    return Facts(people=everybody, hidden_people=int(hidden.people[0]), hidden_counts=hidden)


RULES: Mapping[type[Aggregate], Rule] = {
    GroupSizes: group_sizes,
    GenotypeCounts: genotype_counts,
    HaploidCounts: haploid_counts,
    DosageCounts: genotype_counts,
    HaploidDosageCounts: haploid_counts,
}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {
    GenotypeCounts: _published,
    HaploidCounts: _published,
    DosageCounts: _published,
    HaploidDosageCounts: _published,
}
BY_ROW = frozenset({"alleles, both tails", "genotype classes"})
GATES = frozenset({"alleles", "genotypes", "label", "people", "state"})
