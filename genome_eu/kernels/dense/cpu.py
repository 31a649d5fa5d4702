"""The kernels on dosages for one CPU thread: sums compiled, products by BLAS on decoded tiles.

Fractions have no tables of 256 sums to look up, as packed calls have, so rows are decoded to
floating point, as many as stay small beside the block, and multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from genome_eu.compiled import compiled

Array = np.ndarray

# As in `codes`, whose numbers compiled code would not follow when they change: its cache watches
# one file.
_ONE, _MISSING, _HARD_CALL_STEPS = 16384, 65535, 1638

# Bytes of a tile of decoded rows.
_TILE_BYTES = 8 * 2**20


def counts(codes: Array, groups: Array, n_groups: int) -> Array:
    """Hard calls per row and group; int64, shape (rows, n_groups, 4)."""
    result = np.zeros((len(codes), n_groups, 4), dtype=np.int64)
    _count(codes, groups, result)
    return result


def tally(codes: Array, groups: Array, n_groups: int) -> tuple[Array, ...]:
    """People called and missing, sums of codes and of their squares."""
    sums = np.zeros((4, len(codes), n_groups), dtype=np.int64)
    _tally(codes, groups, sums)
    return tuple(sums)


def matmul(codes: Array, q: Array) -> tuple[Array, Array]:
    """``G @ q`` and ``M @ q``; of q's type, shape (rows, k)."""
    observed = np.zeros((len(codes), q.shape[1]), dtype=q.dtype)
    missing = np.zeros_like(observed)
    for rows, tile, room in _tiles(codes, q.dtype):
        some_lack_it = _decode(tile, room)
        np.matmul(room, q, out=observed[rows])
        lacking = np.flatnonzero(some_lack_it)
        if lacking.size:
            mask = room[: lacking.size]
            _missing_plane(tile, lacking, mask)
            missing[rows][lacking] = mask @ q
    return observed, missing


def square_matmul(codes: Array, q: Array) -> Array:
    """``(G * G) @ q``; of q's type, shape (rows, k)."""
    squares = np.zeros((len(codes), q.shape[1]), dtype=q.dtype)
    for rows, tile, room in _tiles(codes, q.dtype):
        _decode(tile, room)
        np.matmul(np.square(room, out=room), q, out=squares[rows])
    return squares


def rmatmul(codes: Array, r: Array, s: Array) -> tuple[Array, Array]:
    """``G.T @ r`` and ``M.T @ s``; of r's type, shape (people, k)."""
    observed = np.zeros((codes.shape[1], r.shape[1]), dtype=r.dtype)
    missing = np.zeros_like(observed)
    for rows, tile, room in _tiles(codes, r.dtype):
        some_lack_it = _decode(tile, room)
        observed += room.T @ r[rows]
        lacking = np.flatnonzero(some_lack_it)
        if lacking.size:
            mask = room[: lacking.size]
            _missing_plane(tile, lacking, mask)
            missing += mask.T @ s[rows][lacking]
    return observed, missing


def _tiles(codes: Array, dtype: np.dtype) -> Iterator[tuple[slice, Array, Array]]:
    """Some rows at a time, and room to decode them in."""
    rows, people = codes.shape
    step = max(1, _TILE_BYTES // max(people * dtype.itemsize, 1))
    whole = np.empty((min(step, rows), people), dtype=dtype)
    for start in range(0, rows, step):
        tile = codes[start : start + step]
        yield slice(start, start + len(tile)), tile, whole[: len(tile)]


@compiled
def _count(codes: Array, groups: Array, result: Array) -> None:
    for row in range(codes.shape[0]):
        for person in range(codes.shape[1]):
            group = groups[person]
            if group < 0:
                continue
            code = np.int32(codes[row, person])
            call = 3
            if code <= _HARD_CALL_STEPS:
                call = 0
            elif abs(code - _ONE) <= _HARD_CALL_STEPS:
                call = 1
            elif abs(code - 2 * _ONE) <= _HARD_CALL_STEPS:
                call = 2
            result[row, group, call] += 1


@compiled
def _tally(codes: Array, groups: Array, sums: Array) -> None:
    for row in range(codes.shape[0]):
        for person in range(codes.shape[1]):
            group = groups[person]
            if group < 0:
                continue
            code = np.int64(codes[row, person])
            if code == _MISSING:
                sums[1, row, group] += 1
            else:
                sums[0, row, group] += 1
                sums[2, row, group] += code
                sums[3, row, group] += code * code


@compiled
def _decode(codes: Array, dosages: Array) -> Array:
    """Dosages with 0 where missing; gives which rows have a missing one."""
    some_lack_it = np.zeros(codes.shape[0], dtype=np.bool_)
    step = dosages.dtype.type(1.0 / _ONE)
    for row in range(codes.shape[0]):
        lost = False
        for person in range(codes.shape[1]):
            code = codes[row, person]
            missing = code == _MISSING
            lost |= missing
            dosages[row, person] = 0 if missing else code * step
        some_lack_it[row] = lost
    return some_lack_it


@compiled
def _missing_plane(codes: Array, rows: Array, mask: Array) -> None:
    for place in range(rows.size):
        for person in range(codes.shape[1]):
            mask[place, person] = codes[rows[place], person] == _MISSING
