"""A block of packed genotypes with its kernels: what statistics are handed.

A block checks arguments once for all backends and carries the backend that computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from genome_eu.errors import UsageError
from genome_eu.kernels.arguments import (
    check_shape,
    finite_columns,
    group_labels,
    run_of_people,
    transposed_columns,
)
from genome_eu.kernels.packed import PEOPLE_PER_BYTE, check_packed, packed_width, unpack

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
class RowPlanes:
    """Calls of some rows as bits, for whoever compares pairs of rows while it goes.

    A bit is one included person, in whatever order, the same in all rows. With h = g - 1 (0 where
    missing), the sum of h·h of two rows is the bits of ``hom_a & hom_b``, less twice those of
    ``hom_a & hom_b & (alt_a ^ alt_b)``.

    Attributes
    ----------
    hom, alt, called : uint64 array, shape (rows, words)
        Homozygous for either allele, homozygous for the ALT, called.
    totals : int64 array, shape (3, rows)
        People called, and their sums of h and of its square.
    people : int
        People included.
    """

    hom: Array
    alt: Array
    called: Array
    totals: Array
    people: int


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Counts over the rows called in both people of a pair (i, j); int64, shape (first, others).

    Attributes
    ----------
    observed
        Rows called in both.
    ibs0
        Rows where one is homozygous for the ALT and the other carries none.
    het_het
        Rows where both are heterozygous.
    het, het_other
        Rows where ``i`` is heterozygous, and where ``j`` is, among those called in both.
    """

    observed: Array
    ibs0: Array
    het_het: Array
    het: Array
    het_other: Array


