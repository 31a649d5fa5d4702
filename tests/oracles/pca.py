"""Principal components by a dense eigendecomposition over people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Components:
    """Leading eigenpairs of ZᵀZ/M: `scores` (people, k), `loadings` (rows, k), unit norm both."""

    eigenvalues: np.ndarray
    scores: np.ndarray
    loadings: np.ndarray


def standardized(dosage):
    """z = (g − 2p)/√(2p(1−p)); 0 for a missing call, and in rows that do not vary."""
    z = np.zeros(dosage.shape)
    for row, calls in enumerate(dosage):
        called = calls >= 0
        if called.any():
            p = calls[called].mean() / 2
            if 0 < p < 1:
                z[row, called] = (calls[called] - 2 * p) / np.sqrt(2 * p * (1 - p))
    return z


def components(dosage, k) -> Components:
    """Of all M rows, those that do not vary included; largest loading positive."""
    z = standardized(dosage)
    m = len(z)
    values, vectors = np.linalg.eigh(z.T @ z / m)
    values, vectors = values[::-1][:k], vectors[:, ::-1][:, :k]
    loadings = z @ vectors / np.sqrt(m * values)
    largest = np.abs(loadings).argmax(axis=0)
    sign = np.sign(loadings[largest, np.arange(k)])
    return Components(values, vectors * sign, loadings * sign)
