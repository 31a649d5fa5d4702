"""What leaves of a whole-genome regression.

Every sum is of the people of one fold, so each fold is judged as a group of its own. Rows of a
block, and predictions, are multiplied by each other: each counts as a parameter of a model.
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
    require_model,
    require_people,
    row_evidence,
    withhold,
)
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules import linear
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.errors import Refused
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.ridge import (
    SCORE_SUMS,
    BlockSums,
    CountSums,
    FoldSums,
    GradientSums,
    InformationSums,
    Level1Moments,
    Level1Sums,
    ResidualSums,
)


def _require_counted(facts: Facts, folds: int) -> None:
    """The site has counted everybody and the people of each fold."""
    if len(facts.groups) != folds + 1:
        raise Refused("the people of a fold were not counted")


def folds(part: FoldSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People, parameters per person, and whether the columns set few people apart, by fold."""
    _require_counted(facts, part.people.size)
    return part, require_model(part.xx.shape[-1] + 1, policy, facts)


def counts(part: CountSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """A row is shown if it has enough minor alleles among the people of every fold."""
    _require_counted(facts, part.called.shape[1])
    evidence = require_model(1, policy, facts)
    there = np.array([group.people > 0 for group in facts.groups[1:]])
    part, found = _row_floor(part, there, policy)
    return part, [*evidence, found]


def _row_floor(part: CountSums, there: NDArray, policy: Policy) -> tuple[Any, Evidence]:
    shown = _enough(part, there, policy)
    evidence = row_evidence("minor alleles in a fold", policy.association_floor, shown)
    return withhold(part, shown, "shown", ("association",)), evidence


def _enough(part: CountSums | BlockSums, there: NDArray, policy: Policy) -> NDArray:
    """Rows with enough minor alleles in all folds that have people, bool (rows,)."""
    floor = policy.association_floor
    few = below(part.allele_count, floor, policy)
    few |= below(2 * part.called - part.allele_count, floor, policy)
    return ~(few & there).any(axis=1)


def _require_few(columns: int, policy: Policy, facts: Facts) -> list[Evidence]:
    """As `require_model`, with what to do about a fold that is too small."""
    people = np.array([group.people for group in facts.groups])
    require_people(people, policy, or_nobody=True)
    described = people[people > 0]
    if np.any(columns > policy.max_parameters_per_person * described):
        raise Refused(
            f"{columns} parameters are more than {policy.max_parameters_per_person:g} per person "
            f"of a fold (policy {policy.name}); ask with smaller blocks or fewer folds, or have "
            f"small sites predicted for only (smallest_site)"
        )
    return require_model(columns, policy, facts)


def block(part: BlockSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """No row below the floor, and far fewer rows in a block than people in a fold."""
    _, number, width = part.gram.shape
    _require_counted(facts, number)
    columns = width + part.gx.shape[-1] + part.gy.shape[-1] + 1
    evidence = _require_few(columns, policy, facts)
    there = np.array([group.people > 0 for group in facts.groups[1:]])
    if not _enough(part, there, policy).all():
        raise _too_rare(policy)
    evidence += _apart(policy, facts)
    return part, [*evidence, Evidence("minor alleles in a fold", policy.association_floor, 0, 1)]


def _apart(policy: Policy, facts: Facts) -> list[Evidence]:
    """Rows, or predictions, that set nobody apart, and missing calls that cannot be told.

    Half-way from the limit of a model to 1, as over releases (`budget`): there are many of them.
    """
    bound = (1.0 + policy.max_leverage) / 2.0
    if facts.leverage > bound + 1e-9:
        raise Refused(
            f"rows of a block, or predictions, together give one person a leverage of more than "
            f"{bound:g} (policy {policy.name}); ask with pruned rows, or smaller blocks"
        )
    if facts.missing is not None:
        few = (facts.missing > 0) & (facts.missing < policy.missing_floor)
        if few.any():
            raise Refused(
                f"a row that 1 to {policy.missing_floor - 1} people of a fold lack a call of would "
                f"be centred by a mean of the plan's (policy {policy.name}); ask with site effects"
            )
    return [Evidence("leverage in a fold", bound, 0, 1)]


def _too_rare(policy: Policy) -> Refused:
    return Refused(
        f"a row with fewer than {policy.association_floor} minor alleles in a fold was asked for "
        f"(policy {policy.name})"
    )


def level1(
    part: Level1Sums | Level1Moments, policy: Policy, facts: Facts
) -> tuple[Any, list[Evidence]]:
    """No row below the floor in any prediction, and far fewer predictions than people in a fold.

    Weights of a single row would make a prediction of that row's genotypes.
    """
    if len(facts.groups) < 2 or facts.minor_alleles is None:
        raise Refused("the people and rows of predictions were not counted")
    evidence = _require_few(part.z.shape[-1] + 1, policy, facts)
    if below(facts.minor_alleles, policy.association_floor, policy).any():
        raise _too_rare(policy)
    evidence += _apart(policy, facts)
    return part, [*evidence, Evidence("minor alleles in a fold", policy.association_floor, 0, 1)]


def information(part: InformationSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """As products of predictions; people count by how much they weigh."""
    if len(facts.groups) != part.people.size:
        raise Refused("the people of a fold were not counted")
    return part, require_model(part.zz.shape[-1] + 1, policy, facts)


def gradient(part: GradientSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """Every fit is a column; people count by what is left of them, so that none is set apart."""
    if len(facts.groups) < part.people.size:
        raise Refused("the people of a fit were not counted")
    return part, require_model(part.people.size, policy, facts)


def residuals(part: ResidualSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People, and parameters per person: each chromosome left out of a trait is a column."""
    if len(facts.groups) != part.people.size:
        raise Refused("the people of a whole-genome regression were not counted")
    traits = int(np.bincount(part.trait_group, minlength=1).max())
    columns = part.xx.shape[-1] + len(part.yy) * traits + 1
    return part, [*require_model(columns, policy, facts), *_apart(policy, facts)]


def _published_folds(part: FoldSums, policy: Policy, people: NDArray | None) -> Any:
    require_people(part.people, policy, or_nobody=True)
    return part


def _published_counts(part: CountSums, policy: Policy, people: NDArray | None) -> Any:
    return _row_floor(part, part.called.any(axis=0), policy)[0]


def _published_block(part: BlockSums, policy: Policy, people: NDArray | None) -> Any:
    if not _enough(part, part.called.any(axis=0), policy).all():
        raise _too_rare(policy)
    return part


def _published_people(part: Any, policy: Policy, people: NDArray | None) -> Any:
    require_people(part.people, policy, or_nobody=True)
    return part


RULES: Mapping[type[Aggregate], Rule] = {
    FoldSums: folds,
    CountSums: counts,
    BlockSums: block,
    Level1Moments: level1,
    Level1Sums: level1,
    InformationSums: information,
    GradientSums: gradient,
    ResidualSums: residuals,
    **dict.fromkeys(SCORE_SUMS.values(), linear.row_sums),
}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {
    FoldSums: _published_folds,
    CountSums: _published_counts,
    BlockSums: _published_block,
    Level1Moments: _published_people,
    Level1Sums: _published_people,
    InformationSums: _published_people,
    GradientSums: _published_people,
    ResidualSums: _published_people,
    **dict.fromkeys(SCORE_SUMS.values(), linear.published_rows),
}
BY_ROW = frozenset({"minor alleles in a fold"})
GATES = frozenset({"association", "label", "missing", "moments", "people", "state"})
