"""What leaves of a linear model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.checks import (
    Evidence,
    Facts,
    below,
    for_haploid,
    require_classes,
    require_leverage,
    require_model,
    require_people,
    row_evidence,
    withhold,
)
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules.dosages import rare
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.errors import Refused
from genome_eu.stats.aggregate import Aggregate, dimension_sizes
from genome_eu.stats.linear import (
    DOSAGE_SUMS,
    CompleteSums,
    DesignSums,
    MeanSums,
    RawSums,
    RowSums,
)
from genome_eu.stats.ploidy import other_alleles
from genome_eu.stats.traits import TraitMoments


def trait_moments(part: TraitMoments, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People per trait and per covariate, in the smaller class of each, and nobody who stands out.

    With a steep function of a column, its sums are the numbers of whoever has the most.
    """
    people = np.append(part.trait_people, part.covariate_people)
    return part, [
        require_people(people, policy, or_nobody=True),
        *require_classes(facts, policy),
        require_leverage(part.covariate_sum.size + 1, policy, facts),
    ]


def linear_design(part: DesignSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People, parameters per person, and whether the columns set few people apart, by group."""
    _require_counted(part, facts)
    return part, require_model(part.xx.shape[-1] + 1, policy, facts)


def _require_counted(part: Any, facts: Facts) -> None:
    """The site has counted the people of every group that the sums speak of."""
    if len(facts.groups) != dimension_sizes(part)["groups"]:
        raise Refused("the people of a linear model were not counted")


def row_sums(part: RowSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """Minor alleles among the people tested; sums over missing calls only of enough people.

    Each group of traits is judged by itself, and a row withheld in one is withheld there only. The
    model is judged here as well: nothing makes a coordinator ask for the design first.
    """
    _require_counted(part, facts)
    evidence = require_model(part.gx.shape[-1] + 1, policy, facts)
    people = np.array([group.people for group in facts.groups])
    halved = np.array([group.halved for group in facts.groups])
    policy = for_haploid(policy) if facts.haploid else policy
    part, found = row_floors(part, people, policy, halved)
    return part, evidence + found


def row_floors(
    part: RowSums, people: NDArray, policy: Policy, halved: NDArray | int = 0
) -> tuple[Any, list[Evidence]]:
    """The floors of single rows, given the people of each group and who of them is `halved`."""
    evidence = []
    floor = policy.association_floor
    others = other_alleles(2 * part.called - part.allele_count, halved)
    if isinstance(part, DOSAGE_SUMS):
        # Hard calls of who has one copy count as two.
        hard = part.hard_count, 2 * part.hard_called - part.hard_count
        few = rare((part.allele_count, hard[0]), (others, hard[1]), floor, policy)
    else:
        few = below(part.allele_count, floor, policy) | below(others, floor, policy)
    minor_shown = ~few
    evidence.append(row_evidence("minor alleles", policy.association_floor, minor_shown))
    shown = minor_shown
    gates: tuple[str, ...] = ("association",)
    if not isinstance(part, MeanSums):
        missing = people - part.called
        missing_shown = (missing == 0) | (missing >= policy.missing_floor)
        evidence.append(row_evidence("missing calls", policy.missing_floor, missing_shown))
        shown = shown & missing_shown
        gates = ("association", "missing")
    return withhold(part, shown, "shown", gates), evidence


def _published_moments(part: TraitMoments, policy: Policy, people: NDArray | None) -> Any:
    people_of = np.append(part.trait_people, part.covariate_people)
    require_people(people_of, policy, or_nobody=True)
    return part


def _published_design(part: DesignSums, policy: Policy, people: NDArray | None) -> Any:
    require_people(part.people, policy, or_nobody=True)
    return part


def published_rows(part: RowSums, policy: Policy, people: NDArray | None) -> Any:
    """Totals of rows above their floors, of sums over the people of each group."""
    if people is None:
        raise Refused("the people of a linear model are not known to its publisher")
    return row_floors(part, np.asarray(people), policy)[0]


RULES: Mapping[type[Aggregate], Rule] = {
    TraitMoments: trait_moments,
    DesignSums: linear_design,
    MeanSums: row_sums,
    RawSums: row_sums,
    CompleteSums: row_sums,
    **dict.fromkeys(DOSAGE_SUMS, row_sums),
}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {
    TraitMoments: _published_moments,
    DesignSums: _published_design,
    MeanSums: published_rows,
    RawSums: published_rows,
    CompleteSums: published_rows,
    **dict.fromkeys(DOSAGE_SUMS, published_rows),
}
BY_ROW = frozenset({"minor alleles", "missing calls"})
GATES = frozenset({"association", "label", "missing", "moments", "people", "state"})
