"""What the distribution of polygenic scores shows."""

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


def _distribution(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    people = Sizes()
    names = ["everybody", *(str(name) for name in case.parameters.get("groups") or ())]
    lines = []
    for group, size in enumerate(part.people.tolist()):
        if not part.shown[group]:
            continue
        for score, opens in enumerate(part.opens):
            bins = np.add.reduceat(part.polygenic_bins[group, score], np.flatnonzero(opens))
            people.add(bins)
            n = max(size, 1)
            mean = float(part.polygenic_sum[group, score]) / n
            square = float(part.polygenic_square[group, score]) / n
            spread = max(square - mean**2, 0.0) ** 0.5
            name = names[group] if group < len(names) else f"group {group}"
            lines.append([name, score + 1, size, mean, spread, bins.size])
    number = part.polygenic_sum.shape[1]
    return Contents(
        f"the distribution of {many(number, 'polygenic score')} over "
        f"{people_of(int(part.people[0]))} (their scores stay)",
        int((~part.shown).sum()),
        (
            Table(
                "Scores, in expected standard deviations",
                ["Group", "Score", "People", "Mean", "Standard deviation", "Bins"],
                lines[:LINES],
            ),
        ),
        (people.bars("People in each bin"),),
    )


DESCRIBED: Mapping[str, Describe] = {"score_distribution": _distribution}
