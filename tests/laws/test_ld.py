"""Federated pruning and clumping are those of all people together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome_eu import open_cohort
from genome_eu.cohort import open_store
from genome_eu.stats.ld import ClumpRule
from tests import simulate
from tests.laws.conftest import PEOPLE, RATES
from tests.laws.splits import law, sites
from tests.oracles import ld as oracle
from tests.stats.test_ld import correlated

ROWS = 70
POSITION = 1000 + 10 * np.arange(ROWS)
CONTIG = 1 + 2 * np.arange(ROWS) // ROWS
# The window as it is asked for, in PLINK's units, and its step.
WINDOWS = (("7", 7, False, 3), ("50", 50, False, 1), ("0.1kb", 100, True, 1))

windows = st.sampled_from(WINDOWS)
thresholds = st.sampled_from((0.1, 0.3, 0.8))


@pytest.fixture(scope="module")
def correlated_with(tmp_path_factory):
    """Cohorts of rows that resemble their neighbours, by share of missing calls."""
    made = {}

    def of(rate: float) -> simulate.SimulatedCohort:
        if rate not in made:
            dosage = correlated(ROWS, PEOPLE, rate, seed=17)
            table = simulate.people(dosage, 3)
            folder = tmp_path_factory.mktemp("correlated")
            store = open_store(simulate.write_store(folder, dosage, table))
            made[rate] = simulate.SimulatedCohort(dosage, table, store)
        return made[rate]

    return of


def kept(found) -> np.ndarray:
    return found["variant_kept"].values


@given(
    rate=st.sampled_from(RATES),
    site=sites(),
    window=windows,
    r2=thresholds,
    block_size=st.sampled_from((5, 32, None)),
    rows_per_shard=st.sampled_from((3, 25, 8192)),
)
@law
def test_rows_kept(correlated_with, rate, site, window, r2, block_size, rows_per_shard):
    cohort = correlated_with(rate)
    text, size, in_bases, step = window
    expected = oracle.prune(cohort.dosage, CONTIG, POSITION, size, in_bases, step, r2)
    federation = simulate.split(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    options = {"r2": r2, "step": step, "keep_long_range": True}
    np.testing.assert_array_equal(kept(federation.prune(text, **options)), expected)
    own = open_cohort(cohort.store.path, block_size=block_size).prune(text, **options)
    np.testing.assert_array_equal(kept(own), expected)
    assert 0 < expected.sum() < ROWS


@given(rate=st.sampled_from(RATES), site=sites(), window=windows, r2=thresholds)
@law
def test_rows_kept_where_sites_fill_their_own(correlated_with, rate, site, window, r2):
    cohort = correlated_with(rate)
    text, size, in_bases, step = window
    names = np.unique(site)
    pooled = np.hstack([oracle.filled(cohort.dosage[:, site == name]) for name in names])
    expected = oracle.prune(pooled, CONTIG, POSITION, size, in_bases, step, r2)
    found = simulate.split(cohort, site).prune(
        text, r2=r2, step=step, keep_long_range=True, missing="fill"
    )
    np.testing.assert_array_equal(kept(found), expected)


@given(rate=st.sampled_from(RATES), site=sites(least=12), rows_per_shard=st.sampled_from((9, 8192)))
@law
def test_clumps(correlated_with, rate, site, rows_per_shard):
    cohort = correlated_with(rate)
    own = open_cohort(cohort.store.path)
    gwas = own.gwas("complete")
    p = 10.0 ** -gwas["variant_linreg_neg_log10_p"].values[:, 0]
    rule = ClumpRule(p1=0.2, p2=0.5, r2=0.2, kb=0.15)
    expected = oracle.clump(cohort.dosage, CONTIG, POSITION, p, rule.p1, rule.r2, rule.kb)
    federation = simulate.split(cohort, site, rows_per_shard=rows_per_shard)
    for asked in (own, federation):
        found = asked.clump(gwas, rule=rule)
        rows = (found["variant_position"].values - 1000) // 10
        clump, index = found["variant_clump"].values, found["variant_clump_index"].values
        listed = [
            (int(rows[(clump == k) & index][0]), rows[(clump == k) & ~index].tolist())
            for k in range(clump.max() + 1)
        ]
        assert listed == expected
        assert found.table["TOTAL"].tolist() == [len(members) for _, members in expected]


def test_a_pruned_panel_is_what_a_pca_is_asked_of(correlated_with):
    cohort = open_cohort(correlated_with(0.0).store.path)
    pruned = cohort.prune("50", r2=0.3, keep_long_range=True)
    found = cohort.on_rows(pruned.kept).pca(2)
    np.testing.assert_array_equal(found["variant_position"], pruned.kept["position"])
    assert found.attrs["rows_total"] == pruned.attrs["rows_kept"]
