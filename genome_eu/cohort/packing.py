"""Packed rows beside the genotypes: how they lie in the store, and how they are written.

Everything is in one group of a VCF Zarr store::

    genome_eu/packed           uint8 (rows, ceil(people / 4)), chunked by whole rows
    genome_eu/packed_digest    uint8 (chunks, 32), SHA-256 of each chunk's bytes
    genome_eu/row_variant      int32 (rows,)
    genome_eu/row_allele       int16 (rows,), from 1
    genome_eu/samples_parquet  uint8 (bytes,), the table of people as one Parquet file

The digests of chunks are needed because Zarr reads an absent chunk as zeros, that is, as people
who are homozygous for the reference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numcodecs
import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from genome_eu.cohort.rows import RowTally, count_alts, row_map, row_table
from genome_eu.cohort.samples import table_digest, to_parquet_bytes
from genome_eu.errors import SourceError
from genome_eu.kernels import pack_genotypes

GROUP = "genome_eu"
FORMAT = 1
DIGEST_BYTES = 32

# A chunk is what a worker reads and checks at once: large enough for a disk, and small enough
# that a cohort of a few hundred people still has work for many workers.
_CHUNK_BYTES = 8 * 2**20
_CHUNK_ROWS = 8192

# Bits of a packed byte have no bytes to shuffle; zstd halves what lz4 leaves and still decodes
# at more than 1 GB/s.
_COMPRESSOR = numcodecs.Blosc("zstd", clevel=3, shuffle=numcodecs.Blosc.NOSHUFFLE)

_MISSING_PER_BYTE = np.array(
    [sum((byte >> shift) & 3 == 3 for shift in (0, 2, 4, 6)) for byte in range(256)], dtype=np.uint8
)


def packed_chunk_rows(people: int) -> int:
    """Rows of a chunk of packed genotypes."""
    return max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // max(-(-people // 4), 1)))


def write_packed_group(
    root: Any, table: pd.DataFrame, *, source: str, progress: Callable[[int], object]
) -> tuple[dict[str, Any], dict[str, int]]:
    """Write the packed group of a VCF Zarr store, all but its attributes.

    Parameters
    ----------
    root : zarr.Group
        The store, open for writing, with nothing in the group yet.
    table : DataFrame
        People in the store's order, indexed by sample_id.
    source : str
        Name for error messages.
    progress : callable
        Told the number of variants after each step.

    Returns
    -------
    facts : dict
        Counts and digests for the group's attributes.
    ends : dict
        Largest position on each contig.
    """
    people = len(table)
    variants, _, ploidy = root["call_genotype"].shape
    if ploidy > 2:
        raise SourceError(
            f"{source} has calls of {ploidy} alleles; only haploid and diploid calls can be "
            "imported."
        )
    step = root["call_genotype"].chunks[0]
    steps = [slice(start, min(start + step, variants)) for start in range(0, variants, step)]
    n_alts = np.concatenate([count_alts(root["variant_allele"][one]) for one in steps])
    rows = int(n_alts.sum())
    if rows == 0:
        raise SourceError(f"{source} has no ALT allele in any of its {variants:,} variants.")

    group = root.require_group(GROUP)
    row_variant, row_allele = row_map(n_alts)
    for name, values in (("row_variant", row_variant), ("row_allele", row_allele)):
        _create(group, name, values.shape, (min(rows, 1 << 20),), values.dtype)[:] = values
    packed = _PackedWriter(group, rows, people)
    tally = RowTally()
    source_digest = hashlib.sha256()
    first_row = 0
    for one in steps:
        last_row = first_row + int(n_alts[one].sum())
        mine = slice(first_row, last_row)
        tally.add(row_table(root, one, row_variant[mine], row_allele[mine]))
        packed.append(_pack_variants(root["call_genotype"], one, n_alts[one], source_digest))
        first_row = last_row
        progress(one.stop - one.start)
    packed.close()

    stored = np.frombuffer(to_parquet_bytes(table), dtype=np.uint8)
    _create(group, "samples_parquet", stored.shape, stored.shape, stored.dtype)[:] = stored

    facts: dict[str, Any] = {
        "people": people,
        "variants": variants,
        "variants_without_alt": int((n_alts == 0).sum()),
        "rows": rows,
        "block_rows": packed.chunk_rows,
        "autosomal_rows": tally.autosomal,
        "duplicated_rows": tally.duplicated,
        # Pairs, since Zarr may sort the keys of its attributes.
        "contigs": list(tally.contigs.items()),
        "ploidy": ploidy,
        "missing_calls": packed.missing_calls,
        "packed_sha256": packed.digest.hexdigest(),
        "rows_sha256": tally.digest.hexdigest(),
        "samples_sha256": table_digest(table),
        "source_sha256": source_digest.hexdigest(),
    }
    facts["genotype_digest"] = genotype_digest(list(table.index), facts)
    facts["digest"] = cohort_digest(facts)
    return facts, tally.ends


def genotype_digest(sample_id: list[str], facts: dict[str, Any]) -> str:
    """SHA-256 of people, rows and packed genotypes."""
    people = hashlib.sha256("\0".join(sample_id).encode()).hexdigest()
    return _join("genotypes", people, facts["rows_sha256"], facts["packed_sha256"])


def cohort_digest(facts: dict[str, Any]) -> str:
    """SHA-256 of the genotypes, as `genotype_digest`, and of the table of people."""
    return _join("cohort", facts["genotype_digest"], facts["samples_sha256"])


def source_digest(call_genotype: Any) -> str:
    """SHA-256 of the called alleles, chunk by chunk as they lie in the store."""
    digest = hashlib.sha256()
    variants = call_genotype.shape[0]
    step = call_genotype.chunks[0]
    for start in range(0, variants, step):
        for people in _people_slices(call_genotype):
            _called(call_genotype, slice(start, min(start + step, variants)), people, digest)
    return digest.hexdigest()


def _join(*parts: str) -> str:
    return hashlib.sha256("\n".join((f"genome_eu {FORMAT}", *parts)).encode()).hexdigest()


def _pack_variants(call_genotype: Any, variants: slice, n_alts: NDArray, digest: Any) -> NDArray:
    """Pack some variants, a chunk of people at a time, so that memory is bounded by chunks."""
    people = call_genotype.shape[1]
    packed = np.zeros((int(n_alts.sum()), -(-people // 4)), dtype=np.uint8)
    for some in _people_slices(call_genotype):
        genotypes = _called(call_genotype, variants, some, digest)
        packed[:, some.start // 4 : -(-some.stop // 4)] = pack_genotypes(genotypes, n_alts)
    return packed


def _people_slices(call_genotype: Any) -> list[slice]:
    people = call_genotype.shape[1]
    chunk = call_genotype.chunks[1]
    # Four people share a byte, so a step that is not a multiple of four would split one.
    step = people if chunk >= people else max(chunk // 4 * 4, 4)
    return [slice(start, min(start + step, people)) for start in range(0, people, step)]


def _called(call_genotype: Any, variants: slice, people: slice, digest: Any) -> NDArray:
    genotypes = np.ascontiguousarray(call_genotype[variants, people])
    digest.update(genotypes.data)
    return genotypes


class _PackedWriter:
    """Collects packed rows and writes them by whole chunks, each with its digest."""

    def __init__(self, group: Any, rows: int, people: int) -> None:
        self.chunk_rows = min(packed_chunk_rows(people), rows)
        width = -(-people // 4)
        self.packed = _create(group, "packed", (rows, width), (self.chunk_rows, width), np.uint8)
        chunks = -(-rows // self.chunk_rows)
        self.chunk_digests = np.zeros((chunks, DIGEST_BYTES), dtype=np.uint8)
        self.digest_array = _create(
            group, "packed_digest", self.chunk_digests.shape, self.chunk_digests.shape, np.uint8
        )
        self.digest = hashlib.sha256()
        self.missing_calls = 0
        self.written = 0
        self.pending = np.empty((0, width), dtype=np.uint8)

    def append(self, packed: NDArray) -> None:
        self.pending = np.concatenate([self.pending, packed])
        while len(self.pending) >= self.chunk_rows:
            self._write(self.pending[: self.chunk_rows])
            self.pending = self.pending[self.chunk_rows :]

    def close(self) -> None:
        if len(self.pending):
            self._write(self.pending)
        self.digest_array[:] = self.chunk_digests

    def _write(self, block: NDArray) -> None:
        self.packed[self.written : self.written + len(block)] = block
        self.chunk_digests[self.written // self.chunk_rows] = chunk_digest(block)
        self.digest.update(np.ascontiguousarray(block).data)
        self.missing_calls += int(_MISSING_PER_BYTE[block].sum(dtype=np.int64))
        self.written += len(block)


def chunk_digest(block: NDArray) -> NDArray:
    """SHA-256 of a chunk's bytes, as 32 numbers."""
    return np.frombuffer(hashlib.sha256(np.ascontiguousarray(block).data).digest(), dtype=np.uint8)


def _create(group: Any, name: str, shape: tuple, chunks: tuple, dtype: Any) -> Any:
    """An array in a group, by the one call that zarr 2 has for it and the one that zarr 3 has."""
    if int(zarr.__version__.split(".")[0]) < 3:
        return group.create_dataset(
            name, shape=shape, chunks=chunks, dtype=dtype, compressor=_COMPRESSOR, fill_value=0
        )
    return group.create_array(
        name, shape=shape, chunks=chunks, dtype=dtype, compressors=_COMPRESSOR, fill_value=0
    )
