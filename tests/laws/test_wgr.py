"""A federated whole-genome regression is the pooled one with the same folds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu import open_cohort
from genome_eu.cohort import open_store
from genome_eu.errors import Refused, TraitError, UsageError
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.site import Site
from genome_eu.stats import ridge
from tests import simulate
from tests.laws.splits import law
from tests.oracles import dosages as dosage_oracle
from tests.oracles import logistic as logistic_oracle
from tests.oracles import ridge as oracle

PEOPLE, ROWS = 350, 60
COVARIATES = ("birth_year", "sex")
SETTINGS = {"block": 10, "folds": 2, "min_frequency": 0.02, "heritability": (0.05, 0.6)}
RATES = (0.0, 0.01, 0.1)


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    """Cohorts by their share of missing calls; `cases` has many effects on each chromosome."""
    made = {}
    for number, rate in enumerate(RATES):
        folder, rng = tmp_path_factory.mktemp("wgr"), np.random.default_rng(number)
        dosage = simulate.dosages(ROWS, PEOPLE, rate, 60 + number)
        table = simulate.people(dosage, 61 + number)
        genetic = rng.normal(size=ROWS) @ np.maximum(dosage, 0)
        liability = 1.5 * (genetic - genetic.mean()) / genetic.std() - 0.5
        table["cases"] = (rng.random(PEOPLE) < 1 / (1 + np.exp(-liability))).astype(int)
        table["polygenic"] = (liability + rng.normal(size=PEOPLE)).round(6)
        table["polygenic_of_some"] = table["polygenic"].where(rng.random(PEOPLE) > 0.15)
        table["cases_of_some"] = table["cases"].where(rng.random(PEOPLE) > 0.15)
        path = simulate.write_store(folder, dosage, table)
        made[rate] = simulate.SimulatedCohort(dosage, table, open_store(path))
    return made


@st.composite
def sites(draw, small=42):
    """The site of each person: 1, 2, 3 or 7 of them, even or with one of `small` people."""
    number = draw(st.sampled_from((1, 2, 3, 7)))
    place = np.arange(PEOPLE) % number
    if number > 1 and draw(st.booleans(), label="one site is small"):
        place = np.arange(PEOPLE) % (number - 1)
        place[:small] = number - 1
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.array([f"S{where}" for where in rng.permutation(place)])


def step_one(
    cohort, site, trait: str, site_effects: bool, binary: bool = False, wgr: dict = SETTINGS
):
    """Everybody together in the folds of the sites: step 1, who takes part, rows' chromosomes."""
    y, x = cohort.column(trait), cohort.columns(COVARIATES)
    present = ~np.isnan(y)
    fold = np.full(PEOPLE, -1)
    for name in np.unique(site):
        here = site == name
        fold[here] = ridge.assign_folds(present[here], wgr["folds"], wgr.get("smallest_site", 0))
    fold[fold == wgr["folds"]] = -1
    dosage = cohort.dosage[:, present]
    known = dosage >= 0
    frequency = np.where(known, dosage, 0).sum(axis=1) / np.maximum(2 * known.sum(axis=1), 1)
    chosen = np.flatnonzero(np.minimum(frequency, 1 - frequency) >= SETTINGS["min_frequency"])
    chromosome = 1 + 2 * np.arange(ROWS) // ROWS
    blocks, of_block = [], []
    for name in (1, 2):
        rows = int((chromosome[chosen] == name).sum())
        blocks += [len(of_block) + place // wgr["block"] for place in range(rows)]
        of_block += [name] * -(-rows // wgr["block"])
    level1 = ridge.liability_penalties if binary else ridge.penalties
    first = oracle.step_one(
        dosage[chosen],
        y[present],
        x[present],
        site[present],
        fold[present],
        np.array(blocks),
        np.array(of_block),
        ridge.penalties(chosen.size, wgr["heritability"]),
        level1(len(of_block) * len(wgr["heritability"]), wgr["heritability"]),
        site_effects=site_effects,
        binary=binary,
    )
    return first, present, chromosome


def pooled(cohort, site, trait: str, site_effects: bool, wgr: dict = SETTINGS, tested=None):
    """Both steps of everybody together; the second of the dosages `tested`, if they are others."""
    tested = cohort.dosage if tested is None else tested
    first, present, chromosome = step_one(cohort, site, trait, site_effects, wgr=wgr)
    y, x = cohort.column(trait)[present], cohort.columns(COVARIATES)[present]
    columns = [np.empty(ROWS) for _ in range(4)]
    for name in (1, 2):
        mine = chromosome == name
        tests = oracle.step_two(
            tested[mine][:, present],
            y,
            x,
            site[present],
            first.loco[name],
            site_effects=site_effects,
        )
        for column, values in zip(columns, tests, strict=True):
            column[mine] = values
    return first, dict(zip(("beta", "se", "chisq", "neg_log10_p"), columns, strict=True))


def assert_is(found, expected, trait: int = 0) -> None:
    """β in units of its standard error; everything else relative to itself."""

    def values(name):
        return found[f"variant_linreg_{name}"].values[:, trait]

    fits = np.isfinite(expected["beta"])
    np.testing.assert_array_equal(values("errcode") == ".", fits)
    error = np.abs(values("beta") - expected["beta"])[fits] / expected["se"][fits]
    assert error.max() <= 1e-8
    np.testing.assert_allclose(values("se")[fits], expected["se"][fits], rtol=1e-8)
    chisq = values("t_value")[fits] ** 2
    np.testing.assert_allclose(chisq, expected["chisq"][fits], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        values("neg_log10_p")[fits], expected["neg_log10_p"][fits], rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("site_effects", [True, False])
@given(
    rate=st.sampled_from(RATES),
    site=sites(),
    trait=st.sampled_from(("complete", "some_lack_it")),
    block_size=st.sampled_from((7, None)),
    rows_per_shard=st.sampled_from((16, 25, 8192)),
)
@settings(law, max_examples=5)
def test_quantitative(cohorts, site_effects, rate, site, trait, block_size, rows_per_shard):
    cohort = cohorts[rate]
    federation = simulate.split(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    found = federation.gwas(
        trait, covariates=COVARIATES, model="wgr", site_effects=site_effects, wgr=SETTINGS
    )
    assert_is(found, pooled(cohort, site, trait, site_effects)[1])


@pytest.fixture(scope="module")
def imputed(tmp_path_factory):
    """The cohort as its hard calls have it, and its dosages."""
    made = simulate.imputed(
        tmp_path_factory.mktemp("x"), rows=ROWS, people_number=PEOPLE, missing=0.02, seed=9
    )
    calls = dosage_oracle.hard_calls(made.dosage)
    return simulate.SimulatedCohort(calls, made.people, made.store), made.dosage


class TestDosages:
    """Step 1 is of hard calls, step 2 of dosages."""

    @pytest.mark.parametrize("site_effects", [True, False])
    def test_quantitative(self, imputed, site_effects):
        cohort, dosage = imputed
        site = np.array([f"S{one}" for one in np.arange(PEOPLE) % 3])
        federation = simulate.split(cohort, site, rows_per_shard=25)
        found = federation.gwas(
            "complete",
            covariates=COVARIATES,
            model="wgr",
            site_effects=site_effects,
            wgr=SETTINGS,
            dosages=True,
        )
        expected = pooled(cohort, site, "complete", site_effects, tested=dosage)[1]
        assert_is(found, expected)
        filtered = federation.gwas(
            "complete",
            covariates=COVARIATES,
            model="wgr",
            site_effects=site_effects,
            wgr=found,
            dosages=True,
            min_maf=0.1,
        )
        assert 0 < filtered.sizes["variants"] < ROWS
        whole = dict(zip(found["variant_id"].values, range(ROWS), strict=True))
        kept = [whole[name] for name in filtered["variant_id"].values]
        np.testing.assert_allclose(
            filtered["variant_linreg_t_value"],
            found["variant_linreg_t_value"][kept],
            rtol=1e-8,
            atol=1e-8,
        )

    def test_binary(self, imputed):
        cohort, dosage = imputed
        site = np.array([f"S{one}" for one in np.arange(PEOPLE) % 3])
        found = simulate.split(cohort, site).gwas(
            "case",
            covariates=COVARIATES,
            model="wgr",
            test="score",
            wgr=SETTINGS | {"binary": True},
            dosages=True,
        )
        first, _, chromosome = step_one(cohort, site, "case", True, binary=True)
        x = oracle.columns(cohort.columns(COVARIATES), site, True)
        dosage = oracle.imputed(dosage, site, True)
        z = found["variant_logreg_z_value"].values[:, 0]
        fits = np.flatnonzero(found["variant_logreg_errcode"].values[:, 0] == ".")
        assert fits.size > 40
        for row in fits:
            score, variance, _, _ = logistic_oracle.score(
                dosage[row], x, cohort.column("case"), first.loco[chromosome[row]]
            )
            np.testing.assert_allclose(z[row], score / np.sqrt(variance), rtol=1e-8, atol=1e-8)


class TestSmallSites:
    """A site of 30 people fits nothing, and takes part beside what the others' weights predict."""

    WGR = SETTINGS | {"block": 30, "smallest_site": 60}

    def sites(self, seed: int, number: int, people: int = 30) -> np.ndarray:
        place = np.arange(PEOPLE) % number
        place[:people] = number
        return np.array([f"S{one}" for one in np.random.default_rng(seed).permutation(place)])

    @pytest.mark.parametrize("site_effects", [True, False])
    @given(rate=st.sampled_from(RATES), seed=st.integers(0, 99), number=st.sampled_from((1, 3)))
    @settings(law, max_examples=3)
    def test_quantitative(self, cohorts, site_effects, rate, seed, number):
        cohort, site = cohorts[rate], self.sites(seed, number)
        asked = {"covariates": COVARIATES, "model": "wgr", "site_effects": site_effects}
        found = simulate.split(cohort, site).gwas("polygenic", **asked, wgr=self.WGR)
        first, expected = pooled(cohort, site, "polygenic", site_effects, wgr=self.WGR)
        assert_is(found, expected)
        said = json.loads(found.attrs["wgr"])
        assert said["people predicted for only"] == {"polygenic": 30}
        small = site == f"S{number}"
        assert max(np.std(beside[small]) for beside in first.loco.values()) > 0.3

    def test_it_would_be_refused_otherwise(self, cohorts):
        federation = simulate.split(cohorts[0.0], self.sites(0, 2))
        asked = {"covariates": COVARIATES, "model": "wgr"}
        with pytest.raises(Refused, match="have small sites predicted for only"):
            federation.gwas("polygenic", **asked, wgr=self.WGR | {"smallest_site": 0})

    def test_binary(self, cohorts):
        cohort, site = cohorts[0.01], self.sites(3, 2)
        found = simulate.split(cohort, site).gwas(
            "cases",
            covariates=COVARIATES,
            model="wgr",
            test="score",
            wgr=self.WGR | {"binary": True},
        )
        first, _, chromosome = step_one(cohort, site, "cases", True, binary=True, wgr=self.WGR)
        x = oracle.columns(cohort.columns(COVARIATES), site, True)
        dosage = oracle.imputed(cohort.dosage, site, True)
        z = found["variant_logreg_z_value"].values[:, 0]
        fits = np.flatnonzero(found["variant_logreg_errcode"].values[:, 0] == ".")
        assert fits.size > 40
        for row in fits:
            score, variance, _, _ = logistic_oracle.score(
                dosage[row], x, cohort.column("cases"), first.loco[chromosome[row]]
            )
            np.testing.assert_allclose(z[row], score / np.sqrt(variance), rtol=1e-8, atol=1e-8)

    def test_several_traits(self, cohorts):
        """A site may be small for one trait and not for another."""
        cohort, site = cohorts[0.01], self.sites(5, 2, people=40)
        asked = ("polygenic", "polygenic_of_some")
        wgr = self.WGR | {"smallest_site": 40, "block": 10, "heritability": (0.3,)}
        found = simulate.split(cohort, site).gwas(
            asked, covariates=COVARIATES, model="wgr", wgr=wgr
        )
        for place, trait in enumerate(asked):
            expected = pooled(cohort, site, trait, True, wgr=wgr)[1]
            assert_is(found, expected, place)

    def test_everybody_is_too_few(self, cohorts):
        federation = simulate.split(cohorts[0.0], self.sites(0, 2))
        with pytest.raises(TraitError, match="every site has fewer than 999 people"):
            federation.gwas("polygenic", model="wgr", wgr=self.WGR | {"smallest_site": 999})


#: Two that share their people, and two that lack others.
MANY = ("polygenic_of_some", "complete", "some_lack_it", "polygenic")


class TestTraitsOfDifferentPeople:
    """Each trait is tested among its own people, as if it were asked for alone."""

    @pytest.mark.parametrize("site_effects", [True, False])
    @given(rate=st.sampled_from(RATES), site=sites(small=60))
    @settings(law, max_examples=3)
    def test_quantitative(self, cohorts, site_effects, rate, site):
        cohort = cohorts[rate]
        found = simulate.split(cohort, site).gwas(
            MANY[:3], covariates=COVARIATES, model="wgr", site_effects=site_effects, wgr=SETTINGS
        )
        for place, trait in enumerate(MANY[:3]):
            first, expected = pooled(cohort, site, trait, site_effects)
            assert_is(found, expected, place)
            if trait == "polygenic_of_some":
                assert max(np.std(beside) for beside in first.loco.values()) > 0.3
            fits = np.isfinite(expected["beta"])
            people = int(np.isfinite(cohort.column(trait)).sum())
            assert (found["variant_linreg_n"].values[fits, place] == people).all()
            assert (found["variant_linreg_df"].values[fits, place] == people - 1).all()

    def test_alone_and_together(self, cohorts):
        federation = simulate.split(cohorts[0.01], np.arange(PEOPLE) % 3)
        asked = {"covariates": COVARIATES, "model": "wgr", "wgr": SETTINGS}
        together = federation.gwas(MANY, **asked)
        for place, trait in enumerate(MANY):
            alone = federation.gwas(trait, **asked)
            for name in ("beta", "se", "neg_log10_p"):
                np.testing.assert_allclose(
                    together[f"variant_linreg_{name}"].values[:, place],
                    alone[f"variant_linreg_{name}"].values[:, 0],
                    rtol=1e-9,
                    atol=1e-12,
                )

    def test_a_trait_that_a_site_does_not_have(self, cohorts, tmp_path):
        cohort, site = cohorts[0.01], np.array([f"S{place % 3}" for place in range(PEOPLE)])
        values = np.where(site == "S1", np.nan, cohort.column("polygenic"))
        table = cohort.people.assign(of_two_sites=values)
        path = simulate.write_store(tmp_path, cohort.dosage, table)
        made = simulate.SimulatedCohort(cohort.dosage, table, open_store(path))
        asked = ("of_two_sites", "complete")
        found = simulate.split(made, site).gwas(
            asked, covariates=COVARIATES, model="wgr", wgr=SETTINGS
        )
        for place, trait in enumerate(asked):
            assert_is(found, pooled(made, site, trait, True)[1], place)

    def test_binary(self, cohorts):
        federation = simulate.split(cohorts[0.01], np.arange(PEOPLE) % 3)
        asked = {"covariates": COVARIATES, "model": "wgr", "test": "score"}
        asked["wgr"] = SETTINGS | {"binary": True}
        traits = ("cases", "cases_of_some")
        together = federation.gwas(traits, **asked)
        assert set(together["variant_logreg_errcode"].values[-1]) == {"."}
        for place, trait in enumerate(traits):
            alone = federation.gwas(trait, **asked)
            for name in ("z_value", "beta", "se", "n"):
                np.testing.assert_allclose(
                    together[f"variant_logreg_{name}"].values[:, place],
                    alone[f"variant_logreg_{name}"].values[:, 0],
                    rtol=1e-8,
                    atol=1e-10,
                )
        again = federation.gwas(
            traits, **asked | {"wgr": {"id": together.attrs["wgr_id"], "binary": True}}
        )
        np.testing.assert_allclose(
            again["variant_logreg_z_value"], together["variant_logreg_z_value"], rtol=1e-8
        )

    def test_one_id_names_the_regressions_of_all(self, cohorts):
        federation = simulate.split(cohorts[0.01], np.arange(PEOPLE) % 2)
        asked = {"covariates": COVARIATES, "model": "wgr"}
        first = federation.gwas(MANY, **asked, wgr=SETTINGS)
        assert set(json.loads(first.attrs["wgr"])["heritability chosen"]) == set(MANY)
        again = federation.gwas(MANY, **asked, wgr=first.attrs["wgr_id"])
        for name in ("beta", "se", "neg_log10_p", "n", "df"):
            np.testing.assert_allclose(
                again[f"variant_linreg_{name}"],
                first[f"variant_linreg_{name}"],
                rtol=1e-10,
                atol=1e-12,
            )
        with pytest.raises(TraitError, match="of other traits, covariates or people"):
            federation.gwas(MANY[:2], **asked, wgr=first.attrs["wgr_id"])


@pytest.mark.parametrize("site_effects", [True, False])
def test_one_cohort_is_a_federation_of_one(cohorts, site_effects):
    cohort = cohorts[0.01]
    asked = {"covariates": COVARIATES, "model": "wgr", "site_effects": site_effects}
    alone = open_cohort(cohort.store.path)
    found = alone.gwas("complete", **asked, wgr=SETTINGS)
    first, expected = pooled(cohort, np.zeros(PEOPLE), "complete", site_effects)
    assert_is(found, expected)
    # Predictions beside a chromosome are no small part: without them nothing would agree.
    assert max(np.std(beside) for beside in first.loco.values()) > 0.3


@pytest.mark.parametrize("site_effects", [True, False])
@given(rate=st.sampled_from(RATES), site=sites())
@settings(law, max_examples=3)
def test_binary(cohorts, site_effects, rate, site):
    """Step 1 by a logistic ridge, step 2 by score tests beside it."""
    cohort = cohorts[rate]
    federation = simulate.split(cohort, site)
    found = federation.gwas(
        "cases",
        covariates=COVARIATES,
        model="wgr",
        test="score",
        site_effects=site_effects,
        wgr=SETTINGS | {"binary": True},
    )
    first, _, chromosome = step_one(cohort, site, "cases", site_effects, binary=True)
    x = oracle.columns(cohort.columns(COVARIATES), site, site_effects)
    dosage = oracle.imputed(cohort.dosage, site, site_effects)
    z = found["variant_logreg_z_value"].values[:, 0]
    fits = found["variant_logreg_errcode"].values[:, 0] == "."
    assert fits[len(simulate.SPECIAL_ROWS) :].all()
    for row in np.flatnonzero(fits):
        beside = first.loco[chromosome[row]]
        score, variance, _, _ = logistic_oracle.score(
            dosage[row], x, cohort.column("cases"), beside
        )
        np.testing.assert_allclose(z[row], score / np.sqrt(variance), rtol=1e-8, atol=1e-8)
    # Predictions are no small part of the linear predictor.
    assert max(np.std(beside) for beside in first.loco.values()) > 0.3


def test_binary_regression_is_used_again_by_its_id(cohorts):
    """Step 2 by Firth's approximate test, in one cohort and by the id of a regression."""
    cohort = open_cohort(cohorts[0.01].store.path)
    asked = {"covariates": COVARIATES, "model": "wgr"}
    first = cohort.gwas("cases", **asked, wgr=SETTINGS | {"binary": True})
    again = cohort.gwas("cases", **asked, wgr={"id": first.attrs["wgr_id"], "binary": True})
    assert (first["variant_logreg_method"] == "firth").any()
    for name in ("beta", "se", "neg_log10_p"):
        np.testing.assert_allclose(
            again[f"variant_logreg_{name}"], first[f"variant_logreg_{name}"], rtol=1e-7, atol=1e-9
        )


def test_a_regression_is_used_again_by_its_id(cohorts):
    cohort, site = cohorts[0.01], np.array([f"S{place % 3}" for place in range(PEOPLE)])
    federation = simulate.split(cohort, site)
    asked = {"covariates": COVARIATES, "model": "wgr"}
    first = federation.gwas("complete", **asked, wgr=SETTINGS)
    again = federation.gwas("complete", **asked, wgr=first.attrs["wgr_id"])
    for name in ("beta", "se", "neg_log10_p"):
        # To rounding: covariates are summed in other folds.
        np.testing.assert_allclose(
            again[f"variant_linreg_{name}"],
            first[f"variant_linreg_{name}"],
            rtol=1e-10,
            atol=1e-12,
        )
    with pytest.raises(TraitError, match="of other traits, covariates or people"):
        federation.gwas("complete", covariates="sex", model="wgr", wgr=first.attrs["wgr_id"])
    with pytest.raises(TraitError, match="there is no whole-genome regression"):
        federation.gwas("complete", **asked, wgr="0123456789abcdef")


class TestSitesThatSayNothing:
    SITE = np.array([f"S{place % 3}" for place in range(PEOPLE)])

    def asked(self, cohort, tmp_path, column, values, **more):
        table = cohort.people.assign(**{column: values})
        path = simulate.write_store(tmp_path, cohort.dosage, table)
        made = simulate.SimulatedCohort(cohort.dosage, table, open_store(path))
        found = simulate.split(made, self.SITE).gwas(
            column, covariates=COVARIATES, model="wgr", **more
        )
        return made, found

    def test_a_trait_is_absent_at_a_site(self, cohorts, tmp_path):
        cohort = cohorts[0.01]
        values = np.where(self.SITE == "S1", np.nan, cohort.column("complete"))
        made, found = self.asked(cohort, tmp_path, "some_sites", values, wgr=SETTINGS)
        assert_is(found, pooled(made, self.SITE, "some_sites", True)[1])

    def test_a_site_without_cases(self, cohorts, tmp_path):
        cohort = cohorts[0.01]
        values = np.where(self.SITE == "S1", 0, cohort.column("cases")).astype(int)
        settings = SETTINGS | {"binary": True}
        _, found = self.asked(cohort, tmp_path, "no_cases", values, wgr=settings, test="score")
        fits = found["variant_logreg_errcode"].values[:, 0] == "."
        assert fits.sum() > ROWS - len(simulate.SPECIAL_ROWS) - 1
        assert np.isfinite(found["variant_logreg_beta"].values[fits]).all()
        # Its people are in none of the tests.
        n = found["variant_logreg_n"].values[fits, 0]
        assert (n <= (self.SITE != "S1").sum()).all()

    def test_nobody_is_a_case(self, cohorts, tmp_path):
        with pytest.raises(TraitError, match="no_cases"):
            self.asked(cohorts[0.0], tmp_path, "no_cases", 0, wgr=SETTINGS | {"binary": True})


def test_what_is_too_small_is_refused(cohorts):
    """A block of more rows than a fold has people would show the genotypes themselves."""
    site = np.array([f"S{place % 3}" for place in range(PEOPLE)])
    federation = simulate.split(cohorts[0.0], site)
    with pytest.raises(Refused, match="parameters are more than 1 per person"):
        federation.gwas("complete", model="wgr", wgr=SETTINGS | {"folds": 20})


def test_questions_that_cannot_be_asked(cohorts):
    cohort = open_cohort(cohorts[0.0].store.path)
    with pytest.raises(UsageError, match="folds=1"):
        cohort.gwas("complete", model="wgr", wgr={"folds": 1})
    with pytest.raises(UsageError, match="are for binary traits"):
        cohort.gwas("complete", model="wgr", test="spa")
    with pytest.raises(TraitError, match="has a value other than 0"):
        cohort.gwas("complete", model="wgr", wgr=SETTINGS | {"binary": True})
    with pytest.raises(UsageError, match="colour is not a setting"):
        cohort.gwas("complete", model="wgr", wgr={"colour": 1})
    with pytest.raises(UsageError, match="missing calls at the mean"):
        cohort.gwas("complete", model="wgr", missing="drop")


@pytest.mark.parametrize("trait", ["complete", "cases"])
def test_limits_on_people_hold_in_both_steps(cohorts, trait):
    """As of sites that only ever had the people who are kept, also by the regression's id."""
    cohort, site = cohorts[0.01], np.array([f"S{place % 2}" for place in range(PEOPLE)])
    keep = (cohort.dosage >= 0).mean(axis=0) >= 0.97
    assert PEOPLE / 3 < keep.sum() < 2 * PEOPLE / 3
    policy = simulate.load_policy("open-data")
    members = {
        str(name): Site(str(name), cohort.store, policy, people=(site == name) & keep)
        for name in np.unique(site)
    }
    by_hand = Federation("test", Memory(members), tuple(members))
    whole = simulate.split(cohort, site)
    narrowed = whole.filtered({"people": {"min_call_rate": 0.97}})
    asked = {"covariates": COVARIATES, "model": "wgr"}
    settings = SETTINGS | {"binary": trait == "cases"}
    found = narrowed.gwas(trait, **asked, wgr=settings)
    expected = by_hand.gwas(trait, **asked, wgr=settings)
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=name)
    earlier = {"id": found.attrs["wgr_id"], "binary": trait == "cases"}
    model = "logreg" if trait == "cases" else "linreg"
    again = narrowed.gwas(trait, **asked, wgr=earlier)[f"variant_{model}_beta"]
    np.testing.assert_allclose(again, found[f"variant_{model}_beta"], rtol=1e-7, atol=1e-9)
    with pytest.raises(TraitError, match="of other traits, covariates or people"):
        whole.gwas(trait, **asked, wgr=earlier)
