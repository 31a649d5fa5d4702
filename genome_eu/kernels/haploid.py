"""Blocks of rows where some people have one copy: their heterozygous calls cannot be right.

A haploid call is packed as a homozygous one, 0 or 2 copies. A call of two different alleles in
somebody who has one copy is missing, at all rows of its site. A haploid dosage is twice the
expected copies; between 0 and 2 it is uncertain and not wrong, so it stays, but is no hard call.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genome_eu.errors import UsageError
from genome_eu.kernels.block import PackedBlock
from genome_eu.kernels.dense import DenseBlock
from genome_eu.kernels.packed import PEOPLE_PER_BYTE, packed_width

Array = np.ndarray

_LOW_BITS = np.uint8(0x55)


@dataclass(frozen=True, eq=False)
class HaploidCalls:
    """How the calls of some people are read.

    Attributes
    ----------
    haploid : bool array, shape (people,)
        Who has one copy.
    halved : bool
        Whether their dosages count half: 0 or 1 instead of 0 or 2.
    """

    haploid: Array
    halved: bool = False

    @cached_property
    def _low_bits(self) -> Array:
        """The lower bit of each haploid person; uint8, as wide as a packed row."""
        width = packed_width(len(self.haploid))
        bits = np.zeros((width, PEOPLE_PER_BYTE), np.uint8)
        bits.reshape(-1)[: len(self.haploid)] = self.haploid
        shifts = np.arange(0, 2 * PEOPLE_PER_BYTE, 2, dtype=np.uint8)
        return np.bitwise_or.reduce(bits << shifts, axis=1)

    def hets(self, packed: Array) -> Array:
        """Bits of haploid people who are called heterozygous, of the shape of `packed`."""
        return packed & ~(packed >> np.uint8(1)) & _LOW_BITS & self._low_bits


@dataclass(frozen=True, eq=False, repr=False)
class HaploidBlock:
    """A block without haploid calls that cannot be, and whose haploid dosages may be 0 to 1.

    Parameters
    ----------
    called : PackedBlock or DenseBlock
        The rows as they are in the store.
    kept : PackedBlock or DenseBlock
        The same without calls that cannot be.
    calls : HaploidCalls
        Who is haploid.
    """

    called: PackedBlock | DenseBlock
    kept: PackedBlock | DenseBlock
    calls: HaploidCalls

    def __repr__(self) -> str:
        return f"HaploidBlock({self.rows} rows x {self.people} people)"

    @property
    def people(self) -> int:
        """People per row."""
        return self.called.people

    @property
    def rows(self) -> int:
        """Rows, one per (variant, ALT)."""
        return self.called.rows

    def lost(self, groups: Array, n_groups: int) -> Array:
        """Calls that were called and are missing now, int64 (rows, n_groups)."""
        if self.kept is self.called:
            return np.zeros((self.rows, n_groups), np.int64)
        before = self.called.counts(groups, n_groups)[..., 3]
        return self.kept.counts(groups, n_groups)[..., 3] - before

    def counts(self, groups: Array, n_groups: int) -> Array:
        """Count genotypes as packed: haploid people have 0 or 2; see `PackedBlock.counts`."""
        if isinstance(self.kept, PackedBlock):
            return self.kept.counts(groups, n_groups)
        counted = self.kept.counts(self._apart(groups, n_groups), 2 * n_groups)
        single = counted[:, n_groups:]
        single[..., 3] += single[..., 1]
        single[..., 1] = 0
        return counted[:, :n_groups] + single

    def tally(self, groups: Array, n_groups: int) -> tuple[Array, Array, Array, Array]:
        """Sum the dosages of each group of people, and their squares; see `PackedBlock.tally`."""
        if not self.calls.halved:
            return self.kept.tally(groups, n_groups)
        tallied = self.kept.tally(self._apart(groups, n_groups), 2 * n_groups)
        _, _, sums, squares = tallied
        # Hard calls of the haploid are 0 and 2, so nothing is rounded.
        sums[:, n_groups:] = sums[:, n_groups:] / 2
        squares[:, n_groups:] = squares[:, n_groups:] / 4
        first, second, third, fourth = (both[:, :n_groups] + both[:, n_groups:] for both in tallied)
        return first, second, third, fourth

    def _apart(self, groups: Array, n_groups: int) -> Array:
        """Groups with the haploid of each in one of their own, `n_groups` further on."""
        groups = np.asarray(groups)
        return np.where(groups < 0, -1, groups + n_groups * self.calls.haploid)

    def matmul(self, q: Array) -> tuple[Array, Array]:
        """Dosage and missing plane times columns over people; see `PackedBlock.matmul`."""
        if not self.calls.halved:
            return self.kept.matmul(q)
        q = np.asarray(q)
        return self.kept.matmul(self._weighted(q, 0.5))[0], self.kept.matmul(q)[1]

    def square_matmul(self, q: Array) -> Array:
        """Squared dosages times columns over people; see `PackedBlock.square_matmul`."""
        if not self.calls.halved:
            return self.kept.square_matmul(q)
        return self.kept.square_matmul(self._weighted(np.asarray(q), 0.25))

    def rmatmul(self, r: Array, s: Array | None = None) -> tuple[Array, Array]:
        """Transposed planes times columns over rows; see `PackedBlock.rmatmul`."""
        dosage, missing = self.kept.rmatmul(r, s)
        return (self._weighted(dosage, 0.5) if self.calls.halved else dosage), missing

    def dosages(self, start: int = 0, stop: int | None = None) -> Array:
        """Dosages of a range of people, of the type that the rows give, -1 where missing."""
        dosage = self.kept.dosages(start, stop)
        if self.calls.halved:
            haploid = self.calls.haploid[start:stop]
            single = dosage[:, haploid]
            dosage[:, haploid] = np.where(single > 0, single / 2, single)
        return dosage

    def _weighted(self, columns: Array, weight: float) -> Array:
        """Columns over people, those of haploid people times a weight."""
        weights = np.where(self.calls.haploid, weight, 1.0).astype(columns.dtype)
        return columns * weights[:, np.newaxis]


def haploid_block(
    block: PackedBlock, calls: HaploidCalls, hets: Array | None = None
) -> HaploidBlock:
    """A block as some people are haploid.

    Parameters
    ----------
    block : PackedBlock
    calls : HaploidCalls
    hets : uint8 array, optional
        Which calls are heterozygous at the sites of the rows. Found in the rows themselves if not
        given, which is all of it where every site has one row.

    Raises
    ------
    UsageError
        If `calls` are of another number of people.
    """
    if len(calls.haploid) != block.people:
        raise UsageError(
            f"haploid must hold a bool for each of {block.people} people, not {len(calls.haploid)}."
        )
    hets = calls.hets(block.packed) if hets is None else hets
    kept = block
    if hets.any():
        packed = block.packed | hets | (hets << np.uint8(1))
        kept = PackedBlock(packed, block.people, block.backend)
    return HaploidBlock(block, kept, calls)
