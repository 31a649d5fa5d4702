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
        """Sum the dosages of each group of people, and their squares; see `PackedBlock.tally`.

        Σg and Σg² are float64, exact for up to 8 million people: both are whole multiples of 2⁻²⁸.
        """
        labels = group_labels(groups, self.people, n_groups)
        called, missing, sums, squares = self.backend.tally(self.codes, labels, n_groups)
        return called, missing, sums / ONE, squares / ONE**2

    def matmul(self, q: Array) -> tuple[Array, Array]:
        """Dosage and missing plane times columns over people; see `PackedBlock.matmul`."""
        return self.backend.matmul(self.codes, finite_columns("q", q, "people", self.people))

    def square_matmul(self, q: Array) -> Array:
        """Squared dosages times columns over people; see `PackedBlock.square_matmul`."""
        return self.backend.square_matmul(self.codes, finite_columns("q", q, "people", self.people))

    def rmatmul(self, r: Array, s: Array | None = None) -> tuple[Array, Array]:
        """Transposed planes times columns over rows; see `PackedBlock.rmatmul`."""
        r, s = transposed_columns(r, s, self.rows)
        return self.backend.rmatmul(self.codes, r, s)

    def dosages(self, start: int = 0, stop: int | None = None) -> Array:
        """Expected copies of the ALT, float64 of shape (rows, people), -1 where missing.

        With `start` and `stop`, those of the people in that range of places.
        """
        codes = self.codes[:, start:stop]
        dosage = codes / ONE
        dosage[codes == MISSING] = -1.0
        return dosage
