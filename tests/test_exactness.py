"""The comparison behind the benchmarks' table of exactness notices what differs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr

from benchmarks.exactness import MISSING, _among_few, table, told
from benchmarks.exactness.by_row import beside_chromosomes, linear_tests, logistic_tests
from benchmarks.exactness.difference import LAW, difference
from benchmarks.exactness.formulas import (
    at_mean_of_site,
    by_people,
    combined,
    least_squares,
    score_tests,
)
from benchmarks.exactness.people import PEOPLE, SMALL, SPLITS

ROWS = 5


def answer(**changed) -> xr.Dataset:
    """Some rows of a GWAS, with other values where they are given."""
    columns = {
        "variant_linreg_beta": np.array([1e-6, 0.2, -0.3, np.nan, 0.5]),
        "variant_linreg_se": np.array([0.1, 0.01, 0.2, np.nan, 0.1]),
        "variant_linreg_neg_log10_p": np.array([0.01, 88.0, 0.9, np.nan, 6.0]),
        "variant_linreg_allele_frequency": np.array([0.1, 0.4, 1e-9, 0.0, 0.5]),
        "variant_linreg_n": np.array([10, 10, 10, 0, 9]),
        "variant_linreg_errcode": np.array([".", ".", ".", "TOO_FEW", "."], dtype=object),
        "variant_id": np.array([f"v{row}" for row in range(ROWS)], dtype=object),
    }
    return xr.Dataset({name: ("variants", values) for name, values in (columns | changed).items()})


def shifted(name: str, row: int, by: float) -> xr.Dataset:
    values = answer()[name].values.copy()
    values[row] += by
    return answer(**{name: values})


def test_the_same_answer_does_not_differ():
    found = difference(answer(), answer())
    assert (found.largest, found.values, found.lawful) == (0.0, 4 * 4 + 1 + 2 * ROWS, True)


@pytest.mark.parametrize(
    ("name", "row", "by", "expected"),
    [
        # In standard errors, not of itself.
        ("variant_linreg_beta", 0, 1e-9, 1e-8),
        ("variant_linreg_beta", 1, 3e-10, 3e-8),
        ("variant_linreg_se", 2, 2e-8, 1e-7),
        # Of itself above 1, as it is below.
        ("variant_linreg_neg_log10_p", 1, 8.8e-7, 1e-8),
        ("variant_linreg_neg_log10_p", 0, 5e-8, 5e-8),
        # Of the largest in its column.
        ("variant_linreg_allele_frequency", 2, 1e-8, 2e-8),
    ],
)
def test_each_number_has_its_scale(name, row, by, expected):
    found = difference(shifted(name, row, by), answer())
    assert found.variable == name
    assert found.largest == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "found",
    [
        answer(variant_linreg_n=np.array([10, 10, 10, 0, 8])),
        answer(variant_linreg_errcode=np.array([".", ".", ".", "CONST_ALLELE", "."], dtype=object)),
        shifted("variant_linreg_se", 4, np.nan),
        shifted("variant_linreg_beta", 4, np.inf),
        answer(variant_linreg_se=np.array([0.1, 0.01, 0.2, 0.2, 0.1])),
        answer().isel(variants=slice(4)),
        answer().drop_vars("variant_linreg_beta"),
    ],
)
def test_what_has_no_scale_is_infinitely_far(found):
    assert difference(found, answer()).largest == math.inf


def test_names_of_rows_are_each_stores_own():
    found = answer(variant_id=np.array(list("abcde"), dtype=object))
    assert difference(found, answer()).largest == 0.0


def test_signs_of_components_are_aligned_and_nothing_else():
    loadings = np.array([[0.6, 0.0], [-0.8, 1.0], [0.0, 0.1]])
    of = {"sample_pca_component": (("variants", "components"), loadings)}
    turned = {"sample_pca_component": (("variants", "components"), loadings * [-1.0, 1.0])}
    assert difference(xr.Dataset(turned), xr.Dataset(of)).largest == 0.0
    mixed = {"sample_pca_component": (("variants", "components"), np.abs(loadings))}
    assert difference(xr.Dataset(mixed), xr.Dataset(of)).largest > 1.0


def test_a_table_is_compared_by_its_columns():
    lines = pd.DataFrame({"group": ["a", "b"], "fst": [0.01, 0.02]})
    assert difference(lines, lines).values == 4
    assert difference(lines.assign(fst=[0.01, 0.03]), lines).largest == pytest.approx(0.5)


def test_a_broken_law_is_a_failure_of_the_suite():
    right, wrong = answer(), shifted("variant_linreg_beta", 1, 1e-9)
    rows = [
        {"sites": 3, "small": False, "missing": 0.1, **row}
        for row in told({"equal": right, "off": wrong}, {"equal": right, "off": right})
    ]
    assert [row["failure"] for row in rows] == ["", "failed: variant_linreg_beta is 1.0e-07 off"]
    text = table(rows)
    assert "| off | 27 | **1e-07** | **1e-07** | `variant_linreg_beta` |" in text
    assert "off, sites: 3, 10% missing: failed: variant_linreg_beta is 1.0e-07 off." in text
    assert f"1 of 2 comparisons within {LAW:g}" in text


def test_an_answer_of_nothing_is_a_failure():
    nothing = xr.Dataset()
    assert not difference(nothing, nothing).lawful
    (row,) = told({"empty": nothing}, {"empty": nothing})
    assert row["failure"].startswith("failed")


def test_either_half_of_the_people_is_spread_alike():
    for split in SPLITS:
        place = split.place()
        np.testing.assert_array_equal(*np.split(place, 2))
        sizes = np.bincount(place)
        assert sizes.sum() == PEOPLE
        assert sizes.size == split.sites
        assert (sizes.min() == SMALL) == split.small


def test_the_formulas_are_those_of_one_row_at_a_time():
    rng = np.random.default_rng(1)
    site, y = np.arange(60) % 2, rng.normal(size=60)
    dosage = rng.integers(-1, 3, (3, 60))
    g = at_mean_of_site(dosage, site)
    assert g[0, (site == 1) & (dosage[0] < 0)] == pytest.approx(
        dosage[0, (site == 1) & (dosage[0] >= 0)].mean()
    )
    x = np.column_stack([site == 0, site == 1, rng.normal(size=60)]).astype(float)
    found = least_squares(g, y, x, np.array([True, True, False]))
    whole = np.column_stack([x, g[1]])
    beta, rss, _, _ = np.linalg.lstsq(whole, y, rcond=None)
    error = np.sqrt(rss[0] / 56 * np.linalg.inv(whole.T @ whole)[-1, -1])
    assert found["variant_linreg_beta"].values[1, 0] == pytest.approx(beta[-1], rel=1e-12)
    assert found["variant_linreg_se"].values[1, 0] == pytest.approx(error, rel=1e-12)
    assert np.isnan(found["variant_linreg_beta"].values[2, 0])
    # At a flat null model of intercepts alone, the score is that of a difference of means.
    case = (rng.random(60) < 0.5).astype(float)
    tested = score_tests(g, case, np.ones((60, 1)), np.ones(3, bool))
    mean = case.mean()
    u = (case - mean) @ g[0]
    v = mean * (1 - mean) * ((g[0] - g[0].mean()) ** 2).sum()
    assert tested["variant_logreg_z_value"].values[0, 0] == pytest.approx(u / v**0.5, rel=1e-10)


def test_thinned_questions_are_asked_of_any_number_of_sites_with_any_share_missing():
    asked = {
        (missing, split) for missing in MISSING for split in SPLITS if _among_few(missing, split)
    }
    assert len(asked) == len({(missing, split.sites) for missing, split in asked}) == 12
    assert {(missing, split.small) for missing, split in asked} == {
        (missing, small) for missing in MISSING for small in (False, True)
    }


def two_sites(people: int = 400):
    """Rows of two chromosomes at two sites, with covariates and cases."""
    rng = np.random.default_rng(2)
    site, age = np.arange(people) % 2, rng.normal(size=people)
    dosage = rng.integers(-1, 3, (6, people))
    case = (rng.random(people) < 1 / (1 + np.exp(-0.8 * dosage[0].clip(0)))).astype(float)
    return dosage, site, age[:, None], case


def test_tests_of_rows_are_statsmodels_and_agree_with_each_other():
    dosage, site, age, case = two_sites()
    g = at_mean_of_site(dosage, site)
    x = np.column_stack([site == 0, site == 1, age]).astype(float)

    def tests(test: str, cutoff: float = 0.0) -> tuple:
        found = logistic_tests(g, case, x, test, cutoff)
        return tuple(found[f"variant_logreg_{name}"].values[:, 0] for name in ("beta", "se"))

    for row in range(len(g)):
        theirs = sm.Logit(case, np.column_stack([x, g[row]])).fit(
            disp=0, method="newton", tol=1e-14
        )
        assert tests("wald")[0][row] == pytest.approx(theirs.params[-1], rel=1e-9)
        assert tests("wald")[1][row] == pytest.approx(theirs.bse[-1], rel=1e-9)
    once = score_tests(g, case, x, np.ones(len(g), bool))
    for test in ("score", "spa", "firth"):
        np.testing.assert_allclose(
            tests(test, math.inf)[0], once["variant_logreg_beta"].values[:, 0], rtol=1e-9
        )
    # Of many people with common alleles all tests say about the same.
    scored = logistic_tests(g, case, x, "score", 0.0)["variant_logreg_z_value"]
    for test in ("spa", "firth", "wald", "firth-full"):
        z = logistic_tests(g, case, x, test, 0.0)["variant_logreg_z_value"]
        np.testing.assert_allclose(z, scored, rtol=0.1, atol=0.02)


def test_predictions_beside_a_chromosome_are_of_the_others():
    dosage, site, age, case = two_sites()
    rows = pd.DataFrame({"contig": ["1", "1", "1", "2", "2", "2"]})
    settings = {"block": 2, "folds": 2, "min_frequency": 0.01, "heritability": (0.3,)}
    y = case + 0.1 * age[:, 0]
    beside = beside_chromosomes(dosage, rows, y, age, site, settings)
    assert (beside[:3] == beside[0]).all()
    assert (beside[3:] == beside[3]).all()
    # The row that explains the trait is on the first chromosome.
    explained = [np.corrcoef(beside[row], y)[0, 1] for row in (0, 3)]
    assert explained[1] > 0.2 > abs(explained[0])
    # Without predictions, tests are those of least squares but for their degrees of freedom.
    nothing = np.zeros(beside.shape)
    found = linear_tests(dosage, y, age, site, nothing)
    x = np.column_stack([site == 0, site == 1, age]).astype(float)
    plain = least_squares(at_mean_of_site(dosage, site), y, x, np.ones(6, bool))
    np.testing.assert_allclose(
        found["variant_linreg_beta"], plain["variant_linreg_beta"], rtol=1e-9
    )


def test_the_meta_analyses_are_those_of_two_equal_studies():
    beta, se = np.array([[0.2, 0.1], [0.2, 0.5]]), np.full((2, 2), 0.1)
    found = combined(beta, se)
    np.testing.assert_allclose(found["variant_meta_beta"], [0.2, 0.3])
    np.testing.assert_allclose(found["variant_meta_se"], 0.1 / 2**0.5)
    np.testing.assert_allclose(found["variant_meta_q"], [0.0, 8.0], atol=1e-12)
    np.testing.assert_allclose(found["variant_meta_i_squared"], [0.0, 7 / 8])
    np.testing.assert_allclose(found["variant_meta_tau2"], [0.0, 0.07])
    np.testing.assert_allclose(found["variant_meta_random_se"][0], 0.1 / 2**0.5)
    t, people = np.array([[2.0], [2.0]]), np.full((2, 1), 1e7)
    assert by_people(t, people, people)["variant_meta_z"].values[0] == pytest.approx(
        8**0.5, rel=1e-6
    )
