"""Federated principal components are those of all people together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome_eu import open_cohort
from genome_eu.errors import UsageError
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.protocols import pca as protocol
from tests import simulate
from tests.laws.conftest import RATES
from tests.laws.splits import law, rates, sites
from tests.oracles import linear as linear_oracle
from tests.oracles import pca as oracle

K = 2
# A site answers with at least as many people as the iteration has columns.
SMALLEST_SITE = K + 10


def converged(federation: Federation, components: int) -> protocol.PcaResult:
    """The protocol, run until rounding is all that is left.

    A question stops earlier: then loadings are as good as its residual over the gap between
    eigenvalues, too little to tell an error in a formula from an iteration that has not ended.
    """
    run = federation._begin({"ask": "pca"})
    panel = federation._panel(run)
    return federation._drive(run, protocol.pca(panel, components, tolerance=1e-12))


@given(
    rate=rates,
    site=sites(least=SMALLEST_SITE),
    block_size=st.sampled_from((13, 32, None)),
    rows_per_shard=st.sampled_from((25, 8192)),
)
@law
def test_eigenvalues_and_loadings(cohort_with, rate, site, block_size, rows_per_shard):
    cohort = cohort_with(rate)
    federation = simulate.split(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    found, expected = converged(federation, K), oracle.components(cohort.dosage, K)
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-12)
    np.testing.assert_allclose(found.loadings, expected.loadings, atol=1e-9)
    for name, mean in found.means.items():
        np.testing.assert_allclose(mean, expected.scores[site == name].mean(axis=0), atol=1e-9)
        assert found.people[name] == (site == name).sum()


@given(rate=rates, site=sites(least=SMALLEST_SITE))
@law
def test_a_question_is_as_good_as_its_residual(cohort_with, rate, site):
    cohort = cohort_with(rate)
    found, expected = simulate.split(cohort, site).pca(K), oracle.components(cohort.dosage, K + 1)
    values = expected.eigenvalues
    np.testing.assert_allclose(found["sample_pca_explained_variance"], values[:K], rtol=1e-12)
    gap = np.abs(np.diff(values)).min() / values[0]
    error = np.abs(found["sample_pca_component"].values - expected.loadings[:, :K]).max()
    assert found.attrs["residual"] <= protocol.TOLERANCE
    assert error <= 2 * found.attrs["residual"] / gap


@pytest.mark.parametrize("rate", RATES)
def test_one_cohort_has_the_scores_of_its_people(cohort_with, rate):
    cohort = cohort_with(rate)
    found, expected = open_cohort(cohort.store.path).pca(K), oracle.components(cohort.dosage, K)
    assert found["sample_id"].values.tolist() == cohort.people.index.tolist()
    np.testing.assert_allclose(found["sample_pca_projection"], expected.scores, atol=1e-7)


@given(rate=rates, site=sites(least=SMALLEST_SITE))
@law
def test_components_adjust_a_regression_as_columns_of_a_table_would(cohort_with, rate, site):
    """To 1e-6: the scores are as good as the iteration, not as the sums."""
    cohort = cohort_with(rate)
    federation = simulate.split(cohort, site)
    found = federation.gwas("complete", covariates="age", pcs=K)
    scores = oracle.components(cohort.dosage, K).scores
    covariates = np.column_stack([cohort.column("age"), scores])
    expected = linear_oracle.fit(cohort.dosage, cohort.column("complete"), covariates, site)
    defined = np.isfinite(expected.t)
    np.testing.assert_array_equal(found["variant_linreg_errcode"].values[:, 0] == ".", defined)
    np.testing.assert_array_equal(found["variant_linreg_df"].values[:, 0], expected.df)
    np.testing.assert_allclose(
        found["variant_linreg_t_value"].values[defined, 0], expected.t[defined], atol=1e-6
    )


def test_more_components_than_people_can_have_are_refused(tmp_path):
    """The last one would be rounding, of either sign, and scores divide by its root."""
    dosage = np.random.default_rng(1).integers(0, 3, (60, 14)).astype(np.int8)
    table = simulate.people(dosage, 1)[["sex"]]
    cohort = open_cohort(simulate.write_store(tmp_path, dosage, table))
    assert len(cohort.pca(13)["sample_pca_explained_variance"]) == 13
    with pytest.raises(UsageError, match="14 components are more than the 14 people can have"):
        cohort.pca(14)
