"""A federated regression is the pooled regression, however people are spread over sites."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests import simulate
from tests.laws.splits import block_sizes, law, rates, shard_sizes, sites
from tests.oracles import linear as oracle

TRAITS = ("complete", "some_lack_it", "others_lack_it")
COVARIATES = ("birth_year", "sex")
MODELS = [(missing, effects) for missing in ("mean", "drop") for effects in (True, False)]
# A site answers with as many people as parameters, one intercept among them.
SMALLEST_SITE = 8
RTOL = 1e-9


def everybody_can_answer(cohort: simulate.SimulatedCohort, site: np.ndarray) -> bool:
    """Whether every site has enough people for the model of every trait."""
    present = ~np.isnan(cohort.columns(TRAITS))
    return all((present[site == name].sum(axis=0) >= 4).all() for name in np.unique(site))


def assert_is(found, trait: int, expected: oracle.Fit) -> None:
    """β in units of its standard error; everything else relative to itself."""

    def values(name: str) -> np.ndarray:
        return found[f"variant_linreg_{name}"].values[:, trait]

    defined = np.isfinite(expected.beta)
    np.testing.assert_array_equal(values("errcode") == ".", defined)
    np.testing.assert_array_equal(values("n"), expected.n)
    np.testing.assert_array_equal(values("df"), expected.df)
    error = np.abs(values("beta") - expected.beta)[defined] / expected.se[defined]
    assert error.max() <= RTOL
    np.testing.assert_allclose(values("se")[defined], expected.se[defined], rtol=RTOL)
    np.testing.assert_allclose(
        values("t_value")[defined], expected.t[defined], rtol=RTOL, atol=RTOL
    )
    # p follows from t and df, so the strongest rows stand for all.
    strongest = np.argsort(-np.abs(np.nan_to_num(expected.t)))[:3]
    np.testing.assert_allclose(
        values("neg_log10_p")[strongest], expected.neg_log10_p(strongest), rtol=RTOL
    )


@pytest.mark.parametrize(("missing", "site_effects"), MODELS)
@given(
    rate=rates,
    site=sites(least=SMALLEST_SITE),
    block_size=block_sizes,
    rows_per_shard=shard_sizes,
)
@law
def test_one_trait(cohort_with, missing, site_effects, rate, site, block_size, rows_per_shard):
    cohort = cohort_with(rate)
    federation = simulate.split(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    found = federation.gwas(
        "complete", covariates=COVARIATES, missing=missing, site_effects=site_effects
    )
    expected = oracle.fit(
        cohort.dosage,
        cohort.column("complete"),
        cohort.columns(COVARIATES),
        site,
        missing=missing,
        site_effects=site_effects,
    )
    assert_is(found, 0, expected)


@pytest.mark.parametrize(("missing", "site_effects"), MODELS)
@given(
    rate=rates,
    site=sites(least=SMALLEST_SITE),
    block_size=block_sizes,
    rows_per_shard=shard_sizes,
)
@law
def test_traits_that_lack_different_people(
    cohort_with, missing, site_effects, rate, site, block_size, rows_per_shard
):
    """Each trait has its own people, degrees of freedom and frequencies, and keeps its place."""
    cohort = cohort_with(rate)
    assume(everybody_can_answer(cohort, site))
    federation = simulate.split(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    found = federation.gwas(TRAITS, covariates=("age",), missing=missing, site_effects=site_effects)
    assert found["trait_id"].values.tolist() == list(TRAITS)
    for place, trait in enumerate(TRAITS):
        values = cohort.column(trait)
        expected = oracle.fit(
            cohort.dosage,
            values,
            cohort.columns(["age"]),
            site,
            missing=missing,
            site_effects=site_effects,
        )
        assert_is(found, place, expected)
        analysed = cohort.dosage[:, ~np.isnan(values)]
        called = analysed >= 0
        with np.errstate(invalid="ignore"):
            frequency = (analysed * called).sum(axis=1) / (2 * called.sum(axis=1))
        np.testing.assert_array_equal(
            found["variant_linreg_allele_frequency"].values[:, place], frequency
        )


@pytest.mark.parametrize(("missing", "site_effects"), MODELS)
@given(
    rate=rates,
    site=sites(least=SMALLEST_SITE),
    block_size=block_sizes,
    rows_per_shard=shard_sizes,
    place=st.sampled_from(range(len(TRAITS))),
)
@law
def test_a_trait_is_fitted_alike_alone_and_among_others(
    cohort_with, missing, site_effects, rate, site, block_size, rows_per_shard, place
):
    cohort = cohort_with(rate)
    assume(everybody_can_answer(cohort, site))
    federation = simulate.split(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    model = {"covariates": ("age",), "missing": missing, "site_effects": site_effects}
    alone = federation.gwas(TRAITS[place], **model)
    among = federation.gwas(TRAITS, **model).isel(traits=[place])
    for name in ("n", "df", "errcode", "allele_frequency"):
        np.testing.assert_array_equal(
            among[f"variant_linreg_{name}"], alone[f"variant_linreg_{name}"]
        )
    smallest = float(np.nanmin(alone["variant_linreg_se"]))
    for name, scale in (("beta", smallest), ("se", 0.0), ("t_value", 1.0), ("neg_log10_p", 1.0)):
        np.testing.assert_allclose(
            among[f"variant_linreg_{name}"],
            alone[f"variant_linreg_{name}"],
            rtol=1e-12,
            atol=1e-12 * scale,
        )


@pytest.mark.parametrize("missing", ["mean", "drop"])
@given(rate=rates, site=sites(least=SMALLEST_SITE))
@law
def test_without_site_effects_the_sites_do_not_show(cohort_with, missing, rate, site):
    cohort = cohort_with(rate)
    pooled, split = (
        simulate.split(cohort, where).gwas(
            "complete", covariates=COVARIATES, missing=missing, site_effects=False
        )
        for where in (np.full(len(site), "all"), site)
    )
    for name in ("beta", "se", "t_value", "neg_log10_p"):
        np.testing.assert_allclose(
            split[f"variant_linreg_{name}"],
            pooled[f"variant_linreg_{name}"],
            rtol=RTOL,
            atol=RTOL * float(np.nanmax(pooled["variant_linreg_se"])),
        )
