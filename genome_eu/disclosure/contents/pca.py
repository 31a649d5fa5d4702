"""What a principal component analysis shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.contents.tables import (
    LINES,
    Contents,
    Describe,
    Table,
    many,
    people_of,
)


def _projection(shards: Iterator[Any], case: Case) -> Contents:
    rows, width, people = 0, 0, 0
    for part in shards:
        rows += part.rows
        width, people = part.projected.shape[1], int(part.people)
    return Contents(
        f"one step of a PCA: {many(rows, 'variant')} × {many(width, 'column')}, summed over "
        f"{people_of(people)}"
    )


def _scores(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    people = int(part.people)
    means = part.score_sum / max(people, 1)
    spread = np.sqrt(np.maximum(part.score_square / max(people, 1) - means**2, 0))
    lines = [
        [f"PC{number}", float(mean), float(deviation)]
        for number, (mean, deviation) in enumerate(zip(means, spread, strict=True), 1)
    ]
    return Contents(
        f"the mean of {many(len(lines), 'principal component')} over "
        f"{people_of(people)} (their scores stay)",
        0,
        (Table("Scores", ["Component", "Mean", "Standard deviation"], lines[:LINES]),),
    )


DESCRIBED: Mapping[str, Describe] = {
    "pca_projection": _projection,
    "pca_scores": _scores,
}
