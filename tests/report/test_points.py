"""Thinning, genome places and lambda: the arithmetic under the plots."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from genome_eu.errors import UsageError
from genome_eu.report.points import (
    association_tests,
    genome,
    quantiles,
    shown_groups,
    thin,
)
from genome_eu.stats.inflation import genomic_inflation
from tests.formats import fake_results as fake


def test_thinning_keeps_the_highest_and_the_limit():
    rng = np.random.default_rng(0)
    x, height = rng.uniform(0, 3000, 200_000), rng.exponential(size=200_000)
    chosen = thin(x, height, 8000)
    assert 4000 < len(chosen) <= 8000
    assert set(np.argsort(height)[-2000:]) <= set(chosen)
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, thin(x, height, 8000))
    np.testing.assert_array_equal(thin(x[:50], height[:50], 50), np.arange(50))


def test_thinning_can_keep_what_is_not_highest():
    loading = np.random.default_rng(0).normal(size=50_000)
    loading[7] = -40
    assert 7 in thin(np.arange(50_000.0), loading, 500, keep=np.abs(loading))
    assert len(thin(np.zeros(999), np.zeros(999), 100)) <= 100


def test_chromosomes_lie_end_to_end():
    result = fake.gwas(400)
    place = genome(result)
    assert (np.diff(place.x) >= 0).all()
    assert place.names == [str(k) for k in range(1, 23)]
    for k, centre in enumerate(place.centres):
        own = place.x[place.contig == k]
        assert own.min() <= centre + 100
        assert own.max() >= centre


def test_lambda_is_the_ratio_of_medians():
    p = np.random.default_rng(0).uniform(size=1001)
    chi2 = stats.chi2.isf(p, 1)
    expected = np.median(chi2) / stats.chi2.ppf(0.5, 1)
    assert genomic_inflation(-np.log10(p)) == pytest.approx(expected, rel=1e-9)
    assert np.isnan(genomic_inflation(np.array([])))


def test_the_band_is_that_of_ordered_uniforms():
    points = quantiles(-np.log10(np.random.default_rng(0).uniform(size=5000)))
    n, rank = 5000, np.round(5000 * 10**-points.expected + 0.5)
    exact = [-np.log10(stats.beta.ppf(q, rank, n - rank + 1)) for q in (0.975, 0.025)]
    early = rank < 500
    np.testing.assert_allclose(points.low[early], exact[0][early], atol=0.06)
    np.testing.assert_allclose(points.high[early], exact[1][early], atol=0.06)
    assert len(quantiles(np.array([])).observed) == 0


def test_only_finished_tests_are_drawn():
    result = fake.gwas()
    tests = association_tests(result)
    assert tests.trait == "ldl"
    assert not {2, 4} & set(tests.rows)
    assert len(tests.rows) == 58
    with pytest.raises(UsageError, match=r"no trait 'hdl'\. It has: ldl, bmi"):
        association_tests(result, "hdl")


@pytest.mark.parametrize("mark", [True, "ldl", ["ldl"], '["ldl", "hdl"]'])
def test_a_simulated_trait_is_labelled(mark):
    result = fake.gwas()
    assert association_tests(result, "ldl").label == "ldl"
    result.attrs["simulated"] = mark
    assert association_tests(result, "ldl").label == "ldl (simulated trait)"
    if mark is not True:
        assert association_tests(result, "bmi").label == "bmi"


def test_groups_split_by_sex_are_not_compared_unless_asked():
    assert shown_groups(fake.frequencies()) == ["FIN", "TSI"]
    assert shown_groups(fake.frequencies(groups=["F", "M"])) == ["F", "M"]
    assert shown_groups(fake.frequencies(), ["FIN_F", "Total"]) == ["FIN_F", "Total"]
    with pytest.raises(UsageError, match="no group 'SWE'"):
        shown_groups(fake.frequencies(), ["SWE"])
