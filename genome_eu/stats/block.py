"""What a statistic needs from a block of genotypes.

Statistics never import the kernels: a block carries its backend and offers these products.
`genome_eu.kernels.PackedBlock` is the implementation for hard calls,
`genome_eu.kernels.dense.DenseBlock` the one for dosages.
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

    def tally(self, groups: NDArray, n_groups: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """People called and missing, Σg and Σg² of each group: four (rows, n_groups)."""
        ...

    def matmul(self, q: NDArray) -> tuple[NDArray, NDArray]:
        """Dosage and missing plane times `q` (people, k): two (rows, k)."""
        ...

    def square_matmul(self, q: NDArray) -> NDArray:
        """Squared dosages times `q` (people, k): (rows, k); a missing call counts as 0."""
        ...

    def dosages(self, start: int = 0, stop: int | None = None) -> NDArray:
        """Copies of ALT (rows, people) of a range of people, negative where a call is missing."""
        ...

    def rmatmul(self, r: NDArray, s: NDArray | None = None) -> tuple[NDArray, NDArray]:
        """Transposed dosage plane times `r`, missing plane times `s`: two (people, k)."""
        ...


class PairCounts(Protocol):
    """Rows counted over pairs of people; see `genome_eu.kernels.PairCounts`."""

    observed: NDArray
    ibs0: NDArray
    het_het: NDArray
    het: NDArray
    het_other: NDArray


class GenotypeBlock(Block, Protocol):
    """A block of genotypes, not of dosages between them: what can be counted person by person."""

    def rcounts(self, groups: NDArray, n_groups: int) -> NDArray:
        """Genotype counts, int64 (people, n_groups, 4), of each person over groups of rows."""
        ...

    def pair_counts(self, first: range | None = None, others: range | None = None) -> PairCounts:
        """Shared genotypes of pairs of people: int64 arrays (first, others)."""
        ...
