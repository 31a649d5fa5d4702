"""The kernels as their definitions, in NumPy: to read, and to hold other backends against."""

from __future__ import annotations

import numpy as np

from genome_eu.kernels.block import BandedGram, PairCounts
from genome_eu.kernels.packed import unpack

Array = np.ndarray


def hold(packed: Array) -> Array:
    """Compute where the rows are."""
    return packed


def counts(packed: Array, people: int, groups: Array, n_groups: int) -> Array:
    """Genotype counts per row and group; int64, shape (rows, n_groups, 4)."""
    dosage = unpack(packed, people)
    result = np.zeros((len(dosage), n_groups, 4), dtype=np.int64)
    for group in range(n_groups):
        members = dosage[:, groups == group]
        for column, genotype in enumerate((0, 1, 2, -1)):
            result[:, group, column] = (members == genotype).sum(axis=1)
    return result


def matmul(packed: Array, people: int, q: Array) -> tuple[Array, Array]:
    """``G @ q`` and ``M @ q``; of q's type, shape (rows, k)."""
    observed, missing = _planes(packed, people)
    return _product(observed, q), _product(missing, q)


def square_matmul(packed: Array, people: int, q: Array) -> Array:
    """``(G * G) @ q``; of q's type, shape (rows, k)."""
    observed, _ = _planes(packed, people)
    return _product(observed * observed, q)


def rmatmul(packed: Array, people: int, r: Array, s: Array) -> tuple[Array, Array]:
    """``G.T @ r`` and ``M.T @ s``; of r's type, shape (people, k)."""
    observed, missing = _planes(packed, people)
    return _product(observed.T, r), _product(missing.T, s)


def gram(packed: Array, people: int, window: int, include: Array, first: int) -> BandedGram:
    """Sums over the included people called in both rows of each pair (j, j + d)."""
    observed, missing = _planes(packed, people)
    g = observed[:, include]
    called = ~missing[:, include]
    rows = len(g)
    result = BandedGram(*(np.zeros((first, window), dtype=np.int64) for _ in range(6)))
    for d in range(min(window, rows)):
        stop = min(first, rows - d)
        a, b = g[:stop], g[d : d + stop]
        both = called[:stop] & called[d : d + stop]
        result.n[:stop, d] = both.sum(axis=1)
        result.sum_a[:stop, d] = (a * both).sum(axis=1)
        result.sum_b[:stop, d] = (b * both).sum(axis=1)
        result.square_a[:stop, d] = (a * a * both).sum(axis=1)
        result.square_b[:stop, d] = (b * b * both).sum(axis=1)
        result.product[:stop, d] = (a * b).sum(axis=1)
    return result


def rcounts(packed: Array, people: int, groups: Array, n_groups: int) -> Array:
    """Genotype counts per person and group of rows; int64, shape (people, n_groups, 4)."""
    dosage = unpack(packed, people)
    result = np.zeros((people, n_groups, 4), dtype=np.int64)
    for group in range(n_groups):
        members = dosage[groups == group]
        for column, genotype in enumerate((0, 1, 2, -1)):
            result[:, group, column] = (members == genotype).sum(axis=0)
    return result


def pair_counts(packed: Array, people: int, first: range, others: range) -> PairCounts:
    """Counts over the rows called in both people of each pair, one of `first`, one of `others`."""
    a, b = (unpack(packed, people)[:, some.start : some.stop].T for some in (first, others))
    (ref_a, het_a, alt_a, called_a), (ref_b, het_b, alt_b, called_b) = (
        [plane.astype(np.int64) for plane in (g == 0, g == 1, g == 2, g >= 0)] for g in (a, b)
    )
    return PairCounts(
        observed=called_a @ called_b.T,
        ibs0=ref_a @ alt_b.T + alt_a @ ref_b.T,
        het_het=het_a @ het_b.T,
        het=het_a @ called_b.T,
        het_other=called_a @ het_b.T,
    )


def _product(plane: Array, columns: Array) -> Array:
    return (plane.astype(np.float64) @ columns.astype(np.float64)).astype(columns.dtype)


def _planes(packed: Array, people: int) -> tuple[Array, Array]:
    """Dosage with 0 where missing (int64), and where it is missing (bool)."""
    dosage = unpack(packed, people).astype(np.int64)
    missing = dosage < 0
    return np.where(missing, 0, dosage), missing
