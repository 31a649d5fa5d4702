from __future__ import annotations

import numpy as np
import pytest

from genome_eu.stats import counts
from genome_eu.stats.aggregate import concatenate, merge
from genome_eu.stats.ploidy import (
    PloidyClass,
    association,
    classes,
    copies,
    effect_scale,
    needs_sex,
    rows_of,
)
from tests import simulate
from tests.oracles import haploid as oracle
from tests.oracles import hwe, hwe_x

A, P, X, Y, MT, U = PloidyClass


class TestClasses:
    @pytest.mark.parametrize("build", ["GRCh37", "GRCh38", "unknown"])
    def test_contigs_without_bounds(self, build):
        contig = np.array(["1", "22", "XY", "MT", "GL000191.1", "23"], object)
        found = classes(contig, np.full(6, 5_000_000), build)
        np.testing.assert_array_equal(found, [A, A, P, MT, U, U])

    @pytest.mark.parametrize(
        ("build", "end", "start"),
        [("GRCh37", 2_699_520, 154_931_044), ("GRCh38", 2_781_479, 155_701_383)],
    )
    def test_bounds_on_x(self, build, end, start):
        position = [1, end, end + 1, start - 1, start, start + 1000]
        found = classes(np.array(["X"] * 6, object), position, build)
        np.testing.assert_array_equal(found, [P, P, X, X, P, P])

    @pytest.mark.parametrize(
        ("build", "end", "start"),
        [("GRCh37", 2_649_520, 59_034_050), ("GRCh38", 2_781_479, 56_887_903)],
    )
    def test_pseudoautosomal_y_is_counted_on_x(self, build, end, start):
        found = classes(np.array(["Y"] * 4, object), [end, end + 1, start - 1, start], build)
        np.testing.assert_array_equal(found, [U, Y, Y, U])

    def test_of_an_unknown_build_only_what_both_agree_on(self):
        position = [2_699_520, 2_699_521, 2_781_480, 154_931_043, 154_931_044, 155_701_383]
        found = classes(np.array(["X"] * 6, object), position, "unknown")
        np.testing.assert_array_equal(found, [P, U, X, X, U, P])

    def test_no_rows(self):
        assert classes(np.array([], object), [], "GRCh38").shape == (0,)


class TestPeople:
    male = np.array([True, False, False])
    female = np.array([False, True, False])

    @pytest.mark.parametrize(
        ("kind", "counted", "haploid"),
        [
            ("diploid", [1, 1, 1], [0, 0, 0]),
            ("x", [1, 1, 1], [1, 0, 0]),
            ("y", [1, 0, 0], [1, 0, 0]),
            ("mt", [1, 1, 1], [1, 1, 1]),
        ],
    )
    def test_who_is_counted(self, kind, counted, haploid):
        found = copies(kind, self.male, self.female)
        np.testing.assert_array_equal(found.counted, np.array(counted, bool))
        np.testing.assert_array_equal(found.haploid, np.array(haploid, bool))

    def test_people_of_unknown_sex_are_not_in_a_model_of_x(self):
        found = association("x", self.male, self.female)
        np.testing.assert_array_equal(found.people, [True, True, False])
        assert needs_sex("x")
        assert not needs_sex("y")

    def test_males_count_once_if_asked(self):
        assert association("x", self.male, self.female, "0/1").halved
        assert not association("x", self.male, self.female).halved
        assert not association("mt", self.male, self.female, "0/1").halved

    def test_effects_of_haploid_rows_are_per_copy(self):
        assert [effect_scale(kind) for kind in ("diploid", "x", "y", "mt")] == [1.0, 1.0, 2.0, 2.0]

    def test_rows_asked_about_under_a_name(self):
        ploidy = np.array([A, P, X, Y, MT, U])
        np.testing.assert_array_equal(rows_of("diploid", ploidy), [1, 1, 0, 0, 0, 0])
        np.testing.assert_array_equal(rows_of("x", ploidy), [0, 0, 1, 0, 0, 0])


PEOPLE = 50


@pytest.fixture(scope="module")
def haploid() -> np.ndarray:
    return np.random.default_rng(7).random(PEOPLE) < 0.5


