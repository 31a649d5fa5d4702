"""Whole columns of numbers as text with a fixed number of decimals, as C's ``%.<decimals>f``."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from genome_eu.compiled import compiled

# Digits before the point that are written here; longer numbers are printed by Python.
_LONGEST = 9
_MINUS, _POINT, _ZERO = (ord(mark) for mark in "-.0")


@compiled
def _put(
    values: NDArray, decimals: int, power: float, out: NDArray, offsets: NDArray, left: NDArray
) -> int:
    """Text of all values, end to end; those that are `left` stay empty and are counted."""
    at = count = 0
    for row in range(values.size):
        offsets[row] = at
        value = values[row]
        scaled = abs(value) * power
        above = scaled - math.floor(scaled) - 0.5
        # The product has been rounded: which side of a tie the number is on, Python must say.
        if not scaled < 10.0**_LONGEST * power or abs(above) < 1e-6 + 4e-16 * scaled:
            left[row] = True
            count += 1
            continue
        number = np.int64(scaled) + np.int64(above > 0.0)
        whole = number // np.int64(power)
        rest = number - whole * np.int64(power)
        if math.copysign(1.0, value) < 0.0:
            out[at] = _MINUS
            at += 1
        places = 1
        most = np.int64(10)
        while whole >= most:
            places += 1
            most *= 10
        for place in range(at + places - 1, at - 1, -1):
            out[place] = _ZERO + whole % 10
            whole //= 10
        at += places
        if decimals:
            out[at] = _POINT
            for place in range(at + decimals, at, -1):
                out[place] = _ZERO + rest % 10
                rest //= 10
            at += 1 + decimals
    offsets[values.size] = at
    return count


def fixed(values: np.ndarray, decimals: int) -> pa.Array:
    """Text of `values` with C's ``%.<decimals>f``; NaN is nan.

    Parameters
    ----------
    values : float array, shape (rows,)
    decimals : int
        At most 6.

    Returns
    -------
    text : string array, shape (rows,)
    """
    x = np.ascontiguousarray(values, dtype=np.float64)
    out = np.empty(x.size * (_LONGEST + decimals + 3), np.uint8)
    offsets, left = np.empty(x.size + 1, np.int32), np.zeros(x.size, bool)
    count = _put(x, decimals, 10.0**decimals, out, offsets, left)
    text = pa.Array.from_buffers(
        pa.string(), x.size, [None, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]])]
    )
    if not count:
        return text
    written = [f"{value:.{decimals}f}" for value in x[left].tolist()]
    return pc.replace_with_mask(text, pa.array(left), pa.array(written, pa.string()))
