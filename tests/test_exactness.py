"""The comparison behind the benchmarks' table of exactness notices what differs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks.exactness import table, told
from benchmarks.exactness.difference import LAW, difference
from benchmarks.exactness.formulas import at_mean_of_site, least_squares, score_tests
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
