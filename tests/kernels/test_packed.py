"""The packed format: what a bit means, and what cannot be packed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.errors import BadInput, GenomeEuError, UsageError
from genome_eu.kernels import BACKENDS, PackedBlock, backend, pack, pack_genotypes, unpack
from tests.kernels.contract import dosages
from tests.oracles.genotypes import alt_dosage

quick = settings(max_examples=60, deadline=None)


@st.composite
def calls(draw):
    """Allele calls with halves missing, haploids and several ALTs, as int8 or int16."""
    variants = draw(st.integers(0, 6))
    people = draw(st.integers(0, 21))
    ploidy = draw(st.sampled_from((1, 2)))
    n_alts = np.array(
        draw(st.lists(st.integers(0, 4), min_size=variants, max_size=variants)), dtype=np.int64
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    genotypes = rng.integers(-2, n_alts[:, None, None] + 1, size=(variants, people, ploidy))
    return genotypes.astype(draw(st.sampled_from((np.int8, np.int16)))), n_alts


def test_a_person_is_two_bits_little_end_first():
    dosage = np.array([[1, 2, -1, 0, 2]], dtype=np.int8)
    assert pack(dosage).tolist() == [[0b00_11_10_01, 0b00_00_00_10]]


@quick
@given(dosages())
def test_unpack_undoes_pack(dosage):
    packed = pack(dosage)
    assert packed.shape == (len(dosage), -(-dosage.shape[1] // 4))
    unpacked = unpack(packed, dosage.shape[1])
    assert unpacked.dtype == np.int8
    np.testing.assert_array_equal(unpacked, dosage)
    np.testing.assert_array_equal(
        PackedBlock(packed, dosage.shape[1], backend("reference")).dosages(), dosage
    )


def test_any_negative_dosage_is_missing():
    assert unpack(pack(np.array([[-1, -2, -128, 1]], dtype=np.int8)), 4).tolist() == [
        [-1, -1, -1, 1]
    ]


def test_pack_accepts_strided_dosages():
    dosage = np.arange(60, dtype=np.int8).reshape(6, 10) % 3
    np.testing.assert_array_equal(pack(dosage[::2, ::-3]), pack(dosage[::2, ::-3].copy()))


@quick
@given(calls())
def test_pack_genotypes_is_the_definition(drawn):
    genotypes, n_alts = drawn
    packed = pack_genotypes(genotypes, n_alts)
    assert packed.dtype == np.uint8
    np.testing.assert_array_equal(unpack(packed, genotypes.shape[1]), alt_dosage(genotypes, n_alts))


@pytest.mark.parametrize(
    ("call", "first_alt", "second_alt"),
    [
        ((0, 0), 0, 0),
        ((0, 1), 1, 0),
        ((1, 0), 1, 0),
        ((1, 1), 2, 0),
        ((1, 2), 1, 1),
        ((2, 2), 0, 2),
        ((-1, -1), -1, -1),
        ((-1, 1), -1, -1),
        ((0, -1), -1, -1),
        ((1, -2), 2, 0),
        ((2, -2), 0, 2),
        ((-2, 1), 2, 0),
        ((0, -2), 0, 0),
        ((-1, -2), -1, -1),
        ((-2, -2), -1, -1),
    ],
)
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_each_kind_of_call(call, first_alt, second_alt, dtype):
    packed = pack_genotypes(np.array([[call]], dtype=dtype), np.array([2]))
    assert unpack(packed, 1).tolist() == [[first_alt], [second_alt]]


def test_haploid_arrays_count_the_alt_twice():
    genotypes = np.array([[[0], [1], [-1], [-2]]], dtype=np.int8)
    assert unpack(pack_genotypes(genotypes, np.array([1])), 4).tolist() == [[0, 2, -1, -1]]


def test_more_alleles_than_int8_can_index():
    rng = np.random.default_rng(5)
    n_alts = np.array([1, 300, 127, 128, 2])
    genotypes = rng.integers(-2, n_alts[:, None, None] + 1, size=(5, 9, 2)).astype(np.int16)
    np.testing.assert_array_equal(
        unpack(pack_genotypes(genotypes, n_alts), 9), alt_dosage(genotypes, n_alts)
    )


def test_pack_genotypes_accepts_any_layout():
    rng = np.random.default_rng(6)
    for dtype in (np.int8, np.int16):
        genotypes = rng.integers(-1, 2, size=(8, 14, 2)).astype(dtype)
        strided = np.asfortranarray(genotypes)[::2, ::-1]
        n_alts = np.ones(4, dtype=np.uint8)
        np.testing.assert_array_equal(
            unpack(pack_genotypes(strided, n_alts), 14), alt_dosage(strided, n_alts)
        )
        genotypes.flags.writeable = False
        assert len(pack_genotypes(genotypes, np.ones(8, dtype=int))) == 8


@pytest.mark.parametrize(
    ("genotypes", "n_alts", "message"),
    [
        (np.zeros((2, 3), np.int8), [1, 1], r"int8 or int16 of shape \(variants, people, ploidy\)"),
        (np.zeros((2, 3, 2), np.int32), [1, 1], "not int32"),
        (np.zeros((2, 3, 4), np.int8), [1, 1], "ploidy 4; only haploid and diploid"),
        (np.zeros((2, 3, 2), np.int8), [1], "one integer for each of 2 variants"),
        (np.zeros((2, 3, 2), np.int8), [1, -1], "n_alts is -1 for variant 1"),
        (np.full((2, 3, 2), 2, np.int8), [2, 1], "variant 1 has allele 2, but .* has 1 ALT"),
        (np.full((2, 3, 2), -3, np.int16), [2, 1], "variant 0 has allele -3"),
    ],
)
def test_wrong_genotypes_are_named(genotypes, n_alts, message):
    with pytest.raises(BadInput, match=message):
        pack_genotypes(genotypes, np.array(n_alts))


@pytest.mark.parametrize(
    ("dosage", "message"),
    [
        (np.array([[0, 1], [3, 0]], np.int8), "dosage is 3 in row 1, person 0"),
        (np.zeros((2, 2)), "signed integer array"),
        (np.zeros(3, np.int8), r"of shape \(3,\)"),
    ],
)
def test_wrong_dosages_are_named(dosage, message):
    with pytest.raises(BadInput, match=message):
        pack(dosage)


def test_unpack_refuses_another_number_of_people():
    with pytest.raises(BadInput, match=r"of 9 people must be uint8 of shape \(rows, 3\)"):
        unpack(np.zeros((4, 2), np.uint8), 9)


def test_unknown_backend_is_a_usage_error():
    with pytest.raises(
        UsageError, match="unknown kernel backend 'gpus'; choose one of cpu, gpu, refer"
    ):
        backend("gpus")
    assert issubclass(UsageError, GenomeEuError)


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_has_the_kernels(name):
    kernels = backend(name)
    products = ("matmul", "square_matmul", "rmatmul", "gram")
    for kernel in ("counts", "rcounts", "pair_counts", *products):
        assert callable(getattr(kernels, kernel))


def test_blocks_show_their_shape_only():
    block = PackedBlock(np.zeros((3, 2), np.uint8), 7, backend("cpu"))
    assert repr(block) == "PackedBlock(3 rows x 7 people)"
    assert block.rows == 3
