"""What a question on polygenic scores answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from genome_eu.formats.rows import TOTAL
from genome_eu.results.rows import GROUPS
from genome_eu.stats.scores import EDGES, Distribution

SCORES, BINS = "scores", "bins"


class ScoreResult(xr.Dataset):
    """The distribution of polygenic scores: (cohorts, scores), everybody first.

    `score_bin_people` has −1 where a bin was joined to the one before it, so that no bin has too
    few people. Where a group is withheld its numbers are NaN and −1. For one's own cohort,
    `sample_*` has the scores of its people.
    """

    __slots__ = ()

    def summary(self) -> pd.DataFrame:
        """People, mean and standard deviation of each score in each group."""
        lines = [
            (
                str(score),
                str(group),
                int(self["score_people"].values[g]),
                float(self["score_mean"].values[g, s]),
                float(np.sqrt(self["score_variance"].values[g, s])),
            )
            for s, score in enumerate(self["score_id"].values)
            for g, group in enumerate(self["cohort_id"].values)
        ]
        return pd.DataFrame(lines, columns=["score", "group", "people", "mean", "sd"])

    def histogram(self) -> pd.DataFrame:
        """People of each bin that is left; the outer bins are open."""
        lines = []
        for s, score in enumerate(self["score_id"].values):
            edges = self["score_edge"].values[s]
            for g, group in enumerate(self["cohort_id"].values):
                people = self["score_bin_people"].values[g, s]
                left = np.flatnonzero(people >= 0)
                cuts = [-np.inf, *edges[left[1:] - 1], np.inf] if left.size else []
                lines += [
                    (str(score), str(group), low, high, int(people[place]))
                    for place, low, high in zip(left, cuts[:-1], cuts[1:], strict=True)
                ]
        return pd.DataFrame(lines, columns=["score", "group", "low", "high", "people"])

    def to_files(self, folder: str | Path) -> list[Path]:
        """Write `score.summary.tsv` and `score.histogram.tsv`; for a cohort also `score.sscore`.

        The last, in PLINK 2's columns, holds people and stays at the site that made it.
        """
        from genome_eu.formats.scores import write_scores

        return write_scores(self, Path(folder))


def score_result(
    found: Sequence[Sequence[Distribution | None]],
    *,
    labels: Sequence[str],
    names: Sequence[str],
    people: dict[str, Any],
    attrs: dict[str, Any],
) -> ScoreResult:
    """Distributions as a dataset: `found` is [group][score], everybody first."""
    shape = (len(labels) + 1, len(names))
    mean, variance = np.full(shape, np.nan), np.full(shape, np.nan)
    number = np.full(shape[0], -1, np.int64)
    bins = np.full((*shape, EDGES.size + 1), -1, np.int64)
    edges = np.full((shape[1], EDGES.size), np.nan)
    for g, line in enumerate(found):
        for s, one in enumerate(line):
            if one is None:
                continue
            number[g] = one.people
            mean[g, s], variance[g, s] = one.mean, one.variance
            edges[s] = one.all_edges
            bins[g, s, one.places] = one.bins
    variables = {
        "cohort_id": (GROUPS, np.array([TOTAL, *labels], dtype=object)),
        "score_id": (SCORES, np.array(names, dtype=object)),
        "score_people": (GROUPS, number),
        "score_mean": ((GROUPS, SCORES), mean),
        "score_variance": ((GROUPS, SCORES), variance),
        "score_edge": ((SCORES, "inner_edges"), edges),
        "score_bin_people": ((GROUPS, SCORES, BINS), bins),
    }
    return ScoreResult(variables | people, attrs=attrs)
