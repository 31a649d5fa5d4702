"""The publisher's floors: under a secure sum they apply to the total, and nobody else sees it.

Sites have judged everything about people before they masked. What is left is what a site cannot
judge by its own numbers: whether a row of the total is below a floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.checks import (
    Facts,
    genotype_counts,
    require_people,
    row_floors,
)
from genome_eu.disclosure.policy import Policy, load_policy
from genome_eu.errors import Refused
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.linear import CompleteSums, DesignSums, MeanSums, RawSums
from genome_eu.stats.pca import ProjectionSums, ScoreMoments
from genome_eu.stats.traits import TraitMoments


def floors_only(floors: Mapping[str, Any]) -> Policy:
    """A policy that has these floors and no other rule: the rest was judged at the sites."""
    return load_policy("open-data").model_copy(update={"name": "strictest", **floors})


def published(part: Any, policy: Policy, people: NDArray | None = None) -> Any:
    """A total with everything below the floors removed.

    Parameters
    ----------
    part : Aggregate
        The sum over all sites.
    policy : Policy
        The strictest of theirs.
    people : int64 array, shape (groups,), optional
        People in each group of a linear model; needed for its sums by row.

    Raises
    ------
    Refused
        Too few people are described, or the statistic is one that no publisher knows.
    """
    if isinstance(part, GenotypeCounts):
        return genotype_counts(part, policy, _hidden(part))[0]
    if isinstance(part, MeanSums | RawSums | CompleteSums):
        if people is None:
            raise Refused("the people of a linear model are not known to its publisher")
        return row_floors(part, np.asarray(people), policy)[0]
    if isinstance(part, TraitMoments):
        people_of = np.append(part.trait_people, part.covariate_people)
        require_people(people_of, policy, or_nobody=True)
        return part
    if isinstance(part, DesignSums | ProjectionSums | ScoreMoments):
        require_people(part.people, policy, or_nobody=isinstance(part, DesignSums))
        return part
    raise Refused(f"{type(part).__name__} has no publisher's rule")


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
