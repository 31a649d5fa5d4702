"""Step 1, level 0: the rows, their blocks, and the weights of every row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import PanelError
from genome_eu.federation.answer import Answer
from genome_eu.federation.parameters.wgr import (
    BlockParameters,
    RidgeParameters,
)
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.federation.protocols.wgr.model import WgrSettings
from genome_eu.stats import ridge
from genome_eu.stats.aggregate import concatenate, rows_between


def step_one_rows(panel: Panel, asked: dict[str, Any], settings: WgrSettings) -> Rounds:
    """The rows of step 1: what goes with a plan, the chromosome of each block, what is left out."""
    answer = yield Ask(
        ridge.CountSums,
        RidgeParameters(**asked),
        panel.inputs,
        panel.size,
        2 * (settings.folds + settings.outsiders),
    )
    sums: ridge.CountSums = answer.whole()
    called, copies = sums.called.sum(axis=1), sums.allele_count.sum(axis=1)
    frequency = copies / np.maximum(2.0 * called, 1.0)
    common = np.minimum(frequency, 1.0 - frequency) >= settings.min_frequency
    varies = (copies > 0) & (copies < 2 * called)
    place = ridge.places(panel.rows["contig"].to_numpy())
    autosomal = place < ridge.AUTOSOMES
    chosen = np.flatnonzero(sums.shown & common & varies & autosomal)
    if not chosen.size:
        raise PanelError("no row can be used for step 1 of a whole-genome regression")
    block, chromosome = _blocks(place[chosen], settings.block)
    inputs = {**panel.take(chosen).inputs, "block": block}
    if not asked["site_effects"]:
        inputs["mean"] = copies[chosen] / called[chosen]
    left_out = {
        "rows withheld by policy": int((~sums.shown).sum()),
        "rows of low frequency": int((sums.shown & ~(common & varies)).sum()),
        "rows not on autosomes": int((~autosomal).sum()),
    }
    return inputs, chromosome, left_out


def _blocks(place: NDArray, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The block of each row, and the chromosome of each block, from the chromosomes of the rows."""
    ends = [*np.flatnonzero(np.diff(place)) + 1, place.size]
    block, start = np.empty(place.size, np.int64), 0
    chromosomes: list[int] = []
    for end in ends:
        for first in range(start, end, size):
            block[first : min(first + size, end)] = len(chromosomes)
            chromosomes.append(int(place[first]))
        start = end
    return block, np.array(chromosomes, np.int64)


def level0(
    folds: ridge.FoldSums,
    effects: NDArray,
    asked: dict[str, Any],
    settings: WgrSettings,
    inputs: dict[str, NDArray],
) -> Rounds:
    """Weights of every row and adjustments of every block, solved as the sums come in."""
    block = inputs["block"]
    sizes = np.bincount(block)
    width = int(sizes.max())
    covariates, traits = folds.xy.shape[1:]
    answer = yield Ask(
        ridge.BlockSums,
        BlockParameters(**asked, width=width),
        inputs,
        block.size,
        settings.folds * (width + covariates + traits + 2),
    )
    penalty = ridge.penalties(block.size, settings.heritability)
    weights, adjust = [], []
    for sums in _whole_blocks(answer, sizes.tolist()):
        solved = ridge.solve_block(
            folds, sums, penalty, effects=effects, outsiders=settings.outsiders
        )
        weights.append(solved.weights.reshape(sums.rows, -1))
        adjust.append(solved.adjust.reshape(covariates, weights[-1].shape[1]))
    return np.concatenate(weights), np.stack(adjust)


def _whole_blocks(answer: Answer, sizes: list[int]) -> Iterator[ridge.BlockSums]:
    """Sums of one ridge block after the other, from shards that do not know of blocks."""
    shards = answer.shards()
    held: ridge.BlockSums | None = None
    for size in sizes:
        while held is None or held.rows < size:
            part = next(shards)
            held = part if held is None or not held.rows else concatenate([held, part])
        yield rows_between(held, 0, size)
        held = rows_between(held, size, held.rows)
