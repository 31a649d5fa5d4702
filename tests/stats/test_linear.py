from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from genome_eu.errors import TraitError
from genome_eu.stats import linear
from genome_eu.stats.aggregate import merge
from tests import simulate
from tests.oracles import linear as oracle

PEOPLE = 97
ROWS = 40
MODELS = [(missing, effects) for missing in ("mean", "drop") for effects in (True, False)]


def data(missing: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Dosages; two covariates; two traits; sites, one of them with four people."""
    rng = np.random.default_rng(seed)
    dosage = simulate.dosages(ROWS, PEOPLE, missing, seed)
    x = np.column_stack([rng.normal(1960, 12, PEOPLE), rng.integers(0, 2, PEOPLE)])
    y = np.column_stack(
        [
            50 + 0.1 * x[:, 0] + np.maximum(dosage[5], 0) + rng.normal(0, 1, PEOPLE),
            rng.normal(-3, 1e-4, PEOPLE),
        ]
    )
    site = np.repeat([0, 1, 2], [60, 33, 4])
    return dosage, x, y, rng.permutation(site)


def fit(
    dosage, x, y, site, missing="mean", site_effects=True, kernels="cpu"
) -> linear.LinearResult:
    """What a protocol does: the same origin at every site, sums, a merge, a fit."""
    complete = ~np.isnan(np.column_stack([x, y])).any(axis=1)
    x_mean, x_scale = x[complete].mean(axis=0), x[complete].std(axis=0)
    y_mean, y_scale = y[complete].mean(axis=0), y[complete].std(axis=0)
    summarize = linear.summarize_mean if site_effects else linear.summarize_raw
    if missing == "drop":
        summarize = linear.summarize_complete
    designs, rows = [], []
    for place in np.unique(site):
        here = site == place
        model = linear.design(
            (x[here] - x_mean) / x_scale, (y[here] - y_mean) / y_scale, site_effects=site_effects
        )
        designs.append(linear.summarize_design(model))
        rows.append(summarize(simulate.block(dosage[:, here], kernels), model))
    whole = merge(designs)
    names = [f"x{number}" for number in range(x.shape[1])]
    linear.require_independent(whole, names, [f"y{number}" for number in range(y.shape[1])])
    return linear.finalize(whole, merge(rows), y_scale)


def assert_fits(found: linear.LinearResult, trait: int, expected: oracle.Fit, rtol=1e-9) -> None:
    defined = np.isfinite(expected.beta)
    np.testing.assert_array_equal(found.errcode_words[:, trait] == ".", defined)
    np.testing.assert_array_equal(found.df[:, trait], expected.df)
    np.testing.assert_array_equal(found.n[:, trait], expected.n)
    # A β near 0 is as precise as its standard error.
    beta_error = np.abs(found.beta[:, trait] - expected.beta)[defined]
    assert (beta_error <= rtol * expected.se[defined]).all()
    np.testing.assert_allclose(found.se[defined, trait], expected.se[defined], rtol=rtol)
    np.testing.assert_allclose(found.t[defined, trait], expected.t[defined], rtol=rtol, atol=rtol)
    rows = np.flatnonzero(defined)
    np.testing.assert_allclose(
        found.neg_log10_p[rows, trait], expected.neg_log10_p(rows), rtol=rtol, atol=rtol
    )
    for name in ("beta", "se", "t", "neg_log10_p"):
        assert np.isnan(getattr(found, name)[~defined, trait]).all()


class TestAgainstLeastSquares:
    @pytest.mark.parametrize("rate", [0.0, 0.02, 0.1])
    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_every_model(self, missing, site_effects, rate):
        dosage, x, y, site = data(rate)
        found = fit(dosage, x, y, site, missing, site_effects)
        for trait in range(2):
            expected = oracle.fit(
                dosage, y[:, trait], x, site, missing=missing, site_effects=site_effects
            )
            assert_fits(found, trait, expected)

    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_without_covariates(self, missing, site_effects):
        dosage, _, y, site = data(0.05)
        none = np.empty((PEOPLE, 0))
        found = fit(dosage, none, y, site, missing, site_effects)
        expected = oracle.fit(
            dosage, y[:, 0], none, site, missing=missing, site_effects=site_effects
        )
        assert_fits(found, 0, expected)

    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_people_without_a_covariate_or_the_trait_take_no_part(self, missing, site_effects):
        dosage, x, y, site = data(0.05)
        x[3, 0] = y[10, 0] = np.nan
        y = y[:, :1]
        found = fit(dosage, x, y, site, missing, site_effects)
        expected = oracle.fit(dosage, y[:, 0], x, site, missing=missing, site_effects=site_effects)
        assert_fits(found, 0, expected)
        assert found.n.max() == PEOPLE - 2

    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_kernels_agree(self, missing, site_effects):
        one, other = (
            fit(*data(0.1), missing, site_effects, kernels) for kernels in ("cpu", "reference")
        )
        np.testing.assert_allclose(one.t, other.t, rtol=1e-10, atol=1e-10)
        np.testing.assert_array_equal(one.errcode, other.errcode)

    def test_mean_and_drop_are_one_where_nothing_is_missing(self):
        dosage, x, y, site = data(0.0)
        keep = np.arange(ROWS) != simulate.SPECIAL_ROWS["all missing"]
        one, other = (fit(dosage[keep], x, y, site, missing) for missing in ("mean", "drop"))
        np.testing.assert_allclose(one.t, other.t, rtol=1e-11, atol=1e-11)

    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_frequency_is_that_of_the_people_analysed(self, missing, site_effects):
        dosage, x, y, site = data(0.1)
        y[:20] = np.nan
        found = fit(dosage, x, y, site, missing, site_effects)
        analysed = dosage[:, 20:]
        called = analysed >= 0
        with np.errstate(invalid="ignore"):
            expected = (analysed * called).sum(axis=1) / (2 * called.sum(axis=1))
        np.testing.assert_array_equal(found.allele_frequency[:, 0], expected)

    def test_p_below_the_smallest_float(self):
        """A trait that one row explains but for a ten-thousandth; p is about 1e-700."""
        rng = np.random.default_rng(2)
        dosage = rng.integers(0, 3, (3, 400)).astype(np.int8)
        y = (dosage[1] + rng.normal(0, 0.01, 400))[:, None]
        none, site = np.empty((400, 0)), np.zeros(400)
        found = fit(dosage, none, y, site)
        expected = oracle.fit(dosage, y[:, 0], none, site)
        assert found.neg_log10_p[1, 0] > 500
        assert_fits(found, 0, expected)


class TestDegreesOfFreedom:
    def test_drop_counts_only_sites_with_called_people(self):
        dosage, x, y, site = data(0.0)
        dosage[6, site == 2] = -1
        found = fit(dosage, x, y, site, "drop")
        assert found.n[6, 0] == PEOPLE - 4
        assert found.df[6, 0] == PEOPLE - 4 - 2 - 2 - 1
        assert found.df[7, 0] == PEOPLE - 3 - 2 - 1

    def test_a_site_without_any_person_costs_no_degree(self):
        dosage, x, y, site = data(0.0)
        y[site == 2] = np.nan
        found = fit(dosage, x, y, site)
        expected = oracle.fit(dosage, y[:, 0], x, site)
        assert_fits(found, 0, expected)
        assert found.df[7, 0] == PEOPLE - 4 - 2 - 2 - 1

    def test_a_site_of_one_person_changes_nothing_but_its_own_share(self):
        dosage, x, y, site = data(0.0)
        alone = site.copy()
        alone[site == 2] = [2, 3, 4, 5]
        found, without = (
            fit(dosage, x, y, alone),
            oracle.fit(dosage[:, site != 2], y[site != 2, 0], x[site != 2], site[site != 2]),
        )
        defined = np.isfinite(without.beta) & (found.errcode_words[:, 0] == ".")
        np.testing.assert_allclose(found.beta[defined, 0], without.beta[defined], rtol=1e-9)
        np.testing.assert_array_equal(found.df[:, 0], without.df)

    def test_too_few_people_in_a_row(self):
        dosage, x, y, site = data(0.0)
        dosage[8] = -1
        called = np.flatnonzero(site == 0)[:4]
        dosage[8, called] = [0, 1, 2, 1]
        found = fit(dosage, x, y, site, "drop")
        # Four people, one intercept, two covariates, one genotype: nothing is left.
        assert found.df[8, 0] == 0
        assert found.errcode_words[8, 0] == "TOO_FEW"
        assert np.isnan(found.t[8]).all()


class TestRowsWithoutAFit:
    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_rows_that_do_not_vary(self, missing, site_effects):
        found = fit(*data(0.1), missing, site_effects)
        for row in ("nobody carries", "all carry twice"):
            assert found.errcode_words[simulate.SPECIAL_ROWS[row], 0] == "CONST_ALLELE"

    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_a_row_without_calls(self, missing, site_effects):
        found = fit(*data(0.1), missing, site_effects)
        row = simulate.SPECIAL_ROWS["all missing"]
        assert found.errcode_words[row, 0] == ("CONST_ALLELE" if missing == "mean" else "TOO_FEW")
        assert np.isnan(found.beta[row]).all()
        assert np.isnan(found.allele_frequency[row]).all()

    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_everybody_heterozygous(self, missing, site_effects):
        dosage, x, y, site = data(0.0)
        dosage[9] = 1
        dosage[9, 7] = -1
        found = fit(dosage, x, y, site, missing, site_effects)
        assert found.errcode_words[9, 0] == "CONST_ALLELE"

    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_a_row_that_is_a_covariate(self, missing, site_effects):
        dosage, x, y, site = data(0.0)
        x[:, 1] = 3.0 - 0.5 * dosage[9]
        found = fit(dosage, x, y, site, missing, site_effects)
        assert found.errcode_words[9, 0] == "VIF_INFINITE"
        assert np.isnan(found.t[9]).all()

    @pytest.mark.parametrize("site_effects", [True, False])
    def test_a_row_whose_people_the_covariate_does_not_tell_apart(self, site_effects):
        dosage, x, y, site = data(0.0)
        x[:, 1] = np.arange(PEOPLE) < 12
        dosage[9, :12] = -1
        found = fit(dosage, x, y, site, "drop", site_effects)
        assert found.errcode_words[9, 0] == "VIF_INFINITE"
        expected = oracle.fit(dosage, y[:, 0], x, site, missing="drop", site_effects=site_effects)
        assert_fits(found, 0, expected)

    @pytest.mark.parametrize("site_effects", [True, False])
    def test_a_row_whose_people_all_have_one_trait_value(self, site_effects):
        """Whatever is left of such a trait is rounding, and so would be its t."""
        dosage, x, y, site = data(0.0)
        y[:, 0] = np.arange(PEOPLE) < 12
        dosage[9, :12] = -1
        found = fit(dosage, x, y, site, "drop", site_effects)
        assert found.errcode_words[9].tolist() == ["CONST_TRAIT", "."]
        assert np.isnan(found.t[9, 0])
        assert np.isnan(found.neg_log10_p[9, 0])
        assert np.isfinite(found.t[9, 1])

    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_rows_that_a_site_withheld(self, missing, site_effects):
        dosage, x, y, _ = data(0.02)
        model = linear.design(x / 1000, y, site_effects=site_effects)
        summarize = linear.summarize_mean if site_effects else linear.summarize_raw
        if missing == "drop":
            summarize = linear.summarize_complete
        sums = summarize(simulate.block(dosage), model)
        sums = replace(sums, shown=np.arange(ROWS)[:, None] != 10)
        found = linear.finalize(linear.summarize_design(model), sums, np.ones(2))
        assert found.errcode_words[10].tolist() == ["WITHHELD"] * 2
        assert found.n[10, 0] == found.df[10, 0] == -1
        assert np.isnan(found.allele_frequency[10]).all()
        assert found.errcode_words[11, 0] == "."


class TestPureFunctions:
    @pytest.mark.parametrize(
        "summarize",
        [linear.summarize_mean, linear.summarize_raw, linear.summarize_complete],
    )
    def test_neither_summing_nor_finishing_changes_its_input(self, summarize):
        dosage, x, y, _ = data(0.1)
        model = linear.design(x / 1000, y, site_effects=summarize is linear.summarize_mean)
        design_sums = linear.summarize_design(model)
        inputs = [model.x.copy(), model.y.copy(), model.covariates(0)]
        sums = summarize(simulate.block(dosage), model)
        before = {item.name: getattr(sums, item.name).copy() for item in fields(sums)}
        linear.finalize(design_sums, sums, np.ones(2))
        np.testing.assert_array_equal(model.x, inputs[0])
        np.testing.assert_array_equal(model.y, inputs[1])
        np.testing.assert_array_equal(model.covariates(0), inputs[2])
        for name, values in before.items():
            np.testing.assert_array_equal(getattr(sums, name), values, err_msg=name)

    def test_a_design_centres_within_the_site_over_the_people_who_take_part(self):
        x = np.array([[1.0], [2.0], [np.nan], [6.0]])
        y = np.array([[1.0], [3.0], [5.0], [8.0]])
        model = linear.design(x, y, site_effects=True)
        np.testing.assert_array_equal(model.members(0), [True, True, False, True])
        np.testing.assert_array_equal(model.covariates(0)[:, 0], [-2, -1, 0, 3])
        np.testing.assert_array_equal(model.y[:, 0], [-3, -1, 0, 4])
        np.testing.assert_array_equal(model.labels(0), [0, 0, -1, 0])

    def test_without_site_effects_the_first_column_is_who_takes_part(self):
        model = linear.design(
            np.array([[1.0], [np.nan]]), np.array([[1.0], [3.0]]), site_effects=False
        )
        np.testing.assert_array_equal(model.covariates(0), [[1, 1], [0, 0]])

    def test_sums_over_missing_calls_stay_home_with_site_effects(self):
        """A sum over one missing call would be that person's covariates and trait."""
        names = {item.name for item in fields(linear.MeanSums)}
        assert names == {"called", "allele_count", "gg", "gx", "gy", "trait_group", "shown"}


class TestRequireIndependent:
    def check(self, x, y, site, site_effects=True) -> None:
        none = np.zeros((1, len(y)), np.int8)
        fit(none, np.asarray(x, float), np.asarray(y, float), site, "mean", site_effects)

    @pytest.mark.parametrize("site_effects", [True, False])
    def test_a_covariate_that_repeats_another(self, site_effects):
        _, x, y, site = data(0.0)
        x = np.column_stack([x, 2020 - x[:, 0]])
        with pytest.raises(TraitError, match=r"covariate x2 is a combination of .*x0, x1"):
            self.check(x, y, site, site_effects)

    @pytest.mark.parametrize("seed", range(5))
    def test_a_covariate_that_names_the_sites(self, seed):
        _, x, y, site = data(0.0)
        values = np.random.default_rng(seed).normal(size=3)
        with pytest.raises(TraitError, match="x0 has the same value for everybody at each site"):
            self.check(np.column_stack([values[site], x]), y, site)
        self.check(np.column_stack([values[site], x]), y, site, site_effects=False)

    def test_a_covariate_that_is_another_and_the_sites(self):
        _, x, y, site = data(0.0)
        x[:, 1] = 3 * x[:, 0] + np.array([0.1, 0.7, -2])[site]
        with pytest.raises(TraitError, match="x1 is a combination of x0 and of the sites"):
            self.check(x, y, site)

    @pytest.mark.parametrize("seed", range(5))
    def test_a_trait_that_names_the_sites(self, seed):
        _, x, y, site = data(0.0)
        y[:, 1] = np.random.default_rng(seed).normal(size=3)[site]
        with pytest.raises(TraitError, match="trait y1 has the same value for everybody at each"):
            self.check(x, y, site)
        self.check(x, y, site, site_effects=False)

    @pytest.mark.parametrize("site_effects", [True, False])
    def test_a_trait_that_is_a_covariate(self, site_effects):
        _, x, y, site = data(0.0)
        y[:, 1] = 5 - 0.1 * x[:, 0]
        with pytest.raises(TraitError, match="trait y1 does not vary once the covariates are"):
            self.check(x, y, site, site_effects)

    def test_too_few_people_for_the_covariates(self):
        _, x, y, site = data(0.0)
        few = np.r_[np.flatnonzero(site == 0)[:3], np.flatnonzero(site == 1)[:2]]
        with pytest.raises(TraitError, match="trait y0 has 5 people with all covariates, too few"):
            self.check(x[few], y[few], site[few])

    def test_units_do_not_matter(self):
        _, x, y, site = data(0.0)
        self.check(x * [1e-12, 1e9], y * 1e-7, site)
