"""What leaves of dosages without a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from genome_eu.stats.dosages import DosageCounts


def rare(
    dosage_sum: NDArray,
    called: NDArray,
    hard_count: NDArray,
    hard_called: NDArray,
    floor: int,
    policy: Policy,
) -> NDArray[np.bool_]:
    """Where too few people may carry either allele, by dosages or by hard calls.

    Dosages near 0 in many people add up, and hide none of the few who carry the allele: sums of
    products are theirs. So certain carriers are counted as well. That there are none of them does
    not say that nobody carries the allele, unless nobody's dosage does.
    """
    found = np.zeros(np.shape(dosage_sum), bool)
    for dosage, hard in (
        (dosage_sum, hard_count),
        (2 * called - dosage_sum, 2 * hard_called - hard_count),
    ):
        found |= below(dosage, floor, policy) | ((hard < floor) & (dosage > 0))
    return found


def dosage_counts(part: DosageCounts, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """Two-tailed allele floor on dosages and on their hard calls; genotype classes together.

    With the sum of dosages, the sum of their squares says how many people carry one copy and how
    many two, so it goes with the genotypes. A class that nobody is in is shown only where nobody's
    call is uncertain.
    """
    evidence = [require_people(part.people, policy)]
    alleles_shown = ~rare(
        part.dosage_sum,
        part.called,
        part.hard_count,
        part.hard_called,
        policy.allele_floor,
        policy,
    )
    classes = np.stack([part.hom_ref, part.het, part.hom_alt])
    few = below(classes, policy.genotype_floor, policy).any(axis=0)
    few |= (classes < policy.genotype_floor).any(axis=0) & (part.hard_called < part.called)
    genotypes_shown = alleles_shown & ~few
    part = withhold(part, alleles_shown, "alleles_shown", ("alleles", "genotypes"))
    part = withhold(part, genotypes_shown, "genotypes_shown", ("genotypes",))
    evidence.append(row_evidence("alleles, both tails", policy.allele_floor, alleles_shown))
    evidence.append(row_evidence("genotype classes", policy.genotype_floor, genotypes_shown))
    return part, evidence


def _published(part: DosageCounts, policy: Policy, people: NDArray | None) -> Any:
    return dosage_counts(part, policy, Facts(people=int(part.people)))[0]


RULES: Mapping[type[Aggregate], Rule] = {DosageCounts: dosage_counts}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {DosageCounts: _published}
BY_ROW = frozenset({"alleles, both tails", "genotype classes"})
GATES = frozenset({"alleles", "genotypes", "people", "state"})
