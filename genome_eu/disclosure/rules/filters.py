"""What leaves of the people that a plan's limits remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from genome_eu.disclosure.checks import Evidence, Facts, require_people
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.qc.removed import RemovedCounts


def reasons_told(part: RemovedCounts, policy: Policy) -> bool:
    """Whether it is told how many each reason removes."""
    return not np.any((part.removed > 0) & (part.removed < policy.min_people))


def removed_people(part: RemovedCounts, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """Reasons only if each removes nobody or enough people, and else how many in all.

    Nobody is removed from nothing: that no reason removes anybody tells of no person.
    """
    few = not reasons_told(part, policy)
    total = int(part.removed.sum())
    alone = 0 < total < policy.min_people
    if few or alone:
        part = replace(part, removed=np.zeros_like(part.removed), reasons_shown=np.array(False))
    if alone:
        part = replace(part, total=np.array(0), total_shown=np.array(False))
    verdict: Literal["pass", "withheld"] = "withheld" if few or alone else "pass"
    numbers = part.removed.size + 1
    withheld = numbers if alone else part.removed.size if few else 0
    return part, [
        require_people(facts.people, policy),
        Evidence("people removed", policy.min_people, withheld, numbers, verdict),
    ]


RULES: Mapping[type[Aggregate], Rule] = {RemovedCounts: removed_people}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {}
BY_ROW: frozenset[str] = frozenset()
GATES = frozenset({"removed", "state"})
