"""Hashes of people and of their columns, under a key that stays at the site."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-9


def people(key: bytes, sample_id: Iterable[object]) -> NDArray[np.uint64]:
    """A hash of each sample id, in their order; the same person always has the same one."""
    made = (
        hashlib.blake2b(str(one).encode(), key=key, digest_size=8).digest() for one in sample_id
    )
    return np.frombuffer(b"".join(made), "<u8")


def columns(key: bytes, hashes: NDArray[np.uint64], values: NDArray) -> tuple[bytes, ...]:
    """A digest of each column of numbers on people, whatever their order, its shift and scale.

    Parameters
    ----------
    key : bytes
        The site's.
    hashes : uint64 array, shape (people,)
        Of the people, as `people` gives them.
    values : float64 array, shape (people,) or (people, columns)
        No missing values.
    """
    table = np.asarray(values, float)
    table = table.reshape(len(table), table.shape[1] if table.ndim > 1 else 1)
    steps = _unscaled(table[np.argsort(hashes)])
    return tuple(
        hashlib.blake2b(column.tobytes(), key=key, digest_size=16).digest()
        for column in np.ascontiguousarray(steps.T)
    )


def _unscaled(table: NDArray) -> NDArray[np.int64]:
    """Columns without their mean, scale and sign, in steps that rounding errors do not reach."""
    if not table.size:
        return np.empty(table.shape, "<i8")
    centred = table - table.mean(axis=0)
    scale = np.abs(centred).max(axis=0)
    constant = scale <= _ROUNDING * np.abs(table).max(axis=0)
    unit = np.where(constant, 0, centred / np.where(constant, 1, scale))
    # The first person far from the mean has the sign.
    first = unit[(np.abs(unit) > 0.5).argmax(axis=0), np.arange(unit.shape[1])]
    return np.rint(np.where(first < 0, -unit, unit) * 1e7).astype("<i8")
