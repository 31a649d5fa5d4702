"""The same laws on real genotypes: four populations as four sites, against everybody together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.demo.people import source
from tests.oracles import counts as counts_oracle
from tests.oracles import linear as linear_oracle
from tests.oracles import pca as pca_oracle

SITES = {"ES": "IBS", "FI": "FIN", "GB": "GBR", "IT": "TSI"}
ROWS = 400


@pytest.fixture(scope="module")
def everybody(tmp_path_factory) -> ge.Cohort:
    """1000 Genomes people at some of the rows that come with the package; a trait of chance."""
    folder = tmp_path_factory.mktemp("real")
    table = pd.read_csv(source().with_name("samples.tsv"), sep="\t", dtype=str)
    rng = np.random.default_rng(5)
    bmi = 25 + 1.5 * (table["population"] == "FIN") + rng.normal(0, 3, len(table))
    bmi[rng.random(len(table)) < 0.05] = np.nan
    samples = folder / "samples.tsv"
    table.assign(bmi=bmi.round(3)).to_csv(samples, sep="\t", index=False, na_rep="NA")
    ge.import_genotypes(source(), folder / "eur.vcz", samples=samples, build="GRCh37")
    cohort = ge.open_cohort(folder / "eur.vcz").where(population=list(SITES.values()))
    keys = ["contig", "position", "ref", "alt"]
    once = cohort.rows[cohort.rows["autosomal"] & ~cohort.rows.duplicated(keys, keep=False)]
    return cohort.on_rows(once.iloc[:: len(once) // ROWS][:ROWS])


@pytest.fixture(scope="module")
def dosage(everybody) -> np.ndarray:
    return everybody.dosages(np.arange(ROWS))


@pytest.fixture(scope="module")
def federation(everybody) -> ge.Federation:
    sites = {site: everybody.where(population=name) for site, name in SITES.items()}
    return ge.federate(sites, policy="open-data")


@pytest.fixture(scope="module")
def site(everybody) -> np.ndarray:
    home = {population: site for site, population in SITES.items()}
    return everybody.samples["population"].map(home).to_numpy()


def test_frequencies(everybody, federation, dosage):
    population = everybody.samples["population"].to_numpy()
    names = sorted(SITES.values())
    members = [np.ones(len(population), bool), *(population == name for name in names)]
    expected = counts_oracle.frequencies(dosage, members)
    for asked in (everybody, federation):
        found = asked.frequencies(by="population")
        assert found["cohort_id"].values.tolist() == names
        alt = found["variant_allele_count"].values[:, 1]
        np.testing.assert_array_equal(alt, expected["allele_count"][:, 0])
        alt = found["cohort_allele_frequency"].values[:, :, 1]
        np.testing.assert_array_equal(alt, expected["allele_frequency"][:, 1:])
        np.testing.assert_array_equal(found["cohort_n_het"], expected["n_het"][:, 1:])


def test_components(everybody, federation, dosage):
    expected = pca_oracle.components(dosage, 2)
    for asked in (everybody, federation):
        found = asked.pca(2)
        np.testing.assert_allclose(
            found["sample_pca_explained_variance"], expected.eigenvalues, rtol=1e-10
        )
        # As good as the iteration: its residual of 1e-7 over the gap between the eigenvalues.
        np.testing.assert_allclose(found["sample_pca_component"], expected.loadings, atol=1e-6)


@pytest.mark.parametrize("missing", ["mean", "drop"])
@pytest.mark.parametrize("site_effects", [True, False])
def test_regression(everybody, federation, dosage, site, missing, site_effects):
    table = everybody.samples
    sex = table["sex"].map({"M": 1.0, "F": 2.0}).to_numpy()[:, None]
    found = federation.gwas("bmi", covariates="sex", missing=missing, site_effects=site_effects)
    expected = linear_oracle.fit(
        dosage, table["bmi"].to_numpy(), sex, site, missing=missing, site_effects=site_effects
    )
    defined = found["variant_linreg_errcode"].values[:, 0] == "."
    np.testing.assert_array_equal(defined, np.isfinite(expected.t))
    assert defined.sum() > 0.9 * ROWS
    np.testing.assert_allclose(
        found["variant_linreg_t_value"].values[defined, 0],
        expected.t[defined],
        rtol=1e-9,
        atol=1e-9,
    )
    np.testing.assert_array_equal(found["variant_linreg_df"].values[:, 0], expected.df)
