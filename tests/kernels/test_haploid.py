from __future__ import annotations

import numpy as np
import pytest

from genome_eu.errors import UsageError
from genome_eu.kernels import HaploidCalls, PackedBlock, backend, haploid_block, pack_genotypes
from tests import simulate
from tests.oracles import haploid as oracle

PEOPLE = 41


@pytest.fixture(scope="module")
def haploid() -> np.ndarray:
    return np.random.default_rng(1).random(PEOPLE) < 0.6


@pytest.fixture(scope="module")
def alleles(haploid) -> np.ndarray:
    return oracle.alleles([1] * 12, haploid, seed=2)


@pytest.fixture(scope="module", params=["cpu", "reference"])
def block(request, alleles) -> PackedBlock:
    packed = pack_genotypes(alleles, np.ones(len(alleles), int))
    return PackedBlock(packed, PEOPLE, backend(request.param))


@pytest.fixture(scope="module", params=[False, True], ids=["0/2", "0/1"])
def halved(request) -> bool:
    return request.param


@pytest.fixture(scope="module")
def expected(alleles, haploid, halved) -> np.ndarray:
    return np.array([oracle.dosage(site, 1, haploid, halved) for site in alleles])


@pytest.fixture(scope="module")
def found(block, haploid, halved):
    return haploid_block(block, HaploidCalls(haploid, halved))


class TestAgainstTheDefinition:
    def test_dosages(self, found, expected):
        np.testing.assert_array_equal(found.dosages(), expected)

    def test_sums_of_groups(self, found, expected):
        groups = np.random.default_rng(3).integers(-1, 3, PEOPLE)
        called, missing, sums, squares = found.tally(groups, 3)
        for group in range(3):
            mine = expected[:, groups == group]
            known = np.maximum(mine, 0)
            np.testing.assert_array_equal(called[:, group], (mine >= 0).sum(axis=1))
            np.testing.assert_array_equal(missing[:, group], (mine < 0).sum(axis=1))
            np.testing.assert_array_equal(sums[:, group], known.sum(axis=1))
            np.testing.assert_array_equal(squares[:, group], (known.astype(int) ** 2).sum(axis=1))

    def test_products(self, found, expected):
        q = np.random.default_rng(4).normal(size=(PEOPLE, 3))
        known, lost = np.maximum(expected, 0).astype(float), (expected < 0).astype(float)
        dosage, missing = found.matmul(q)
        np.testing.assert_allclose(dosage, known @ q, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(missing, lost @ q, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(found.square_matmul(q), known**2 @ q, rtol=1e-13, atol=1e-13)

    def test_transposed_products(self, found, expected):
        r = np.random.default_rng(5).normal(size=(found.rows, 2))
        known, lost = np.maximum(expected, 0).astype(float), (expected < 0).astype(float)
        dosage, missing = found.rmatmul(r)
        np.testing.assert_allclose(dosage, known.T @ r, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(missing, lost.T @ r, rtol=1e-13, atol=1e-13)

    def test_calls_that_were_lost(self, found, block, haploid):
        wrong = ((block.dosages() == 1) & haploid).sum(axis=1)
        assert wrong.sum() > 5
        np.testing.assert_array_equal(found.lost(np.zeros(PEOPLE, int), 1)[:, 0], wrong)


def test_nothing_changes_where_nobody_is_haploid(block):
    found = haploid_block(block, HaploidCalls(np.zeros(PEOPLE, bool)))
    np.testing.assert_array_equal(found.dosages(), block.dosages())
    assert not found.lost(np.zeros(PEOPLE, int), 1).any()


def test_the_rows_in_the_store_stay_as_they_are(block, haploid):
    before = block.packed.copy()
    haploid_block(block, HaploidCalls(haploid)).dosages()
    np.testing.assert_array_equal(block.packed, before)


def test_people_of_another_cohort(block):
    with pytest.raises(UsageError, match="for each of 41 people, not 40"):
        haploid_block(block, HaploidCalls(np.zeros(40, bool)))


class TestDosages:
    """Dosages of 0 to 2: who has one copy has half, or no hard call between 0 and 2."""

    @pytest.fixture(scope="class")
    def fractions(self) -> np.ndarray:
        rng = np.random.default_rng(6)
        dosage = rng.choice([0.0, 0.25, 1.0, 1.5, 2.0], (9, PEOPLE))
        return np.where(rng.random(dosage.shape) < 0.1, -1.0, dosage)

    @pytest.fixture(scope="class")
    def dense(self, fractions, haploid, halved):
        return simulate.haploid_dense(fractions, haploid, halved=halved)

    @pytest.fixture(scope="class")
    def counted(self, fractions, haploid, halved) -> np.ndarray:
        return np.where(haploid & halved & (fractions > 0), fractions / 2, fractions)

    def test_dosages_of_a_range_of_people(self, dense, counted):
        np.testing.assert_array_equal(dense.dosages(), counted)
        np.testing.assert_array_equal(dense.dosages(5, 17), counted[:, 5:17])

    def test_sums(self, dense, counted):
        groups = np.random.default_rng(3).integers(-1, 3, PEOPLE)
        q = np.random.default_rng(4).normal(size=(PEOPLE, 3))
        known = np.maximum(counted, 0)
        called, missing, sums, squares = dense.tally(groups, 3)
        for group in range(3):
            mine = groups == group
            np.testing.assert_array_equal(called[:, group], (counted[:, mine] >= 0).sum(axis=1))
            np.testing.assert_array_equal(missing[:, group], (counted[:, mine] < 0).sum(axis=1))
            np.testing.assert_array_equal(sums[:, group], known[:, mine].sum(axis=1))
            np.testing.assert_array_equal(squares[:, group], (known[:, mine] ** 2).sum(axis=1))
        np.testing.assert_allclose(dense.matmul(q)[0], known @ q, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(dense.square_matmul(q), known**2 @ q, rtol=1e-13, atol=1e-13)

    def test_hard_calls(self, dense, fractions, haploid):
        counts = dense.counts(np.zeros(PEOPLE, int), 1)[:, 0]
        for copies in (0, 1, 2):
            called = (fractions == copies) & ~(haploid & (copies == 1))
            np.testing.assert_array_equal(counts[:, copies], called.sum(axis=1))
        np.testing.assert_array_equal(counts.sum(axis=1), np.full(9, PEOPLE))
        assert not dense.lost(np.zeros(PEOPLE, int), 1).any()
