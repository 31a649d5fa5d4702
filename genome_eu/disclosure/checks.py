"""What the rules are made of: evidence, what must be known of people, floors, and withholding.

Evidence states limits and how much was withheld, never the value that failed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.policy import Policy
from genome_eu.errors import Refused
from genome_eu.stats.counts import GenotypeCounts


@dataclass(frozen=True)
class Evidence:
    """One check on one release: its limit, and how many numbers it withheld out of how many.

    `reason` says in plain words why a person must decide, or why nothing leaves.
    """

    check: str
    limit: float
    withheld: int
    of: int
    verdict: Literal["pass", "withheld", "review", "refuse"] = "pass"
    reason: str = ""


@dataclass(frozen=True)
class Facts:
    """What a check must know of the people behind an aggregate, counted inside the site."""

    people: int = 0
    columns: int = 0  # of a projection
    smallest_class: int | None = None  # fewest people beside the most common value of a column
    leverage: float = 0.0  # the largest of any person on the columns of a model
    groups: tuple[Facts, ...] = ()  # of a linear model: the three above, of each group of traits
    hidden_people: int = 0  # people in no group, who could be found by subtraction
    hidden_counts: GenotypeCounts | None = None  # their genotypes, row by row
    hidden_bins: NDArray | None = None  # their scores, as a histogram of each score
    carried_by: float = 0.0  # rows that carry a score, those of little weight counted less
    minor_alleles: NDArray | None = None  # of every row that went into the answer
    apart: NDArray | None = None  # pairs with a row that sets single people apart, (rows, band)
    haploid: bool = False  # one allele of a person may count as two in the sums
    halved: int = (
        0  # people whose one copy counts as one, not two, so that twice the called is more
    )
    missing: NDArray | None = None  # people left out of every row, for lack of a call
    weighing: float | None = None  # people behind weighted sums, by how much they weigh
    row_weighing: NDArray | None = None  # the same of every row, where each has weights of its own
    row_sides: NDArray | None = None  # people on the smaller side of 0 in sums over one side of it


def for_haploid(policy: Policy) -> Policy:
    """The policy for sums in which who has one copy counts as who has two: twice the floor."""
    return policy.model_copy(update={"association_floor": 2 * policy.association_floor})


def below(values: NDArray, floor: int, policy: Policy) -> NDArray:
    """Where a number is too small to be shown; 0 is shown if the policy says so."""
    small = values < floor
    return small & (values > 0) if policy.show_zero else small


def require_people(people: NDArray | int, policy: Policy, *, or_nobody: bool = False) -> Evidence:
    """Enough people are described; nobody at all gives nobody away."""
    counts = np.atleast_1d(np.asarray(people))
    if np.any((counts < policy.min_people) & ((counts > 0) | (not or_nobody))):
        raise Refused(
            f"fewer than {policy.min_people} people would be described (policy {policy.name})"
        )
    return Evidence("people", policy.min_people, 0, counts.size)


def require_common(facts: Facts, policy: Policy) -> Evidence:
    """Every row of a projection must be one whose allele count might be shown."""
    if facts.minor_alleles is None:
        raise Refused("the rows of a projection were not counted")
    if np.any(below(facts.minor_alleles, policy.allele_floor, policy)):
        raise Refused(
            f"a row below the allele floor of {policy.allele_floor} was asked for "
            f"(policy {policy.name})"
        )
    return Evidence("alleles, both tails", policy.allele_floor, 0, facts.minor_alleles.size)


def require_classes(facts: Facts, policy: Policy) -> list[Evidence]:
    """A column that sets few people apart gives their numbers away in every product with it."""
    if facts.smallest_class is None:
        return []
    if facts.smallest_class < policy.covariate_floor:
        raise Refused(
            f"a trait or covariate has a class of fewer than {policy.covariate_floor} people "
            f"(policy {policy.name}); leave it out"
        )
    return [Evidence("covariate class", policy.covariate_floor, 0, 1)]


def require_model(columns: int, policy: Policy, facts: Facts) -> list[Evidence]:
    """What must hold of each group's model before any product with its columns leaves."""
    people = np.array([group.people for group in facts.groups])
    evidence = [require_people(people, policy, or_nobody=True)]
    # Every group passes the same checks, so what one of them shows stands for all.
    found = {
        item.check: item
        for group in facts.groups
        if group.people
        for item in _require_group(columns, policy, group)
    }
    return evidence + list(found.values())


def _require_group(columns: int, policy: Policy, facts: Facts) -> list[Evidence]:
    if columns > policy.max_parameters_per_person * facts.people:
        raise Refused(
            f"{columns} parameters are more than {policy.max_parameters_per_person:g} per person "
            f"(policy {policy.name}); ask with fewer covariates"
        )
    classes = require_classes(facts, policy)
    return [
        Evidence("parameters per person", policy.max_parameters_per_person, 0, columns),
        *classes,
        require_leverage(columns, policy, facts),
    ]


def require_leverage(columns: int, policy: Policy, facts: Facts) -> Evidence:
    """Sums of columns in which one person stands out are that person's numbers."""
    if facts.leverage > policy.max_leverage + 1e-9:
        raise Refused(
            f"traits and covariates together give one person a leverage of more than "
            f"{policy.max_leverage:g} (policy {policy.name}); leave out or rank-normalize columns "
            f"with extreme values, or ask fewer traits at once"
        )
    return Evidence("leverage", policy.max_leverage, 0, columns)


def withhold(aggregate: Any, shown: NDArray, flag: str, gates: tuple[str, ...]) -> Any:
    """Zero every gated field where a row of a group is not shown, and clear its flag there.

    A field over traits goes with the group of each trait.
    """
    changes: dict[str, Any] = {flag: getattr(aggregate, flag) & shown}
    for item in fields(aggregate):
        if item.metadata["gate"] in gates:
            value, dims = getattr(aggregate, item.name), item.metadata["dims"]
            by_trait = "traits" in dims
            keep = shown[:, aggregate.trait_group] if by_trait else shown
            along = ("rows", "traits" if by_trait else "groups")
            sizes = zip(dims, value.shape, strict=True)
            keep = keep.reshape([size if name in along else 1 for name, size in sizes])
            changes[item.name] = np.where(keep, value, np.zeros((), value.dtype))
    return replace(aggregate, **changes)


def withhold_tests(aggregate: Any, shown: NDArray, gates: tuple[str, ...]) -> Any:
    """Zero every gated field where a row of a trait is not shown, and clear `shown` there.

    Fields are over rows and traits first.
    """
    changes: dict[str, Any] = {"shown": aggregate.shown & shown}
    for item in fields(aggregate):
        if item.metadata["gate"] in gates:
            value = getattr(aggregate, item.name)
            keep = shown.reshape(*shown.shape, *([1] * (value.ndim - 2)))
            changes[item.name] = np.where(keep, value, np.zeros((), value.dtype))
    return replace(aggregate, **changes)


def row_evidence(check: str, limit: float, shown: NDArray) -> Evidence:
    """How many rows a floor withheld."""
    withheld = int((~shown).sum())
    return Evidence(check, limit, withheld, shown.size, "withheld" if withheld else "pass")
