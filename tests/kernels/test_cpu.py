"""The CPU backend keeps the kernel contract, and agrees with the reference on larger blocks."""

from __future__ import annotations

import numpy as np
import pytest

from genome_eu.kernels import PackedBlock, backend, pack
from tests.kernels.contract import (
    MISSING_RATES,
    KernelContract,
    assert_fields,
    assert_product,
    draw_dosage,
)
from tests.oracles import genotypes as oracle


class TestCpu(KernelContract):
    backend_name = "cpu"

    @pytest.mark.parametrize("rate", MISSING_RATES)
    @pytest.mark.parametrize("shape", [(200, 530), (530, 200)])
    def test_larger_blocks_agree_with_the_reference(self, rate, shape):
        rows, people = shape
        dosage = draw_dosage(rows, people, rate, seed=11)
        # One row and one person without any call, beside sparse ones.
        dosage[rows // 2] = -1
        dosage[:, people // 2] = -1
        cpu = self.block(dosage)
        reference = PackedBlock(pack(dosage), people, backend("reference"))
        rng = np.random.default_rng(12)
        groups = rng.integers(-1, 7, size=people)
        include = rng.random(people) < 0.9
        np.testing.assert_array_equal(cpu.counts(groups, 7), reference.counts(groups, 7))
        assert_fields(cpu.gram(3, include), vars(reference.gram(3, include)))
        assert_fields(cpu.gram(3, include, 1), vars(reference.gram(3, include, 1)))
        assert_fields(cpu.pair_counts(), vars(reference.pair_counts()))
        q, r = rng.standard_normal((people, 5)), rng.standard_normal((rows, 5))
        size = np.abs(dosage)
        for actual, expected in zip(cpu.matmul(q), reference.matmul(q), strict=True):
            assert_product(actual, expected, oracle.magnitude(size, q))
        for actual, expected in zip(cpu.rmatmul(r), reference.rmatmul(r), strict=True):
            assert_product(actual, expected, oracle.magnitude(size.T, r))

    def test_a_row_alone_gives_the_same_bits(self):
        dosage = draw_dosage(30, 203, 0.1, seed=13)
        q = np.random.default_rng(13).standard_normal((203, 6))
        whole = self.block(dosage).matmul(q)
        for row in (0, 17, 29):
            alone = self.block(dosage[row : row + 1]).matmul(q)
            for together, single in zip(whole, alone, strict=True):
                assert together[row].tobytes() == single[0].tobytes()
