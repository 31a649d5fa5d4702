from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genome_eu.stats.hwe import hardy_weinberg_exact, hardy_weinberg_neg_log10_p
from tests.oracles import hwe as oracle

genotypes = st.tuples(*[st.integers(0, 60)] * 3).filter(any)


class TestAgainstAllOutcomes:
    @given(genotypes)
    @example((1, 0, 0))
    @example((0, 1, 1))
    @example((2, 0, 0))
    @example((57, 14, 50))
    @settings(max_examples=150, deadline=None)
    def test_small_samples(self, counts):
        found, expected = hardy_weinberg_neg_log10_p(*counts), oracle.neg_log10_p(*counts)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-14)

    def test_every_outcome_of_every_allele_count_of_twelve_people(self):
        """Ties between outcomes that are equally likely are the hard part: list them all."""
        tables = [(het, a, 12 - het - a) for het in range(13) for a in range(13 - het)]
        found = hardy_weinberg_neg_log10_p(*np.array(tables).T)
        expected = [oracle.neg_log10_p(*table) for table in tables]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize(
        "counts",
        [(1000, 500, 500), (990, 520, 480), (400, 1500, 100), (3, 2000, 0), (1, 2000, 1)],
    )
    def test_thousands_of_people(self, counts):
        found, expected = hardy_weinberg_neg_log10_p(*counts), oracle.neg_log10_p(*counts)
        assert found == pytest.approx(expected, rel=1e-11, abs=1e-13)

    @pytest.mark.parametrize(
        "counts", [(0, 1000, 1000), (1, 1000, 1000), (0, 400, 1600), (2000, 0, 0), (1999, 1, 0)]
    )
    def test_p_far_below_the_smallest_float(self, counts):
        found = hardy_weinberg_neg_log10_p(*counts)
        assert found == pytest.approx(oracle.neg_log10_p(*counts), rel=1e-12)

    def test_the_largest_excess_of_homozygotes_is_beyond_float64(self):
        assert hardy_weinberg_neg_log10_p(0, 1000, 1000) > 500
        assert hardy_weinberg_exact(0, 1000, 1000) == 0.0

    def test_a_biobank_in_closed_form(self):
        """No outcome is as unlikely as no heterozygotes, so p is the probability of that one."""
        half = 250_000
        with mpmath.workdps(40):
            people, alleles = 2 * half, 4 * half
            log_p = (
                mpmath.loggamma(people + 1)
                - 2 * mpmath.loggamma(half + 1)
                + 2 * mpmath.loggamma(alleles // 2 + 1)
                - mpmath.loggamma(alleles + 1)
            )
            expected = float(-log_p / mpmath.log(10))
        assert hardy_weinberg_neg_log10_p(0, half, half) == pytest.approx(expected, rel=1e-11)


class TestSmallCases:
    def test_which_allele_is_the_alternative_does_not_matter(self):
        assert hardy_weinberg_neg_log10_p(5, 3, 40) == hardy_weinberg_neg_log10_p(5, 40, 3)

    @pytest.mark.parametrize("counts", [(0, 50, 0), (0, 0, 50), (1, 49, 0), (1, 0, 0)])
    def test_monomorphic_rows_and_single_carriers_fit_perfectly(self, counts):
        assert hardy_weinberg_exact(*counts) == 1.0
        assert hardy_weinberg_neg_log10_p(*counts) == 0.0

    def test_the_most_likely_outcome_has_p_one(self):
        found = hardy_weinberg_neg_log10_p(50, 25, 25)
        assert found == 0.0
        assert not np.signbit(found)

    def test_nobody_called_is_not_a_number(self):
        assert np.isnan(hardy_weinberg_neg_log10_p(0, 0, 0))
        assert np.isnan(hardy_weinberg_exact(0, 0, 0))

    def test_any_shape(self):
        het = np.arange(6).reshape(2, 3)
        found = hardy_weinberg_neg_log10_p(het, 10, 20)
        assert found.shape == (2, 3)
        assert found[1, 2] == hardy_weinberg_neg_log10_p(5, 10, 20)

    def test_p_is_the_power_of_its_logarithm(self):
        p = hardy_weinberg_exact([0, 4, 9], 30, 10)
        expected = [float(oracle.p_value(het, 30, 10)) for het in (0, 4, 9)]
        np.testing.assert_allclose(p, expected, rtol=1e-11)
