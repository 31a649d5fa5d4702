"""Traits that lack different people are one question: one plan, one pass, bounded memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.cohort import CohortStore
from genome_eu.compute import passes
from genome_eu.federation.parameters.variants import VariantListParameters
from genome_eu.federation.plan import NUMBERS_PER_SHARD, Ask
from genome_eu.federation.single import Cohort
from genome_eu.stats.linear import MeanSums
from tests import simulate

PEOPLE, TRAITS = 80, 40
NAMES = [f"t{number}" for number in range(TRAITS)]


def made(folder: Path, rows: int) -> Cohort:
    """A cohort with forty traits, each of which other people lack."""
    dosage = simulate.dosages(rows, PEOPLE, 0.02, 5)
    rng = np.random.default_rng(6)
    traits = rng.normal(size=(PEOPLE, TRAITS))
    for place in range(TRAITS):
        traits[[place, (place + 7) % PEOPLE], place] = np.nan
    table = simulate.people(dosage, 7)
    table = table.join(pd.DataFrame(traits, columns=NAMES, index=table.index))
    return ge.open_cohort(simulate.write_store(folder, dosage, table), block_size=64)


@pytest.mark.parametrize("missing", ["mean", "drop"])
def test_all_groups_come_out_of_one_read_of_each_row(tmp_path, monkeypatch, missing):
    cohort = made(tmp_path, 200)
    reads: Counter[int] = Counter()
    read = CohortStore.read

    def counted(store, rows, **more):
        reads.update(np.asarray(rows).tolist())
        return read(store, rows, **more)

    monkeypatch.setattr(CohortStore, "read", counted)
    run, shards = cohort.gwas_shards(NAMES, covariates="age", missing=missing)
    whole = list(shards)
    assert [shard["trait_id"].values.tolist() for shard in whole] == [NAMES] * len(whole)
    assert reads == dict.fromkeys(range(200), 1)
    # The panel of a cohort needs no round: moments, design, rows.
    assert run.rounds == 3
    assert run.left_out["people analysed"] == dict.fromkeys(NAMES, PEOPLE - 2)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    # Few blocks in flight and short shards, so that a few thousand rows are many.
    monkeypatch.setattr(passes, "_WINDOW", 2)
    peaks = []
    for rows in (1000, 4000):
        cohort = Cohort(made(tmp_path / str(rows), rows)._site, rows_per_shard=64)
        for _ in cohort.gwas_shards(NAMES[:3], covariates="age")[1]:
            pass  # what is compiled or opened at first
        tracemalloc.start()
        for shard in cohort.gwas_shards(NAMES, covariates="age")[1]:
            assert shard.sizes["traits"] == TRAITS
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The sums of 3,000 rows more would be 5 MB, their results 9.
    assert peaks[1] < peaks[0] + 2**20


def test_shards_that_travel_are_shorter_where_rows_are_wide():
    for width, rows in ((1, 8192), (NUMBERS_PER_SHARD // 100, 100), (10**9, 1)):
        plan = Ask(MeanSums, VariantListParameters(), {}, 10_000, width).plan("s", 0, ("FI",), 8192)
        assert plan.rows_per_shard == rows
