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


def rmatmul(packed: Array, people: int, r: Array, s: Array) -> tuple[Array, Array]:
    """``G.T @ r`` and ``M.T @ s``; of r's type, shape (people, k)."""
    observed, missing = _planes(packed, people)
    return _product(observed.T, r), _product(missing.T, s)


def gram(packed: Array, people: int, window: int, include: Array) -> BandedGram:
    """Sums over the included people called in both rows of each pair (j, j + d)."""
    observed, missing = _planes(packed, people)
    g = observed[:, include]
    called = ~missing[:, include]
    rows = len(g)
    result = BandedGram(*(np.zeros((rows, window), dtype=np.int64) for _ in range(6)))
    for d in range(min(window, rows)):
        a, b = g[: rows - d], g[d:]
        both = called[: rows - d] & called[d:]
        result.n[: rows - d, d] = both.sum(axis=1)
        result.sum_a[: rows - d, d] = (a * both).sum(axis=1)
        result.sum_b[: rows - d, d] = (b * both).sum(axis=1)
        result.square_a[: rows - d, d] = (a * a * both).sum(axis=1)
        result.square_b[: rows - d, d] = (b * b * both).sum(axis=1)
        result.product[: rows - d, d] = (a * b).sum(axis=1)
    return result


def pair_counts(packed: Array, people: int) -> PairCounts:
    """Counts over the rows called in both people of each pair."""
    dosage = unpack(packed, people)
    hom_ref, het, hom_alt, called = (
        plane.astype(np.int64) for plane in (dosage == 0, dosage == 1, dosage == 2, dosage >= 0)
    )
    return PairCounts(
        observed=called.T @ called,
        ibs0=hom_ref.T @ hom_alt + hom_alt.T @ hom_ref,
        het_het=het.T @ het,
        het=het.T @ called,
    )


def _product(plane: Array, columns: Array) -> Array:
    return (plane.astype(np.float64) @ columns.astype(np.float64)).astype(columns.dtype)


def _planes(packed: Array, people: int) -> tuple[Array, Array]:
    """Dosage with 0 where missing (int64), and where it is missing (bool)."""
    dosage = unpack(packed, people).astype(np.int64)
    missing = dosage < 0
    return np.where(missing, 0, dosage), missing
