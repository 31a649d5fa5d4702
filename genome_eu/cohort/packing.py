"""Packed rows beside the genotypes: how they lie in the store, and how they are written.

Everything is in one group of a VCF Zarr store::

    genome_eu/packed           uint8 (rows, ceil(people / 4)), chunked by whole rows
    genome_eu/packed_digest    uint8 (chunks, 32), SHA-256 of each chunk's bytes
    genome_eu/row_counts       int32 (rows, 3), people het, hom_alt and missing
    genome_eu/rows_parquet     uint8 (bytes,), the names of the rows as one Parquet file
    genome_eu/row_variant      int32 (rows,)
    genome_eu/row_allele       int16 (rows,), from 1
    genome_eu/samples_parquet  uint8 (bytes,), the table of people as one Parquet file
    genome_eu/dosage           uint16 (rows, people), where the source was imputed (`dosages`)
    genome_eu/dosage_digest    uint8 (chunks, 32)
    genome_eu/dosage_sums      int64 (rows, 6)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numcodecs
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort.arrays import ArrayWriter, ByteFile, DigestedWriter, chunk_rows_of
from genome_eu.cohort.dosages import DosageWriter, StoredDosages, holds_dosages
from genome_eu.cohort.rows import RowTableWriter, RowTally, count_alts, row_map, row_table
from genome_eu.cohort.samples import table_digest, to_parquet_bytes
from genome_eu.cohort.threads import cores, in_order
from genome_eu.errors import SourceError
from genome_eu.kernels import PackedBlock, backend, pack_genotypes
from genome_eu.kernels.dense import code_dtype

GROUP = "genome_eu"
FORMAT = 2

_COLUMN_ROWS = 2**18

# Reading must not hold up kernels that take 1.5 GB/s and more on each core. Size (of the packed
# bytes) and reading on one and two cores, 10,000 simulated people x 7,000 unlinked rows:
#   none 1.00, 10 GB/s; lz4 0.68, 2.6 and 5.3 GB/s; zstd 1 0.43, 0.7 and 1.1; zstd 3 0.45, 0.5.
# Real rows (358 and 503 people): lz4 0.39 and 0.60, zstd 1 0.22 and 0.39. Shuffling bytes does
# nothing to bytes; shuffling bits makes lz4 0.59 (real: 0.66 and 0.58) and reads at 0.9 GB/s.
_COMPRESSOR = numcodecs.Blosc("lz4", clevel=9, shuffle=numcodecs.Blosc.NOSHUFFLE)

# Memory of an import: what threads pack at once, and alleles that are named at once.
_BYTES_AT_ONCE = 2**30
_ALLELES_AT_ONCE = 2**19


@dataclass(frozen=True, eq=False)
class PackedStep:
    """Some variants of a source, packed."""

    rows: NDArray[np.uint8]
    digest: bytes  # SHA-256 of their called alleles, as `source_digest` reads them
    dosages: NDArray[np.uint16] | None = None  # of the rows, where the source was imputed


class Calls(Protocol):
    """The calls of a source; steps of them are packed on many threads."""

    @property
    def imputed(self) -> bool:
        """Whether every step has dosages."""
        ...

    def pack(self, variants: slice, n_alts: NDArray) -> PackedStep:
        """Pack some variants."""
        ...


def packed_chunk_rows(people: int, rows: int) -> int:
    """Rows of a chunk of packed genotypes."""
    return chunk_rows_of(-(-people // 4), rows)


def write_packed_group(
    root: Any,
    table: pd.DataFrame,
    *,
    source: str,
    progress: Callable[[int], object],
    calls: Calls | None = None,
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
    calls : Calls, optional
        What is packed; if not given, ``call_genotype`` is read.

    Returns
    -------
    facts : dict
        Counts and digests for the group's attributes.
    ends : dict
        Largest position on each contig.
    """
    genotypes = root["call_genotype"]
    variants, people, ploidy = genotypes.shape
    if ploidy > 2:
        raise SourceError(
            f"{source} has calls of {ploidy} alleles; only haploid and diploid calls can be "
            "imported."
        )
    alleles = root["variant_allele"]
    n_alts = np.concatenate(
        [count_alts(alleles[one]) for one in _slices(variants, _names_at_once(alleles))]
    )
    rows = int(n_alts.sum(dtype=np.int64))
    if rows == 0:
        raise SourceError(f"{source} has no ALT allele in any of its {variants:,} variants.")

    group = root.require_group(GROUP)
    tally, names_digest = _write_names(root, group, n_alts, rows)
    packed = _PackedWriter(group, rows, people)
    calls = StoredCalls(root, source) if calls is None else calls
    dosages = DosageWriter(group, rows, people) if calls.imputed else None
    source_digest = hashlib.sha256()
    steps = [(one, n_alts[one]) for one in _slices(variants, genotypes.chunks[0])]
    with in_order(calls.pack, steps, _threads(genotypes, calls.imputed)) as results:
        for (one, _), step in zip(steps, results, strict=True):
            packed.append(step.rows)
            source_digest.update(step.digest)
            if dosages is not None and step.dosages is not None:
                dosages.append(step.dosages)
            progress(one.stop - one.start)
    packed.close()

    with ByteFile(group, "samples_parquet") as file:
        file.write(to_parquet_bytes(table))

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
        "row_counts_sha256": packed.counts.digest.hexdigest(),
        "rows_sha256": tally.digest.hexdigest(),
        "rows_parquet_sha256": names_digest,
        "samples_sha256": table_digest(table),
        "samples_parquet_sha256": file.digest.hexdigest(),
        "source_sha256": source_digest.hexdigest(),
    }
    if dosages is not None:
        facts |= dosages.finish()
    facts["genotype_digest"] = genotype_digest(list(table.index), facts)
    facts["digest"] = cohort_digest(facts)
    return facts, tally.ends


