"""Sites that release only once: the same numbers from a single round."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given

import genome_eu as ge
from genome_eu.errors import UsageError
from genome_eu.results import join
from tests import simulate
from tests.laws.conftest import PEOPLE, ROWS
from tests.laws.splits import block_sizes, law, rates, shard_sizes, sites
from tests.laws.test_linear import SMALLEST_SITE, assert_is
from tests.oracles import dosages as dosage_oracle
from tests.oracles import linear as oracle
from tests.oracles import logistic as logistic_oracle

TRAITS = ("complete", "some_lack_it")


def rows_of(cohort):
    return ge.open_cohort(cohort.store.path).rows[["contig", "position", "ref", "alt"]]


def once(cohort, site, **options):
    return simulate.split(cohort, site, **options).on_rows(rows_of(cohort)).in_one_round()


@given(
    rate=rates,
    site=sites(least=SMALLEST_SITE),
    block_size=block_sizes,
    rows_per_shard=shard_sizes,
)
@law
def test_an_association_is_the_pooled_fit(cohort_with, rate, site, block_size, rows_per_shard):
    cohort = cohort_with(rate)
    federation = once(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    run, shards = federation.gwas_shards(
        TRAITS, covariates="birth_year + sex + I(age**2)", missing="drop"
    )
    found = join(list(shards))
    assert run.rounds == 1
    x = np.column_stack([cohort.columns(["birth_year", "sex"]), cohort.column("age") ** 2])
    for place, trait in enumerate(TRAITS):
        y = cohort.column(trait)
        expected = oracle.fit(cohort.dosage, y, x, site, missing="drop")
        assert_is(found, place, expected)
        assert run.left_out["people analysed"][trait] == (~np.isnan(y)).sum()


@pytest.fixture(scope="module")
def imputed(tmp_path_factory):
    """A cohort with fractional dosages, some of them missing."""
    folder = tmp_path_factory.mktemp("imputed")
    return simulate.imputed(folder, rows=ROWS, people_number=PEOPLE, missing=0.02, seed=75)


@given(site=sites(least=SMALLEST_SITE), block_size=block_sizes, rows_per_shard=shard_sizes)
@law
def test_an_association_with_dosages(imputed, site, block_size, rows_per_shard):
    federation = once(imputed, site, block_size=block_size, rows_per_shard=rows_per_shard)
    run, shards = federation.gwas_shards(TRAITS, covariates="age", missing="drop", dosages=True)
    found = join(list(shards))
    assert run.rounds == 1
    for place, trait in enumerate(TRAITS):
        y, x = imputed.column(trait), imputed.columns(["age"])
        assert_is(found, place, oracle.fit(imputed.dosage, y, x, site, missing="drop"))


@given(site=sites(), rows_per_shard=shard_sizes)
@law
def test_frequencies_of_dosages(imputed, site, rows_per_shard):
    federation = once(imputed, site, rows_per_shard=rows_per_shard)
    run, shards = federation.dosage_frequency_shards()
    found = join(list(shards))
    assert run.rounds == 1
    frequency, r2 = dosage_oracle.summary(imputed.dosage)
    np.testing.assert_allclose(
        found["variant_allele_frequency"].values[:, 1], frequency, rtol=1e-15
    )
    np.testing.assert_allclose(found["variant_imputation_r2"].values, r2, rtol=1e-12, atol=1e-14)


def tells_apart(x, y) -> bool:
    """Whether a column tells cases from controls, so that no model of them can be fitted."""
    cases, controls = x[y == 1], x[y == 0]
    return cases.max() <= controls.min() or controls.max() <= cases.min()


@pytest.mark.parametrize("dosages", [False, True])
@given(rate=rates, site=sites(least=12), rows_per_shard=shard_sizes)
@law
def test_score_tests_within_sites_are_those_with_interactions(
    cohort_with, imputed, dosages, rate, site, rows_per_shard
):
    """Of the pooled people, every covariate interacting with the site."""
    cohort = imputed if dosages else cohort_with(rate)
    y, age = cohort.column("case"), cohort.column("age")
    assume(all(2 < y[site == place].sum() < (site == place).sum() - 2 for place in np.unique(site)))
    assume(not any(tells_apart(age[site == one], y[site == one]) for one in np.unique(site)))
    run, shards = once(cohort, site, rows_per_shard=rows_per_shard).gwas_shards(
        "case", covariates="age", model="logistic", test="score", dosages=dosages
    )
    found = join(list(shards))
    assert run.rounds == 1
    places = [site == place for place in np.unique(site)]
    x = np.column_stack([*places, *(place * (age - 50) / 20 for place in places)]).astype(float)
    tested = np.flatnonzero(found["variant_logreg_errcode"].values[:, 0] == ".")
    assert tested.size > 0.8 * 60 - len(simulate.SPECIAL_ROWS)
    for row in tested[:: 1 + tested.size // 6]:
        g = logistic_oracle.impute(cohort.dosage[row], site, True)
        u, v, _, _ = logistic_oracle.score(g, x, y, np.zeros(len(y)))
        z = found["variant_logreg_z_value"].values[row, 0]
        assert abs(z - u / v**0.5) <= 1e-8
        assert found["variant_logreg_n_cases"].values[row, 0] == y[cohort.dosage[row] >= 0].sum()


def test_a_site_without_cases_contributes_nothing_in_one_round(cohort_with):
    cohort = cohort_with(0.0)
    y = cohort.column("case")
    # All controls of a third of the people are a site of their own.
    site = np.where(
        (y == 0) & (np.arange(110) % 3 == 0), "C", np.array(["A", "B"])[np.arange(110) % 2]
    )
    found = once(cohort, site).gwas("case", covariates="age", model="logistic", test="score")
    keep = site != "C"
    places = [site[keep] == place for place in "AB"]
    age = cohort.column("age")[keep]
    x = np.column_stack([*places, *(place * (age - 50) / 20 for place in places)]).astype(float)
    g = cohort.dosage[20][keep].astype(float)
    u, v, _, _ = logistic_oracle.score(g, x, y[keep], np.zeros(int(keep.sum())))
    assert found["variant_logreg_z_value"].values[20, 0] == pytest.approx(u / v**0.5, abs=1e-8)
    assert found["variant_logreg_n_controls"].values[20, 0] == (y[keep] == 0).sum()


@given(rate=rates, site=sites(), rows_per_shard=shard_sizes)
@law
def test_frequencies_are_the_pooled_ones(cohort_with, rate, site, rows_per_shard):
    cohort = cohort_with(rate)
    federation = once(cohort, site, rows_per_shard=rows_per_shard)
    run, shards = federation.frequency_shards()
    found = join(list(shards))
    assert run.rounds == 1
    called = cohort.dosage >= 0
    np.testing.assert_array_equal(found["variant_n_called"], called.sum(axis=1))
    np.testing.assert_array_equal(
        found["variant_allele_count"].values[:, 1], np.where(called, cohort.dosage, 0).sum(axis=1)
    )


def test_a_cohort_is_asked_once_too(cohort_with):
    cohort = ge.open_cohort(cohort_with(0.1).store.path)
    found = cohort.in_one_round().gwas("complete", covariates="age", missing="drop")
    expected = cohort.gwas("complete", covariates="age", missing="drop")
    np.testing.assert_allclose(
        found["variant_linreg_t_value"], expected["variant_linreg_t_value"], rtol=1e-9
    )


def test_given_origins_keep_the_digits_of_small_units(cohort_with):
    cohort = cohort_with(0.0)
    site = np.array(["A", "B"])[np.arange(110) % 2]
    plain = once(cohort, site).gwas("others_lack_it", covariates="age", missing="drop")
    given = once(cohort, site).gwas(
        "others_lack_it",
        covariates="age",
        missing="drop",
        origins={"others_lack_it": (0.0, 1e-3), "age": (50.0, 20.0)},
    )
    for name in ("beta", "se", "t_value"):
        np.testing.assert_allclose(
            plain[f"variant_linreg_{name}"], given[f"variant_linreg_{name}"], rtol=1e-9, atol=1e-18
        )


def test_rows_that_a_site_does_not_list_are_withheld(cohort_with, tmp_path):
    """As are rows below its floor: neither shows which of the two it is."""
    cohort = simulate.cohort(tmp_path, rows=60, people_number=600, missing=0.0, seed=3)
    site = np.array(["A", "B"])[np.arange(600) % 2]
    rows = rows_of(cohort)
    rows.loc[7, "position"] += 1
    asked = simulate.split(cohort, site, policy="default").on_rows(rows).in_one_round()
    found = asked.gwas("complete", covariates="age", missing="drop")
    codes = found["variant_linreg_errcode"].values[:, 0]
    absent, one_carrier = 7, simulate.SPECIAL_ROWS["one carrier"]
    withheld = asked.dosage_frequencies()["variant_allele_withheld"].values
    assert withheld[[absent, one_carrier]].all()
    assert not withheld.all()
    assert codes[absent] == codes[one_carrier] == "WITHHELD"
    assert np.isnan(found["variant_linreg_beta"].values[absent, 0])
    assert (codes == ".").sum() > 50


class TestWhatTakesMoreRounds:
    site = np.array(["A", "B"])[np.arange(110) % 2]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "missing=.drop."),
            ({"missing": "drop", "site_effects": False}, "one intercept per site"),
            ({"missing": "drop", "dosages": True, "min_maf": 0.1}, "limits on INFO"),
            ({"missing": "drop", "covariates": "age + C(sex)"}, "levels of categories"),
            ({"missing": "drop", "pcs": 2}, "leave out pcs"),
            ({"missing": "drop", "pcs": "0" * 16}, "components"),
            ({"missing": "drop", "model": "wgr"}, "linear models and logistic score tests"),
            ({"model": "logistic"}, "score tests only"),
            ({"model": "logistic", "test": "score", "missing": "drop"}, "missing=.mean."),
            ({"missing": "drop", "origins": {"height": (1, 2)}}, "height is no column"),
        ],
    )
    def test_models(self, cohort_with, options, message):
        with pytest.raises(UsageError, match=message):
            once(cohort_with(0.0), self.site).gwas("complete", **options)

    def test_other_questions(self, cohort_with):
        with pytest.raises(UsageError, match="no one-round form of pca"):
            once(cohort_with(0.0), self.site).pca(2)
        with pytest.raises(UsageError, match="names of groups"):
            once(cohort_with(0.0), self.site).frequencies("sex")
        with pytest.raises(UsageError, match="names of groups"):
            once(cohort_with(0.0), self.site).dosage_frequencies("sex")

    def test_rows_must_be_given(self, cohort_with):
        federation = simulate.split(cohort_with(0.0), self.site).in_one_round()
        with pytest.raises(UsageError, match="give them"):
            federation.frequencies()

    def test_origins_are_for_one_round(self, cohort_with):
        with pytest.raises(UsageError, match="origins are for one round"):
            simulate.split(cohort_with(0.0), self.site).gwas("complete", origins={})
