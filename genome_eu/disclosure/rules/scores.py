"""What leaves of polygenic scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.checks import Evidence, Facts, require_common, require_people
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.errors import Refused
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.scores import ScoreDistribution, join_bins, standing_bins


def distribution(
    part: ScoreDistribution, policy: Policy, facts: Facts
) -> tuple[Any, list[Evidence]]:
    """People per group and per bin, rows that carry a score, and nobody who makes its variance.

    A score of one row is that row's genotypes, so as many rows must carry it as people must be
    described. Weights made to match one genome give its owner most of the variance.
    """
    number = part.polygenic_sum.shape[1]
    evidence = [require_people(part.people[0], policy), require_common(facts, policy)]
    if number > policy.max_parameters_per_person * int(part.people[0]):
        raise Refused(
            f"{number} scores are more than {policy.max_parameters_per_person:g} per person "
            f"(policy {policy.name}); ask for fewer"
        )
    if facts.carried_by < policy.min_people:
        raise Refused(
            f"a score is carried by fewer than {policy.min_people} rows, and would show their "
            f"genotypes (policy {policy.name})"
        )
    if facts.leverage > policy.max_leverage + 1e-9:
        raise Refused(
            f"one person makes more than {policy.max_leverage:g} of the variance of a score, or of "
            f"what sets scores apart (policy {policy.name}); ask for fewer"
        )
    evidence += [
        Evidence("parameters per person", policy.max_parameters_per_person, 0, number),
        Evidence("rows that carry a score", policy.min_people, 0, number),
        Evidence("leverage", policy.max_leverage, 0, number),
    ]
    sizes = np.append(part.people[1:], facts.hidden_people)
    small = bool(np.any((sizes > 0) & (sizes < policy.min_people)))
    verdict: Literal["pass", "withheld"] = "withheld" if small else "pass"
    groups = part.people.size - 1
    evidence.append(
        Evidence("people per group", policy.min_people, groups if small else 0, groups, verdict)
    )
    if small:
        part = _of_everybody(part)
    hidden = None if small else facts.hidden_bins
    part, joined = _joined(part, policy, hidden)
    bins = part.opens.size
    verdict = "withheld" if joined else "pass"
    evidence.append(Evidence("people per bin", policy.genotype_floor, joined, bins, verdict))
    return part, evidence


def _of_everybody(part: ScoreDistribution) -> ScoreDistribution:
    """Without the groups: siblings fall with each other."""
    first = np.arange(part.people.size) == 0

    def kept(values: NDArray) -> NDArray:
        of_group = first.reshape(-1, *([1] * (values.ndim - 1)))
        return np.where(of_group, values, np.zeros((), values.dtype))

    return replace(
        part,
        people=kept(part.people),
        polygenic_sum=kept(part.polygenic_sum),
        polygenic_square=kept(part.polygenic_square),
        polygenic_bins=kept(part.polygenic_bins),
        shown=part.shown & first,
    )


def _joined(
    part: ScoreDistribution, policy: Policy, hidden: NDArray | None
) -> tuple[ScoreDistribution, int]:
    """Bins joined until each group, and the people in none, have enough in each."""
    bins = part.polygenic_bins
    # Who lies above an edge is compared with who lies above others (`exposed.divided`); under masks
    # there is no floor here.
    floor = max(policy.genotype_floor, policy.differencing_floor) if policy.genotype_floor else 0
    # Bins that were joined before stay so.
    before = part.opens
    opens = np.zeros_like(before)
    for score, own in enumerate(before):
        starts = np.flatnonzero(own)
        rows = np.add.reduceat(bins[:, score], starts, axis=1)
        if hidden is not None:
            rows = np.vstack([rows, np.add.reduceat(hidden[score], starts)])
        opens[score, starts] = standing_bins(rows, floor)
    found = replace(part, opens=opens, polygenic_bins=join_bins(bins, opens))
    return found, int(before.sum() - opens.sum())


def _published(part: ScoreDistribution, policy: Policy, people: NDArray | None) -> Any:
    require_people(part.people[0], policy)
    rest = part.polygenic_bins[0] - part.polygenic_bins[1:].sum(axis=0)
    sizes = np.append(part.people[1:], part.people[0] - part.people[1:].sum())
    if np.any((sizes > 0) & (sizes < policy.min_people)):
        return _joined(_of_everybody(part), policy, None)[0]
    return _joined(part, policy, rest if part.people.size > 1 else None)[0]


RULES: Mapping[type[Aggregate], Rule] = {ScoreDistribution: distribution}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {ScoreDistribution: _published}
BY_ROW: frozenset[str] = frozenset()
GATES = frozenset({"bins", "moments", "people", "state"})
