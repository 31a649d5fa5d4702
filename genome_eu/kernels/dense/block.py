"""A block of dosages with the kernels that statistics on imputed genotypes need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from genome_eu.kernels.arguments import finite_columns, group_labels, transposed_columns
from genome_eu.kernels.dense.codes import MISSING, ONE, check_codes

Array = np.ndarray


class DenseBackend(Protocol):
    """The kernels on checked arrays; `DenseBlock` checks, a backend only computes.

    ``codes`` is C-contiguous uint16, shape (rows, people). Products have the type of the columns,
    float32 or float64, and are summed in at least that.
    """

    def counts(self, codes: Array, groups: Array, n_groups: int) -> Array:
        """Hard calls; see `DenseBlock.counts`."""
        ...

    def tally(self, codes: Array, groups: Array, n_groups: int) -> tuple[Array, ...]:
        """People called and missing, sums of codes and of their squares, all int64."""
        ...

    def matmul(self, codes: Array, q: Array) -> tuple[Array, Array]:
        """``G @ q`` and ``M @ q``; see `DenseBlock.matmul`."""
        ...

    def square_matmul(self, codes: Array, q: Array) -> Array:
        """``(G * G) @ q``; see `DenseBlock.square_matmul`."""
        ...

    def rmatmul(self, codes: Array, r: Array, s: Array) -> tuple[Array, Array]:
        """``G.T @ r`` and ``M.T @ s``; see `DenseBlock.rmatmul`."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class DenseBlock:
    """Some rows of dosages of all people of a site, and the backend to compute on them.

    Parameters
    ----------
    codes : uint16 array, shape (rows, people)
        See `genome_eu.kernels.dense.codes`. Copied only if it is not C-contiguous.
    people : int
        People per row.
    backend : DenseBackend
        Carries the arithmetic; see `genome_eu.kernels.dense.dense_backend`.

    Raises
    ------
    BadInput
        If `codes` does not have that type and shape, or holds one that is no dosage.
    """

    codes: Array
    people: int
    backend: DenseBackend

    def __post_init__(self) -> None:
        codes = np.asarray(self.codes)
        check_codes(codes, self.people)
        object.__setattr__(self, "codes", np.ascontiguousarray(codes))

    def __repr__(self) -> str:
        return f"DenseBlock({self.rows} rows x {self.people} people)"

    @property
    def rows(self) -> int:
        """Rows, one per (variant, ALT)."""
        return self.codes.shape[0]

    def counts(self, groups: Array, n_groups: int) -> Array:
        """Count the hard calls of each group of people; see `PackedBlock.counts`.

        A dosage within 0.1 of 0, 1 or 2 is that call, and any other is a missing one, as by
        PLINK 2's ``--hard-call-threshold 0.1``.
        """
        labels = group_labels(groups, self.people, n_groups)
        return self.backend.counts(self.codes, labels, n_groups)

    def tally(self, groups: Array, n_groups: int) -> tuple[Array, Array, Array, Array]:
        """Sum the dosages of each group of people, and their squares.

        Parameters
        ----------
        groups : int array, shape (people,)
            Group of each person, 0 to ``n_groups - 1``; -1 leaves the person out.
        n_groups : int
            Number of groups; a group may be empty.

        Returns
        -------
        called, missing : int64 arrays, shape (rows, n_groups)
            People with and without a dosage.
        dosage_sum, dosage_square : float64 arrays, shape (rows, n_groups)
            Σg and Σg² over the people with one. Exact for up to 8 million people: both are whole
            multiples of 2⁻²⁸.

        Raises
        ------
        UsageError
            If `groups` does not have that shape, type or range.
        """
        labels = group_labels(groups, self.people, n_groups)
        called, missing, sums, squares = self.backend.tally(self.codes, labels, n_groups)
        return called, missing, sums / ONE, squares / ONE**2

    def matmul(self, q: Array) -> tuple[Array, Array]:
        """Multiply the dosages, and the missing ones, by columns over people.

        Parameters
        ----------
        q : float64 or float32 array, shape (people, k)
            Finite values; ``k`` may be 0.

        Returns
        -------
        dosage_product, missing_product : arrays of q's type, shape (rows, k)
            ``G @ q`` with 0 where the dosage is missing, and ``M @ q`` with ``M`` 1 there.

        Raises
        ------
        UsageError
            If `q` does not have that shape, or a value is not finite.
        """
        return self.backend.matmul(self.codes, finite_columns("q", q, "people", self.people))

    def square_matmul(self, q: Array) -> Array:
        """Multiply the squares of the dosages by columns over people.

        Parameters
        ----------
        q : float64 or float32 array, shape (people, k)
            Finite values; ``k`` may be 0.

        Returns
        -------
        array of q's type, shape (rows, k)
            ``(G * G) @ q`` with 0 where the dosage is missing.

        Raises
        ------
        UsageError
            If `q` does not have that shape, or a value is not finite.
        """
        return self.backend.square_matmul(self.codes, finite_columns("q", q, "people", self.people))

    def rmatmul(self, r: Array, s: Array | None = None) -> tuple[Array, Array]:
        """Multiply the transposed dosages, and missing ones, by columns over rows.

        Parameters
        ----------
        r : float64 or float32 array, shape (rows, k)
            Finite values that multiply the dosages; ``k`` may be 0.
        s : array of r's type, shape (rows, k), optional
            Finite values that multiply the missing ones; `r` if not given.

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
        return self.backend.rmatmul(self.codes, r, s)

    def dosages(self, start: int = 0, stop: int | None = None) -> Array:
        """Expected copies of the ALT, float64 of shape (rows, people), -1 where missing.

        With `start` and `stop`, those of the people in that range of places.
        """
        codes = self.codes[:, start:stop]
        return np.where(codes == MISSING, -1.0, codes / ONE)
