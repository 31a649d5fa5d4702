"""Rows read with their alleles exchanged: copies of REF instead of ALT."""

from __future__ import annotations

import numpy as np
import pytest

from genome_eu.cohort import open_store, oriented, stored
from genome_eu.kernels import exchange, pack, unpack
from tests import simulate

PEOPLE = 37
ROWS = 40


@pytest.fixture(scope="module")
def dosage() -> np.ndarray:
    return simulate.dosages(ROWS, PEOPLE, 0.1, seed=31)


@pytest.fixture(scope="module")
def store(dosage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exchanged")
    return open_store(simulate.write_store(folder, dosage, simulate.people(dosage, 3)))


@pytest.fixture
def asked() -> tuple[np.ndarray, np.ndarray]:
    """Rows in any order, some twice, and which of them are exchanged."""
    rng = np.random.default_rng(5)
    return rng.integers(0, ROWS, 60), rng.random(60) < 0.5


def expected(dosage, rows, exchanged):
    chosen = dosage[rows]
    other = np.where(chosen < 0, -1, 2 - chosen)
    return np.where(exchanged[:, None], other, chosen)


@pytest.mark.parametrize("people", [1, 2, 3, 4, 5, 8, 37])
def test_packed_rows_are_exchanged_and_their_padding_stays(people):
    dosage = np.random.default_rng(people).integers(-1, 3, (20, people)).astype(np.int8)
    packed = pack(dosage)
    before = packed.copy()
    found = exchange(packed, people)
    np.testing.assert_array_equal(unpack(found, people), np.where(dosage < 0, -1, 2 - dosage))
    np.testing.assert_array_equal(exchange(found, people), packed)
    np.testing.assert_array_equal(packed, before)


def test_what_is_oriented_is_stored(asked):
    rows, exchanged = asked
    places, back = stored(oriented(rows, exchanged))
    np.testing.assert_array_equal(places, rows)
    np.testing.assert_array_equal(back, exchanged)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_reading(store, dosage, asked, backend):
    rows, exchanged = asked
    block = store.read(oriented(rows, exchanged), backend)
    np.testing.assert_array_equal(block.dosages(), expected(dosage, rows, exchanged))
    # What is cached is not changed by it.
    np.testing.assert_array_equal(store.read(slice(0, ROWS)).dosages(), dosage)


def test_counts_made_at_import(store, dosage, asked):
    rows, exchanged = asked
    wanted = expected(dosage, rows, exchanged)
    found = store.counts(oriented(rows, exchanged))
    counted = np.stack([(wanted == code).sum(axis=1) for code in (0, 1, 2, -1)], axis=1)
    np.testing.assert_array_equal(found, counted)


def test_dosages(store, dosage, asked):
    rows, exchanged = asked
    wanted = expected(dosage, rows, exchanged)
    block = store.read_dosages(oriented(rows, exchanged))
    ones = np.eye(PEOPLE)
    product, missing = block.matmul(ones)
    np.testing.assert_array_equal(product, np.where(wanted < 0, 0, wanted))
    np.testing.assert_array_equal(missing, wanted < 0)
    called, copies, squares, calls = store.dosage_sums(oriented(rows, exchanged))
    np.testing.assert_array_equal(called, (wanted >= 0).sum(axis=1))
    np.testing.assert_array_equal(copies, np.where(wanted < 0, 0, wanted).sum(axis=1))
    np.testing.assert_array_equal(squares, np.where(wanted < 0, 0, wanted**2).sum(axis=1))
    np.testing.assert_array_equal(calls, store.counts(oriented(rows, exchanged)))


def test_a_row_that_is_not_there(store):
    with pytest.raises(IndexError):
        store.read(oriented(np.array([ROWS]), np.array([True])))
