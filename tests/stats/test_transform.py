from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from genome_eu.errors import TraitError, UsageError
from genome_eu.stats import transform

NAN = np.nan


def naive_rint(values):
    """Φ⁻¹((r − 3/8)/(n + 1/4)), r the mean rank of equal values, one person at a time."""
    known = [v for v in values if not np.isnan(v)]
    out = []
    for value in values:
        below, equal = sum(v < value for v in known), sum(v == value for v in known)
        rank = below + (equal + 1) / 2
        out.append(norm.ppf((rank - 0.375) / (len(known) + 0.25)) if equal else NAN)
    return np.array(out)


class TestRankInverseNormal:
    def test_as_the_definition_reads(self):
        values = np.random.default_rng(1).normal(size=40).round(1)
        values[[3, 7]] = NAN
        found = transform.rank_inverse_normal(values)
        np.testing.assert_allclose(found, naive_rint(values), rtol=1e-12, atol=1e-14)

    def test_ties_share_their_mean_rank(self):
        found = transform.rank_inverse_normal(np.array([5.0, 1.0, 5.0, 9.0]))
        assert found[0] == found[2]
        assert found[0] == pytest.approx(norm.ppf((2.5 - 0.375) / 4.25), rel=1e-12)

    def test_only_ranks_matter(self):
        values = np.random.default_rng(2).normal(size=25)
        once = transform.rank_inverse_normal(values)
        np.testing.assert_array_equal(once, transform.rank_inverse_normal(np.exp(3 * values)))

    def test_nobody_and_everybody_alike(self):
        assert np.isnan(transform.rank_inverse_normal(np.full(3, NAN))).all()
        np.testing.assert_allclose(transform.rank_inverse_normal(np.full(3, 7.0)), 0, atol=1e-15)


class TestStandardize:
    def test_mean_and_spread(self):
        found = transform.standardize(np.array([1.0, NAN, 3.0, 8.0]))
        assert np.nanmean(found) == pytest.approx(0, abs=1e-15)
        assert np.nanstd(found, ddof=1) == pytest.approx(1, rel=1e-14)
        assert np.isnan(found[1])

    @pytest.mark.parametrize("values", [[0.1, 0.1, 0.1], [4.0], [NAN, 4.0]])
    def test_without_variation_there_is_nothing_to_divide_by(self, values):
        found = transform.standardize(np.array(values))
        np.testing.assert_array_equal(found, np.where(np.isnan(values), NAN, 0.0))


class TestTransformed:
    y = np.array([[1.0, 10.0], [2.0, NAN], [4.0, 30.0], [8.0, 5.0]])

    def test_each_trait_among_its_own_people_who_are_analysed(self):
        analysed = np.array([True, True, False, True])
        found = transform.transformed(self.y, analysed, "rint")
        assert np.isnan(found[2]).all()
        np.testing.assert_allclose(
            found[[0, 1, 3], 0], naive_rint(np.array([1, 2, 8.0])), atol=1e-12
        )
        np.testing.assert_allclose(found[[0, 3], 1], naive_rint(np.array([10.0, 5.0])))

    def test_logarithm(self):
        found = transform.transformed(self.y, np.ones(4, bool), "log")
        np.testing.assert_array_equal(found, np.log(self.y))
        with pytest.raises(TraitError, match="not positive"):
            transform.transformed(self.y - 5, np.ones(4, bool), "log")
        # Who is not analysed does not matter.
        transform.transformed(self.y - 1.5, np.array([False, True, True, True]), "log")

    def test_a_transform_that_does_not_exist(self):
        with pytest.raises(UsageError, match="choose rint, log, standardize"):
            transform.transformed(self.y, np.ones(4, bool), "cube")
