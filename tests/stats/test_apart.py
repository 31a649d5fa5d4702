from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.stats import ld
from genome_eu.stats.exposure import largest_leverage
from tests.oracles.ld import filled
from tests.stats.test_ld import correlated


def left_out(dosage, band, limit, size=None):
    leverage = ld.Leverage(band, limit)
    size = size or ld.block_size(band)
    parts = [leverage.leave_out(dosage[at : at + size]) for at in range(0, len(dosage), size)]
    return np.concatenate(parts)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(20, 120),
    st.integers(1, 20),
    st.sampled_from((0.2, 0.5, 0.9)),
    st.integers(0, 2**32 - 1),
)
def test_nobody_has_more_leverage_on_the_rows_of_a_band(rows, people, band, limit, seed):
    dosage = np.maximum(correlated(rows, people, 0.0, seed), 0)
    apart = left_out(dosage, band, limit)
    for start in range(rows):
        window = dosage[start : start + band][~apart[start : start + band]]
        assert largest_leverage(window.T.astype(float)) <= limit + 1e-6


def test_what_two_rows_differ_by_is_one_persons_genotype():
    """The attack: products of both with any third row differ by exactly that."""
    rng = np.random.default_rng(5)
    dosage = rng.binomial(2, 0.4, (5, 400)).astype(np.int8)
    dosage[3] = dosage[1]
    dosage[3, 77] = (dosage[1, 77] + 1) % 3
    step = int(dosage[3, 77]) - int(dosage[1, 77])
    product = dosage.astype(int) @ dosage.T.astype(int)
    np.testing.assert_array_equal(product[3] - product[1], step * dosage[:, 77])
    np.testing.assert_array_equal(left_out(dosage, 5, 0.5), [False, False, False, True, False])


def test_nor_what_three_rows_differ_by():
    rng = np.random.default_rng(5)
    dosage = np.zeros((4, 500), dtype=np.int8)
    dosage[0] = rng.binomial(1, 0.3, 500)
    dosage[1] = rng.binomial(1, 0.3, 500)
    dosage[3] = dosage[0] + dosage[1]
    dosage[2] = rng.binomial(2, 0.5, 500)
    assert not left_out(dosage, 4, 0.5).any()
    dosage[3, 11] ^= 1
    np.testing.assert_array_equal(left_out(dosage, 4, 0.5), [False, False, False, True])
    # Rows beyond a band are multiplied with none of it.
    assert not left_out(dosage, 2, 0.5, size=1).any()


def test_the_same_row_twice_says_nothing_new():
    dosage = np.repeat(np.random.default_rng(1).binomial(2, 0.4, (1, 60)), 9, axis=0)
    assert not left_out(dosage, 4, 0.5).any()


def test_people_in_the_hundred_thousands_are_told_apart():
    rng = np.random.default_rng(5)
    dosage = rng.binomial(2, 0.4, (2, 200_000)).astype(np.int8)
    dosage[1] = dosage[0]
    dosage[1, 5] = (dosage[0, 5] + 1) % 3
    np.testing.assert_array_equal(left_out(dosage, 2, 0.5), [False, True])


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_missing_calls_are_filled_as_sums_fill_them(rate):
    dosage = correlated(20, 50, rate, seed=2)
    np.testing.assert_array_equal(ld.filled_dosage(dosage), filled(dosage))


def test_rows_further_apart_than_a_band_are_seen_with_a_third_between():
    rng = np.random.default_rng(6)
    dosage = rng.binomial(2, 0.4, (30, 400)).astype(np.int8)
    for distance, seen in ((8, True), (14, True), (18, True), (19, False)):
        differing = dosage.copy()
        differing[2 + distance] = differing[2]
        differing[2 + distance, 77] = (differing[2, 77] + 1) % 3
        # In a band of 10, rows 18 apart are both multiplied with the one in the middle.
        assert left_out(differing, 10, 0.5, size=1)[2 + distance] == seen
