"""Logistic association is the pooled fit with one indicator per site, in every one of its tests."""

from __future__ import annotations

import numpy as np
import pytest

from genome_eu.errors import BadInput, TraitError
from genome_eu.kernels import PackedBlock, backend, pack
from genome_eu.stats import logistic
from genome_eu.stats.aggregate import merge
from genome_eu.stats.logistic.spa import LEAST
from tests.oracles import logistic as oracle
from tests.stats.logistic_rounds import Study, standardized

PEOPLE = 330
ROWS = 24
CONSTANT, ALL_MISSING, COVARIATE, ONE_CARRIER = range(4)
EFFECTS = [True, False]
# Everything relative to its scale; −log10 p to its own size where that is above 1.
TOLERANCE = 1e-8


def data(missing=0.0, sites=3, cases=0.4, seed=1):
    """Dosages, two covariates, two traits and the site of each person, one of them of 30 people."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.05, 0.6, (ROWS, 1))
    dosage = rng.binomial(2, frequency, (ROWS, PEOPLE)).astype(np.int8)
    x = np.column_stack([rng.normal(1960, 12, PEOPLE), rng.integers(0, 2, PEOPLE)])
    dosage[rng.random(dosage.shape) < missing] = -1
    dosage[CONSTANT] = 1
    dosage[ALL_MISSING] = -1
    dosage[COVARIATE] = x[:, 1]
    dosage[ONE_CARRIER] = 0
    dosage[ONE_CARRIER, 5] = 1
    site = rng.permutation(
        np.append(np.zeros(30, int), rng.integers(1, max(sites, 2), PEOPLE - 30))
    )
    if sites == 1:
        site = np.zeros(PEOPLE, int)
    eta = np.log(cases / (1 - cases)) + 0.3 * (x[:, 0] - 1960) / 12 + 0.2 * site
    eta += 0.6 * np.maximum(dosage[6], 0)
    y = (rng.random((2, PEOPLE)) < 1 / (1 + np.exp(-eta))).astype(float).T
    for place in range(site.max() + 1):
        y[np.flatnonzero(site == place)[:4]] = np.array([[0, 0, 1, 1], [1, 0, 0, 1]]).T
    y[np.flatnonzero(site == site.max())[6], 1] = np.nan
    return dosage, x, y, site


class Expected:
    """A study as the oracle sees it: everybody in one place."""

    def __init__(self, study: Study, trait: int):
        y, x = study.y[:, trait], standardized(study.x)
        here = ~np.isnan(y) & ~np.isnan(x).any(axis=1)
        here[here] = oracle.informative(y[here], study.site[here], study.site_effects)
        self.y, self.site, self.effects = y[here], study.site[here], study.site_effects
        self.dosage, self.covariates = study.dosage[:, here], x[here]
        self.offset = np.zeros(len(y)) if study.offset is None else study.offset[:, trait]
        self.offset = self.offset[here]
        self.x = oracle.columns(self.covariates, self.site, self.effects)

    def imputed(self, row):
        return oracle.impute(self.dosage[row], self.site, self.effects)

    def score(self, row):
        u, v, _, _ = oracle.score(self.imputed(row), self.x, self.y, self.offset)
        return u / v, 1 / np.sqrt(v), u / np.sqrt(v)

    def spa(self, row):
        return oracle.spa(self.imputed(row), self.x, self.y, self.offset)

    def firth(self, row):
        return oracle.firth_approximate(self.imputed(row), self.x, self.y, self.offset)

    def full(self, row, *, firth, drop=False):
        if not drop:
            return oracle.wald(self.imputed(row), self.x, self.y, self.offset, firth)
        called = self.dosage[row] >= 0
        called[called] = oracle.informative(self.y[called], self.site[called], self.effects)
        x = oracle.columns(self.covariates[called], self.site[called], self.effects)
        g = self.dosage[row, called].astype(float)
        return oracle.wald(g, x, self.y[called], self.offset[called], firth)


def assert_is(found, row, trait, beta, se, neg_log10_p):
    assert found.errcode_words[row, trait] == "."
    assert abs(found.beta[row, trait] - beta) <= TOLERANCE * se
    assert abs(found.se[row, trait] / se - 1) <= TOLERANCE
    error = abs(found.neg_log10_p[row, trait] - neg_log10_p)
    assert error <= TOLERANCE * max(1.0, neg_log10_p)


def study(missing=0.0, sites=3, cases=0.4, effects=True, *, offset=False, seed=1, **options):
    dosage, x, y, site = data(missing, sites, cases, seed)
    shift = np.random.default_rng(9).normal(0, 0.7, y.shape) if offset else None
    return Study(dosage, x, y, site, shift, effects, **options)


tested = range(ONE_CARRIER + 1, ROWS)


class TestAgainstTheOracle:
    @pytest.mark.parametrize("effects", EFFECTS)
    @pytest.mark.parametrize(
        ("missing", "sites", "cases", "offset"),
        [
            (0.0, 1, 0.4, False),
            (0.01, 2, 0.4, True),
            (0.1, 3, 0.4, False),
            (0.1, 7, 0.05, True),
            (0.0, 7, 0.01, False),
        ],
    )
    def test_every_method(self, effects, missing, sites, cases, offset):
        made = study(missing, sites, cases, effects, offset=offset)
        methods = {name: made.test(name) for name in ("score", "spa", "firth", "wald")}
        methods["firth-full"] = made.test("firth-full")
        methods["drop"] = made.test("wald", missing="drop")
        for trait in range(2):
            expected = Expected(made, trait)
            for row in tested:
                beta, se, z = expected.score(row)
                p = oracle.neg_log10_p(z)
                assert_is(methods["score"], row, trait, beta, se, p)
                spa = expected.spa(row)
                method = "spa" if abs(z) > LEAST else "score"
                method = "firth" if spa is None else method
                assert methods["spa"].method_words[row, trait] == method
                if method == "spa":
                    found = methods["spa"].neg_log10_p[row, trait]
                    assert abs(found + np.log10(spa)) <= TOLERANCE * max(1, -np.log10(spa))
                    assert methods["spa"].beta[row, trait] == methods["score"].beta[row, trait]
                beta, se, chisq = expected.firth(row)
                p = oracle.neg_log10_p_chisq(chisq)
                assert_is(methods["firth"], row, trait, beta, se, p)
                for name, firth, drop in (
                    ("wald", False, False),
                    ("firth-full", True, False),
                    ("drop", False, True),
                ):
                    if methods[name].errcode_words[row, trait] == "SEPARATION":
                        assert cases < 0.1
                        continue
                    beta, se = expected.full(row, firth=firth, drop=drop)
                    p = oracle.neg_log10_p(beta / se)
                    assert_is(methods[name], row, trait, beta, se, p)

    @pytest.mark.parametrize("effects", EFFECTS)
    def test_rows_that_cannot_be_tested(self, effects):
        made = study(0.05, effects=effects)
        for name in logistic.TESTS:
            found = made.test(name)
            words = found.errcode_words
            assert (words[[CONSTANT, ALL_MISSING]] == "CONST_ALLELE").all()
            assert (words[COVARIATE] == "VIF_INFINITE").all()
            for field in ("beta", "se", "z", "neg_log10_p"):
                values = getattr(found, field)
                np.testing.assert_array_equal(np.isfinite(values), words == ".", err_msg=field)
            np.testing.assert_array_equal(found.method_words == "", words != ".")

    def test_one_carrier_separates_the_maximum_likelihood_and_nothing_else(self):
        made = study()
        assert (made.test("wald").errcode_words[ONE_CARRIER] == "SEPARATION").all()
        expected = Expected(made, 0)
        hybrid = made.test("hybrid")
        assert (hybrid.method_words[ONE_CARRIER] == "firth-full").all()
        assert (hybrid.method_words[list(tested)] == "wald").all()
        beta, se = expected.full(ONE_CARRIER, firth=True)
        assert_is(hybrid, ONE_CARRIER, 0, beta, se, oracle.neg_log10_p(beta / se))
        beta, se, chisq = expected.firth(ONE_CARRIER)
        p = oracle.neg_log10_p_chisq(chisq)
        assert_is(made.test("firth"), ONE_CARRIER, 0, beta, se, p)

    @pytest.mark.parametrize("effects", EFFECTS)
    def test_penalized_fits_of_the_rarest_alleles_converge(self, effects):
        rng = np.random.default_rng(3)
        _, x, y, site = data()
        dosage = np.zeros((40, PEOPLE), np.int8)
        for row in range(40):
            dosage[row, rng.choice(PEOPLE, 1 + row // 10, replace=False)] = 1
        made = Study(dosage, x, y[:, :1], site, site_effects=effects)
        found = made.test("firth-full")
        assert (found.errcode_words == ".").all()
        assert len(made.rounds) <= 30
        expected = Expected(made, 0)
        for row in (0, 15, 39):
            beta, se = expected.full(row, firth=True)
            assert_is(found, row, 0, beta, se, oracle.neg_log10_p(beta / se))

    def test_without_covariates(self):
        dosage, x, y, site = data(0.05)
        made = Study(dosage, x[:, :0], y, site)
        for name in ("firth", "wald"):
            found = made.test(name)
            expected = Expected(made, 0)
            for row in tested:
                if name == "wald":
                    beta, se = expected.full(row, firth=False)
                    assert_is(found, row, 0, beta, se, oracle.neg_log10_p(beta / se))
                else:
                    beta, se, chisq = expected.firth(row)
                    assert_is(found, row, 0, beta, se, oracle.neg_log10_p_chisq(chisq))

    def test_counts_and_frequencies_of_cases_and_controls(self):
        made = study(0.1)
        for trait in range(2):
            y = made.y[:, trait]
            for status, people, frequency in (
                (1, made.score.n_cases, made.score.allele_frequency_cases),
                (0, made.score.n_controls, made.score.allele_frequency_controls),
            ):
                dosage = made.dosage[:, y == status]
                called = dosage >= 0
                np.testing.assert_array_equal(people[:, trait], called.sum(axis=1))
                with np.errstate(invalid="ignore"):
                    expected = np.where(called, dosage, 0).sum(axis=1) / (2 * called.sum(axis=1))
                np.testing.assert_array_equal(frequency[:, trait], expected)

    def test_only_rows_beyond_the_cutoff_are_followed_up(self):
        made = study()
        found = made.test("firth", cutoff=1.5)
        beyond = np.abs(made.score.z) > 1.5
        assert beyond.any()
        np.testing.assert_array_equal(found.method_words == "firth", beyond)
        assert made.test("firth", cutoff=1e3).method_words[5, 0] == "score"

    def test_kernels_agree(self):
        one, other = (study(0.1, kernels=name).test("firth") for name in ("cpu", "reference"))
        np.testing.assert_allclose(one.z, other.z, rtol=1e-10, atol=1e-10)

    def test_the_one_round_form_is_the_stratified_test(self):
        """Each site fits its own null model; the pooled test has site × covariate interactions."""
        made = study(0.05)
        parts = []
        for here, design in zip(made.here, made.designs, strict=True):
            fits = logistic.start_null(2, design.width)
            while not fits.done:
                fits = logistic.update_null(fits, logistic.summarize_null([design], fits.theta))
            fitted = logistic.fit_people(design, fits.theta)
            block = made._block(here, slice(None))
            parts.append(logistic.summarize_score_stratified(block, fitted))
        found = logistic.finalize_score(None, merge(parts))
        expected = Expected(made, 0)
        places = [expected.site == place for place in np.unique(expected.site)]
        interactions = [place[:, None] * expected.covariates for place in places]
        expected.x = np.column_stack([*places, *interactions]).astype(float)
        for row in tested:
            _, _, z = expected.score(row)
            assert abs(found.z[row, 0] - z) <= TOLERANCE


class TestSites:
    def test_a_site_without_cases_contributes_nothing(self):
        dosage, x, y, site = data(0.05)
        y = y[:, :1]
        y[site == 2] = 0.0
        made = Study(dosage, x, y, site)
        assert made.null.sites.tolist() == [2]
        keep = site != 2
        found = made.test("wald")
        expected = Expected(made, 0)
        assert found.n_cases[6, 0] + found.n_controls[6, 0] <= keep.sum()
        beta, se = expected.full(6, firth=False)
        assert_is(found, 6, 0, beta, se, oracle.neg_log10_p(beta / se))

    def test_with_a_common_intercept_it_contributes(self):
        dosage, x, y, site = data()
        y = y[:, :1]
        y[site == 2] = 0.0
        made = Study(dosage, x, y, site, site_effects=False)
        assert made.null.sites.tolist() == [3]
        beta, se = Expected(made, 0).full(6, firth=False)
        found = made.test("wald")
        assert_is(found, 6, 0, beta, se, oracle.neg_log10_p(beta / se))

    def test_dropping_calls_can_leave_a_site_without_cases(self):
        dosage, x, y, site = data()
        y = y[:, :1]
        dosage[7, (site == 0) & (y[:, 0] == 1)] = -1
        made = Study(dosage, x, y, site)
        found = made.test("wald", missing="drop")
        beta, se = Expected(made, 0).full(7, firth=False, drop=True)
        assert_is(found, 7, 0, beta, se, oracle.neg_log10_p(beta / se))
        assert found.n_controls[7, 0] == ((site != 0) & (y[:, 0] == 0)).sum()

    def test_dropping_calls_can_leave_too_few(self):
        dosage, x, y, _ = data()
        dosage[7, 4:] = -1
        dosage[7, :4] = [0, 1, 0, 2]
        y = y[:, :1]
        y[:4, 0] = [0, 1, 1, 0]
        dosage[8, y[:, 0] == 1] = -1
        made = Study(dosage, x, y, np.zeros(PEOPLE), site_effects=False)
        words = made.test("wald", missing="drop").errcode_words
        assert words[7, 0] == "TOO_FEW"
        assert words[8, 0] == "CONST_TRAIT"


class TestNullModel:
    def test_an_offset_is_used(self):
        with_it, without = study(offset=True), study()
        assert np.nanmax(np.abs(with_it.score.z - without.score.z)) > 0.1

    def test_the_models_of_all_chromosomes_go_together(self):
        """Designs that differ in their offset only, as one set of rounds."""
        dosage, x, y, site = data()
        offsets = np.random.default_rng(2).normal(0, 0.5, (3, *y.shape))
        parts = [site == place for place in np.unique(site)]
        scaled = standardized(x)
        designs = []
        for here in parts:
            first = logistic.design(scaled[here], y[here], site_effects=True)
            designs.append([first.with_offset(offset[here]) for offset in offsets])
        fits = logistic.start_null(6, 2)
        while not fits.done:
            answers = [logistic.summarize_null(some, fits.theta) for some in designs]
            sums = merge(answers)
            fits = logistic.update_null(fits, sums)
        null = logistic.finish_null(fits, sums, ["a", "b"])
        for chromosome, offset in enumerate(offsets):
            alone = Study(dosage, x, y, site, offset).null
            some = null.take(slice(2 * chromosome, 2 * chromosome + 2))
            np.testing.assert_allclose(some.theta, alone.theta, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(some.information, alone.information, rtol=1e-9)

    def test_separation_by_covariates_is_an_error(self):
        dosage, x, y, site = data()
        y[:, 0] = x[:, 0] > 1960
        with pytest.raises(
            TraitError, match="null model of trait y0 does not converge: covariates"
        ):
            Study(dosage, x, y, site)

    def test_collinear_covariates_are_an_error(self):
        dosage, x, y, site = data()
        with pytest.raises(TraitError, match="covariates of trait y0 are combinations"):
            Study(dosage, np.column_stack([x, x[:, 0] + x[:, 1]]), y, site)

    def test_a_covariate_that_is_the_sites_is_an_error(self):
        dosage, x, y, site = data()
        with pytest.raises(TraitError, match="combinations of each other or of the sites"):
            Study(dosage, np.column_stack([x, site == 1]), y, site)
        Study(dosage, np.column_stack([x, site == 1]), y, site, site_effects=False)

    def test_a_covariate_constant_within_one_site_is_not(self):
        dosage, x, y, site = data()
        x[site == 1, 1] = 1
        made = Study(dosage, x, y, site)
        beta, se = Expected(made, 0).full(6, firth=False)
        found = made.test("wald")
        assert_is(found, 6, 0, beta, se, oracle.neg_log10_p(beta / se))

    def test_nobody_with_the_trait(self):
        dosage, x, y, site = data()
        y[:, 0] = 0
        with pytest.raises(TraitError, match="trait y0 has 0 cases and"):
            Study(dosage, x, y, site)


class TestDesign:
    def test_coding(self):
        values = np.array([0.0, 1.0, np.nan])
        np.testing.assert_array_equal(logistic.case_control(values, "y"), values)
        np.testing.assert_array_equal(logistic.case_control(values + 1, "y", coded_12=True), values)
        with pytest.raises(TraitError, match="trait y has a value other than 0 .*if 1 is a contr"):
            logistic.case_control(values + 1, "y")
        with pytest.raises(TraitError, match=r"other than 1 \(control\) and 2 \(case\)$"):
            logistic.case_control(values, "y", coded_12=True)
        with pytest.raises(TraitError, match="other than 0 and 1"):
            logistic.design(np.empty((2, 0)), np.array([[2.0], [0.0]]), site_effects=True)

    def test_offsets_are_checked(self):
        made = logistic.design(np.empty((3, 0)), np.array([[1.0], [0], [1]]), site_effects=True)
        with pytest.raises(BadInput, match=r"offset has shape \(3,\)"):
            made.with_offset(np.zeros(3))
        with pytest.raises(BadInput, match="offset is not a number for somebody"):
            made.with_offset(np.full((3, 1), np.nan))

    def test_groups_share_their_people(self):
        y = np.array([[0, np.nan, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1]], float)
        made = logistic.design(np.zeros((4, 0)), y, site_effects=False, groups=[0, 0, 1])
        np.testing.assert_array_equal(made.included.sum(axis=0), [3, 3, 4])


@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize("weighted", [True, False])
def test_the_people_behind_a_row_are_those_who_weigh(effects, weighted):
    dosage, x, y, _ = data(missing=0.1, sites=1)
    design = logistic.design(standardized(x), y[:, :1], site_effects=effects)
    rng = np.random.default_rng(4)
    fitted = logistic.fit_people(design, rng.normal(size=(1, design.width)))
    block = PackedBlock(pack(dosage), PEOPLE, backend("cpu"))
    tilts, c = rng.normal(size=(ROWS, 2)) * 9, rng.normal(size=(ROWS, design.width)) * 0.1
    mean, trait = rng.uniform(0, 2, ROWS), np.zeros(ROWS, int)
    people, sides = logistic.people_behind(
        block, fitted, trait, tilts, c, None if effects else mean, weighted=weighted
    )
    who = design.included[:, 0]
    weight = fitted.weight[who, 0] if weighted else np.ones(who.sum())
    columns = design.x[who]
    for row, copies in enumerate(dosage[:, who]):
        known = copies >= 0
        own = copies[known].mean() if known.any() else 0.0
        g, z = np.where(known, copies, own if effects else mean[row]), columns
        if effects:
            g, z = g - weight @ g / weight.sum(), z - weight @ z / weight.sum()
        left = g - z @ c[row]
        eta = fitted.eta[who, 0] + tilts[row][:, None] * left
        w = 1 / (2 + 2 * np.cosh(eta))
        np.testing.assert_allclose(people[row], (w.sum(axis=1) / w.max(axis=1)).min(), rtol=1e-10)
        assert sides[row] == min((left > 0).sum(), (left < 0).sum())