def genotype_digest(sample_id: list[str], facts: dict[str, Any]) -> str:
    """SHA-256 of people, rows, packed genotypes and, where there are any, dosages."""
    people = hashlib.sha256("\0".join(sample_id).encode()).hexdigest()
    dosages = [facts["dosage_sha256"]] if "dosage_sha256" in facts else []
    return _join("genotypes", people, facts["rows_sha256"], facts["packed_sha256"], *dosages)


def cohort_digest(facts: dict[str, Any]) -> str:
    """SHA-256 of the genotypes, as `genotype_digest`, and of the table of people."""
    return _join("cohort", facts["genotype_digest"], facts["samples_sha256"])


def source_digest(call_genotype: Any) -> str:
    """SHA-256 of the SHA-256 of the called alleles of each chunk of variants."""
    steps = [(one,) for one in _slices(call_genotype.shape[0], call_genotype.chunks[0])]
    digest = hashlib.sha256()
    calls = _StoredAlleles(call_genotype)
    with in_order(calls.digest, steps, _threads(call_genotype)) as results:
        for one in results:
            digest.update(one)
    return digest.hexdigest()


def count_rows(packed: NDArray, people: int) -> NDArray[np.int32]:
    """People het, hom_alt and missing in each packed row, as ``row_counts`` holds them."""
    everybody = np.zeros(people, dtype=np.int64)
    counts = PackedBlock(packed, people, backend("cpu")).counts(everybody, 1)
    return counts[:, 0, 1:].astype("<i4")


