"""Shards of a question that is asked directly: bounded, whatever the groups and rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genome_eu import results
from genome_eu.federation.parameters.counts import GenotypeCountsParameters
from genome_eu.federation.single import Cohort, open_cohort
from genome_eu.federation.site import Site
from tests import simulate

ROWS = 90


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    made = simulate.cohort(
        tmp_path_factory.mktemp("shards"), rows=ROWS, people_number=60, missing=0.03, seed=8
    )
    return made.store


@pytest.mark.parametrize("groups", [0, 1, 12, 400, 100_000])
def test_the_numbers_of_a_shard_do_not_grow_with_groups(simulated, groups):
    site = Site("fi", simulated, block_size=16)
    labels = tuple(f"G{number}" for number in range(groups))
    parameters = GenotypeCountsParameters(by=("sex",) if groups else (), groups=labels)
    rows = site.rows_per_shard("genotype_counts", parameters)
    assert rows % 16 == 0
    assert rows == 16 or 5 * (groups + 1) * rows <= 2**20


def test_shards_are_the_whole_in_pieces(simulated):
    """Also of rows in another order, whose names come from all over the store."""
    cohort = open_cohort(simulated.path)
    order = np.random.default_rng(1).permutation(ROWS)
    asked = cohort.on_rows(cohort.rows.iloc[order])
    whole = asked.frequencies("sex")
    assert whole["variant_id"].values.tolist() == [f"v{row}" for row in order]
    asked = Cohort(asked._site, rows_per_shard=7)
    shards = list(asked.frequency_shards("sex")[1])
    assert [shard.sizes["variants"] for shard in shards] == [7] * 12 + [6]
    joined = results.join(shards)
    assert set(joined.variables) == set(whole.variables)
    for name in whole.variables:
        np.testing.assert_array_equal(joined[name].values, whole[name].values, err_msg=name)


def test_a_question_does_not_hold_the_names_of_all_rows(simulated):
    cohort = open_cohort(simulated.path)
    _, shards = cohort.frequency_shards("sex")
    names = pd.concat([pd.Series(shard["variant_id"].values) for shard in shards])
    assert names.tolist() == [f"v{row}" for row in range(ROWS)]
    assert "rows" not in vars(cohort._site.store)
