"""What the kernels are handed, checked once for every kind of block and every backend."""

from __future__ import annotations

import numpy as np

from genome_eu.errors import UsageError

Array = np.ndarray


def check_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raise `UsageError` unless an array has this shape."""
    if array.shape != shape:
        raise UsageError(f"{name} must have shape {shape}, not {array.shape}.")


def group_labels(groups: Array, people: int, n_groups: int) -> Array:
    """Group of each person as int64, -1 for those in none.

    Raises
    ------
    UsageError
        If `groups` does not have one integer a person, from -1 to ``n_groups - 1``.
    """
    groups = np.asarray(groups)
    check_shape("groups", groups, (people,))
    if groups.dtype.kind not in "iu":
        raise UsageError(f"groups must be integers, not {groups.dtype}; use -1 for nobody.")
    groups = np.ascontiguousarray(groups, dtype=np.int64)
    if groups.size and (groups.min() < -1 or groups.max() >= n_groups):
        raise UsageError(
            f"groups must lie between -1 and {n_groups - 1} (n_groups is {n_groups}), but "
            f"range from {groups.min()} to {groups.max()}."
        )
    return groups


def finite_columns(name: str, columns: Array, dimension: str, length: int) -> Array:
    """Columns to multiply by, C-contiguous float64, or float32 where they are that already.

    Raises
    ------
    UsageError
        If there is not one row for each of `length`, or a value is not finite.
    """
    single = np.asarray(columns).dtype == np.float32
    columns = np.ascontiguousarray(columns, dtype=np.float32 if single else np.float64)
    if columns.ndim != 2 or columns.shape[0] != length:
        raise UsageError(
            f"{name} must have shape ({dimension}, k) with {length} {dimension}, not "
            f"{columns.shape}."
        )
    # Sums skip the codes that weigh nothing, so a NaN would reach some results and not others.
    finite = np.isfinite(columns)
    if not finite.all():
        where, column = np.argwhere(~finite)[0]
        raise UsageError(
            f"{name} is {columns[where, column]} at [{where}, {column}]; give finite numbers, "
            f"with 0 for {dimension} that should not count."
        )
    return columns


def transposed_columns(r: Array, s: Array | None, rows: int) -> tuple[Array, Array]:
    """The two sets of columns over rows of a transposed product; the second is `r` if not given.

    Raises
    ------
    UsageError
        As `finite_columns`, or if the shapes differ.
    """
    r = finite_columns("r", r, "rows", rows)
    if s is None:
        return r, r
    s = finite_columns("s", np.asarray(s, dtype=r.dtype), "rows", rows)
    check_shape("s", s, r.shape)
    return r, s


def run_of_people(name: str, chosen: range, people: int) -> range:
    """The range itself.

    Raises
    ------
    UsageError
        If it is not one of consecutive people, from 0 to ``people - 1``.
    """
    if chosen.step != 1 or not 0 <= chosen.start <= chosen.stop <= people:
        raise UsageError(f"{name} must be a range of consecutive people of {people}, not {chosen}.")
    return chosen
