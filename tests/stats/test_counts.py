from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from genome_eu.stats import counts
from genome_eu.stats.aggregate import merge
from tests import simulate
from tests.oracles import counts as oracle
from tests.oracles import hwe as hwe_oracle

PEOPLE = 61


@pytest.fixture(scope="module")
def dosage() -> np.ndarray:
    return simulate.dosages(40, PEOPLE, 0.1, seed=4)


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    """People left out (−1), in no group (0), in two groups (1, 2); group 3 is empty."""
    return np.random.default_rng(5).integers(-1, 3, PEOPLE)


def masks(groups: np.ndarray, n_groups: int) -> list[np.ndarray]:
    return [groups >= 0, *(groups == group for group in range(1, n_groups))]


class TestAgainstTheDefinition:
    @pytest.mark.parametrize("kernels", ["cpu", "reference"])
    def test_every_statistic_of_every_group(self, dosage, groups, kernels):
        sums = counts.summarize(simulate.block(dosage, kernels), groups, 4)
        found = counts.finalize(sums)
        for name, expected in oracle.frequencies(dosage, masks(groups, 4)).items():
            np.testing.assert_array_equal(getattr(found, name), expected, err_msg=name)

    def test_hardy_weinberg_of_every_group(self, dosage, groups):
        found = counts.finalize(counts.summarize(simulate.block(dosage), groups, 3))
        expected = oracle.frequencies(dosage, masks(groups, 3))
        for row in range(len(dosage)):
            for group in range(3):
                genotypes = [
                    int(expected[name][row, group]) for name in ("n_het", "n_hom_ref", "n_hom_alt")
                ]
                p = hwe_oracle.neg_log10_p(*genotypes) if any(genotypes) else np.nan
                assert found.hwe_neg_log10_p[row, group] == pytest.approx(
                    p, rel=1e-11, abs=1e-14, nan_ok=True
                )

    def test_counts_are_integers(self, dosage, groups):
        sums = counts.summarize(simulate.block(dosage), groups, 3)
        for name in ("people", "called", "allele_count", "het", "hom_alt"):
            assert getattr(sums, name).dtype == np.int64
        found = counts.finalize(sums)
        assert found.allele_count.dtype == np.int64
        assert found.n_hom_ref.dtype == np.int64

    def test_two_parts_of_the_people_sum_to_all(self, dosage):
        first = np.arange(PEOPLE) < 17
        everybody = counts.summarize(simulate.block(dosage), np.zeros(PEOPLE, int), 1)
        both = merge(
            [
                counts.summarize(simulate.block(dosage[:, chosen]), np.zeros(chosen.sum(), int), 1)
                for chosen in (first, ~first)
            ]
        )
        for name in ("people", "called", "allele_count", "het", "hom_alt"):
            np.testing.assert_array_equal(getattr(both, name), getattr(everybody, name))


class TestSpecialRows:
    @pytest.fixture
    def found(self, dosage) -> counts.Frequencies:
        return counts.finalize(
            counts.summarize(simulate.block(dosage), np.zeros(PEOPLE, int), 1),
        )

    def test_a_row_that_nobody_carries_is_observed_at_zero(self, found):
        row = simulate.SPECIAL_ROWS["nobody carries"]
        assert found.allele_frequency[row, 0] == 0.0
        assert found.allele_number[row, 0] > 0

    def test_a_row_that_all_carry_twice(self, found):
        row = simulate.SPECIAL_ROWS["all carry twice"]
        assert found.allele_frequency[row, 0] == 1.0
        assert found.hwe_neg_log10_p[row, 0] == 0.0

    def test_a_row_without_calls_is_not_a_frequency_of_zero(self, found):
        row = simulate.SPECIAL_ROWS["all missing"]
        assert found.allele_number[row, 0] == 0
        assert found.n_missing[row, 0] == PEOPLE
        assert found.call_rate[row, 0] == 0.0
        assert np.isnan(found.allele_frequency[row, 0])
        assert np.isnan(found.hwe_neg_log10_p[row, 0])

    def test_a_group_without_people_has_no_call_rate(self, dosage):
        found = counts.finalize(counts.summarize(simulate.block(dosage), np.zeros(PEOPLE, int), 2))
        assert np.isnan(found.call_rate[:, 1]).all()
        assert (found.n_called[:, 1] == 0).all()


class TestWithheld:
    @pytest.fixture
    def found(self, dosage) -> counts.Frequencies:
        sums = counts.summarize(simulate.block(dosage), np.zeros(PEOPLE, int), 1)
        row = np.arange(len(dosage))[:, None]
        return counts.finalize(
            replace(sums, alleles_shown=row != 5, genotypes_shown=(row < 5) | (row > 6))
        )

    def test_what_is_withheld_is_minus_one_and_never_zero(self, found):
        for name in ("n_called", "n_missing", "allele_count", "allele_number", "n_het"):
            assert getattr(found, name)[5, 0] == -1
        assert np.isnan(found.allele_frequency[5, 0])
        assert np.isnan(found.call_rate[5, 0])
        assert found.alleles_withheld[5, 0]

    def test_alleles_may_be_shown_where_genotypes_are_not(self, found):
        assert found.allele_count[6, 0] >= 0
        assert (found.n_hom_ref[6, 0], found.n_het[6, 0], found.n_hom_alt[6, 0]) == (-1, -1, -1)
        assert np.isnan(found.hwe_neg_log10_p[6, 0])

    def test_finishing_changes_nothing(self, dosage):
        sums = counts.summarize(simulate.block(dosage), np.zeros(PEOPLE, int), 1)
        sums = replace(sums, alleles_shown=np.zeros_like(sums.alleles_shown))
        before = {item.name: getattr(sums, item.name).copy() for item in fields(sums)}
        counts.finalize(sums)
        for name, values in before.items():
            np.testing.assert_array_equal(getattr(sums, name), values)


class TestGroups:
    def test_names_survive_as_bytes(self):
        sizes = counts.group_sizes(["FIN_F", "FIN_M", "Västerås"], np.array([3, 4, 5]), 20)
        assert sizes.names == ["FIN_F", "FIN_M", "Västerås"]
        assert sizes.people_total == 20

    def test_no_groups_have_no_names(self):
        assert counts.group_sizes([], np.empty(0, int), 20).names == []

    def test_some_groups_can_be_chosen(self, dosage, groups):
        sums = counts.summarize(simulate.block(dosage), groups, 3)
        chosen = sums.select(slice(1, None))
        np.testing.assert_array_equal(chosen.het, sums.het[:, 1:])
        np.testing.assert_array_equal(chosen.people, sums.people[1:])
