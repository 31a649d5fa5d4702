from __future__ import annotations

import numpy as np
import pytest

from genome_eu.errors import TraitError
from genome_eu.stats import traits

NAN = np.nan


class TestMoments:
    def test_sums_are_over_people_with_every_covariate(self):
        x = np.array([[1.0, 10.0], [2.0, NAN], [3.0, 30.0], [4.0, 40.0]])
        y = np.array([[1.0, 5.0], [100.0, 100.0], [NAN, 7.0], [2.0, NAN]])
        found = traits.summarize(x, y)
        np.testing.assert_array_equal(found.trait_people, [2, 2])
        np.testing.assert_array_equal(found.trait_sum, [3, 12])
        np.testing.assert_array_equal(found.trait_square, [5, 74])
        assert found.covariate_people == 3
        np.testing.assert_array_equal(found.covariate_sum, [8, 80])
        np.testing.assert_array_equal(found.covariate_square, [26, 2600])

    def test_without_covariates_everybody_counts(self):
        found = traits.summarize(np.empty((3, 0)), np.array([[1.0], [NAN], [4.0]]))
        assert found.trait_people == [2]
        assert found.covariate_people == 3

    def test_a_trait_that_nobody_has(self):
        found = traits.summarize(np.empty((3, 0)), np.array([[NAN, 1.0]] * 3))
        np.testing.assert_array_equal(found.trait_people, [0, 3])
        assert found.trait_sum[0] == 0.0


class TestPatterns:
    def test_traits_of_the_same_people_share_a_number(self):
        y = np.array([[1, 1, NAN, 1], [2, 2, 2, 2], [NAN, 3, 3, NAN]], float)
        np.testing.assert_array_equal(traits.summarize(np.empty((3, 0)), y).pattern, [0, 1, 2, 0])

    def test_numbers_do_not_depend_on_the_order_of_people(self):
        rng = np.random.default_rng(1)
        y = np.where(rng.random((30, 6)) < 0.3, NAN, 1.0)
        y[:, 4] = y[:, 1]
        once = traits.summarize(np.empty((30, 0)), y).pattern
        again = traits.summarize(np.empty((30, 0)), y[rng.permutation(30)]).pattern
        np.testing.assert_array_equal(once, again)
        assert once[4] == once[1]

    def test_a_missing_covariate_removes_a_difference(self):
        y = np.array([[1.0, 1.0], [1.0, NAN]])
        x = np.array([[1.0], [NAN]])
        np.testing.assert_array_equal(traits.summarize(x, y).pattern, [0, 0])

    def test_traits_are_grouped_only_if_they_share_people_at_every_site(self):
        groups = traits.trait_groups([np.array([0, 0, 1, 0]), np.array([0, 1, 0, 0])])
        assert groups == (0, 1, 2, 0)

    def test_groups_are_numbered_in_the_order_of_their_first_traits(self):
        rng = np.random.default_rng(2)
        patterns = [rng.integers(0, 3, 20) for _ in range(3)]
        groups = traits.trait_groups(patterns)
        keys = list(zip(*patterns, strict=True))
        for trait, group in enumerate(groups):
            assert keys.index(keys[trait]) == groups.index(group)
        assert list(dict.fromkeys(groups)) == list(range(max(groups) + 1))


class TestOrigins:
    def test_mean_and_standard_deviation_over_all_sites(self):
        rng = np.random.default_rng(3)
        x = rng.normal([1960, 0.5], [12, 3], (500, 2))
        parts = [traits.summarize(x[i::3], x[i::3]) for i in range(3)]
        found = traits.origins(
            sum(part.covariate_people for part in parts),
            sum(part.covariate_sum for part in parts),
            sum(part.covariate_square for part in parts),
        )
        np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-13)
        np.testing.assert_allclose(found.scale, x.std(axis=0), rtol=1e-10)

    @pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1960.0, 1e6 / 3])
    def test_a_constant_has_scale_zero(self, value):
        column = np.full(1001, value)
        found = traits.origins(np.array(1001), column.sum(), (column**2).sum())
        assert found.scale == 0.0

    def test_a_little_variation_far_from_zero_is_seen(self):
        column = np.array([1960.0] * 999 + [1961.0])
        found = traits.origins(np.array(1000), column.sum(), (column**2).sum())
        assert found.scale == pytest.approx(column.std(), rel=1e-6)

    def test_a_constant_column_is_named(self):
        columns = traits.Origins(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0]))
        with pytest.raises(TraitError, match=r"covariate age, sex has the same value for everybod"):
            traits.require_variation(["age", "bmi", "sex"], "covariate", columns)

    def test_columns_that_vary_pass(self):
        traits.require_variation(["age"], "covariate", traits.Origins(np.ones(1), np.ones(1)))