@pytest.fixture(scope="module")
def alleles(haploid) -> np.ndarray:
    return oracle.alleles([1] * 15, haploid, seed=8)


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    return np.random.default_rng(9).integers(-1, 3, PEOPLE)


class TestHaploidCounts:
    def sums(self, alleles, haploid, groups, n_groups, chosen=slice(None)):
        block = simulate.haploid_block(alleles[:, chosen], haploid[chosen])
        return counts.summarize_haploid(block, groups[chosen], n_groups, haploid[chosen])

    def test_every_number_of_every_group(self, alleles, haploid, groups):
        found = counts.finalize(self.sums(alleles, haploid, groups, 3))
        for group, mask in enumerate([groups >= 0, groups == 1, groups == 2]):
            for row, site in enumerate(alleles):
                for name, expected in oracle.counts(site, 1, haploid, mask).items():
                    of = found.haploid if name.startswith("n_hap") else found
                    assert getattr(of, name)[row, group] == expected, (name, row, group)

    def test_hardy_weinberg_with_and_without_the_haploid(self, alleles, haploid, groups):
        found = counts.finalize(self.sums(alleles, haploid, np.minimum(groups, 0), 1))
        for row, site in enumerate(alleles):
            of = oracle.counts(site, 1, haploid, groups >= 0)
            diploid = [of[name] for name in ("n_het", "n_hom_ref", "n_hom_alt")]
            males = [of["n_hap_ref"], of["n_hap_alt"]]
            assert found.hwe_neg_log10_p[row, 0] == pytest.approx(
                hwe_x.neg_log10_p(*diploid, *males), rel=1e-11, abs=1e-13
            )
            assert found.haploid.hwe_diploid_neg_log10_p[row, 0] == pytest.approx(
                hwe.neg_log10_p(*diploid), rel=1e-11, abs=1e-13
            )

    def test_lost_calls_are_missing_ones(self, alleles, haploid):
        nobody_apart = np.zeros(PEOPLE, int)
        sums = self.sums(alleles, haploid, nobody_apart, 1)
        different = (alleles[..., 0] != alleles[..., 1]) & (alleles >= 0).all(axis=2) & haploid
        np.testing.assert_array_equal(sums.lost[:, 0], different.sum(axis=1))
        assert sums.lost.sum() > 10

    def test_everybody_haploid_has_no_proportions_to_test(self, alleles):
        everybody = np.ones(PEOPLE, bool)
        found = counts.finalize(self.sums(alleles, everybody, np.zeros(PEOPLE, int), 1))
        assert np.isnan(found.hwe_neg_log10_p).all()
        assert np.isnan(found.haploid.hwe_diploid_neg_log10_p).all()
        np.testing.assert_array_equal(found.allele_number, found.n_called)

    def test_people_merge_and_rows_concatenate(self, alleles, haploid, groups):
        whole = self.sums(alleles, haploid, groups, 3)
        first = np.arange(PEOPLE) < 21
        merged = merge([self.sums(alleles, haploid, groups, 3, part) for part in (first, ~first)])
        joined = concatenate(
            [self.sums(alleles[part], haploid, groups, 3) for part in (slice(6), slice(6, None))]
        )
        for name in ("people", "called", "allele_count", "het", "hom_alt", "haploid", "lost"):
            np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
            np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))

    def test_alleles_on_the_smaller_tail(self, alleles, haploid, groups):
        block = simulate.haploid_block(alleles, haploid)
        found = counts.summarize_haploid_minor(block, np.where(groups < 0, -1, 0), haploid)
        for row, site in enumerate(alleles):
            of = oracle.counts(site, 1, haploid, groups >= 0)
            alt, number = of["allele_count"], of["allele_number"]
            assert found[row] == min(alt, number - alt)

    def test_some_groups_can_be_chosen(self, alleles, haploid, groups):
        chosen = self.sums(alleles, haploid, groups, 3).select(slice(1, None))
        assert isinstance(chosen, counts.HaploidCounts)
        assert chosen.haploid.shape == (len(alleles), 2)
