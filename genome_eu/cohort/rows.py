"""Rows: one for each (variant, ALT allele) of a VCF Zarr store, and what they are called."""

from __future__ import annotations

import hashlib
import threading
from io import BufferedReader, RawIOBase
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genome_eu.cohort.genome import AUTOSOMES, contig_name

_KEY = ["contig", "position", "ref", "alt"]
_REPEATED = ["contig", "ref", "alt"]
_STORED = pa.schema(
    [
        ("contig", pa.string()),
        ("position", pa.int64()),
        ("id", pa.string()),
        ("ref", pa.string()),
        ("alt", pa.string()),
        ("autosomal", pa.bool_()),
    ]
)


def count_alts(variant_allele: NDArray) -> NDArray:
    """ALT alleles of each variant, from an (variants, alleles) array padded with empty strings."""
    return (np.asarray(variant_allele)[:, 1:] != "").sum(axis=1, dtype=np.int32)


def row_map(n_alts: NDArray, first_variant: int = 0) -> tuple[NDArray, NDArray]:
    """Variant (int32) and allele number (int16, from 1) of each row, variant-major."""
    n_alts = np.asarray(n_alts)
    variant = np.repeat(np.arange(n_alts.size), n_alts)
    first_row = np.repeat(np.cumsum(n_alts) - n_alts, n_alts)
    allele = np.arange(variant.size) - first_row + 1
    return (variant + first_variant).astype(np.int32), allele.astype(np.int16)


def as_slice(rows: NDArray) -> slice | NDArray:
    """Rows that follow each other as a slice, for which nothing is copied; others as they are."""
    if not rows.size or int(rows[-1]) - int(rows[0]) + 1 != rows.size:
        return rows
    ascending = bool((rows[1:] > rows[:-1]).all())
    return slice(int(rows[0]), int(rows[-1]) + 1) if ascending else rows


def row_table(
    root: Any, variants: slice, row_variant: NDArray, row_allele: NDArray
) -> pd.DataFrame:
    """Names of rows whose variants lie in a slice of the store.

    Parameters
    ----------
    root : zarr.Group
    variants : slice
        The variants to read.
    row_variant : int32 array, shape (rows,)
        Variant of each row, counted from the start of the store.
    row_allele : int16 array, shape (rows,)
        Its allele, from 1.

    Returns
    -------
    rows : DataFrame
        Columns contig, position (int64), id, ref, alt and autosomal (bool).
    """
    local = np.asarray(row_variant, dtype=np.int64) - (variants.start or 0)
    contig_ids = np.array([contig_name(str(one)) for one in root["contig_id"][:]], dtype=object)
    contig = contig_ids[np.asarray(root["variant_contig"][variants])[local]]
    alleles = np.asarray(root["variant_allele"][variants]).astype(object)
    ids = np.asarray(root["variant_id"][variants]).astype(object)[local]
    ids[ids == ""] = "."
    return pd.DataFrame(
        {
            "contig": contig,
            "position": np.asarray(root["variant_position"][variants])[local].astype(np.int64),
            "id": ids,
            "ref": alleles[local, 0],
            "alt": alleles[local, row_allele],
            "autosomal": np.isin(contig.astype(str), list(AUTOSOMES)),
        }
    )


def digest_rows(digest: Any, rows: pd.DataFrame) -> None:
    """Feed names of rows to a hash; the same whether in one piece or in many."""
    columns = (rows[name].tolist() for name in ("contig", "position", "id", "ref", "alt"))
    lines = [f"{c}\t{p}\t{i}\t{r}\t{a}\n" for c, p, i, r, a in zip(*columns, strict=True)]
    digest.update("".join(lines).encode())


class RowTableWriter:
    """Writes names of rows as one Parquet file, piece by piece."""

    def __init__(self, file: RawIOBase) -> None:
        # Names are often all different, which dictionaries only make slower to read.
        self._parquet = pq.ParquetWriter(
            file, _STORED, compression="zstd", use_dictionary=_REPEATED
        )

    def append(self, rows: pd.DataFrame) -> None:
        """Write the next rows, as `row_table` names them."""
        table = pa.Table.from_pandas(rows, schema=_STORED, preserve_index=False)
        self._parquet.write_table(table.replace_schema_metadata(None))

    def close(self) -> None:
        """Write the end of the file."""
        self._parquet.close()


class RowNames:
    """The names that `RowTableWriter` wrote, of which a piece at a time is in memory.

    Parameters
    ----------
    file : seekable binary file

    Raises
    ------
    ValueError
        If it is a table of something else.
    """

    def __init__(self, file: RawIOBase) -> None:
        self._parquet = pq.ParquetFile(BufferedReader(file), read_dictionary=_REPEATED)
        metadata = self._parquet.metadata
        if not metadata.schema.to_arrow_schema().equals(_STORED):
            raise ValueError(f"columns {metadata.schema.names}")
        pieces = [metadata.row_group(one).num_rows for one in range(metadata.num_row_groups)]
        self._edges = np.cumsum([0, *pieces])
        self._kept: tuple[int, pa.Table] | None = None
        self._one_at_a_time = threading.Lock()

    def __len__(self) -> int:
        return int(self._edges[-1])

    def take(self, rows: NDArray) -> pd.DataFrame:
        """Names of these rows, in the order given: what `row_table` made of them."""
        piece_of = np.searchsorted(self._edges, rows, side="right") - 1
        order = np.argsort(piece_of, kind="stable")
        numbers, firsts = np.unique(piece_of[order], return_index=True)
        tables = [_STORED.empty_table()]
        # Of no rows, split makes one piece.
        for number, mine in zip(numbers, np.split(order, firsts[1:]), strict=False):
            some = as_slice(rows[mine] - self._edges[number])
            piece = self._piece(int(number))
            part = piece[some] if isinstance(some, slice) else piece.take(some)
            tables.append(part.cast(_STORED))
        table = pa.concat_tables(tables)
        if np.any(np.diff(order) < 0):
            table = table.take(np.argsort(order))
        return table.to_pandas()

    def column(self, name: str) -> pd.Series:
        """One column of all rows; contigs and alleles as categories."""
        with self._one_at_a_time:
            return self._parquet.read(columns=[name])[name].to_pandas()

    def _piece(self, number: int) -> pa.Table:
        with self._one_at_a_time:
            if self._kept is None or self._kept[0] != number:
                self._kept = number, self._parquet.read_row_group(number)
            return self._kept[1]


class RowTally:
    """What an import learns about the rows while it names them once."""

    def __init__(self, rows: int) -> None:
        self.digest = hashlib.sha256()
        self.autosomal = 0
        self.contigs: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        # Eight bytes a row, so that repeats can be counted over a whole genome.
        self._keys = np.empty(rows, dtype=np.uint64)
        self._added = 0

    def add(self, rows: pd.DataFrame) -> None:
        """Take in the next rows of the store."""
        digest_rows(self.digest, rows)
        self.autosomal += int(rows["autosomal"].sum())
        for name, positions in rows.groupby("contig", sort=False)["position"]:
            self.contigs[str(name)] = self.contigs.get(str(name), 0) + len(positions)
            self.ends[str(name)] = max(self.ends.get(str(name), 0), int(positions.max()))
        keys = pd.util.hash_pandas_object(rows[_KEY], index=False).to_numpy()
        self._keys[self._added : self._added + len(keys)] = keys
        self._added += len(keys)

    @property
    def duplicated(self) -> int:
        """Rows that repeat the contig, position, REF and ALT of an earlier one."""
        keys = self._keys[: self._added]
        keys.sort()
        return int((keys[1:] == keys[:-1]).sum())
