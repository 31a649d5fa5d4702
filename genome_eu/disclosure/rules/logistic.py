"""What leaves of a logistic model.

Each trait is judged by itself. Cases and controls are two groups of people each: both must be large
enough, and a row must have enough minor alleles in both. Of the tests that follow, every round is
of rows that were shown before, and each of its numbers counts as a column of the rank budget.
"""

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
    require_model,
    require_people,
    row_evidence,
    withhold_tests,
)
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.errors import Refused
from genome_eu.stats.aggregate import Aggregate, dimension_sizes
from genome_eu.stats.logistic import (
    FirthSums,
    FitSums,
    NullSums,
    ProductSums,
    RawScoreSums,
    ScoreSums,
    SpaSums,
    StratifiedSums,
)

# Numbers of a row's fit that are no parameters of it.
_NOT_PARAMETERS = {"rows", "tails"}


def null(part: NullSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """Cases and controls, parameters per person, and whether columns set few people apart."""
    return part, _require(part, part.score.shape[-1] + 1, policy, facts)


def _require(part: Any, columns: int, policy: Policy, facts: Facts) -> list[Evidence]:
    sizes = dimension_sizes(part)
    traits = sizes.get("nulls", sizes.get("traits", len(facts.groups)))
    if not facts.groups or len(facts.groups) != traits:
        raise Refused("the people of a logistic model were not counted")
    if any(len(trait.groups) != 2 for trait in facts.groups):
        raise Refused("the cases and controls of a logistic model were not counted")
    classes = np.array([one.people for trait in facts.groups for one in trait.groups])
    found = require_people(classes, policy, or_nobody=True)
    evidence = Evidence("cases and controls", found.limit, found.withheld, found.of)
    return [evidence, *require_model(columns, policy, facts)]


def score(
    part: ScoreSums | RawScoreSums, policy: Policy, facts: Facts
) -> tuple[Any, list[Evidence]]:
    """Minor alleles in cases and in controls; sums over missing calls only of enough people.

    The model is judged here as well: nothing makes a coordinator ask for the null model first.
    """
    evidence = _require(part, part.gx.shape[-1] + 2, policy, facts)
    there = np.array([trait.people > 0 for trait in facts.groups])
    part, found = _row_floors(part, there, for_haploid(policy) if facts.haploid else policy)
    return part, evidence + found


def stratified(part: StratifiedSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """As `score`; how many covariates there are, only the site knows."""
    evidence = _require(part, facts.columns + 2, policy, facts)
    # Nobody of a trait that the site could not fit is described.
    part, found = _row_floors(
        part, part.sites > 0, for_haploid(policy) if facts.haploid else policy
    )
    return part, evidence + found


def _row_floors(
    part: ScoreSums | RawScoreSums | StratifiedSums, there: NDArray, policy: Policy
) -> tuple[Any, list[Evidence]]:
    few = np.zeros(part.shown.shape, bool)
    for alleles, called in (
        (part.alleles_cases, part.called_cases),
        (part.alleles_controls, part.called_controls),
    ):
        few |= below(alleles, policy.association_floor, policy)
        few |= below(2 * called - alleles, policy.association_floor, policy)
    shown = ~few | ~there
    evidence = [
        row_evidence("minor alleles in cases and controls", policy.association_floor, shown)
    ]
    gates: tuple[str, ...] = ("association",)
    if isinstance(part, RawScoreSums):
        known = (part.missing == 0) | (part.missing >= policy.missing_floor)
        evidence.append(row_evidence("missing calls", policy.missing_floor, known))
        shown = shown & known
        gates = ("association", "missing")
    return withhold_tests(part, shown, gates), evidence


def tests(
    part: ProductSums | SpaSums | FirthSums | FitSums, policy: Policy, facts: Facts
) -> tuple[Any, list[Evidence]]:
    """No row below the floor in cases or in controls, and as for the null model."""
    sizes = dimension_sizes(part)
    columns = sum(size for name, size in sizes.items() if name not in _NOT_PARAMETERS)
    evidence = _require(part, columns + 2, policy, facts)
    policy = for_haploid(policy) if facts.haploid else policy
    if facts.minor_alleles is None:
        raise Refused("the minor alleles of rows to be tested were not counted")
    if np.any(below(facts.minor_alleles, policy.association_floor, policy)):
        raise Refused(
            f"a row with fewer than {policy.association_floor} minor alleles in cases or in "
            f"controls was asked for (policy {policy.name})"
        )
    check = Evidence("rows with enough minor alleles", policy.association_floor, 0, part.rows)
    return part, [*evidence, check]


def fits(part: FitSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """As `tests`; and whoever lacks a call is one of enough people, or is imputed."""
    part, evidence = tests(part, policy, facts)
    if facts.missing is None:
        raise Refused("the missing calls of rows to be fitted were not counted")
    few = (facts.missing > 0) & (facts.missing < policy.missing_floor)
    if few.any():
        raise Refused(
            f"a row that 1 to {policy.missing_floor - 1} people lack a call of would be fitted "
            f"without them (policy {policy.name}); ask with missing calls at the mean"
        )
    return part, [*evidence, Evidence("people left out", policy.missing_floor, 0, part.rows)]


def _published_null(part: NullSums, policy: Policy, people: NDArray | None) -> Any:
    require_people(np.append(part.cases, part.controls), policy, or_nobody=True)
    return part


def _published_score(
    part: ScoreSums | RawScoreSums | StratifiedSums, policy: Policy, people: NDArray | None
) -> Any:
    return _row_floors(part, np.ones(part.shown.shape[1], bool), policy)[0]


def _published_tests(part: Any, policy: Policy, people: NDArray | None) -> Any:
    # Of rows that were shown in a total before.
    return part


RULES: Mapping[type[Aggregate], Rule] = {
    NullSums: null,
    ScoreSums: score,
    RawScoreSums: score,
    StratifiedSums: stratified,
    ProductSums: tests,
    SpaSums: tests,
    FirthSums: tests,
    FitSums: fits,
}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {
    NullSums: _published_null,
    ScoreSums: _published_score,
    RawScoreSums: _published_score,
    StratifiedSums: _published_score,
    ProductSums: _published_tests,
    SpaSums: _published_tests,
    FirthSums: _published_tests,
    FitSums: _published_tests,
}
BY_ROW = frozenset(
    {
        "minor alleles in cases and controls",
        "missing calls",
        "people left out",
        "rows with enough minor alleles",
    }
)
GATES = frozenset({"association", "label", "missing", "moments", "people", "state"})
