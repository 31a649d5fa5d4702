"""Step 2: every row is tested beside the predictions of all chromosomes but its own."""

from __future__ import annotations

from collections.abc import Iterator

from genome_eu.federation.parameters.wgr import (
    RidgeScoreParameters,
)
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.gwas import GwasModel, Origins
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.federation.protocols.wgr.model import StepOne, WgrFit, common
from genome_eu.stats import linear, ridge


def step_two(model: GwasModel, panel: Panel, origins: Origins, first: StepOne) -> Rounds:
    """Test every row beside the predictions of all chromosomes but its own."""
    chromosome = ridge.places(panel.rows["contig"].to_numpy())
    kind = ridge.SCORE_SUMS[model.site_effects, model.dosages]
    covariates, traits = first.effects.shape
    people = first.residuals.people
    width = linear.numbers_per_row(kind, covariates, traits, people.size)
    answer = yield Ask(
        kind,
        RidgeScoreParameters(**common(model, origins), wgr=first.id),
        {**panel.inputs, "effects": first.effects, "chromosome": chromosome},
        panel.size,
        width,
    )
    scale = origins.traits.scale

    def shards() -> Iterator[ridge.ScoreResult]:
        spans = answer.plan.spans()
        for (start, stop), part in zip(spans, answer.shards(people), strict=True):
            yield ridge.finalize(first.residuals, chromosome[start:stop], part, scale)

    return WgrFit(people[first.residuals.trait_group], shards())
