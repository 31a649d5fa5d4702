"""Calls of a .bed file, read once: written as ``call_genotype`` and packed from the same bytes.

A .bed file already holds two bits per person, so a packed row is its bytes through a table of 256
entries, and the alleles of four people are one of 256 words. That is far below the cost of
taking the calls apart one variant at a time, as bio2zarr does for every format alike.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort.calls import CallArrays
from genome_eu.cohort.packing import PackedStep
from genome_eu.compiled import compiled
from genome_eu.errors import SourceError

_HEADER_BYTES = 3

# The two bits 00, 01, 10 and 11 of PLINK: both alleles are A1, which is ALT; missing; one; none.
_ALLELES = np.array([[1, 1], [-1, -1], [0, 1], [0, 0]], dtype=np.int8)
_COPIES = np.array([2, 3, 1, 0], dtype=np.uint8)
_CODES = np.arange(256)[:, np.newaxis] >> np.arange(0, 8, 2) & 3  # of a byte's four people

_PACKED_OF_BYTE = (_COPIES[_CODES] << np.arange(0, 8, 2, dtype=np.uint8)).sum(1, dtype=np.uint8)
_ALLELES_OF_BYTE = _ALLELES[_CODES].reshape(256, 8).view(np.uint64)[:, 0]
_MASK_OF_BYTE = (_ALLELES[_CODES] < 0).reshape(256, 8).view(np.uint64)[:, 0]


class BedCalls:
    """The calls of the kept people of a .bed file; `pack` writes them too.

    Parameters
    ----------
    root : zarr.Group
        The store, which has everything but the arrays of `calls.GENOTYPE_ARRAYS`.
    schema : bio2zarr.vcz.VcfZarrSchema
        What these arrays are.
    bed : path
    people : int
        People of the .bed file.
    keep : int64 array
        Positions of the people to write.
    """

    def __init__(self, root: Any, schema: Any, bed: Path, people: int, keep: NDArray) -> None:
        self._bed = bed
        self._width = -(-people // 4)
        self._keep = None if keep.size == people else keep
        self._people = keep.size
        self._arrays = CallArrays(root, schema, keep.size)
        self._of_thread = threading.local()

    @property
    def imputed(self) -> bool:
        """A .bed file has no dosages."""
        return False

    def pack(self, variants: slice, n_alts: NDArray) -> PackedStep:
        """Write the calls of some variants, and pack them."""
        codes = self._read(variants)
        packed = np.empty_like(codes)
        _look_up(codes, _PACKED_OF_BYTE, packed)
        if self._people % 4:
            packed[:, -1] &= (1 << 2 * (self._people % 4)) - 1
        digest = hashlib.sha256()
        for some in self._arrays.slices:
            mine = codes[:, some.start // 4 : -(-some.stop // 4)]
            alleles = self._expanded(mine, _ALLELES_OF_BYTE, np.int8, some)
            digest.update(alleles.data)
            self._arrays.write_alleles(variants, some, alleles)
            mask = self._expanded(mine, _MASK_OF_BYTE, np.bool_, some)
            self._arrays.write_mask(variants, some, mask)
        return PackedStep(packed, digest.digest())

    def _read(self, variants: slice) -> NDArray[np.uint8]:
        """Bytes of the kept people only, (variants, ceil(people / 4))."""
        shape = (variants.stop - variants.start, self._width)
        with open(self._bed, "rb") as file:
            file.seek(_HEADER_BYTES + variants.start * self._width)
            content = file.read(shape[0] * shape[1])
        if len(content) < shape[0] * shape[1]:
            raise SourceError(f"{self._bed} became shorter while it was read; copy it again.")
        codes = np.frombuffer(content, dtype=np.uint8).reshape(shape)
        if self._keep is None:
            return codes
        kept = np.zeros((len(codes), -(-self._people // 4)), dtype=np.uint8)
        _take_people(codes, self._keep, kept)
        return kept

    def _expanded(self, codes: NDArray, table: NDArray, dtype: Any, people: slice) -> NDArray:
        """Two values for each person, (variants, people, 2), from the eight of every byte.

        They lie in memory of the thread, which its next call writes over: a fresh page costs as
        much as filling it.
        """
        room = getattr(self._of_thread, "room", None)
        if room is None or room.size < codes.size:
            room = self._of_thread.room = np.empty(codes.size, dtype=np.uint64)
        values = room[: codes.size].reshape(codes.shape)
        _look_up(codes, table, values)
        each = values.view(dtype).reshape(len(codes), -1, 2)
        return np.ascontiguousarray(each[:, : people.stop - people.start])


@compiled
def _look_up(codes: NDArray, table: NDArray, values: NDArray) -> None:
    for row in range(codes.shape[0]):
        for byte in range(codes.shape[1]):
            values[row, byte] = table[codes[row, byte]]


@compiled
def _take_people(codes: NDArray, keep: NDArray, kept: NDArray) -> None:
    for row in range(codes.shape[0]):
        for place in range(len(keep)):
            person = keep[place]
            code = (codes[row, person // 4] >> (2 * (person % 4))) & 3
            kept[row, place // 4] |= code << (2 * (place % 4))
