"""The kernels on dosages as their definitions, in NumPy: to read, and to hold others against."""

from __future__ import annotations

import numpy as np

from genome_eu.kernels.dense.codes import MISSING, ONE, hard_calls

Array = np.ndarray


def counts(codes: Array, groups: Array, n_groups: int) -> Array:
    """Hard calls per row and group; int64, shape (rows, n_groups, 4)."""
    calls = hard_calls(codes)
    result = np.zeros((len(codes), n_groups, 4), dtype=np.int64)
    for group in range(n_groups):
        members = calls[:, groups == group]
        for column, genotype in enumerate((0, 1, 2, -1)):
            result[:, group, column] = (members == genotype).sum(axis=1)
    return result


def tally(codes: Array, groups: Array, n_groups: int) -> tuple[Array, ...]:
    """People called and missing, sums of codes and of their squares."""
    shape = (len(codes), n_groups)
    called, missing, sums, squares = (np.zeros(shape, dtype=np.int64) for _ in range(4))
    for group in range(n_groups):
        members = codes[:, groups == group].astype(np.int64)
        lost = members == MISSING
        observed = np.where(lost, 0, members)
        missing[:, group] = lost.sum(axis=1)
        called[:, group] = (~lost).sum(axis=1)
        sums[:, group] = observed.sum(axis=1)
        squares[:, group] = (observed**2).sum(axis=1)
    return called, missing, sums, squares


def matmul(codes: Array, q: Array) -> tuple[Array, Array]:
    """``G @ q`` and ``M @ q``; of q's type, shape (rows, k)."""
    observed, missing = _planes(codes)
    return _product(observed, q), _product(missing, q)


def square_matmul(codes: Array, q: Array) -> Array:
    """``(G * G) @ q``; of q's type, shape (rows, k)."""
    return _product(_planes(codes)[0] ** 2, q)


def rmatmul(codes: Array, r: Array, s: Array) -> tuple[Array, Array]:
    """``G.T @ r`` and ``M.T @ s``; of r's type, shape (people, k)."""
    observed, missing = _planes(codes)
    return _product(observed.T, r), _product(missing.T, s)


def _product(plane: Array, columns: Array) -> Array:
    return (plane.astype(np.float64) @ columns.astype(np.float64)).astype(columns.dtype)


def _planes(codes: Array) -> tuple[Array, Array]:
    """Dosage with 0 where missing (float64), and where it is missing (bool)."""
    missing = codes == MISSING
    return np.where(missing, 0, codes) / ONE, missing
