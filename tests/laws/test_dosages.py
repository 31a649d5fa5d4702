"""What many sites say of imputed dosages is what all of their people together would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import genome_eu as ge
from genome_eu.cohort import open_store
from genome_eu.disclosure.policy import load_policy
from genome_eu.errors import UsageError
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.site import Site
from tests import simulate
from tests.laws import test_logistic as logistic_law
from tests.laws.conftest import PEOPLE, RATES, ROWS
from tests.laws.splits import block_sizes, every_way, law, rates, shard_sizes, sites
from tests.laws.test_linear import (
    COVARIATES,
    MODELS,
    SMALLEST_SITE,
    TRAITS,
    assert_is,
    everybody_can_answer,
)
from tests.oracles import dosages as dosage_oracle
from tests.oracles import linear as oracle


@pytest.fixture(scope="session")
def imputed_with(tmp_path_factory):
    """The imputed cohort with this share of missing dosages; made once."""
    folder = tmp_path_factory.mktemp("imputed")
    cohorts = {
        rate: simulate.imputed(
            folder / str(number), rows=ROWS, people_number=PEOPLE, missing=rate, seed=70 + number
        )
        for number, rate in enumerate(RATES)
    }
    return cohorts.__getitem__


@pytest.mark.parametrize(("missing", "site_effects"), MODELS)
@given(
    rate=rates,
    site=sites(least=SMALLEST_SITE),
    block_size=block_sizes,
    rows_per_shard=shard_sizes,
)
@law
def test_regression(imputed_with, missing, site_effects, rate, site, block_size, rows_per_shard):
    cohort = imputed_with(rate)
    assume(everybody_can_answer(cohort, site))
    federation = simulate.split(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    model = {"missing": missing, "site_effects": site_effects}
    found = federation.gwas(TRAITS, covariates=COVARIATES, dosages=True, **model)
    for place, trait in enumerate(TRAITS):
        values = cohort.column(trait)
        expected = oracle.fit(cohort.dosage, values, cohort.columns(COVARIATES), site, **model)
        assert_is(found, place, expected)
        frequency, _ = dosage_oracle.summary(cohort.dosage[:, ~np.isnan(values)])
        np.testing.assert_allclose(
            found["variant_linreg_allele_frequency"].values[:, place], frequency, rtol=1e-15
        )


@every_way
@pytest.mark.parametrize("effects", [True, False])
@pytest.mark.parametrize("test", logistic_law.TESTS)
def test_logistic(imputed_with, test, effects, way):
    cohort = imputed_with(way.rate)
    federation = simulate.split(
        cohort, way.site, block_size=way.block_size, rows_per_shard=way.rows_per_shard
    )
    assert logistic_law.has_both(cohort.column("case"), way.site)
    logistic_law.assert_every_test(federation, cohort, way.site, test, effects, dosages=True)


@given(rate=rates, site=sites(), block_size=block_sizes, rows_per_shard=shard_sizes)
@law
def test_frequencies_and_imputation(imputed_with, rate, site, block_size, rows_per_shard):
    cohort = imputed_with(rate)
    federation = simulate.split(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    pooled = ge.open_cohort(cohort.store.path).dosage_frequencies()
    frequency, r2 = dosage_oracle.summary(cohort.dosage)
    for found in (federation.dosage_frequencies(), pooled):
        np.testing.assert_allclose(
            found["variant_allele_frequency"].values[:, 1], frequency, rtol=1e-15
        )
        np.testing.assert_allclose(
            found["variant_imputation_r2"].values, r2, rtol=1e-12, atol=1e-14
        )
        called = (cohort.dosage >= 0).sum(axis=1)
        np.testing.assert_array_equal(found["variant_n_called"].values, called)


@given(rate=rates, site=sites(least=SMALLEST_SITE), rows_per_shard=shard_sizes)
@law
def test_filters_leave_the_other_rows_as_they_are(imputed_with, rate, site, rows_per_shard):
    cohort = imputed_with(rate)
    federation = simulate.split(cohort, site, rows_per_shard=rows_per_shard)
    whole = federation.gwas("complete", covariates=COVARIATES, dosages=True)
    limits = {"min_info": 0.3, "min_maf": 0.15}
    found = federation.gwas("complete", covariates=COVARIATES, dosages=True, **limits)
    frequency, r2 = dosage_oracle.summary(cohort.dosage)
    with np.errstate(invalid="ignore"):
        kept = np.flatnonzero((r2 >= 0.3) & (np.minimum(frequency, 1 - frequency) >= 0.15))
    assert 0 < kept.size < ROWS
    for name in ("variant_position", "variant_linreg_beta", "variant_linreg_se"):
        np.testing.assert_allclose(found[name].values, whole[name].values[kept], rtol=1e-10)


@given(rate=rates, site=sites(least=SMALLEST_SITE), rows_per_shard=shard_sizes)
@law
def test_hard_calls_are_dosages_where_nobody_imputed(cohort_with, rate, site, rows_per_shard):
    federation = simulate.split(cohort_with(rate), site, rows_per_shard=rows_per_shard)
    calls = federation.gwas("complete", covariates=COVARIATES)
    dosages = federation.gwas("complete", covariates=COVARIATES, dosages=True)
    smallest = float(np.nanmin(calls["variant_linreg_se"]))
    for name, scale in (("beta", smallest), ("se", 0.0), ("neg_log10_p", 1.0)):
        one, other = (found[f"variant_linreg_{name}"] for found in (calls, dosages))
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10 * scale)
    for name in ("n", "df", "errcode", "allele_frequency"):
        np.testing.assert_array_equal(
            calls[f"variant_linreg_{name}"], dosages[f"variant_linreg_{name}"]
        )


@given(site=sites(least=SMALLEST_SITE), effects=st.booleans())
@law
def test_rows_to_condition_on(imputed_with, site, effects):
    # With one intercept for all, everybody must be called in such a row.
    cohort = imputed_with(0.02 if effects else 0.0)
    row = ROWS // 2
    chosen = cohort.store.rows.iloc[row]
    named = f"{chosen['contig']}:{chosen['position']}:{chosen['ref']}:{chosen['alt']}"
    federation = simulate.split(cohort, site)
    asked = {"covariates": ["age"], "dosages": True, "site_effects": effects}
    found = federation.gwas("complete", condition_on=named, **asked)
    # A missing dosage of the covariate is at the mean of its site.
    own = cohort.dosage[row].astype(float)
    for place in np.unique(site):
        here = site == place
        own[here & (own < 0)] = own[here & (own >= 0)].mean()
    x = np.column_stack([cohort.columns(["age"]), own])
    y = cohort.column("complete")
    others = np.delete(np.arange(ROWS), row)
    expected = oracle.fit(cohort.dosage[others], y, x, site, site_effects=effects)
    assert_is(found.isel(variants=others), 0, expected)


def test_a_site_without_dosages_takes_part_with_hard_calls(tmp_path, imputed_with):
    cohort = imputed_with(0.02)
    calls = dosage_oracle.hard_calls(cohort.dosage)
    # A fileset whose ALT is the other allele: its rows are counted the other way round.
    others = np.where(calls < 0, -1, 2 - calls)
    hard = open_store(simulate.write_store(tmp_path, others, cohort.people))
    assert hard.rows["ref"].tolist() == cohort.store.rows["alt"].tolist()
    rules = load_policy("open-data")
    at_first = np.arange(PEOPLE) < 50
    both = {
        "first": Site("first", cohort.store, rules, people=at_first),
        "second": Site("second", hard, rules, people=~at_first),
    }
    found = Federation("test", Memory(both), tuple(both)).gwas(
        "complete", covariates=COVARIATES, dosages=True
    )
    dosage = np.where(at_first, cohort.dosage, calls)
    expected = oracle.fit(
        dosage, cohort.column("complete"), cohort.columns(COVARIATES), at_first.astype(int)
    )
    assert_is(found, 0, expected)


def test_questions_that_make_no_sense(imputed_with):
    cohort = ge.open_cohort(imputed_with(0.0).store.path)
    with pytest.raises(UsageError, match="min_info and min_maf are limits on dosages"):
        cohort.gwas("complete", min_info=0.3)
    with pytest.raises(UsageError, match="min_info=3: give a number from 0 to 1"):
        cohort.gwas("complete", dosages=True, min_info=3)
    with pytest.raises(UsageError, match=r"min_maf=0\.7: give a frequency from 0 to 0\.5"):
        cohort.gwas("complete", dosages=True, min_maf=0.7)
