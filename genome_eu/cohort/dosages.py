"""Dosages beside the packed genotypes of a cohort that was imputed: two bytes for each person.

    genome_eu/dosage         uint16 (rows, people), coded as `kernels.dense.codes` says
    genome_eu/dosage_digest  uint8 (chunks, 32), SHA-256 of each chunk's bytes
    genome_eu/dosage_sums    int64 (rows, 6), people called, sums of codes and of their squares, and
                             people whose hard call is het, hom_alt and missing

Sixteen bits, since the usual sources have eight (BGEN) or ten (a VCF's three decimals), and whole
numbers, so that sums over people do not depend on their order.
"""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort.arrays import ArrayWriter, DigestedWriter, chunk_rows_of
from genome_eu.compiled import compiled
from genome_eu.errors import SourceError
from genome_eu.kernels import unpack
from genome_eu.kernels.dense import DenseBlock, code_dtype, codes_of_calls, dense_backend

#: The array of a VCF Zarr store that holds the field DS of a VCF.
DOSAGE_FIELD = "call_DS"

DOSAGES = "dosage"
SUMS = "dosage_sums"

_COLUMN_ROWS = 2**18
# Size and reading on one core, 2,000 simulated people x 2,000 rows of 8 bits, most of them rare:
#   lz4 0.44, 3.2 GB/s; lz4 of shuffled bytes 0.50, 2.7; zstd 1 0.27, 1.2.
_COMPRESSOR = numcodecs.Blosc("lz4", clevel=5, shuffle=numcodecs.Blosc.NOSHUFFLE)
_HAPLOID = -2


class DosageWriter(DigestedWriter):
    """Writes dosages by whole chunks, with the digest of each and the sums of its rows."""

    def __init__(self, group: Any, rows: int, people: int) -> None:
        self.people = people
        chunk_rows = chunk_rows_of(people * code_dtype.itemsize, rows)
        super().__init__(group, DOSAGES, (rows, people), chunk_rows, code_dtype, _COMPRESSOR)
        self.sums = ArrayWriter(group, SUMS, (rows, 6), _COLUMN_ROWS, np.dtype("<i8"))

    def write(self, block: NDArray, start: int) -> None:
        """Write one chunk, and sum its rows."""
        super().write(block, start)
        self.sums.append(sum_rows(block, self.people))

    def finish(self) -> dict[str, Any]:
        """Write what is left; the facts that the group's attributes keep."""
        self.close()
        self.sums.close()
        return {
            "dosage_sha256": self.digest.hexdigest(),
            f"{SUMS}_sha256": self.sums.digest.hexdigest(),
        }


def sum_rows(codes: NDArray, people: int) -> NDArray[np.int64]:
    """Each row over everybody, as ``dosage_sums`` holds it."""
    everybody = np.zeros(people, dtype=np.int64)
    kernels = dense_backend("cpu")
    codes = DenseBlock(codes, people, kernels).codes
    called, _, sums, squares = kernels.tally(codes, everybody, 1)
    calls = kernels.counts(codes, everybody, 1)[:, 0, 1:]
    return np.concatenate([called, sums, squares, calls], axis=1).astype("<i8")


def holds_dosages(root: Any) -> bool:
    """Whether a VCF Zarr store has a dosage of anybody; a header alone makes none."""
    if DOSAGE_FIELD not in root:
        return False
    values = root[DOSAGE_FIELD]
    step = values.chunks[0]
    return any(
        not np.isnan(values[start : start + step]).all()
        for start in range(0, values.shape[0], step)
    )


class StoredDosages:
    """The field DS of a VCF, as its store holds it."""

    def __init__(self, root: Any, source: str) -> None:
        self._values = root[DOSAGE_FIELD]
        self._source = source

    def codes(
        self, variants: slice, people: slice, n_alts: NDArray, alleles: NDArray, packed: NDArray
    ) -> NDArray[np.uint16]:
        """Dosages of some rows and people.

        Where DS is missing the hard call takes its place, as PLINK 2 does. A haploid counts twice,
        as in packed rows.

        Parameters
        ----------
        variants, people : slice
        n_alts : int array, shape (variants,)
        alleles : int8 array, shape (variants, people, ploidy)
            Their calls.
        packed : uint8 array, shape (rows, ceil(people / 4))
            The same, packed.

        Raises
        ------
        SourceError
            If a dosage is not 0 to 2 (1 in a haploid), or DS has one value for several ALTs.
        """
        values = np.asarray(self._values[variants, people], dtype=np.float32)
        if values.ndim == 2:
            values = values[..., np.newaxis]
        variant = np.repeat(np.arange(n_alts.size), n_alts)
        alt = np.arange(variant.size) - np.repeat(np.cumsum(n_alts) - n_alts, n_alts)
        if alt.size and alt.max() >= values.shape[2]:
            raise self._wrong(variants.start + variant[alt.argmax()], "has one DS for several ALTs")
        codes = codes_of_calls(unpack(packed, people.stop - people.start))
        haploid = np.zeros(alleles.shape[:2], dtype=np.bool_)
        haploid |= alleles.shape[2] == 1 or alleles[..., -1] == _HAPLOID
        row = _fill_in(values, variant, alt, haploid, codes)
        if row >= 0:
            raise self._wrong(variants.start + variant[row], "has a DS that is no dosage")
        return codes

    def _wrong(self, variant: int, what: str) -> SourceError:
        return SourceError(
            f"{self._source}: variant {variant + 1:,} {what}; dosages are 0 to 2 copies (0 to 1 in "
            "a haploid), one for each ALT. Correct the field, or import hard calls without it "
            "(`bcftools annotate -x FORMAT/DS`)."
        )


@compiled
def _fill_in(
    values: NDArray, variant: NDArray, alt: NDArray, haploid: NDArray, codes: NDArray
) -> int:
    """Put the dosages that there are in place of calls; the first row that has an invalid one.

    Dosages of up to six decimals are read as written, whatever float32 has made of them.
    """
    for row in range(variant.size):
        for person in range(codes.shape[1]):
            value = values[variant[row], person, alt[row]]
            if np.isnan(value):
                continue
            copies = np.float64(value) * (2 if haploid[variant[row], person] else 1)
            if not 0 <= copies <= 2:
                return row
            millionths = np.int64(copies * 1e6 + 0.5)
            codes[row, person] = (millionths * 16384 + 500_000) // 1_000_000
    return -1
