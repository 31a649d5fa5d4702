"""A block of packed genotypes with its five kernels: what statistics are handed.

A block checks arguments once for all backends and carries the backend that computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from genome_eu.errors import UsageError
from genome_eu.kernels.packed import check_packed, unpack

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class BandedGram:
    """Sums over the people called in both rows of a pair; entry ``[j, d]`` is (j, j + d).

    Every field is an int64 array of shape (rows, window), 0 where ``j + d`` is past the last row.

    Attributes
    ----------
    n
        People called in both rows.
    sum_a, sum_b
        Sum of the dosages of row ``j``, and of row ``j + d``.
    square_a, square_b
        Sum of their squares.
    product
        Sum of the products of the two dosages.
    """

    n: Array
    sum_a: Array
    sum_b: Array
    square_a: Array
    square_b: Array
    product: Array


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Counts over the rows called in both people of a pair; int64, shape (people, people).

    Attributes
    ----------
    observed
        Rows called in both.
    ibs0
        Rows where one is homozygous for the ALT and the other carries none.
    het_het
        Rows where both are heterozygous.
    het
        ``het[i, j]``: rows where ``i`` is heterozygous, among those called in both.
    """

    observed: Array
    ibs0: Array
    het_het: Array
    het: Array


class Backend(Protocol):
    """The five kernels on checked arrays; `PackedBlock` checks, a backend only computes.

    ``packed`` is C-contiguous uint8, shape (rows, ceil(people / 4)), with zero padding: for `hold`
    a NumPy array, for the kernels what `hold` made of it. Everything else that goes in or comes
    out is NumPy. Products have the type of the columns, float32 or float64, and are summed in at
    least that.
    """

    def hold(self, packed: Array) -> Any:
        """The rows where this backend computes: the array itself, or a device's copy."""
        ...

    def counts(self, packed: Any, people: int, groups: Array, n_groups: int) -> Array:
        """Genotype counts; see `PackedBlock.counts`."""
        ...

    def matmul(self, packed: Any, people: int, q: Array) -> tuple[Array, Array]:
        """``G @ q`` and ``M @ q``; see `PackedBlock.matmul`."""
        ...

    def rmatmul(self, packed: Any, people: int, r: Array, s: Array) -> tuple[Array, Array]:
        """``G.T @ r`` and ``M.T @ s``; see `PackedBlock.rmatmul`."""
        ...

    def gram(self, packed: Any, people: int, window: int, include: Array) -> BandedGram:
        """Banded products of rows; see `PackedBlock.gram`."""
        ...

    def pair_counts(self, packed: Any, people: int) -> PairCounts:
        """Counts of pairs of people; see `PackedBlock.pair_counts`."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class PackedBlock:
    """Some rows of packed genotypes of all people of a site, and the backend to compute on them.

    Parameters
    ----------
    packed : uint8 array, shape (rows, ceil(people / 4))
        Copied only if it is not C-contiguous.
    people : int
        People per row.
    backend : Backend
        Carries the arithmetic; see `genome_eu.kernels.backend`.

    Raises
    ------
    BadInput
        If `packed` does not have that type and shape, or holds codes after the last person.
    """

    packed: Array
    people: int
    backend: Backend

    def __post_init__(self) -> None:
        packed = np.asarray(self.packed)
        check_packed(packed, self.people)
        object.__setattr__(self, "packed", np.ascontiguousarray(packed))

    def __repr__(self) -> str:
        return f"PackedBlock({self.rows} rows x {self.people} people)"

    @property
    def rows(self) -> int:
        """Rows, one per (variant, ALT)."""
        return self.packed.shape[0]

    @cached_property
    def held(self) -> Any:
        """The rows where the backend computes, brought there once for all kernels."""
        return self.backend.hold(self.packed)

    def counts(self, groups: Array, n_groups: int) -> Array:
        """Count the genotypes of each group of people.

        Parameters
        ----------
        groups : int array, shape (people,)
            Group of each person, 0 to ``n_groups - 1``; -1 leaves the person out.
        n_groups : int
            Number of groups; a group may be empty.

        Returns
        -------
        counts : int64 array, shape (rows, n_groups, 4)
            People with 0, 1 and 2 copies of the ALT, and with a missing call.

        Raises
        ------
        UsageError
            If `groups` does not have that shape, type or range.
        """
        groups = np.asarray(groups)
        _check_shape("groups", groups, (self.people,))
        if groups.dtype.kind not in "iu":
            raise UsageError(f"groups must be integers, not {groups.dtype}; use -1 for nobody.")
        groups = np.ascontiguousarray(groups, dtype=np.int64)
        if groups.size and (groups.min() < -1 or groups.max() >= n_groups):
            raise UsageError(
                f"groups must lie between -1 and {n_groups - 1} (n_groups is {n_groups}), but "
                f"range from {groups.min()} to {groups.max()}."
            )
        return self.backend.counts(self.held, self.people, groups, n_groups)

    def matmul(self, q: Array) -> tuple[Array, Array]:
        """Multiply the dosages, and the missing calls, by columns over people.

        Parameters
        ----------
        q : float64 or float32 array, shape (people, k)
            Finite values; ``k`` may be 0. Single precision halves the time where it is enough.

        Returns
        -------
        dosage_product, missing_product : arrays of q's type, shape (rows, k)
            ``G @ q`` with dosage 0 where the call is missing, and ``M @ q`` with ``M`` 1 there.

        Raises
        ------
        UsageError
            If `q` does not have that shape, or a value is not finite.
        """
        q = _finite_columns("q", q, "people", self.people)
        return self.backend.matmul(self.held, self.people, q)

    def rmatmul(self, r: Array, s: Array | None = None) -> tuple[Array, Array]:
        """Multiply the transposed dosages, and missing calls, by columns over rows.

        Parameters
        ----------
        r : float64 or float32 array, shape (rows, k)
            Finite values that multiply the dosages; ``k`` may be 0.
        s : array of r's type, shape (rows, k), optional
            Finite values that multiply the missing calls; `r` if not given.

        Returns
        -------
        dosage_product, missing_product : arrays of r's type, shape (people, k)
            ``G.T @ r`` and ``M.T @ s``.

        Raises
        ------
        UsageError
            If `r` or `s` does not have that shape, or a value is not finite.
        """
        r = _finite_columns("r", r, "rows", self.rows)
        if s is None:
            s = r
        else:
            s = _finite_columns("s", np.asarray(s, dtype=r.dtype), "rows", self.rows)
            _check_shape("s", s, r.shape)
        return self.backend.rmatmul(self.held, self.people, r, s)

    def gram(self, window: int, include: Array | None = None) -> BandedGram:
        """Sum products of each row with itself and the ``window - 1`` rows after it.

        Parameters
        ----------
        window : int
            Rows per band, at least 1; ``[j, 0]`` is row ``j`` with itself.
        include : bool array, shape (people,), optional
            People who count; everybody if not given.

        Returns
        -------
        gram : BandedGram

        Raises
        ------
        UsageError
            If `window` is less than 1, or `include` does not have that shape and type.
        """
        if window < 1:
            raise UsageError(f"window must be at least 1 row, not {window}.")
        include = np.ones(self.people, dtype=bool) if include is None else np.asarray(include)
        _check_shape("include", include, (self.people,))
        if include.dtype != np.bool_:
            raise UsageError(f"include must be a bool per person, not {include.dtype}.")
        include = np.ascontiguousarray(include)
        return self.backend.gram(self.held, self.people, int(window), include)

    def pair_counts(self) -> PairCounts:
        """Count shared genotypes of every pair of people."""
        return self.backend.pair_counts(self.held, self.people)

    def dosages(self) -> Array:
        """Unpack to copies of the ALT, int8 of shape (rows, people), -1 where missing."""
        return unpack(self.packed, self.people)


def _check_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise UsageError(f"{name} must have shape {shape}, not {array.shape}.")


def _finite_columns(name: str, columns: Array, dimension: str, length: int) -> Array:
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
