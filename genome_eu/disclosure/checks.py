"""The rules: what a policy lets out of each aggregate, and the evidence that it was checked.

A rule takes an aggregate as computed and gives it back with everything below a floor removed,
or refuses it. Evidence states limits and how much was withheld, never the value that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.policy import Policy
from genome_eu.errors import Refused
from genome_eu.stats.aggregate import Aggregate, dimension_sizes
from genome_eu.stats.counts import GenotypeCounts, GroupSizes
from genome_eu.stats.linear import CompleteSums, DesignSums, MeanSums, RawSums
from genome_eu.stats.pca import ProjectionSums, ScoreMoments
from genome_eu.stats.traits import TraitMoments
from genome_eu.stats.variants import VariantList


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
    minor_alleles: NDArray | None = None  # of every row that went into the answer


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


def _require_common(facts: Facts, policy: Policy) -> Evidence:
    """Every row of a projection must be one whose allele count might be shown."""
    if facts.minor_alleles is None:
        raise Refused("the rows of a projection were not counted")
    if np.any(below(facts.minor_alleles, policy.allele_floor, policy)):
        raise Refused(
            f"a row below the allele floor of {policy.allele_floor} was asked for "
            f"(policy {policy.name})"
        )
    return Evidence("alleles, both tails", policy.allele_floor, 0, facts.minor_alleles.size)


def _withhold(aggregate: Any, shown: NDArray, flag: str, gates: tuple[str, ...]) -> Any:
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


def _evidence(check: str, limit: float, shown: NDArray) -> Evidence:
    withheld = int((~shown).sum())
    return Evidence(check, limit, withheld, shown.size, "withheld" if withheld else "pass")


def group_sizes(part: GroupSizes, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """Everybody, and the groups only if each of them (and the people in none) is large enough."""
    evidence = [require_people(part.people_total, policy)]
    sizes = np.append(part.people, facts.hidden_people)
    small = bool(np.any((sizes > 0) & (sizes < policy.min_people)))
    groups = part.people.size
    if small:
        part = replace(part, people=part.people[:0], labels=part.labels[:0])
    verdict: Literal["pass", "withheld"] = "withheld" if small else "pass"
    evidence.append(
        Evidence("people per group", policy.min_people, groups if small else 0, groups, verdict)
    )
    return part, evidence


def genotype_counts(
    part: GenotypeCounts, policy: Policy, facts: Facts
) -> tuple[Any, list[Evidence]]:
    """Two-tailed allele floor; genotype classes gated together; siblings fall with each other."""
    evidence = [require_people(part.people[0], policy)]

    def failing(counts: GenotypeCounts) -> tuple[NDArray, NDArray]:
        alleles = below(counts.allele_count, policy.allele_floor, policy) | below(
            counts.allele_number - counts.allele_count, policy.allele_floor, policy
        )
        classes = np.stack([counts.hom_ref, counts.het, counts.hom_alt])
        genotypes = alleles | below(classes, policy.genotype_floor, policy).any(axis=0)
        # A group without people has nothing to hide and must not fail its siblings.
        return alleles & (counts.people > 0), genotypes & (counts.people > 0)

    alleles, genotypes = failing(part)
    sizes = np.append(part.people[1:], facts.hidden_people)
    small_group = bool(np.any((sizes > 0) & (sizes < policy.min_people)))
    shown = []
    for fails, of_hidden in zip(
        (alleles, genotypes),
        failing(facts.hidden_counts) if facts.hidden_counts is not None else (None, None),
        strict=True,
    ):
        siblings = fails[:, 1:].any(axis=1) | small_group
        if of_hidden is not None:
            siblings |= of_hidden[:, 0]
        keep = np.empty(fails.shape, bool)
        keep[:, 0] = ~fails[:, 0]
        keep[:, 1:] = ~siblings[:, None] | (part.people[1:] == 0)
        shown.append(keep)
    if small_group:
        part = replace(part, people=np.where(np.arange(part.people.size) == 0, part.people, 0))
    part = _withhold(part, shown[0], "alleles_shown", ("alleles", "genotypes"))
    part = _withhold(part, shown[0] & shown[1], "genotypes_shown", ("genotypes",))
    evidence.append(_evidence("alleles, both tails", policy.allele_floor, shown[0]))
    evidence.append(_evidence("genotype classes", policy.genotype_floor, shown[1]))
    return part, evidence


def trait_moments(part: TraitMoments, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People per trait and per covariate, and in the smaller class of each."""
    people = np.append(part.trait_people, part.covariate_people)
    return part, [
        require_people(people, policy, or_nobody=True),
        *_require_classes(facts, policy),
    ]


def _require_classes(facts: Facts, policy: Policy) -> list[Evidence]:
    """A column that sets few people apart gives their numbers away in every product with it."""
    if facts.smallest_class is None:
        return []
    if facts.smallest_class < policy.covariate_floor:
        raise Refused(
            f"a trait or covariate has a class of fewer than {policy.covariate_floor} people "
            f"(policy {policy.name}); leave it out"
        )
    return [Evidence("covariate class", policy.covariate_floor, 0, 1)]


