"""What every kernel backend must do; a backend's test class subclasses `KernelContract`.

`BlockContract` is the part that dosages share with packed calls.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genome_eu.errors import BadInput, UsageError
from genome_eu.kernels import PackedBlock, backend, pack
from tests.oracles import genotypes as oracle

MISSING_RATES = (0.0, 0.02, 1.0)

# Subclasses share these tests. Examples saved for one backend are then tried on all, which is
# what a contract wants; the check warns of tests that keep state on the instance, and none does.
contract = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)


def draw_dosage(rows: int, people: int, missing_rate: float, seed: int) -> np.ndarray:
    """Dosages with an allele frequency per row, from rare to common."""
    rng = np.random.default_rng(seed)
    frequency = rng.beta(0.5, 1.0, size=(rows, 1))
    dosage = rng.binomial(2, frequency, size=(rows, people)).astype(np.int8)
    dosage[rng.random(dosage.shape) < missing_rate] = -1
    return dosage


@st.composite
def dosages(draw, max_rows: int = 12, max_people: int = 140) -> np.ndarray:
    """Any shape, with a missing rate per row, so that empty and full rows stand side by side."""
    rows = draw(st.integers(0, max_rows))
    people = draw(st.integers(1, max_people))
    rates = draw(st.lists(st.sampled_from((*MISSING_RATES, 0.4)), min_size=rows, max_size=rows))
    seed = draw(st.integers(0, 2**32 - 1))
    dosage = draw_dosage(rows, people, 0.0, seed)
    rng = np.random.default_rng(seed + 1)
    for row, rate in enumerate(rates):
        dosage[row, rng.random(people) < rate] = -1
    return dosage


seeds = st.integers(0, 2**32 - 1)
widths = st.sampled_from((0, 1, 2, 3, 8, 12, 33))


def assert_fields(actual, expected: dict[str, np.ndarray]) -> None:
    assert {field.name for field in fields(actual)} == set(expected)
    for name, values in expected.items():
        assert getattr(actual, name).dtype == np.int64, name
        np.testing.assert_array_equal(getattr(actual, name), values, err_msg=name)


def assert_product(
    actual: np.ndarray, expected: np.ndarray, scale: np.ndarray, dtype: type = np.float64
) -> None:
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    assert (np.abs(actual - expected) <= (1e-12 if dtype is np.float64 else 1e-5) * scale).all()


class BlockContract:
    """Subclass with `block`, which makes a block of copies of the ALT, -1 where missing."""

    def block(self, dosage: np.ndarray) -> Any:
        raise NotImplementedError

    @contract
    @given(dosages(), st.integers(1, 6), seeds)
    def test_counts_are_the_definition(self, dosage, n_groups, seed):
        groups = np.random.default_rng(seed).integers(-1, n_groups, size=dosage.shape[1])
        counts = self.block(dosage).counts(groups, n_groups)
        assert counts.dtype == np.int64
        np.testing.assert_array_equal(counts, oracle.genotype_counts(dosage, groups, n_groups))

    @contract
    @given(dosages(), st.integers(1, 4), seeds)
    def test_counts_of_sorted_groups(self, dosage, n_groups, seed):
        groups = np.sort(np.random.default_rng(seed).integers(-1, n_groups, size=dosage.shape[1]))
        np.testing.assert_array_equal(
            self.block(dosage).counts(groups, n_groups),
            oracle.genotype_counts(dosage, groups, n_groups),
        )

    @pytest.mark.parametrize("group", [-1, 0, 2])
    @pytest.mark.parametrize("rate", MISSING_RATES)
    def test_counts_with_everybody_in_one_group(self, group, rate):
        dosage = draw_dosage(5, 77, rate, seed=1)
        groups = np.full(77, group, dtype=np.int16)
        np.testing.assert_array_equal(
            self.block(dosage).counts(groups, 3), oracle.genotype_counts(dosage, groups, 3)
        )

    @contract
    @given(dosages(), st.integers(1, 6), seeds)
    def test_tally_is_the_definition(self, dosage, n_groups, seed):
        groups = np.random.default_rng(seed).integers(-1, n_groups, size=dosage.shape[1])
        tally = self.block(dosage).tally(groups, n_groups)
        expected = oracle.dosage_tally(dosage, groups, n_groups)
        for found, (name, values) in zip(tally, expected.items(), strict=True):
            np.testing.assert_array_equal(found, values, err_msg=name)

    def test_counts_of_no_group(self):
        block = self.block(draw_dosage(5, 7, 0.1, seed=1))
        assert block.counts(np.full(7, -1), 0).shape == (5, 0, 4)

    @contract
    @given(dosages(), widths, seeds)
    def test_matmul_is_the_definition(self, dosage, k, seed):
        q = np.random.default_rng(seed).standard_normal((dosage.shape[1], k))
        observed, missing = self.block(dosage).matmul(q)
        g, m = np.maximum(dosage, 0), dosage < 0
        assert_product(observed, oracle.dosage_product(dosage, q), oracle.magnitude(g, q))
        assert_product(missing, oracle.missing_product(dosage, q), oracle.magnitude(m, q))

    @contract
    @given(dosages(), widths, seeds)
    def test_square_matmul_is_the_definition(self, dosage, k, seed):
        q = np.random.default_rng(seed).standard_normal((dosage.shape[1], k))
        square = np.maximum(dosage, 0).astype(np.int8) ** 2
        found = self.block(dosage).square_matmul(q)
        assert_product(found, oracle.dosage_product(square, q), oracle.magnitude(square, q))

    @contract
    @given(dosages(), widths, seeds, st.booleans())
    def test_rmatmul_is_the_definition(self, dosage, k, seed, same):
        rng = np.random.default_rng(seed)
        r = rng.standard_normal((len(dosage), k))
        s = r if same else rng.standard_normal((len(dosage), k))
        block = self.block(dosage)
        observed, missing = block.rmatmul(r) if same else block.rmatmul(r, s)
        g, m = np.maximum(dosage, 0), dosage < 0
        assert_product(observed, oracle.dosage_product(dosage.T, r), oracle.magnitude(g.T, r))
        assert_product(missing, oracle.missing_product(dosage.T, s), oracle.magnitude(m.T, s))

    @contract
    @given(dosages(), widths, seeds)
    def test_products_in_single_precision(self, dosage, k, seed):
        rng = np.random.default_rng(seed)
        q = rng.standard_normal((dosage.shape[1], k)).astype(np.float32)
        r, s = (rng.standard_normal((len(dosage), k)).astype(np.float32) for _ in range(2))
        block, single = self.block(dosage), np.float32
        square = np.maximum(dosage, 0).astype(np.int8) ** 2
        expected, scale = oracle.dosage_product(square, q), oracle.magnitude(square, q)
        assert_product(block.square_matmul(q), expected, scale, single)
        g, m = np.maximum(dosage, 0), dosage < 0
        for plane, product, found in zip(
            (g, m), (oracle.dosage_product, oracle.missing_product), block.matmul(q), strict=True
        ):
            assert_product(found, product(dosage, q), oracle.magnitude(plane, q), single)
        for plane, product, columns, found in zip(
            (g.T, m.T),
            (oracle.dosage_product, oracle.missing_product),
            (r, s),
            block.rmatmul(r, s),
            strict=True,
        ):
            scale = oracle.magnitude(plane, columns)
            assert_product(found, product(dosage.T, columns), scale, single)

    @pytest.mark.parametrize("k", [63, 64, 65, 130])
    def test_products_of_wide_columns(self, k):
        dosage = draw_dosage(9, 50, 0.05, seed=4)
        q = np.random.default_rng(4).standard_normal((50, k))
        observed, missing = self.block(dosage).matmul(q)
        scale = oracle.magnitude(np.abs(dosage), q)
        assert_product(observed, oracle.dosage_product(dosage, q), scale)
        assert_product(missing, oracle.missing_product(dosage, q), scale)


class KernelContract(BlockContract):
    """Subclass with `backend_name`; pytest then runs every test on that backend."""

    backend_name: str

    def block(self, dosage: np.ndarray) -> PackedBlock:
        return PackedBlock(pack(dosage), dosage.shape[1], backend(self.backend_name))

    @contract
    @given(
        dosages(max_rows=9, max_people=90), st.integers(1, 12), seeds, st.sampled_from((0, 0.7, 1))
    )
    def test_gram_is_the_definition(self, dosage, window, seed, share):
        include = np.random.default_rng(seed).random(dosage.shape[1]) < share
        gram = self.block(dosage).gram(window, include)
        assert_fields(gram, oracle.banded_gram(dosage, window, include))

    def test_gram_of_the_first_rows(self):
        dosage = draw_dosage(9, 33, 0.1, seed=2)
        whole, first = self.block(dosage).gram(4), self.block(dosage).gram(4, None, 5)
        assert_fields(first, {name: field[:5] for name, field in vars(whole).items()})
        assert self.block(dosage).gram(4, None, 0).n.shape == (0, 4)

    @contract
    @given(dosages(max_rows=9, max_people=200), seeds, st.sampled_from((0, 0.7, 1)))
    def test_planes_give_the_gram(self, dosage, seed, share):
        include = np.random.default_rng(seed).random(dosage.shape[1]) < share
        planes = self.block(dosage).row_planes(include)
        h = np.where(dosage < 0, 0, dosage - 1).astype(int)[:, include]
        called = (dosage >= 0)[:, include].astype(int)
        assert planes.people == include.sum()
        expected = (called.sum(axis=1), h.sum(axis=1), (h * h).sum(axis=1))
        np.testing.assert_array_equal(planes.totals, expected)
        both = planes.hom[:, np.newaxis] & planes.hom
        opposite = both & (planes.alt[:, np.newaxis] ^ planes.alt)
        products = np.bitwise_count(both).sum(axis=2, dtype=np.int64)
        products -= 2 * np.bitwise_count(opposite).sum(axis=2, dtype=np.int64)
        np.testing.assert_array_equal(products, h @ h.T)
        overlap = planes.called[:, np.newaxis] & planes.called
        np.testing.assert_array_equal(np.bitwise_count(overlap).sum(axis=2), called @ called.T)

    def test_gram_counts_everybody_unless_told(self):
        block = self.block(draw_dosage(6, 33, 0.1, seed=2))
        everybody = block.gram(4, np.ones(33, dtype=bool))
        assert_fields(block.gram(4), vars(everybody))

    @contract
    @given(dosages(max_people=40))
    def test_pair_counts_are_the_definition(self, dosage):
        assert_fields(self.block(dosage).pair_counts(), oracle.pair_counts(dosage))

    @contract
    @given(dosages(max_people=40), st.data())
    def test_pair_counts_of_some_people_with_others(self, dosage, data):
        people = st.integers(0, dosage.shape[1])
        first, others = (range(*sorted((data.draw(people), data.draw(people)))) for _ in range(2))
        expected = oracle.pair_counts(dosage, first, others)
        assert_fields(self.block(dosage).pair_counts(first, others), expected)
        assert_fields(self.block(dosage).pair_counts(first), oracle.pair_counts(dosage, first))

    def test_pair_counts_past_one_tile_and_word(self):
        dosage = draw_dosage(9000, 70, 0.05, seed=3)
        # Rows that everybody is called in, between others.
        dosage[::3] = np.maximum(dosage[::3], 0)
        observed, het = dosage >= 0, dosage == 1
        counts = self.block(dosage).pair_counts()
        np.testing.assert_array_equal(counts.observed, observed.T.astype(int) @ observed)
        np.testing.assert_array_equal(counts.het, het.T.astype(int) @ observed)
        np.testing.assert_array_equal(counts.het_other, counts.het.T)
        np.testing.assert_array_equal(counts.ibs0, counts.ibs0.T)
        apart = self.block(dosage).pair_counts(range(37), range(37, 70))
        assert_fields(apart, {name: both[:37, 37:] for name, both in vars(counts).items()})

    @contract
    @given(dosages(), st.integers(1, 4), seeds)
    def test_rcounts_are_the_definition(self, dosage, n_groups, seed):
        groups = np.random.default_rng(seed).integers(-1, n_groups, size=len(dosage))
        counts = self.block(dosage).rcounts(groups, n_groups)
        assert counts.dtype == np.int64
        np.testing.assert_array_equal(counts, oracle.person_counts(dosage, groups, n_groups))

    def test_rcounts_past_one_word(self):
        dosage = draw_dosage(300, 41, 0.05, seed=4)
        groups = np.arange(300) % 3 - 1
        np.testing.assert_array_equal(
            self.block(dosage).rcounts(groups, 2), oracle.person_counts(dosage, groups, 2)
        )

    @contract
    @given(dosages(), seeds, st.data())
    def test_rows_concatenate(self, dosage, seed, data):
        rows, people = dosage.shape
        cut = data.draw(st.integers(0, rows))
        rng = np.random.default_rng(seed)
        groups = rng.integers(-1, 3, size=people)
        q, r = rng.standard_normal((people, 4)), rng.standard_normal((rows, 4))
        whole, parts = self.block(dosage), [self.block(dosage[:cut]), self.block(dosage[cut:])]
        np.testing.assert_array_equal(
            whole.counts(groups, 3), np.concatenate([part.counts(groups, 3) for part in parts])
        )
        for plane in (0, 1):
            scale = oracle.magnitude(np.abs(dosage), q)
            stacked = np.concatenate([part.matmul(q)[plane] for part in parts])
            assert_product(whole.matmul(q)[plane], stacked, scale)
            summed = parts[0].rmatmul(r[:cut])[plane] + parts[1].rmatmul(r[cut:])[plane]
            assert_product(whole.rmatmul(r)[plane], summed, oracle.magnitude(np.abs(dosage.T), r))
        first, second = (vars(part.pair_counts()) for part in parts)
        assert_fields(whole.pair_counts(), {name: first[name] + second[name] for name in first})

    @contract
    @given(dosages(), seeds, st.data())
    def test_people_add_up(self, dosage, seed, data):
        rows, people = dosage.shape
        cut = data.draw(st.integers(0, people))
        rng = np.random.default_rng(seed)
        groups = rng.integers(-1, 3, size=people)
        include = rng.random(people) < 0.8
        q, r = rng.standard_normal((people, 4)), rng.standard_normal((rows, 4))
        whole = self.block(dosage)
        parts = [self.block(dosage[:, :cut]), self.block(dosage[:, cut:])]
        split = [slice(None, cut), slice(cut, None)]
        np.testing.assert_array_equal(
            whole.counts(groups, 3),
            sum(part.counts(groups[own], 3) for part, own in zip(parts, split, strict=True)),
        )
        for plane in (0, 1):
            scale = oracle.magnitude(np.abs(dosage), q)
            summed = sum(part.matmul(q[own])[plane] for part, own in zip(parts, split, strict=True))
            assert_product(whole.matmul(q)[plane], summed, scale)
            stacked = np.concatenate([part.rmatmul(r)[plane] for part in parts])
            assert_product(whole.rmatmul(r)[plane], stacked, oracle.magnitude(np.abs(dosage.T), r))
        first, second = (
            vars(part.gram(5, include[own])) for part, own in zip(parts, split, strict=True)
        )
        assert_fields(whole.gram(5, include), {name: first[name] + second[name] for name in first})

    @pytest.mark.parametrize("rate", [0.02, 0.4])
    def test_reruns_and_threads_are_bit_identical(self, rate):
        block = self.block(draw_dosage(40, 301, rate, seed=6))
        q = np.random.default_rng(6).standard_normal((301, 7))
        r = np.random.default_rng(7).standard_normal((40, 7))
        once = (*block.matmul(q), *block.rmatmul(r), block.square_matmul(q))
        with ThreadPoolExecutor(4) as threads:
            again = list(
                threads.map(
                    lambda _: (*block.matmul(q), *block.rmatmul(r), block.square_matmul(q)),
                    range(8),
                )
            )
        for rerun in again:
            for first, second in zip(once, rerun, strict=True):
                assert first.tobytes() == second.tobytes()

    def test_inputs_may_be_strided_read_only_or_of_other_types(self):
        dosage = draw_dosage(20, 30, 0.05, seed=8)
        packed = np.asfortranarray(np.repeat(pack(dosage), 2, axis=0))[::2]
        packed.flags.writeable = False
        strided = PackedBlock(packed, 30, backend(self.backend_name))
        plain = self.block(dosage)
        q = np.arange(30 * 6).reshape(6, 30).T
        for actual, expected in zip(
            strided.matmul(q), plain.matmul(np.ascontiguousarray(q, dtype=float)), strict=True
        ):
            np.testing.assert_array_equal(actual, expected)
        groups = np.arange(60, dtype=np.uint8)[::2] % 3
        np.testing.assert_array_equal(
            strided.counts(groups, 3), plain.counts(groups.astype(np.int64), 3)
        )
        include = (np.arange(60) % 3 > 0)[::2]
        assert_fields(strided.gram(3, include), vars(plain.gram(3, np.ascontiguousarray(include))))

    def test_nobody_and_no_rows(self):
        for shape in ((0, 5), (5, 0), (0, 0)):
            rows, people = shape
            block = self.block(np.zeros(shape, dtype=np.int8))
            assert block.counts(np.zeros(people, dtype=int), 2).shape == (rows, 2, 4)
            assert [p.shape for p in block.matmul(np.ones((people, 3)))] == [(rows, 3)] * 2
            assert block.square_matmul(np.ones((people, 3))).shape == (rows, 3)
            assert [p.shape for p in block.rmatmul(np.ones((rows, 3)))] == [(people, 3)] * 2
            assert block.gram(4).product.shape == (rows, 4)
            assert block.pair_counts().observed.shape == (people, people)
            assert not block.pair_counts().observed.any()
            counts = block.rcounts(np.zeros(rows, dtype=int), 2)
            assert counts.shape == (people, 2, 4)
            assert (counts[:, 0, 0] == rows).all()
            assert block.dosages().shape == shape

    def test_arguments_are_left_alone(self):
        block = self.block(draw_dosage(8, 21, 0.1, seed=9))
        arguments = {
            "packed": block.packed,
            "q": np.ones((21, 2)),
            "r": np.ones((8, 2)),
            "groups": np.arange(21) % 2,
            "include": np.arange(21) % 2 == 0,
        }
        before = {name: argument.copy() for name, argument in arguments.items()}
        block.matmul(arguments["q"])
        block.square_matmul(arguments["q"])
        block.rmatmul(arguments["r"])
        block.counts(arguments["groups"], 2)
        block.gram(3, arguments["include"])
        block.pair_counts()
        block.rcounts(np.arange(8) % 2, 2)
        for name, argument in arguments.items():
            np.testing.assert_array_equal(argument, before[name], err_msg=name)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda b: b.counts(np.zeros(4, int), 1), r"groups must have shape \(5,\), not \(4,\)"),
            (lambda b: b.counts(np.zeros(5), 1), "groups must be integers, not float64"),
            (lambda b: b.counts(np.full(5, 2), 2), "groups must lie between -1 and 1"),
            (lambda b: b.counts(np.full(5, -2), 2), "range from -2 to -2"),
            (lambda b: b.matmul(np.ones((4, 2))), r"q must have shape \(people, k\) with 5 people"),
            (lambda b: b.matmul(np.ones(5)), r"q must have shape \(people, k\).*not \(5,\)"),
            (lambda b: b.matmul(np.full((5, 1), np.nan)), r"q is nan at \[0, 0\]; give finite"),
            (lambda b: b.square_matmul(np.ones((4, 2))), r"q must have shape \(people, k\) with 5"),
            (lambda b: b.rmatmul(np.ones((5, 2))), r"r must have shape \(rows, k\) with 3 rows"),
            (lambda b: b.rmatmul(np.ones((3, 2)), np.ones((3, 1))), r"s must have shape \(3, 2\)"),
            (lambda b: b.rmatmul(np.full((3, 1), np.inf)), "r is inf at .* 0 for rows"),
            (lambda b: b.rcounts(np.zeros(4, int), 1), r"groups must have shape \(3,\)"),
            (lambda b: b.pair_counts(range(6)), "first must be a range of consecutive people of 5"),
            (lambda b: b.pair_counts(others=range(0, 4, 2)), r"others must be .* range\(0, 4, 2\)"),
            (lambda b: b.gram(0), "window must be at least 1 row, not 0"),
            (lambda b: b.gram(2, None, 99), r"first must be from 0 to \d+ rows, not 99"),
            (lambda b: b.gram(2, np.ones(4, bool)), r"include must have shape \(5,\)"),
            (lambda b: b.row_planes(np.ones(4, bool)), r"include must have shape \(5,\)"),
            (lambda b: b.gram(2, np.ones(5)), "include must be a bool per person, not float64"),
        ],
    )
    def test_wrong_arguments_are_named(self, call, message):
        block = self.block(np.zeros((3, 5), dtype=np.int8))
        with pytest.raises(UsageError, match=message):
            call(block)

    @pytest.mark.parametrize(
        ("packed", "message"),
        [
            (np.zeros((3, 1), np.uint8), r"of 5 people must be uint8 of shape \(rows, 2\)"),
            (np.zeros((3, 2), np.int8), "not int8"),
            (np.zeros(2, np.uint8), r"of shape \(2,\)"),
            (np.array([[0, 0], [0, 4]], np.uint8), "packed row 1 holds codes after its last"),
        ],
    )
    def test_wrong_blocks_are_refused(self, packed, message):
        with pytest.raises(BadInput, match=message):
            PackedBlock(packed, 5, backend(self.backend_name))
