"""Blocks of dosages keep what they share of the kernel contract, and do the same with fractions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome_eu.errors import BadInput, UsageError
from genome_eu.kernels.dense import (
    DENSE_BACKENDS,
    MISSING,
    ONE,
    DenseBlock,
    codes_of_calls,
    cpu,
    dense_backend,
    hard_calls,
    reference,
)
from tests.kernels.contract import BlockContract, assert_product, contract, seeds, widths
from tests.oracles import dosages as dosage_oracle
from tests.oracles import genotypes as oracle


def draw_codes(rows: int, people: int, missing: float, seed: int) -> np.ndarray:
    """Codes of imputed dosages: near 0, 1 and 2, in between, and everywhere."""
    rng = np.random.default_rng(seed)
    near = rng.integers(0, 3, (rows, people)) * ONE + rng.integers(-1700, 1700, (rows, people))
    codes = np.where(
        rng.random((rows, people)) < 0.7, near, rng.integers(0, 2 * ONE + 1, near.shape)
    )
    codes = np.clip(codes, 0, 2 * ONE)
    codes[rng.random((rows, people)) < missing] = MISSING
    return codes.astype(np.uint16)


@st.composite
def codes(draw) -> np.ndarray:
    """Any shape and any rate of missing dosages."""
    rows, people = draw(st.integers(0, 12)), draw(st.integers(1, 140))
    rate = draw(st.sampled_from((0.0, 0.02, 0.4, 1.0)))
    return draw_codes(rows, people, rate, draw(seeds))


class OfCalls(BlockContract):
    backend_name: str

    def block(self, dosage: np.ndarray) -> DenseBlock:
        return self.dense(codes_of_calls(dosage))

    def dense(self, codes: np.ndarray) -> DenseBlock:
        return DenseBlock(codes, codes.shape[1], dense_backend(self.backend_name))

    @contract
    @given(codes(), st.integers(1, 4), seeds)
    def test_tally_of_fractions(self, codes, n_groups, seed):
        groups = np.random.default_rng(seed).integers(-1, n_groups, size=codes.shape[1])
        dosage = dosage_oracle.of_codes(codes)
        expected = oracle.dosage_tally(dosage, groups, n_groups)
        tally = self.dense(codes).tally(groups, n_groups)
        for found, (name, values) in zip(tally, expected.items(), strict=True):
            np.testing.assert_array_equal(found, values, err_msg=name)

    @contract
    @given(codes(), st.integers(1, 4), seeds)
    def test_counts_of_hard_calls(self, codes, n_groups, seed):
        groups = np.random.default_rng(seed).integers(-1, n_groups, size=codes.shape[1])
        calls = dosage_oracle.hard_calls(dosage_oracle.of_codes(codes))
        np.testing.assert_array_equal(hard_calls(codes), calls)
        np.testing.assert_array_equal(
            self.dense(codes).counts(groups, n_groups),
            oracle.genotype_counts(calls, groups, n_groups),
        )

    @contract
    @given(codes(), widths, seeds)
    def test_products_of_fractions(self, codes, k, seed):
        rng = np.random.default_rng(seed)
        q = rng.standard_normal((codes.shape[1], k))
        r, s = rng.standard_normal((2, len(codes), k))
        block, dosage = self.dense(codes), dosage_oracle.of_codes(codes)
        g, m = np.maximum(dosage, 0), dosage < 0
        observed, missing = block.matmul(q)
        assert_product(observed, g @ q, oracle.magnitude(g, q))
        assert_product(missing, m @ q, oracle.magnitude(m, q))
        assert_product(block.square_matmul(q), g**2 @ q, oracle.magnitude(g**2, q))
        observed, missing = block.rmatmul(r, s)
        assert_product(observed, g.T @ r, oracle.magnitude(g.T, r))
        assert_product(missing, m.T @ s, oracle.magnitude(m.T, s))

    def test_dosages_are_given_back(self):
        codes = draw_codes(7, 30, 0.1, seed=3)
        np.testing.assert_array_equal(self.dense(codes).dosages(), dosage_oracle.of_codes(codes))

    def test_reruns_and_threads_are_bit_identical(self):
        block = self.dense(draw_codes(40, 301, 0.1, seed=6))
        q = np.random.default_rng(6).standard_normal((301, 7))
        r = np.random.default_rng(7).standard_normal((40, 7))
        once = (*block.matmul(q), *block.rmatmul(r))
        with ThreadPoolExecutor(4) as threads:
            again = list(threads.map(lambda _: (*block.matmul(q), *block.rmatmul(r)), range(8)))
        for rerun in again:
            for first, second in zip(once, rerun, strict=True):
                assert first.tobytes() == second.tobytes()

    def test_nobody_and_no_rows(self):
        for rows, people in ((0, 5), (5, 0), (0, 0)):
            block = self.dense(np.zeros((rows, people), np.uint16))
            assert block.counts(np.zeros(people, int), 2).shape == (rows, 2, 4)
            assert [p.shape for p in block.tally(np.zeros(people, int), 2)] == [(rows, 2)] * 4
            assert [p.shape for p in block.matmul(np.ones((people, 3)))] == [(rows, 3)] * 2
            assert [p.shape for p in block.rmatmul(np.ones((rows, 3)))] == [(people, 3)] * 2


class TestCpu(OfCalls):
    backend_name = "cpu"


class TestReference(OfCalls):
    backend_name = "reference"


def test_a_block_of_many_tiles(monkeypatch):
    codes = draw_codes(100, 57, 0.05, seed=9)
    rng = np.random.default_rng(9)
    q, r = rng.standard_normal((57, 4)), rng.standard_normal((100, 4))
    monkeypatch.setattr(cpu, "_TILE_BYTES", 57 * 8 * 7)
    found = (*cpu.matmul(codes, q), *cpu.rmatmul(codes, r, r))
    expected = (*reference.matmul(codes, q), *reference.rmatmul(codes, r, r))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-11)


def test_compiled_code_has_the_numbers_of_the_codes():
    assert (cpu._ONE, cpu._MISSING, cpu._HARD_CALL_STEPS) == (ONE, MISSING, ONE // 10)


def test_sums_of_squares_are_exact():
    codes = np.full((1, 100_001), 2 * ONE - 1, np.uint16)
    for name in DENSE_BACKENDS:
        block = DenseBlock(codes, codes.shape[1], dense_backend(name))
        *_, total, square = block.tally(np.zeros(codes.shape[1], int), 1)
        assert int(total[0, 0] * ONE) == 100_001 * (2 * ONE - 1)
        assert int(square[0, 0] * ONE**2) == 100_001 * (2 * ONE - 1) ** 2


def test_hard_calls_by_plinks_threshold():
    steps = ONE // 10
    codes = np.array([[0, steps, steps + 1, ONE - steps - 1, ONE - steps, ONE, ONE + steps]])
    assert hard_calls(codes.astype(np.uint16)).tolist() == [[0, 0, -1, -1, 1, 1, 1]]
    codes = np.array([[ONE + steps + 1, 2 * ONE - steps - 1, 2 * ONE - steps, 2 * ONE, MISSING]])
    assert hard_calls(codes.astype(np.uint16)).tolist() == [[-1, -1, 2, 2, -1]]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((3, 4), np.uint16), r"of 5 people must be uint16 of shape \(rows, 5\)"),
        (np.zeros((3, 5), np.int16), "not int16"),
        (np.full((3, 5), 2 * ONE + 1, np.uint16), "row 0 holds a dosage of more than 2 copies"),
    ],
)
def test_wrong_blocks_are_refused(codes, message):
    with pytest.raises(BadInput, match=message):
        DenseBlock(codes, 5, dense_backend("cpu"))


def test_backends_are_named():
    assert dense_backend("gpu") is dense_backend("cpu")
    with pytest.raises(UsageError, match="unknown kernel backend 'tpu' for dosages"):
        dense_backend("tpu")
