"""Rows on X, Y and MT: federated answers are the pooled ones, and those are the definition's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import genome_eu as ge
from tests import sex_contigs, simulate
from tests.laws.splits import law
from tests.oracles import haploid as oracle
from tests.oracles import hwe, hwe_x
from tests.oracles import linear as linear_oracle
from tests.oracles import logistic as logistic_oracle

PEOPLE = 90
RTOL = 1e-9
#: Effects are per copy where everybody is haploid.
EFFECT = {"diploid": 1.0, "x": 1.0, "y": 2.0, "mt": 2.0}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> sex_contigs.SexContigs:
    return sex_contigs.simulate(tmp_path_factory.mktemp("laws"), people=PEOPLE, seed=5)


@st.composite
def splits(draw) -> np.ndarray:
    """The site of each person: 1, 2, 3 or 7 of them."""
    number = draw(st.sampled_from((1, 2, 3, 7)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.array([f"S{where}" for where in rng.permutation(np.arange(PEOPLE) % number)])


block_sizes = st.sampled_from((3, 8, None))
shard_sizes = st.sampled_from((4, 16, 8192))


def expected_counts(simulated, people) -> dict[str, np.ndarray]:
    found = [
        oracle.counts(
            simulated.alleles[site], alt, simulated.haploid(kind), people & simulated.counted(kind)
        )
        for site, alt, kind in simulated.rows
    ]
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def assert_counts(found, prefix, place, expected) -> None:
    def values(name):
        array = found[f"{prefix}_{name}"].values
        return array if place is None else array[:, place]

    for name, numbers in expected.items():
        if name == "allele_count":
            np.testing.assert_array_equal(values(name)[..., 1], numbers)
        elif name == "allele_number":
            np.testing.assert_array_equal(values("allele_total"), numbers)
        else:
            np.testing.assert_array_equal(values(name), numbers, err_msg=name)


@given(site=splits(), block_size=block_sizes, rows_per_shard=shard_sizes)
@law
def test_counts_of_every_kind_of_rows(simulated, site, block_size, rows_per_shard):
    federation = simulate.split(
        simulated, site, block_size=block_size, rows_per_shard=rows_per_shard
    )
    found = federation.frequencies(by="sex")
    everybody = np.ones(PEOPLE, bool)
    assert_counts(found, "variant", None, expected_counts(simulated, everybody))
    for place, sex in enumerate(found["cohort_id"].values):
        assert_counts(found, "cohort", place, expected_counts(simulated, simulated.sex(sex)))
    assert found["variant_ploidy_class"].values[0] == "autosomal"


def test_counts_of_one_cohort_are_those_of_its_sites(simulated):
    found = ge.open_cohort(simulated.store.path).frequencies()
    assert_counts(found, "variant", None, expected_counts(simulated, np.ones(PEOPLE, bool)))
    lost = sum(
        one is None and other is not None
        for site, _, kind in simulated.rows
        for one, other, counted in zip(
            oracle.calls_of_site(simulated.alleles[site], simulated.haploid(kind)),
            oracle.calls_of_site(simulated.alleles[site], np.zeros(PEOPLE, bool)),
            simulated.counted(kind),
            strict=True,
        )
        if counted
    )
    assert lost > 10
    assert f'"heterozygous haploid calls": {lost}' in found.attrs["left_out"]
    assert '"rows of unknown ploidy": 2' in found.attrs["left_out"]


def test_hardy_weinberg_on_x_with_and_without_males(simulated):
    found = ge.open_cohort(simulated.store.path).frequencies()
    expected = expected_counts(simulated, np.ones(PEOPLE, bool))
    for row, (_, _, kind) in enumerate(simulated.rows):
        diploid = [int(expected[name][row]) for name in ("n_het", "n_hom_ref", "n_hom_alt")]
        males = [int(expected[name][row]) for name in ("n_hap_ref", "n_hap_alt")]
        p = found["variant_hwe_neg_log10_p"].values[row]
        of_females = found["variant_hwe_female_neg_log10_p"].values[row]
        if kind == "x":
            assert p == pytest.approx(hwe_x.neg_log10_p(*diploid, *males), rel=1e-11, abs=1e-13)
            assert of_females == pytest.approx(hwe.neg_log10_p(*diploid), rel=1e-11, abs=1e-13)
        elif kind == "diploid":
            assert p == pytest.approx(hwe.neg_log10_p(*diploid), rel=1e-11, abs=1e-13)
            assert np.isnan(of_females)
        else:
            assert np.isnan(p)


def of_calls(simulated, row, halved) -> np.ndarray:
    """The dosages of one row that its calls are."""
    place, alt, kind = simulated.rows[row]
    return oracle.dosage(simulated.alleles[place], alt, simulated.haploid(kind), halved)


def pooled(simulated, trait, site, *, missing, site_effects, x_males, of_row=of_calls):
    """Naive fits of every row: β and its error per copy, t, n, df."""
    age = simulated.people["age"].to_numpy()
    sex = simulated.people["sex"].map({"M": 1.0, "F": 2.0}).to_numpy(float)
    values = simulated.people[trait].to_numpy(float)
    columns = []
    for row, (_, _, kind) in enumerate(simulated.rows):
        dosage = of_row(simulated, row, kind == "x" and x_males == "0/1")
        covariates = np.column_stack([age, sex]) if kind == "x" else age[:, None]
        fit = linear_oracle.fit(
            dosage[None],
            np.where(simulated.counted(kind), values, np.nan),
            covariates,
            site,
            missing=missing,
            site_effects=site_effects,
        )
        scale = EFFECT[kind]
        columns.append((scale * fit.beta[0], scale * fit.se[0], fit.t[0], fit.n[0], fit.df[0]))
    return np.array(columns).T


@pytest.mark.parametrize(
    ("missing", "site_effects"), [("mean", True), ("mean", False), ("drop", True), ("drop", False)]
)
@given(
    site=splits(),
    block_size=block_sizes,
    rows_per_shard=shard_sizes,
    trait=st.sampled_from(("trait", "lacking")),
    x_males=st.sampled_from(("0/2", "0/1")),
)
@law
def test_association_in_every_kind_of_rows(
    simulated, missing, site_effects, site, block_size, rows_per_shard, trait, x_males
):
    # A site with fewer males than a model has parameters refuses.
    known = simulated.counted("y") & simulated.people[trait].notna().to_numpy()
    assume(min(np.sum(known & (site == one)) for one in np.unique(site)) > 3)
    federation = simulate.split(
        simulated, site, block_size=block_size, rows_per_shard=rows_per_shard
    )
    model = {"missing": missing, "site_effects": site_effects, "x_males": x_males}
    found = federation.gwas(trait, covariates="age", **model)
    assert_pooled(found, *pooled(simulated, trait, site, **model))


def assert_pooled(found, beta, se, t, n, df) -> None:
    """A linear association is what `pooled` gives."""
    defined = np.isfinite(beta)
    assert defined.mean() > 0.8

    def values(name):
        return found[f"variant_linreg_{name}"].values[:, 0]

    np.testing.assert_array_equal(values("errcode") == ".", defined)
    np.testing.assert_array_equal(values("n"), n)
    np.testing.assert_array_equal(values("df"), df)
    assert (np.abs(values("beta") - beta)[defined] / se[defined]).max() <= RTOL
    np.testing.assert_allclose(values("se")[defined], se[defined], rtol=RTOL)
    np.testing.assert_allclose(values("t_value")[defined], t[defined], rtol=RTOL, atol=RTOL)


@pytest.fixture(scope="module")
def cohort(simulated):
    return ge.open_cohort(simulated.store.path)


class TestOneCohort:
    def test_sex_that_is_a_covariate_already_is_not_added_again(self, simulated, cohort):
        rows = [place for place, (_, _, kind) in enumerate(simulated.rows) if kind == "x"]
        once, twice = (
            cohort.gwas("trait", covariates=names)["variant_linreg_beta"].values[rows, 0]
            for names in (["age"], ["age", "sex"])
        )
        np.testing.assert_allclose(once, twice, rtol=1e-9)

    def test_sex_of_a_formula_is_a_covariate_too(self, simulated, cohort):
        rows = [place for place, (_, _, kind) in enumerate(simulated.rows) if kind == "x"]
        once, twice = (
            cohort.gwas("trait", covariates=names)["variant_linreg_beta"].values[rows, 0]
            for names in ("age", "age + C(sex)")
        )
        np.testing.assert_allclose(once, twice, rtol=1e-9)

    def test_a_covariate_that_is_constant_among_males_is_left_out_on_y(self, simulated, cohort):
        rows = [place for place, (_, _, kind) in enumerate(simulated.rows) if kind == "y"]
        with_sex = cohort.gwas("trait", covariates=["sex", "age"])
        without = cohort.gwas("trait", covariates="age")
        for name in ("beta", "se", "df", "neg_log10_p"):
            one, other = (
                found[f"variant_linreg_{name}"].values[rows, 0] for found in (with_sex, without)
            )
            np.testing.assert_allclose(one, other, rtol=1e-9)

    def test_everybody_of_one_sex_needs_no_sex_as_covariate(self, simulated, cohort):
        found = cohort.where(sex="M").gwas("trait", covariates="age", missing="drop")
        rows = [place for place, (_, _, kind) in enumerate(simulated.rows) if kind == "x"]
        site, alt, _ = simulated.rows[rows[0]]
        male = simulated.sex("M")
        dosage = oracle.dosage(simulated.alleles[site], alt, male, False)
        expected = linear_oracle.fit(
            dosage[None, male],
            simulated.people["trait"].to_numpy()[male],
            simulated.people[["age"]].to_numpy()[male],
            np.zeros(male.sum()),
            missing="drop",
        )
        beta = found["variant_linreg_beta"].values[rows[0], 0]
        assert beta == pytest.approx(expected.beta[0], rel=1e-9)

    def test_nobody_on_y_has_a_reason(self, simulated, cohort):
        found = cohort.where(sex="F").gwas("trait", covariates="age")
        codes = found["variant_linreg_errcode"].values[:, 0]
        kinds = np.array([kind for _, _, kind in simulated.rows])
        assert set(codes[kinds == "y"]) == {"TOO_FEW"}
        assert "." in codes[kinds == "x"]

    def test_a_pca_is_of_autosomes(self, simulated, cohort):
        assert cohort.pca(2).attrs["rows_total"] == sum(
            simulated.sites["alts"][simulated.sites["contig"] == "chr1"]
        )

    def test_components_are_of_autosomes_and_serve_all_rows(self, simulated, cohort):
        found = cohort.gwas("trait", pcs=2)
        assert found.sizes["variants"] == len(simulated.rows)
        assert (found["variant_linreg_errcode"].values == ".").mean() > 0.8


def assert_logistic(found, simulated, site, test, x_males, of_row=of_calls) -> set[str]:
    """Tests of a binary trait are naive ones of everybody; the kinds of rows that were compared."""
    age = simulated.people["age"].to_numpy()
    sex = simulated.people["sex"].map({"M": 1.0, "F": 2.0}).to_numpy(float)
    case = simulated.people["case"].to_numpy()
    compared = set()
    for row, (_, _, kind) in enumerate(simulated.rows):
        if found["variant_logreg_errcode"].values[row, 0] != ".":
            continue
        x = np.column_stack([age, sex]) if kind == "x" else age[:, None]
        who = simulated.counted(kind) & ~np.isnan(x).any(axis=1)
        halved = kind == "x" and x_males == "0/1"
        dosage = of_row(simulated, row, halved)[who]
        g = logistic_oracle.impute(dosage, site[who], True)
        z = (x[who] - x[who].mean(axis=0)) / x[who].std(axis=0)
        columns = logistic_oracle.columns(z, site[who], True)
        zero = np.zeros(int(who.sum()))
        if test == "score":
            u, v, _, _ = logistic_oracle.score(g, columns, case[who], zero)
            beta, se = u / v, v**-0.5
        elif test == "firth":
            beta, se, _ = logistic_oracle.firth_approximate(g, columns, case[who], zero)
        else:
            beta, se = logistic_oracle.wald(g, columns, case[who], zero)
        scale = EFFECT[kind]
        assert found["variant_logreg_beta"].values[row, 0] == pytest.approx(
            scale * beta, abs=RTOL * scale * se
        )
        assert found["variant_logreg_se"].values[row, 0] == pytest.approx(scale * se, rel=RTOL)
        people = [found[f"variant_logreg_n_{of}"].values[row, 0] for of in ("cases", "controls")]
        called = int((dosage >= 0).sum())
        assert sum(people) in (called, int(who.sum()))
        compared.add(kind)
    return compared


class TestLogistic:
    """A binary trait, by the same kinds of rows."""

    @pytest.mark.parametrize("x_males", ["0/2", "0/1"])
    @pytest.mark.parametrize("test", ["score", "wald", "firth"])
    @pytest.mark.parametrize("number", [1, 3])
    def test_every_kind_of_rows(self, simulated, test, x_males, number):
        site = np.array([f"S{place % number}" for place in range(PEOPLE)])
        federation = simulate.split(simulated, site, block_size=5, rows_per_shard=9)
        found = federation.gwas(
            "case", covariates=["age"], model="logistic", test=test, cutoff=0.0, x_males=x_males
        )
        compared = assert_logistic(found, simulated, site, test, x_males)
        assert compared == {"diploid", "x", "y", "mt"}

    def test_sex_as_a_covariate_is_none_on_y(self, simulated, cohort):
        rows = [place for place, (_, _, kind) in enumerate(simulated.rows) if kind == "y"]
        one, other = (
            cohort.gwas("case", covariates=names, model="logistic", test="score")
            for names in (["sex", "age"], ["age"])
        )
        np.testing.assert_allclose(
            one["variant_logreg_beta"].values[rows],
            other["variant_logreg_beta"].values[rows],
            rtol=1e-8,
        )

    def test_nobody_on_y_has_a_reason(self, simulated, cohort):
        found = cohort.where(sex="F").gwas("case", covariates="age", model="logistic")
        codes = found["variant_logreg_errcode"].values[:, 0]
        kinds = np.array([kind for _, _, kind in simulated.rows])
        assert set(codes[kinds == "y"]) == {"VIF_INFINITE"}
        assert "." in codes[kinds == "diploid"]
