from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from genome_eu.errors import UsageError
from genome_eu.stats.faf import LEVELS, filtering_allele_frequency, group_max
from tests.oracles import faf as oracle


@pytest.mark.parametrize("level", LEVELS)
class TestFilteringAlleleFrequency:
    @pytest.mark.parametrize("alleles", [2, 3, 10, 77])
    def test_against_the_search(self, alleles, level):
        found = filtering_allele_frequency(alleles, 1006, level)
        assert found == pytest.approx(oracle.faf(alleles, 1006, level), rel=1e-13)

    def test_the_upper_count_at_that_frequency_stays_below_ac(self, level):
        """gnomAD's definition: the largest AF with qpois(ci, AN·AF) = AC − 1."""
        alleles = np.arange(2, 400)
        number = 60_000
        faf = filtering_allele_frequency(alleles, np.full(alleles.size, number), level)
        np.testing.assert_array_equal(poisson.ppf(level, number * faf * (1 - 1e-10)), alleles - 1.0)
        np.testing.assert_array_equal(poisson.ppf(level, number * faf * (1 + 1e-10)), alleles)

    def test_one_allele_bounds_nothing(self, level):
        found = filtering_allele_frequency([0, 1, 5, 0], [100, 100, 0, 0], level)
        np.testing.assert_array_equal(found, [0.0, 0.0, 0.0, 0.0])

    def test_what_is_withheld_has_none(self, level):
        assert np.isnan(filtering_allele_frequency(-1, -1, level))

    def test_it_is_below_the_frequency(self, level):
        alleles = np.arange(2, 1000)
        assert (filtering_allele_frequency(alleles, 2000, level) < alleles / 2000).all()


def test_more_confidence_gives_a_lower_bound():
    low, high = (filtering_allele_frequency(40, 1000, level) for level in (0.99, 0.95))
    assert low < high


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_is_a_probability(level):
    with pytest.raises(UsageError, match="is not between 0 and 1; use 0.95 or 0.99"):
        filtering_allele_frequency(5, 100, level)


class TestGroupMax:
    def test_the_highest_bound_and_its_group(self):
        found = group_max(np.array([[0.1, 0.3, 0.2], [0.0, 0.0, 0.0]]), ["FIN", "GBR", "TSI"])
        assert found.groups == ("FIN", "GBR", "TSI")
        assert found.faf.tolist() == [0.3, 0.0]
        assert found.group.tolist() == [1, -1]

    def test_of_equal_groups_the_first(self):
        assert group_max(np.array([[0.2, 0.2]]), ["a", "b"]).group.tolist() == [0]

    def test_a_withheld_group_may_be_the_highest(self):
        found = group_max(np.array([[0.2, np.nan]]), ["a", "b"])
        assert np.isnan(found.faf[0])
        assert found.group[0] == -1

    def test_it_is_not_the_group_with_the_highest_frequency(self):
        ac, an = np.array([[3, 400]]), np.array([[20, 4000]])
        faf = filtering_allele_frequency(ac, an, 0.95)
        assert (ac / an).argmax() == 0
        assert group_max(faf, ["few", "many"]).group[0] == 1

    @pytest.mark.parametrize("names", [[], ["a"]])
    def test_every_group_has_a_name(self, names):
        with pytest.raises(UsageError, match="name each group, at least one"):
            group_max(np.zeros((2, 2)), names)
