"""What leaves of a principal component analysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from genome_eu.disclosure.checks import Evidence, Facts, require_common, require_people
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.errors import Refused
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.pca import ProjectionSums, ScoreMoments


def projection(part: ProjectionSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People, columns per person, no row below the allele floor, and nobody whose score is alone.

    Every number is a product of a row with scores; where these are zero for all but one person, it
    is that person's genotype. There are many of them, so that the bound lies half-way from that of
    a model to 1, as over releases (`budget`).
    """
    bound = (1.0 + policy.max_leverage) / 2.0
    if facts.columns > policy.max_parameters_per_person * int(part.people):
        raise Refused(
            f"{facts.columns} columns of a projection are more than "
            f"{policy.max_parameters_per_person:g} per person (policy {policy.name}); ask for "
            f"fewer components"
        )
    if facts.leverage > bound + 1e-9:
        raise Refused(
            f"the scores of a projection give one person a leverage of more than {bound:g} "
            f"(policy {policy.name}); leave out people unlike all others, or ask for fewer "
            f"components"
        )
    return part, [
        require_people(part.people, policy),
        Evidence("parameters per person", policy.max_parameters_per_person, 0, facts.columns),
        Evidence("leverage", bound, 0, facts.columns),
        require_common(facts, policy),
    ]


def score_moments(part: ScoreMoments, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People behind the mean of the scores; no row below the allele floor.

    Loadings on a single row would make the sum of the scores that row's allele count.
    """
    return part, [require_people(part.people, policy), require_common(facts, policy)]


def _published(part: ProjectionSums | ScoreMoments, policy: Policy, people: NDArray | None) -> Any:
    require_people(part.people, policy)
    return part


RULES: Mapping[type[Aggregate], Rule] = {
    ProjectionSums: projection,
    ScoreMoments: score_moments,
}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {
    ProjectionSums: _published,
    ScoreMoments: _published,
}
BY_ROW: frozenset[str] = frozenset()
GATES = frozenset({"people", "projection"})
