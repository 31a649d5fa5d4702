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

import numcodecs
import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort.arrays import create_array
from genome_eu.cohort.packing import people_slices
from genome_eu.compiled import compiled
from genome_eu.errors import SourceError

#: What `BedCalls` writes of a VCF Zarr store, instead of bio2zarr.
GENOTYPE_ARRAYS = ("call_genotype", "call_genotype_mask", "call_genotype_phased")

_HEADER_BYTES = 3

# The two bits 00, 01, 10 and 11 of PLINK: both alleles are A1, which is ALT; missing; one; none.
_ALLELES = np.array([[1, 1], [-1, -1], [0, 1], [0, 0]], dtype=np.int8)
_COPIES = np.array([2, 3, 1, 0], dtype=np.uint8)
_CODES = np.arange(256)[:, np.newaxis] >> np.arange(0, 8, 2) & 3  # of a byte's four people

_PACKED_OF_BYTE = (_COPIES[_CODES] << np.arange(0, 8, 2, dtype=np.uint8)).sum(1, dtype=np.uint8)
_ALLELES_OF_BYTE = _ALLELES[_CODES].reshape(256, 8).view(np.uint64)[:, 0]
_MASK_OF_BYTE = (_ALLELES[_CODES] < 0).reshape(256, 8).view(np.uint64)[:, 0]

# Of 20 MB of simulated alleles, lz4 makes 1.9 MB in 12 ms, zstd 1 makes 1.1 MB in 25 ms, and
# bio2zarr's zstd 7 makes 1.06 MB in 210 ms; all are read in the same time.
_ALLELES_CODEC = numcodecs.Blosc("lz4", clevel=5, shuffle=numcodecs.Blosc.BITSHUFFLE)
# Nearly always all the same.
_FLAGS_CODEC = numcodecs.Blosc("lz4", clevel=5, shuffle=numcodecs.Blosc.NOSHUFFLE)


class BedCalls:
    """The calls of the kept people of a .bed file; `pack` writes them too.

    Parameters
    ----------
    root : zarr.Group
        The store, which has everything but the arrays of `GENOTYPE_ARRAYS`.
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
        specs = {field.name: field for field in schema.fields}
        self._genotypes, self._mask, self._phased = (
            _create_like(root, schema, specs[name]) for name in GENOTYPE_ARRAYS
        )
        self._unphased = np.zeros(self._phased.chunks, dtype=bool)
        self._of_thread = threading.local()
        self._slices = people_slices(self._people, self._genotypes.chunks[1])

    def pack(self, variants: slice, n_alts: NDArray) -> tuple[NDArray[np.uint8], bytes]:
        """Write the calls of some variants; their packed rows, and the SHA-256 of the alleles."""
        codes = self._read(variants)
        packed = np.empty_like(codes)
        _look_up(codes, _PACKED_OF_BYTE, packed)
        if self._people % 4:
            packed[:, -1] &= (1 << 2 * (self._people % 4)) - 1
        digest = hashlib.sha256()
        for some in self._slices:
            mine = codes[:, some.start // 4 : -(-some.stop // 4)]
            alleles = self._expanded(mine, _ALLELES_OF_BYTE, np.int8, some)
            digest.update(alleles.data)
            self._genotypes[variants, some] = alleles
            self._mask[variants, some] = self._expanded(mine, _MASK_OF_BYTE, np.bool_, some)
            self._phased[variants, some] = self._unphased[: len(alleles), : alleles.shape[1]]
        return packed, digest.digest()

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


def _create_like(root: Any, schema: Any, spec: Any) -> Any:
    """The array that bio2zarr would make, but for its compressor."""
    array = create_array(
        root,
        spec.name,
        tuple(spec.get_shape(schema)),
        tuple(spec.get_chunks(schema)),
        spec.dtype,
        _ALLELES_CODEC if spec.name == "call_genotype" else _FLAGS_CODEC,
        nested=True,
        fill_value=None,
    )
    array.attrs.update(
        {"_ARRAY_DIMENSIONS": list(spec.dimensions), "description": spec.description}
    )
    return array


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
