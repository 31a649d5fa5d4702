"""Polygenic scores over all sites: each person's stays where the person is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import PanelError
from genome_eu.federation.parameters.counts import GenotypeCountsParameters
from genome_eu.federation.parameters.scores import ScoreDistributionParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import scores
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.scores import Distribution, MatchedWeights, ScoreDistribution


@dataclass(frozen=True, eq=False)
class ScoreRows:
    """Rows of a panel that scores are made of.

    `weights` (rows, scores) is the effect of each copy of the effect allele, REF where
    `counts_ref`; `frequency` is that of ALT over all sites.
    """

    panel: Panel
    weights: NDArray
    counts_ref: NDArray
    frequency: NDArray

    @property
    def inputs(self) -> dict[str, NDArray]:
        """What goes with a plan."""
        return {
            **self.panel.inputs,
            "weights": np.ascontiguousarray(self.weights, "<f8"),
            "counts_ref": self.counts_ref.astype(np.uint8),
            "frequency": np.asarray(self.frequency, "<f8"),
        }


def rows(panel: Panel, matched: MatchedWeights, weights: NDArray) -> Rounds:
    """The rows that weights speak of, with their frequencies: one round, of allele counts.

    Returns (ScoreRows, what was left out). Rows that a policy withholds cannot be scored, and in
    rows that nobody is called in there is nothing to score.
    """
    found = np.flatnonzero(matched.row >= 0)
    if not found.size:
        raise PanelError(
            "no weight speaks of a row that all sites list; compare contigs, positions and alleles"
        )
    found = found[np.argsort(matched.row[found])]
    mine = panel.take(matched.row[found])
    parameters = GenotypeCountsParameters(by=(), groups=())
    answer = yield Ask(GenotypeCounts, parameters, mine.inputs, mine.size)
    totals = answer.whole()
    shown, number = totals.alleles_shown[:, 0], totals.allele_number[:, 0]
    kept = np.flatnonzero(shown & (number > 0))
    left_out: dict[str, Any] = {
        "rows withheld by policy": int((~shown).sum()),
        "rows that nobody is called in": int((shown & (number == 0)).sum()),
    }
    if not kept.size:
        raise PanelError("every row of the score is withheld by a policy, or nobody is called")
    return (
        ScoreRows(
            panel=mine.take(kept),
            weights=weights[found[kept]],
            counts_ref=matched.counts_ref[found[kept]],
            frequency=totals.allele_count[kept, 0] / number[kept],
        ),
        left_out,
    )


def distribution(
    asked: ScoreRows, by: tuple[str, ...], labels: list[str], *, imputed: bool
) -> Rounds:
    """Moments and histograms of the scores, everybody first: one round.

    What leaves a site: people, sum and sum of squares of each score in each group, and people in
    bins that are joined until each has enough of them.
    """
    scale = scores.expected_scale(asked.weights, asked.counts_ref, asked.frequency)
    parameters = ScoreDistributionParameters(
        by=by, groups=tuple(labels), edges=tuple(scores.EDGES.tolist()), imputed=imputed
    )
    answer = yield Ask(ScoreDistribution, parameters, asked.inputs, asked.panel.size)
    found: list[list[Distribution | None]] = scores.finalize(answer.whole(), scale, scores.EDGES)
    return found
