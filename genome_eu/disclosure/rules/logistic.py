"""What leaves of a logistic model.

Each trait is judged by itself. Cases and controls are two groups of people each: both must be large
enough, and a row must have enough minor alleles in both. Of the tests that follow, every round is
of rows that were shown before, and each of its numbers counts as a column of the rank budget.

People weigh μ(1−μ), and parameters that make μ come with the plan: chosen steep enough, they leave
weight to nobody but one person. So people count by how much they weigh, in the model and in every
row that has parameters of its own.
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
from genome_eu.disclosure.rules.dosages import rare
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.errors import Refused
from genome_eu.stats.aggregate import Aggregate, dimension_sizes
from genome_eu.stats.logistic import (
    DOSAGE_SCORE_SUMS,
    STRATIFIED_SUMS,
    FirthSums,
    FitSums,
    HardCallsOfClasses,
    NullSums,
    ProductSums,
    RawScoreSums,
    ScoreSums,
    SpaSums,
    StratifiedSums,
)
from genome_eu.stats.ploidy import other_alleles

# Numbers of a row's fit that are no parameters of it.
_NOT_PARAMETERS = {"rows", "tails"}
_ROUNDING = 1e-9


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
    there = [trait for trait in facts.groups if trait.people]
    if any(trait.weighing is None for trait in there):
        raise Refused("the weights of a logistic model's people were not counted")
    weighing = np.array([trait.weighing for trait in there])
    return [evidence, *require_model(columns, policy, facts), _require_weighing(weighing, policy)]


def _require_weighing(people: NDArray, policy: Policy) -> Evidence:
    """Sums over people of whom few have any weight are these people's numbers."""
    # Where everybody may be described alone, weights that have all vanished are no secret either.
    if policy.min_people > 1 and np.any(people < policy.min_people * (1.0 - _ROUNDING)):
        raise Refused(
            f"at these parameters fewer than {policy.min_people} people make the sums of a "
            f"logistic model (policy {policy.name}); the covariates, or a row, almost tell cases "
            f"from controls"
        )
    return Evidence("people by their weights", policy.min_people, 0, max(people.size, 1))


def score(
    part: ScoreSums | RawScoreSums, policy: Policy, facts: Facts
) -> tuple[Any, list[Evidence]]:
    """Minor alleles in cases and in controls; sums over missing calls only of enough people.

    The model is judged here as well: nothing makes a coordinator ask for the null model first.
    """
    evidence = _require(part, part.gx.shape[-1] + 2, policy, facts)
    there = np.array([trait.people > 0 for trait in facts.groups])
    policy = for_haploid(policy) if facts.haploid else policy
    part, found = _row_floors(part, there, policy, _halved(facts))
    return part, evidence + found


def _halved(facts: Facts) -> dict[str, NDArray]:
    """How many cases and controls of each trait have one copy that counts as one."""
    classes = [trait.groups or (Facts(0), Facts(0)) for trait in facts.groups]
    return {
        name: np.array([both[place].halved for both in classes])
        for place, name in enumerate(("cases", "controls"))
    }


def stratified(part: StratifiedSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """As `score`; how many covariates there are, only the site knows."""
    evidence = _require(part, facts.columns + 2, policy, facts)
    # Nobody of a trait that the site could not fit is described.
    part, found = _row_floors(
        part, part.sites > 0, for_haploid(policy) if facts.haploid else policy, _halved(facts)
    )
    return part, evidence + found


def _row_floors(
    part: ScoreSums | RawScoreSums | StratifiedSums,
    there: NDArray,
    policy: Policy,
    halved: Mapping[str, NDArray] | None = None,
) -> tuple[Any, list[Evidence]]:
    few = np.zeros(part.shown.shape, bool)
    floor = policy.association_floor
    for name in ("cases", "controls"):
        alleles, called = getattr(part, f"alleles_{name}"), getattr(part, f"called_{name}")
        others = other_alleles(2 * called - alleles, 0 if halved is None else halved[name])
        if isinstance(part, HardCallsOfClasses):
            # Hard calls of who has one copy count as two.
            hard = getattr(part, f"hard_{name}")
            hard_others = 2 * getattr(part, f"hard_called_{name}") - hard
            few |= rare((alleles, hard), (others, hard_others), floor, policy)
        else:
            few |= below(alleles, floor, policy) | below(others, floor, policy)
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
    """No row below the floor in cases or in controls, and as for the null model, row by row.

    Whoever lacks a call is one of enough people where they are left out, or where the plan says
    what stands for the call; else it is imputed by the site.
    """
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
    if facts.missing is None or facts.row_weighing is None or facts.row_sides is None:
        raise Refused("the missing calls and weights of rows to be tested were not counted")
    few = (facts.missing > 0) & (facts.missing < policy.missing_floor)
    if few.any():
        raise Refused(
            f"a row that 1 to {policy.missing_floor - 1} people lack a call of would be fitted "
            f"without them, or with a mean of the plan's (policy {policy.name}); ask with missing "
            f"calls at the mean of the site"
        )
    # Ten alleles of cases and ten of controls are of at least as many people.
    fewest = min(policy.min_people, policy.association_floor)
    if np.any(facts.row_sides < fewest):
        raise Refused(
            f"a row's sum over one side of 0 would be of fewer than {fewest} people "
            f"(policy {policy.name})"
        )
    return part, [
        *evidence,
        _require_weighing(facts.row_weighing, policy),
        Evidence("rows with enough minor alleles", policy.association_floor, 0, part.rows),
        Evidence("people left out", policy.missing_floor, 0, part.rows),
    ]


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
    **dict.fromkeys(DOSAGE_SCORE_SUMS, score),
    **dict.fromkeys(STRATIFIED_SUMS, stratified),
    ProductSums: tests,
    SpaSums: tests,
    FirthSums: tests,
    FitSums: tests,
}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {
    NullSums: _published_null,
    ScoreSums: _published_score,
    RawScoreSums: _published_score,
    **dict.fromkeys(DOSAGE_SCORE_SUMS, _published_score),
    **dict.fromkeys(STRATIFIED_SUMS, _published_score),
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
