"""What a statistic needs from a block of genotypes.

Statistics never import the kernels: a block carries its backend and offers these products.
`genome_eu.kernels.PackedBlock` is the implementation.
"""

from __future__ import annotations

from typing import Protocol

from numpy.typing import NDArray


class Block(Protocol):
    """Rows (variant × ALT) by people; see `genome_eu.kernels` for the exact semantics."""

    people: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    def counts(self, groups: NDArray, n_groups: int) -> NDArray:
        """Genotype counts, int64 (rows, n_groups, 4); group −1 leaves a person out."""
        ...

    def matmul(self, q: NDArray) -> tuple[NDArray, NDArray]:
        """Dosage and missing plane times `q` (people, k): two (rows, k)."""
        ...

    def rmatmul(self, r: NDArray, s: NDArray | None = None) -> tuple[NDArray, NDArray]:
        """Transposed dosage plane times `r`, missing plane times `s`: two (people, k)."""
        ...
