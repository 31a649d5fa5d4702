from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genome_eu.stats.hwe import hardy_weinberg_neg_log10_p
from genome_eu.stats.hwe_x import hardy_weinberg_x_neg_log10_p
from tests.oracles import hwe_x as oracle

genotypes = st.tuples(*[st.integers(0, 40)] * 5).filter(any)


class TestAgainstAllOutcomes:
    @given(genotypes)
    @example((1, 0, 0, 0, 1))
    @example((0, 0, 0, 4, 3))
    @example((0, 20, 20, 20, 20))
    @settings(max_examples=100, deadline=None)
    def test_small_samples(self, counts):
        found, expected = hardy_weinberg_x_neg_log10_p(*counts), oracle.neg_log10_p(*counts)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-14)

    def test_every_table_with_up_to_three_of_each(self):
        """Ties between outcomes that are equally likely are the hard part: list them all."""
        tables = [table for table in itertools.product(range(4), repeat=5) if any(table)]
        found = hardy_weinberg_x_neg_log10_p(*np.array(tables).T)
        expected = [oracle.neg_log10_p(*table) for table in tables]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize(
        "counts",
        [
            (0, 200, 200, 200, 200),
            (0, 300, 300, 0, 300),
            (400, 0, 0, 200, 0),
            (0, 0, 250, 200, 0),
            (1, 250, 250, 249, 251),
        ],
    )
    def test_p_far_below_the_smallest_float(self, counts):
        found = hardy_weinberg_x_neg_log10_p(*counts)
        assert found > 100
        assert found == pytest.approx(oracle.neg_log10_p(*counts), rel=1e-12)


class TestSmallCases:
    def test_without_males_it_is_the_test_of_diploids(self):
        het, a, b = np.random.default_rng(1).integers(0, 60, (3, 50))
        found = hardy_weinberg_x_neg_log10_p(het, a, b, 0, 0)
        np.testing.assert_allclose(
            found, hardy_weinberg_neg_log10_p(het, a, b), rtol=1e-12, atol=1e-14
        )

    def test_males_alone_fit_perfectly(self):
        assert hardy_weinberg_x_neg_log10_p(0, 0, 0, 30, 12) == 0.0

    def test_which_allele_is_the_alternative_does_not_matter(self):
        one = hardy_weinberg_x_neg_log10_p(9, 5, 30, 8, 41)
        assert one == pytest.approx(hardy_weinberg_x_neg_log10_p(9, 30, 5, 41, 8), rel=1e-13)

    def test_nobody_called_is_not_a_number(self):
        assert np.isnan(hardy_weinberg_x_neg_log10_p(0, 0, 0, 0, 0))

    def test_any_shape(self):
        het = np.arange(6).reshape(2, 3)
        found = hardy_weinberg_x_neg_log10_p(het, 10, 20, 7, 9)
        assert found.shape == (2, 3)
        assert found[1, 2] == hardy_weinberg_x_neg_log10_p(5, 10, 20, 7, 9)
