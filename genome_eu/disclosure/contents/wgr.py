"""What the sums of a whole-genome regression show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.contents import linear
from genome_eu.disclosure.contents.tables import Contents, Describe, many, people_of
from genome_eu.stats.aggregate import dimension_sizes


def _folds(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    sizes = dimension_sizes(part)
    return Contents(
        f"products of {many(sizes['traits'], 'trait')} and "
        f"{many(sizes['covariates'], 'covariate')} over {people_of(int(part.people.sum()))} in "
        f"{many(sizes['folds'], 'fold')}"
    )


def _counts(shards: Iterator[Any], case: Case) -> Contents:
    rows = shown = folds = 0
    for part in shards:
        rows, folds = rows + part.rows, part.called.shape[1]
        shown += int(part.shown.sum())
    return Contents(
        f"alleles of {many(shown, 'variant')} in each of {many(folds, 'fold')} of "
        f"{people_of(case.people)}",
        rows - shown,
    )


def _block(shards: Iterator[Any], case: Case) -> Contents:
    rows = folds = width = 0
    for part in shards:
        rows, folds, width = rows + part.rows, part.gram.shape[1], part.gram.shape[2]
    return Contents(
        f"products of {many(rows, 'variant')} with up to {width:,} others, with covariates and "
        f"traits, in each of {many(folds, 'fold')} of {people_of(case.people)}"
    )


def _predictions(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    sizes = dimension_sizes(part)
    people = people_of(int(np.sum(part.people)))
    return Contents(
        f"products of {many(sizes['predictors'], 'prediction')} of "
        f"{many(sizes['traits'], 'trait')} over {people} (the predictions stay)"
    )


def _logistic(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    sizes = dimension_sizes(part)
    return Contents(
        f"one step of a logistic model of {many(sizes['predictors'], 'prediction')} in "
        f"{many(part.people.size, 'part')} of {people_of(case.people)} (the predictions stay)"
    )


def _residuals(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    sizes = dimension_sizes(part)
    return Contents(
        f"products of {many(sizes['covariates'], 'covariate')} with what is left of "
        f"{many(sizes['traits'], 'trait')} beside {many(sizes['chromosomes'], 'prediction')}, over "
        f"{people_of(case.people)}"
    )


DESCRIBED: Mapping[str, Describe] = {
    "ridge_folds": _folds,
    "ridge_counts": _counts,
    "ridge_block": _block,
    "ridge_moments": _predictions,
    "ridge_level1": _predictions,
    "ridge_information": _logistic,
    "ridge_gradient": _logistic,
    "ridge_residuals": _residuals,
    "ridge_score": linear.association,
    "ridge_score_raw": linear.association,
    "ridge_score_dosage": linear.association,
    "ridge_score_raw_dosage": linear.association,
}
