"""What the sums of a logistic model show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

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


def _null(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    names = [str(name) for name in case.parameters.get("traits") or ()]
    lines = [
        [name, int(cases), int(controls)]
        for name, cases, controls in zip(names, part.cases, part.controls, strict=False)
    ]
    sizes = dimension_sizes(part)
    return Contents(
        f"one round of a logistic model of {many(sizes['nulls'], 'trait')} and "
        f"{many(sizes['covariates'], 'column')}",
        0,
        (Table("Cases and controls", ["Trait", "Cases", "Controls"], lines[:LINES]),),
    )


def _score(shards: Iterator[Any], case: Case) -> Contents:
    minor, shown, total, traits, columns = Sizes(), 0, 0, 0, 0
    for part in shards:
        sizes = dimension_sizes(part)
        traits, columns = sizes.get("traits", 0), sizes.get("covariates", 0)
        total += part.rows
        shown += int(part.shown.any(axis=1).sum())
        for alleles, called in (
            (part.alleles_cases, part.called_cases),
            (part.alleles_controls, part.called_controls),
        ):
            fewer = np.minimum(alleles, 2 * called - alleles)
            minor.add(fewer[part.shown])
    return Contents(
        f"sums of score tests of {many(shown, 'variant')} with {many(traits, 'trait')} and "
        f"{many(columns, 'column')} in {people_of(case.people)}",
        total - shown,
        (),
        (minor.bars("Minor alleles in cases, and in controls, of each row shown"),),
    )


def _tests(what: str) -> Describe:
    def described(shards: Iterator[Any], case: Case) -> Contents:
        rows = sum(part.rows for part in shards)
        return Contents(f"{what} of {many(rows, 'variant')} in {people_of(case.people)}")

    return described


DESCRIBED: Mapping[str, Describe] = {
    "logistic_null": _null,
    "logistic_score": _score,
    "logistic_score_raw": _score,
    "logistic_score_dosage": _score,
    "logistic_score_raw_dosage": _score,
    "logistic_stratified": _score,
    "logistic_stratified_dosage": _score,
    "logistic_products": _tests("products with covariates"),
    "logistic_spa": _tests("one round of saddlepoint tests"),
    "logistic_firth": _tests("one round of Firth tests"),
    "logistic_fit": _tests("one round of logistic fits"),
}
