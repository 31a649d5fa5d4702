from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from genome_eu.stats.tails import t_neg_log10_p
from tests.oracles import tails as oracle


class TestAgainstTheSeriesInManyDigits:
    @pytest.mark.parametrize("df", [1, 2, 3, 10, 57, 300, 2500, 100_000])
    @pytest.mark.parametrize("t", [1e-3, 0.3, 1.0, 2.0, 5.5, 19.0, 38.0, 1e3, 1e8])
    def test_every_size_of_t_and_df(self, t, df):
        assert t_neg_log10_p(t, df) == pytest.approx(oracle.t_neg_log10_p(t, df), rel=1e-12)

    @pytest.mark.parametrize(
        ("t", "df"), [(36, 500_000), (37, 500_000), (40, 500_000), (60, 1_000_000), (50, 20_000)]
    )
    def test_biobank_sizes_on_both_sides_of_the_smallest_float(self, t, df):
        assert t_neg_log10_p(t, df) == pytest.approx(oracle.t_neg_log10_p(t, df), rel=1e-12)

    @pytest.mark.parametrize(("t", "df"), [(1000, 300), (1e150, 3), (1e160, 3), (1e300, 7)])
    def test_p_below_the_smallest_float_keeps_its_logarithm(self, t, df):
        found = t_neg_log10_p(t, df)
        assert found > 308
        assert found == pytest.approx(oracle.t_neg_log10_p(t, df), rel=1e-13)

    def test_small_p_joins_smaller_p_without_a_step(self):
        """Where the logarithm takes over from the p-value itself, at about 1e-280."""
        t = np.linspace(35.5, 36.5, 201)
        steps = np.diff(t_neg_log10_p(t, 1e6))
        # The second difference of −log10 p is that of t²/(2 ln 10), about 1e-5 here.
        np.testing.assert_allclose(np.diff(steps), 0.005**2 / np.log(10), rtol=1e-2)


class TestManyTestsWithOneDf:
    """Those below |t| = 8 come from a table; a single test never does."""

    @staticmethod
    def _points() -> np.ndarray:
        rng = np.random.default_rng(5)
        near_zero = 10.0 ** rng.uniform(-12, -2, 15)
        # Cells are 1/64 wide; their middles and the table's two ends are where it could err most.
        middles = (rng.integers(0, 512, 15) + 0.5) / 64
        ends = [0.5 / 64, 1 / 64, np.nextafter(8.0, 0), 8.0, np.nextafter(8.0, 9), 8.5]
        return np.concatenate([near_zero, rng.uniform(0, 8, 25), middles, ends])

    @pytest.mark.parametrize("df", [10, 11, 17, 57, 300, 2500, 9986, 100_000, 500_000, 10_000_000])
    def test_the_table_is_the_series(self, df):
        t = self._points()
        found = t_neg_log10_p(np.repeat(t[:, None], 600, axis=1), df)
        assert (found == found[:, :1]).all()
        expected = [oracle.t_neg_log10_p(value, df) for value in t]
        np.testing.assert_allclose(found[:, 0], expected, rtol=1e-13)

    @pytest.mark.parametrize("df", [0.5, 1, 4, 9.5, 10, 57, 9986, 500_000, 10_000_000])
    def test_a_single_test_is_the_series(self, df):
        t = self._points()
        expected = [oracle.t_neg_log10_p(value, df) for value in t]
        found = [float(t_neg_log10_p(value, df)) for value in t]
        np.testing.assert_allclose(found, expected, rtol=1e-13)

    def test_rows_with_df_of_their_own(self):
        rng = np.random.default_rng(6)
        t = rng.normal(0, 3, (400, 30))
        t[0, :3] = np.nan, np.inf, 0.0
        df = rng.choice(
            [0, 3, 9, 10, 97, 98, np.nan, np.inf], (400, 1), p=[0.01] * 4 + [0.47] * 2 + [0.01] * 2
        )
        found = t_neg_log10_p(t, df)
        one_by_one = [t_neg_log10_p(value, free) for value, free in np.broadcast(t, df)]
        np.testing.assert_allclose(found.ravel(), one_by_one, rtol=2e-13)
        np.testing.assert_array_equal(found, t_neg_log10_p(t, np.repeat(df, 30, axis=1)))
        np.testing.assert_array_equal(found.T, t_neg_log10_p(t.T, df.T))

    def test_no_tests_at_all(self):
        assert t_neg_log10_p(np.empty((0, 4)), np.empty((0, 1))).shape == (0, 4)
        assert t_neg_log10_p(np.empty((4, 0)), 7).shape == (4, 0)
        assert t_neg_log10_p(np.empty((4, 0)), np.full((4, 1), 7)).shape == (4, 0)


class TestSmallCases:
    def test_it_is_the_tail_of_student(self):
        t = np.linspace(-8, 8, 41)
        expected = -np.log10(2 * stats.t.sf(np.abs(t), 12))
        np.testing.assert_allclose(t_neg_log10_p(t, 12), expected, rtol=1e-11, atol=1e-15)

    def test_the_sign_of_t_does_not_matter(self):
        assert t_neg_log10_p(-7.3, 20) == t_neg_log10_p(7.3, 20)

    def test_no_effect_has_p_one_and_not_minus_zero(self):
        found = t_neg_log10_p(0.0, 5)
        assert found == 0.0
        assert not np.signbit(found)

    def test_a_fit_without_residual_has_p_zero(self):
        assert t_neg_log10_p(np.inf, 10) == np.inf
        assert t_neg_log10_p(-np.inf, 10) == np.inf

    @pytest.mark.parametrize(("t", "df"), [(np.nan, 5), (2.0, 0), (2.0, -3), (2.0, np.nan)])
    def test_what_has_no_tail_is_not_a_number(self, t, df):
        assert np.isnan(t_neg_log10_p(t, df))

    def test_t_and_df_broadcast(self):
        found = t_neg_log10_p(np.array([[1.0], [2.0]]), np.array([3, 4, 0]))
        assert found.shape == (2, 3)
        assert found[1, 1] == t_neg_log10_p(2.0, 4)
        assert np.isnan(found[:, 2]).all()
