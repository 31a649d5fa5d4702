"""What the sums of a linear model show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.contents.tables import (
    LINES,
    Contents,
    Describe,
    Sizes,
    Table,
    many,
    people_of,
)
from genome_eu.stats.aggregate import dimension_sizes
from genome_eu.stats.formula import Factor, Term, column_names


def _trait_moments(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    traits = _named(case, "traits", part.trait_people.size)
    covariates = _named(case, "covariates", part.covariate_sum.size)
    people = np.broadcast_to(part.covariate_people, part.covariate_sum.shape)
    lines = [
        *_moments("trait", traits, part.trait_people, part.trait_sum, part.trait_square),
        *_moments("covariate", covariates, people, part.covariate_sum, part.covariate_square),
    ]
    headings = ["Column", "Kind", "People", "Mean", "Standard deviation"]
    return Contents(
        f"people, means and variances of {_columns(len(traits), len(covariates))}",
        0,
        (Table("Traits and covariates", headings, lines[:LINES]),),
    )


def _moments(
    kind: str, names: list[str], people: NDArray, sums: NDArray, squares: NDArray
) -> list[list[object]]:
    n = np.maximum(people, 1)
    means = sums / n
    spread = np.sqrt(np.maximum(squares - n * means**2, 0) / np.maximum(n - 1, 1))
    return [
        [name, kind, int(size), float(mean), float(deviation)]
        for name, size, mean, deviation in zip(names, people, means, spread, strict=True)
    ]


def _linear_design(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    sizes = dimension_sizes(part)
    columns = _columns(sizes.get("traits", 0), sizes.get("covariates", 0))
    people = int(np.max(part.people, initial=0))
    return Contents(f"products of {columns} over {people_of(people)}")


def association(shards: Iterator[Any], case: Case) -> Contents:
    """What sums of each row with traits show."""
    minor, shown, total, traits, covariates = Sizes(), 0, 0, 0, 0
    for part in shards:
        sizes = dimension_sizes(part)
        traits, covariates = sizes.get("traits", 0), sizes.get("covariates", 0)
        total += part.rows
        # Where people differ between traits, a row counts as shown if it is for any of them.
        shown += int(part.shown.reshape(part.rows, -1).any(axis=1).sum())
        fewer = np.minimum(part.allele_count, 2 * part.called - part.allele_count)
        minor.add(fewer[part.shown])
    return Contents(
        f"sums of an association of {many(shown, 'variant')} with "
        f"{_columns(traits, covariates)} in {people_of(case.people)}",
        total - shown,
        (),
        (minor.bars("Minor alleles in each row shown"),),
    )


def _columns(traits: int, covariates: int) -> str:
    return f"{many(traits, 'trait')} and {many(covariates, 'covariate')}"


def _named(case: Case, kind: str, columns: int) -> list[str]:
    """Names of columns; principal components come after the covariates that the plan names."""
    names = [str(name) for name in case.parameters.get(kind) or ()]
    if kind == "covariates":
        terms = [
            Term(tuple(Factor(**factor) for factor in term))
            for term in case.parameters.get("terms") or ()
        ]
        levels = {one["column"]: one["levels"] for one in case.parameters.get("levels") or ()}
        names += column_names(terms, levels)
        names += [f"dosage of {row}" for row in case.parameters.get("condition") or ()]
    if kind == "traits" and case.parameters.get("transform"):
        names = [f"{case.parameters['transform']}({name})" for name in names]
    return [*names, *(f"PC{number}" for number in range(1, columns - len(names) + 1))][:columns]


DESCRIBED: Mapping[str, Describe] = {
    "trait_moments": _trait_moments,
    "linear_design": _linear_design,
    "linear_mean": association,
    "linear_raw": association,
    "linear_complete": association,
    "linear_mean_dosage": association,
    "linear_raw_dosage": association,
    "linear_complete_dosage": association,
}