def people_slices(people: int, chunk: int) -> list[slice]:
    """People that are read at once, a chunk at a time, so that memory is bounded by chunks."""
    # Four people share a byte, so a step that is not a multiple of four would split one.
    step = people if chunk >= people else max(chunk // 4 * 4, 4)
    return _slices(people, step)


class _StoredAlleles:
    """What a store holds as ``call_genotype``, some people at a time."""

    def __init__(self, call_genotype: Any) -> None:
        self._genotypes = call_genotype
        self.people = people_slices(call_genotype.shape[1], call_genotype.chunks[1])

    def read(self, variants: slice) -> Iterable[tuple[slice, NDArray]]:
        """Alleles of some variants, with the people whose they are."""
        for some in self.people:
            yield some, np.ascontiguousarray(self._genotypes[variants, some])

    def digest(self, variants: slice) -> bytes:
        """SHA-256 of the alleles of some variants."""
        digest = hashlib.sha256()
        for _, alleles in self.read(variants):
            digest.update(alleles.data)
        return digest.digest()


class StoredCalls:
    """Packs what a store holds as ``call_genotype``, and as ``call_DS`` where it has that."""

    def __init__(self, root: Any, source: str) -> None:
        self._genotypes = root["call_genotype"]
        self._alleles = _StoredAlleles(self._genotypes)
        self._dosages = StoredDosages(root, source) if holds_dosages(root) else None

    @property
    def imputed(self) -> bool:
        """Whether the store has dosages."""
        return self._dosages is not None

    def pack(self, variants: slice, n_alts: NDArray) -> PackedStep:
        """Pack some variants."""
        people, rows = self._genotypes.shape[1], int(n_alts.sum(dtype=np.int64))
        packed = np.zeros((rows, -(-people // 4)), dtype=np.uint8)
        dosages = None if self._dosages is None else np.empty((rows, people), dtype=code_dtype)
        digest = hashlib.sha256()
        for some, alleles in self._alleles.read(variants):
            digest.update(alleles.data)
            mine = pack_genotypes(alleles, n_alts)
            packed[:, some.start // 4 : -(-some.stop // 4)] = mine
            if self._dosages is not None and dosages is not None:
                dosages[:, some] = self._dosages.codes(variants, some, n_alts, alleles, mine)
        return PackedStep(packed, digest.digest(), dosages)


def _join(*parts: str) -> str:
    return hashlib.sha256("\n".join((f"genome_eu {FORMAT}", *parts)).encode()).hexdigest()


def _slices(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def _threads(call_genotype: Any, imputed: bool = False) -> int:
    """Threads that pack: as many as there are cores, and as fit into memory."""
    variants, people = call_genotype.chunks[:2]
    # Twice the packed rows of a step, and a few copies of a chunk of alleles; dosages likewise.
    step = variants * call_genotype.shape[1] // 2 + 4 * variants * people * 2
    if imputed:
        step += 4 * variants * call_genotype.shape[1] + 16 * variants * people
    return max(1, min(cores(), _BYTES_AT_ONCE // step))


def _names_at_once(variant_allele: Any) -> int:
    """Variants to name at once: whole chunks."""
    chunk = variant_allele.chunks[0]
    return max(1, _ALLELES_AT_ONCE // (chunk * max(variant_allele.shape[1], 1))) * chunk


def _write_names(root: Any, group: Any, n_alts: NDArray, rows: int) -> tuple[RowTally, str]:
    """Write what each row is; also return the SHA-256 of the Parquet file."""
    tally = RowTally(rows)
    variant_of_row = ArrayWriter(group, "row_variant", (rows,), _COLUMN_ROWS, np.int32)
    allele_of_row = ArrayWriter(group, "row_allele", (rows,), _COLUMN_ROWS, np.int16)
    with ByteFile(group, "rows_parquet") as file:
        names = RowTableWriter(file)
        for one in _slices(n_alts.size, _names_at_once(root["variant_allele"])):
            row_variant, row_allele = row_map(n_alts[one], one.start)
            variant_of_row.append(row_variant)
            allele_of_row.append(row_allele)
            table = row_table(root, one, row_variant, row_allele)
            tally.add(table)
            names.append(table)
        names.close()
    variant_of_row.close()
    allele_of_row.close()
    return tally, file.digest.hexdigest()


class _PackedWriter(DigestedWriter):
    """Writes packed rows by whole chunks, with the digest of each and the counts of its rows."""

    def __init__(self, group: Any, rows: int, people: int) -> None:
        self.people = people
        self.missing_calls = 0
        shape, chunk_rows = (rows, -(-people // 4)), packed_chunk_rows(people, rows)
        super().__init__(group, "packed", shape, chunk_rows, np.uint8, _COMPRESSOR)
        self.counts = ArrayWriter(group, "row_counts", (rows, 3), _COLUMN_ROWS, np.dtype("<i4"))

    def write(self, block: NDArray, start: int) -> None:
        super().write(block, start)
        counts = count_rows(block, self.people)
        self.missing_calls += int(counts[:, 2].sum(dtype=np.int64))
        self.counts.append(counts)

    def close(self) -> None:
        super().close()
        self.counts.close()
