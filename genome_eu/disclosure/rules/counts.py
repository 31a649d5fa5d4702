"""What leaves of groups of people and their genotypes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.counts import GenotypeCounts, GroupSizes


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
    """Two-tailed allele floor; genotype classes gated together; siblings fall with each other."""
    evidence = [require_people(part.people[0], policy)]

    def failing(counts: GenotypeCounts) -> tuple[NDArray, NDArray]:
        alleles = below(counts.allele_count, policy.allele_floor, policy) | below(
            counts.allele_number - counts.allele_count, policy.allele_floor, policy
        )
        classes = np.stack([counts.hom_ref, counts.het, counts.hom_alt])
        genotypes = alleles | below(classes, policy.genotype_floor, policy).any(axis=0)
        # A group without people has nothing to hide and must not fail its siblings.
        return alleles & (counts.people > 0), genotypes & (counts.people > 0)

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
    evidence.append(row_evidence("alleles, both tails", policy.allele_floor, shown[0]))
    evidence.append(row_evidence("genotype classes", policy.genotype_floor, shown[1]))
    return part, evidence


def _published(part: GenotypeCounts, policy: Policy, people: NDArray | None) -> Any:
    return genotype_counts(part, policy, _hidden(part))[0]


def _hidden(part: GenotypeCounts) -> Facts:
    """The people in no group: everybody's counts less those of the groups."""
    everybody = int(part.people[0])
    if part.people.size == 1 or everybody == int(part.people[1:].sum()):
        return Facts(people=everybody)

    def rest(values: NDArray) -> NDArray:
        return values[..., :1] - values[..., 1:].sum(axis=-1, keepdims=True)

    hidden = GenotypeCounts(
        people=rest(part.people),
        called=rest(part.called),
        allele_count=rest(part.allele_count),
        het=rest(part.het),
        hom_alt=rest(part.hom_alt),
        alleles_shown=part.alleles_shown[:, :1],
        genotypes_shown=part.genotypes_shown[:, :1],
    )
    return Facts(people=everybody, hidden_people=int(hidden.people[0]), hidden_counts=hidden)


RULES: Mapping[type[Aggregate], Rule] = {
    GroupSizes: group_sizes,
    GenotypeCounts: genotype_counts,
}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {GenotypeCounts: _published}
BY_ROW = frozenset({"alleles, both tails", "genotype classes"})
GATES = frozenset({"alleles", "genotypes", "label", "people", "state"})
