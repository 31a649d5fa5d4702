"""Scores on an earlier PCA: its own people get what they have, wherever they are."""

from __future__ import annotations

import numpy as np
import pytest

from genome_eu import open_cohort
from genome_eu.errors import BadInput
from genome_eu.formats import read_pca
from tests import simulate
from tests.laws.conftest import PEOPLE, RATES

K = 2
SITE = np.array([f"S{number}" for number in np.arange(PEOPLE) % 3])


@pytest.mark.parametrize("rate", RATES)
def test_people_of_a_pca_get_their_own_scores(cohort_with, rate, tmp_path):
    simulated = cohort_with(rate)
    cohort = open_cohort(simulated.store.path)
    own = cohort.pca(K)
    own.to_files(tmp_path)
    again = open_cohort(simulated.store.path)
    found = again.project(read_pca(tmp_path / "pca.parquet"))
    np.testing.assert_allclose(
        found["sample_pca_projection"], own["sample_pca_projection"], atol=1e-13
    )
    assert found["sample_id"].values.tolist() == own["sample_id"].values.tolist()
    assert found.attrs["rows_absent"] == 0
    # They adjust a GWAS as those of the PCA do.
    other = again.gwas("complete", covariates="age", pcs=found.pca_id)
    expected = cohort.gwas("complete", covariates="age", pcs=own)
    name = "variant_linreg_t_value"
    np.testing.assert_allclose(other[name], expected[name], rtol=1e-9, equal_nan=True)


def test_scores_of_a_federation_are_those_that_its_sites_keep(cohort_with):
    simulated = cohort_with(0.02)
    federation = simulate.split(simulated, SITE)
    pca = federation.pca(K)
    found = open_cohort(simulated.store.path).project(pca)["sample_pca_projection"].values
    for name, site in federation._carrier.sites.items():
        kept = site.state.scores(pca.pca_id, simulated.store.genotype_digest).values
        own = np.flatnonzero(np.isin(SITE, name))
        np.testing.assert_allclose(found[own], kept[own], atol=1e-13)


def test_rows_that_a_cohort_lacks_count_as_the_mean(cohort_with):
    cohort = open_cohort(cohort_with(0.0).store.path)
    pca = cohort.pca(K)
    fewer = cohort.on_rows(cohort.rows.iloc[::2].reset_index(drop=True)).project(pca)
    assert fewer.attrs["rows_absent"] == len(cohort.rows) // 2
    assert fewer.attrs["rows_found"] == len(cohort.rows) - len(cohort.rows) // 2


def test_other_data_are_no_pca(cohort_with):
    cohort = open_cohort(cohort_with(0.0).store.path)
    with pytest.raises(BadInput, match="no loadings of a PCA of this version"):
        cohort.project(cohort.frequencies())