def _require_model(columns: int, policy: Policy, facts: Facts) -> list[Evidence]:
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
    classes = _require_classes(facts, policy)
    if facts.leverage > policy.max_leverage + 1e-9:
        raise Refused(
            f"traits and covariates together give one person a leverage of more than "
            f"{policy.max_leverage:g} (policy {policy.name}); leave out or rank-normalize columns "
            f"with extreme values, or ask fewer traits at once"
        )
    return [
        Evidence("parameters per person", policy.max_parameters_per_person, 0, columns),
        *classes,
        Evidence("leverage", policy.max_leverage, 0, columns),
    ]


def linear_design(part: DesignSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People, parameters per person, and whether the columns set few people apart, by group."""
    _require_counted(part, facts)
    return part, _require_model(part.xx.shape[-1] + 1, policy, facts)


def _require_counted(part: Any, facts: Facts) -> None:
    """The site has counted the people of every group that the sums speak of."""
    if len(facts.groups) != dimension_sizes(part)["groups"]:
        raise Refused("the people of a linear model were not counted")


def row_sums(
    part: MeanSums | RawSums | CompleteSums, policy: Policy, facts: Facts
) -> tuple[Any, list[Evidence]]:
    """Minor alleles among the people tested; sums over missing calls only of enough people.

    Each group of traits is judged by itself, and a row withheld in one is withheld there only. The
    model is judged here as well: nothing makes a coordinator ask for the design first.
    """
    _require_counted(part, facts)
    evidence = _require_model(part.gx.shape[-1] + 1, policy, facts)
    people = np.array([group.people for group in facts.groups])
    part, found = row_floors(part, people, policy)
    return part, evidence + found


def row_floors(
    part: MeanSums | RawSums | CompleteSums, people: NDArray, policy: Policy
) -> tuple[Any, list[Evidence]]:
    """The floors of single rows, given the people of each group."""
    evidence = []
    alleles = 2 * part.called
    minor_shown = ~(
        below(part.allele_count, policy.association_floor, policy)
        | below(alleles - part.allele_count, policy.association_floor, policy)
    )
    evidence.append(_evidence("minor alleles", policy.association_floor, minor_shown))
    shown = minor_shown
    gates: tuple[str, ...] = ("association",)
    if not isinstance(part, MeanSums):
        missing = people - part.called
        missing_shown = (missing == 0) | (missing >= policy.missing_floor)
        evidence.append(_evidence("missing calls", policy.missing_floor, missing_shown))
        shown = shown & missing_shown
        gates = ("association", "missing")
    return _withhold(part, shown, "shown", gates), evidence


def projection(part: ProjectionSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People, columns per person, and no row below the allele floor."""
    if facts.columns > policy.max_parameters_per_person * int(part.people):
        raise Refused(
            f"{facts.columns} columns of a projection are more than "
            f"{policy.max_parameters_per_person:g} per person (policy {policy.name}); ask for "
            f"fewer components"
        )
    return part, [
        require_people(part.people, policy),
        Evidence("parameters per person", policy.max_parameters_per_person, 0, facts.columns),
        _require_common(facts, policy),
    ]


def score_moments(part: ScoreMoments, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """People behind the mean of the scores; no row below the allele floor.

    Loadings on a single row would make the sum of the scores that row's allele count.
    """
    return part, [require_people(part.people, policy), _require_common(facts, policy)]


def variant_list(part: VariantList, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """The site has already left out its rows below the allele floor (`federation.site`)."""
    withheld = int(part.rows_withheld)
    verdict: Literal["pass", "withheld"] = "withheld" if withheld else "pass"
    return part, [
        require_people(facts.people, policy),
        Evidence("rows listed", policy.allele_floor, withheld, int(part.rows_total), verdict),
    ]


Rule = Callable[[Any, Policy, Facts], tuple[Any, list[Evidence]]]

#: The rule of each statistic. A statistic without one cannot leave.
RULES: Mapping[type[Aggregate], Rule] = {
    GroupSizes: group_sizes,
    GenotypeCounts: genotype_counts,
    TraitMoments: trait_moments,
    DesignSums: linear_design,
    MeanSums: row_sums,
    RawSums: row_sums,
    CompleteSums: row_sums,
    ProjectionSums: projection,
    ScoreMoments: score_moments,
    VariantList: variant_list,
}

#: Checks of single rows, which add up over the shards of an answer; the others repeat.
BY_ROW = frozenset({"alleles, both tails", "genotype classes", "minor alleles", "missing calls"})

#: The gates that the rules above know. A field declared under any other cannot leave.
GATES = frozenset(
    {
        "alleles",
        "association",
        "genotypes",
        "label",
        "missing",
        "moments",
        "people",
        "projection",
        "state",
        "variants",
    }
)