class Backend(Protocol):
    """The kernels on checked arrays; `PackedBlock` checks, a backend only computes.

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

    def square_matmul(self, packed: Any, people: int, q: Array) -> Array:
        """``(G * G) @ q``; see `PackedBlock.square_matmul`."""
        ...

    def rmatmul(self, packed: Any, people: int, r: Array, s: Array) -> tuple[Array, Array]:
        """``G.T @ r`` and ``M.T @ s``; see `PackedBlock.rmatmul`."""
        ...

    def gram(self, packed: Any, people: int, window: int, include: Array, first: int) -> BandedGram:
        """Banded products of rows; see `PackedBlock.gram`."""
        ...

    def rcounts(self, packed: Any, people: int, groups: Array, n_groups: int) -> Array:
        """Genotype counts of people; see `PackedBlock.rcounts`."""
        ...

    def pair_counts(self, packed: Any, people: int, first: range, others: range) -> PairCounts:
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
        groups = group_labels(groups, self.people, n_groups)
        return self.backend.counts(self.held, self.people, groups, n_groups)

    def tally(self, groups: Array, n_groups: int) -> tuple[Array, Array, Array, Array]:
        """Sum the dosages of each group of people, and their squares.

        Parameters
        ----------
        groups, n_groups
            As for `counts`.

        Returns
        -------
        called, missing, dosage_sum, dosage_square : int64 arrays, shape (rows, n_groups)
            People called and not called, Σg and Σg² over the called.

        Raises
        ------
        UsageError
            As `counts`.
        """
        counts = self.counts(groups, n_groups)
        het, hom_alt = counts[..., 1], counts[..., 2]
        called = counts[..., :3].sum(axis=-1)
        return called, counts[..., 3], het + 2 * hom_alt, het + 4 * hom_alt

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
        q = finite_columns("q", q, "people", self.people)
        return self.backend.matmul(self.held, self.people, q)

    def square_matmul(self, q: Array) -> Array:
        """Multiply the squares of the dosages by columns over people.

        Parameters
        ----------
        q : float64 or float32 array, shape (people, k)
            Finite values; ``k`` may be 0.

        Returns
        -------
        array of q's type, shape (rows, k)
            ``(G * G) @ q`` with dosage 0 where the call is missing.

        Raises
        ------
        UsageError
            If `q` does not have that shape, or a value is not finite.
        """
        q = finite_columns("q", q, "people", self.people)
        return self.backend.square_matmul(self.held, self.people, q)

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
        r, s = transposed_columns(r, s, self.rows)
        return self.backend.rmatmul(self.held, self.people, r, s)

    def gram(
        self, window: int, include: Array | None = None, first: int | None = None
    ) -> BandedGram:
        """Sum products of each row with itself and the ``window - 1`` rows after it.

        Parameters
        ----------
        window : int
            Rows per band, at least 1; ``[j, 0]`` is row ``j`` with itself.
        include : bool array, shape (people,), optional
            People who count; everybody if not given.
        first : int, optional
            Rows that are multiplied with those after them: the first ones; all if not given.

        Returns
        -------
        gram : BandedGram
            Of the `first` rows.

        Raises
        ------
        UsageError
            If `window` is less than 1, there are not so many rows, or `include` does not have that
            shape and type.
        """
        if window < 1:
            raise UsageError(f"window must be at least 1 row, not {window}.")
        first = self.rows if first is None else first
        if not 0 <= first <= self.rows:
            raise UsageError(f"first must be from 0 to {self.rows} rows, not {first}.")
        included = self._included(include)
        return self.backend.gram(self.held, self.people, int(window), included, int(first))

    def row_planes(self, include: Array | None = None) -> RowPlanes:
        """Bit planes of the rows, on the host whatever the backend.

        Parameters
        ----------
        include : bool array, shape (people,), optional
            People who count; everybody if not given.

        Returns
        -------
        planes : RowPlanes

        Raises
        ------
        UsageError
            If `include` does not have that shape and type.
        """
        # Here, since the backend's module imports this one.
        from genome_eu.kernels.cpu.rows import row_planes

        return row_planes(self.packed, self.people, self._included(include))

    def _included(self, include: Array | None) -> Array:
        """Who counts, checked."""
        include = np.ones(self.people, dtype=bool) if include is None else np.asarray(include)
        check_shape("include", include, (self.people,))
        if include.dtype != np.bool_:
            raise UsageError(f"include must be a bool per person, not {include.dtype}.")
        return np.ascontiguousarray(include)

    def rcounts(self, groups: Array, n_groups: int) -> Array:
        """Count the genotypes of each person, over each group of rows.

        Parameters
        ----------
        groups : int array, shape (rows,)
            Group of each row, 0 to ``n_groups - 1``; -1 leaves the row out.
        n_groups : int
            Number of groups; a group may be empty.

        Returns
        -------
        counts : int64 array, shape (people, n_groups, 4)
            Rows with 0, 1 and 2 copies of the ALT, and with a missing call.

        Raises
        ------
        UsageError
            If `groups` does not have that shape, type or range.
        """
        groups = group_labels(groups, self.rows, n_groups)
        return self.backend.rcounts(self.held, self.people, groups, n_groups)

    def pair_counts(self, first: range | None = None, others: range | None = None) -> PairCounts:
        """Count shared genotypes of pairs of people.

        Parameters
        ----------
        first, others : range, optional
            Pairs are of one of `first` and one of `others`, each a run of people; everybody if not
            given.

        Returns
        -------
        counts : PairCounts
            Arrays of shape (len(first), len(others)).

        Raises
        ------
        UsageError
            If a range is not of consecutive people of the block.
        """
        everybody = range(self.people)
        first = everybody if first is None else run_of_people("first", first, self.people)
        others = everybody if others is None else run_of_people("others", others, self.people)
        return self.backend.pair_counts(self.held, self.people, first, others)

    def dosages(self, start: int = 0, stop: int | None = None) -> Array:
        """Unpack to copies of the ALT, int8 of shape (rows, people), -1 where missing.

        With `start` and `stop`, those of the people in that range of places.
        """
        stop = self.people if stop is None else stop
        first, last = start // PEOPLE_PER_BYTE, packed_width(stop)
        people = min(PEOPLE_PER_BYTE * last, self.people) - PEOPLE_PER_BYTE * first
        whole = unpack(self.packed[:, first:last], people)
        return whole[:, start - PEOPLE_PER_BYTE * first : stop - PEOPLE_PER_BYTE * first]
