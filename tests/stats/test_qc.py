"""Quality control: every measure by its definition, Mendelian errors, and what limits remove."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genome_eu.errors import BadInput
from genome_eu.stats import counts
from genome_eu.stats.ploidy import PloidyClass
from genome_eu.stats.qc import families, people, removal
from tests import simulate
from tests.oracles import qc as oracle

NAMES = {"autosome": people.Place.AUTOSOME, "X": people.Place.X, "Y": people.Place.Y}
CHANGES = [("A", "G"), ("C", "T"), ("A", "C"), ("G", "T"), ("A", "AT"), ("C", "<DEL>")]


class Cohort:
    """Random calls of every kind of row, and of males with two alleles on X."""

    def __init__(self, missing: float, seed: int, number: int = 23, rows: int = 240) -> None:
        rng = np.random.default_rng(seed)
        self.place = rng.choice(["autosome", "X", "Y", "elsewhere"], rows, p=[0.6, 0.2, 0.1, 0.1])
        self.male = rng.random(number) < 0.5
        frequency = rng.beta(0.4, 0.8, (rows, 1))
        dosage = rng.binomial(2, frequency, (rows, number)).astype(np.int8)
        haploid = np.isin(self.place, ["X", "Y"])[:, None] & self.male
        dosage[haploid & (dosage == 1) & (rng.random(dosage.shape) < 0.8)] = 0
        dosage[(self.place == "Y")[:, None] & ~self.male & (rng.random(dosage.shape) < 0.9)] = -1
        dosage[rng.random(dosage.shape) < missing] = -1
        dosage[:3] = [[0], [2], [-1]]
        dosage[3] = 0
        dosage[3, 5] = 1
        self.place[:4] = "autosome"
        self.dosage = dosage
        ref, alt = zip(*[CHANGES[j] for j in rng.integers(0, len(CHANGES), rows)], strict=True)
        self.ref, self.alt = np.array(ref, object), np.array(alt, object)

    def measures(self, blocks: int = 3) -> people.PersonMeasures:
        place = np.array([NAMES.get(one, people.Place.ELSEWHERE) for one in self.place])
        change = people.changes(self.ref, self.alt)
        parts = [
            people.summarize(
                simulate.block(self.dosage[rows]), place[rows], change[rows], self.male * 1
            )
            for rows in np.array_split(np.arange(len(place)), blocks)
        ]
        sums = parts[0]
        for part in parts[1:]:
            sums = people.add(sums, part)
        return people.finalize(sums, self.male)


@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_measures_are_the_definition(missing):
    cohort = Cohort(missing, seed=1)
    cohort.dosage[:, 7] = -1
    found = cohort.measures()
    for person in range(len(cohort.male)):
        n, hom, expected, f = oracle.inbreeding(
            cohort.dosage, person, cohort.male, cohort.place, "autosome"
        )
        assert found.n_observed[person] == n
        assert found.observed_hom[person] == hom
        assert found.expected_hom[person] == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert found.f[person] == pytest.approx(f, rel=1e-10, nan_ok=True)
        n, _, _, f = oracle.inbreeding(cohort.dosage, person, cohort.male, cohort.place, "X")
        assert found.x_observed[person] == n
        assert found.x_f[person] == pytest.approx(f, rel=1e-10, nan_ok=True)
        assert found.call_rate[person] == oracle.call_rate(
            cohort.dosage, person, cohort.male, cohort.place
        )
        assert (
            found.transitions[person],
            found.transversions[person],
        ) == oracle.carried_changes(cohort.dosage, person, cohort.place, cohort.ref, cohort.alt)
        assert found.singletons[person] == oracle.singletons(cohort.dosage, person, cohort.place)
        on_y = cohort.dosage[cohort.place == "Y", person]
        assert found.y_call_rate[person] == (on_y >= 0).mean()
        autosomal = cohort.dosage[cohort.place == "autosome", person]
        called = autosomal[autosomal >= 0]
        share = (called == 1).mean() if called.size else np.nan
        assert found.heterozygosity[person] == pytest.approx(share, rel=1e-15, nan_ok=True)
    assert np.isnan(found.f[7])
    assert found.inferred_sex[7] == "unknown"
    ratio = found.ti_tv[found.transversions > 0]
    assert (
        ratio == (found.transitions / np.maximum(found.transversions, 1))[found.transversions > 0]
    ).all()


def test_blocks_do_not_change_measures():
    cohort = Cohort(0.05, seed=2)
    one, other = cohort.measures(1), cohort.measures(7)
    np.testing.assert_array_equal(one.n_called, other.n_called)
    np.testing.assert_allclose(one.f, other.f, rtol=1e-12)


def test_people_left_out_do_not_make_frequencies():
    cohort = Cohort(0.02, seed=3)
    out = np.arange(len(cohort.male)) % 3 == 0
    groups = np.where(out, -1, cohort.male * 1)
    place = np.array([NAMES.get(one, people.Place.ELSEWHERE) for one in cohort.place])
    change = people.changes(cohort.ref, cohort.alt)
    sums = people.summarize(simulate.block(cohort.dosage), place, change, groups)
    alone = people.summarize(simulate.block(cohort.dosage[:, ~out]), place, change, groups[~out])
    np.testing.assert_array_equal(sums.tallies[~out], alone.tallies)
    np.testing.assert_allclose(sums.expected_het[~out], alone.expected_het, rtol=1e-12)


def test_sex_follows_from_f_on_x():
    rng = np.random.default_rng(4)
    rows = 600
    dosage = rng.binomial(2, rng.uniform(0.2, 0.8, (rows, 1)), (rows, 40)).astype(np.int8)
    male = np.arange(40) < 20
    dosage[:, male] = 2 * rng.binomial(1, dosage[:, male] / 2)
    # One labelled male has a woman's genotypes, and one woman lost half of hers.
    dosage[:, 0] = rng.binomial(2, 0.5, rows)
    half = rng.random(rows) < 0.5
    dosage[half, 39] = 2 * (dosage[half, 39] > 0)
    change = np.zeros(rows, int)
    place = np.full(rows, people.Place.X)
    sums = people.summarize(simulate.block(dosage), place, change, male * 1)
    found = people.finalize(sums, male)
    assert found.inferred_sex[0] == "F"
    assert (found.inferred_sex[1:20] == "M").all()
    assert (found.inferred_sex[20:39] == "F").all()
    assert found.inferred_sex[39] == "unknown"
    sex = np.where(male, "M", "F").astype(object)
    sex[5] = "unknown"
    removed = removal.removed_people(
        found, sex, removal.PeopleLimits(sex_check=True), np.ones(40, bool)
    )
    assert np.flatnonzero(~removed.keep).tolist() == [0, 39]
    assert removed.counts()["sex"] == 2


def test_places_and_changes():
    assert people.places(np.array(list(PloidyClass))).tolist() == [0, 3, 1, 2, 3, 3]
    ref = np.array(["A", "c", "A", "A", "A", "N"], object)
    alt = np.array(["G", "T", "T", "AG", "A", "G"], object)
    assert people.changes(ref, alt).tolist() == [0, 0, 1, 2, 2, 2]
    assert people.changes(ref[:0], alt[:0]).size == 0


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_mendelian_errors_are_the_definition(missing):
    cohort = Cohort(missing, seed=5, number=14, rows=500)
    ids = [f"P{one}" for one in range(14)]
    father, mother = [None] * 14, [None] * 14
    for child, dad, mum in ((4, 0, 1), (5, 0, 1), (6, 2, 3), (9, 4, 6)):
        father[child], mother[child] = ids[dad], ids[mum]
    father[10], mother[10] = "P0", "0"
    father[11], mother[11] = "P0", "somebody"
    trios = families.find_trios(ids, father, mother)
    assert trios.child.tolist() == [4, 5, 6, 9]
    place = np.array([NAMES.get(one, people.Place.ELSEWHERE) for one in cohort.place])
    found = families.summarize(simulate.block(cohort.dosage), place, trios, cohort.male)
    expected = np.array(
        [
            [
                oracle.mendel_error(*calls[[child, dad, mum]].tolist(), here, cohort.male[child])
                for child, dad, mum in zip(trios.child, trios.father, trios.mother, strict=True)
            ]
            for calls, here in zip(cohort.dosage, cohort.place, strict=True)
        ]
    )
    np.testing.assert_array_equal(found.by_row, expected.sum(axis=1))
    np.testing.assert_array_equal(found.by_trio, expected.sum(axis=0))
    assert expected[cohort.place == "X"].any()


def test_no_trios_no_errors():
    trios = families.find_trios(["a", "0"], ["0", None], ["0", None])
    assert trios.child.size == 0
    found = families.summarize(
        simulate.block(np.ones((3, 2))), np.zeros(3, int), trios, np.zeros(2, bool)
    )
    assert found.by_row.tolist() == [0, 0, 0]
    assert found.by_trio.size == 0


class TestRemovedPeople:
    def test_each_is_counted_under_the_first_reason(self):
        cohort = Cohort(0.02, seed=6, number=60, rows=400)
        cohort.dosage[::2, 1] = -1
        cohort.dosage[:, 2] = np.where(cohort.dosage[:, 2] == 1, 0, cohort.dosage[:, 2])
        cohort.dosage[:, 3] = -1
        found = cohort.measures()
        included = np.arange(60) != 50
        limits = removal.PeopleLimits(min_call_rate=0.8, max_heterozygosity_sd=4, max_f=0.9)
        removed = removal.removed_people(found, np.full(60, "F"), limits, included)
        assert removed.counts() == {
            "call_rate": 2,
            "heterozygosity": 1,
            "f": 0,
            "sex": 0,
            "related": 0,
        }
        assert np.flatnonzero(~removed.keep).tolist() == [1, 2, 3, 50]
        unrelated = np.ones(60, bool)
        unrelated[[3, 4, 50]] = False
        after = removal.removed_relatives(removed, unrelated)
        assert after.counts()["related"] == 1
        assert np.flatnonzero(~after.keep).tolist() == [1, 2, 3, 4, 50]
        only_f = removal.PeopleLimits(max_f=0.9, min_f=-1.0)
        assert removal.removed_people(found, np.full(60, "F"), only_f, included).counts()["f"] == 2

    def test_no_limit_removes_nobody(self):
        none = removal.PeopleLimits()
        assert not none.measured
        included = np.array([True, False, True])
        removed = removal.removed_people(None, np.full(3, "F"), none, included)
        assert removed.keep.tolist() == included.tolist()

    def test_the_sex_of_nobody_is_checked_without_rows_on_x(self):
        cohort = Cohort(0.0, seed=7)
        cohort.place[:] = "autosome"
        found = cohort.measures()
        everybody = np.ones(23, bool)
        limits = removal.PeopleLimits(sex_check=True)
        with pytest.raises(BadInput, match="sex_check needs variants on X"):
            removal.removed_people(found, np.full(23, "M"), limits, everybody)


class TestRemovedRows:
    dosage = np.array(
        [
            [0, 1, 1, 2, 0, 1, 1, 2],
            [0, 1, 1, 2, -1, -1, -1, -1],
            [0, 0, 0, 0, 0, 0, 0, 1],
            [-1] * 8,
            [0, 2, 0, 2, 0, 2, 0, 2],
        ]
    )

    def measures(self, groups=(1, 1, 1, 1, 2, 2, 2, 2), errors=(0,) * 5, trios=0):
        sums = counts.summarize(simulate.block(self.dosage), np.array(groups), max(groups) + 1)
        found = counts.finalize(sums)
        return removal.RowMeasures(
            call_rate=found.call_rate[:, 0],
            allele_frequency=found.allele_frequency[:, 0],
            withheld=found.alleles_withheld[:, 0],
            hwe_neg_log10_p=found.hwe_neg_log10_p[:, 1 if max(groups) else 0 :],
            mendel_errors=np.array(errors),
            trios=trios,
        )

    def test_limits(self):
        limits = removal.VariantLimits(min_call_rate=0.9, min_maf=0.1)
        reason = removal.removed_rows(self.measures(), limits)
        assert removal.count_reasons(reason) == {
            "withheld": 0,
            "call_rate": 2,
            "maf": 1,
            "hwe": 0,
            "mendel": 0,
        }
        assert reason.tolist() == [-1, 1, 2, 1, -1]

    def test_proportions_are_tested_in_each_group(self):
        # All eight alike, p is 0.009 together and 0.11 in four.
        limits = removal.VariantLimits(hwe=0.05)
        assert removal.removed_rows(self.measures((0,) * 8), limits).tolist() == [-1] * 4 + [3]
        assert (removal.removed_rows(self.measures(), limits) == -1).all()
        assert (removal.removed_rows(self.measures(), removal.VariantLimits()) == -1).all()
        assert (removal.removed_rows(self.measures(), removal.VariantLimits(hwe=0)) == -1).all()

    def test_mendelian_errors_are_a_share_of_trios(self):
        errors = (0, 1, 2, 0, 3)
        limits = removal.VariantLimits(max_mendel_error_rate=0.1)
        reason = removal.removed_rows(self.measures(errors=errors, trios=10), limits)
        assert reason.tolist() == [-1, -1, 4, -1, 4]
        assert (removal.removed_rows(self.measures(errors=errors), limits) == -1).all()

    def test_rows_that_a_policy_withholds_fail_limits_on_what_is_withheld(self):
        measures = self.measures()
        measures = replace(measures, withheld=np.arange(5) == 4)
        for limits in (removal.VariantLimits(min_maf=0), removal.VariantLimits(min_call_rate=0)):
            assert removal.removed_rows(measures, limits)[4] == 0
        assert removal.removed_rows(measures, removal.VariantLimits(hwe=0.5))[4] == 3
