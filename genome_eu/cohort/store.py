"""A cohort store: the genotypes of one site, opened for reading."""

from __future__ import annotations

import hashlib
import secrets
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort.arrays import ByteReader, CheckedArray, ChunkReader
from genome_eu.cohort.location import bytes_in, file_name, located, open_root
from genome_eu.cohort.packing import (
    FORMAT,
    GROUP,
    chunk_digest,
    cohort_digest,
    count_rows,
    genotype_digest,
    source_digest,
)
from genome_eu.cohort.rows import RowNames, as_slice, digest_rows, row_table
from genome_eu.cohort.samples import from_parquet_bytes, table_digest
from genome_eu.errors import GenomeEuError, SourceError
from genome_eu.kernels import PackedBlock
from genome_eu.kernels import backend as kernels_backend

if TYPE_CHECKING:
    import xarray

_AGAIN = "import the cohort again with `genome-eu import`"


def open_store(path: str | Path) -> CohortStore:
    """Open a cohort store.

    Ids of people are read and checked; everything else is when it is asked for.

    Parameters
    ----------
    path : path or URL
        A store that `import_genotypes` made, or the URL of a copy of one, such as
        ``s3://bucket/fi.vcz``, for which fsspec needs the package of that protocol.

    Returns
    -------
    store : CohortStore

    Raises
    ------
    SourceError
        If there is no store, it has no packed rows of this format, or its people are damaged.
    """
    return CohortStore(path)


class CohortStore:
    """The genotypes of one site, and what is known of their people.

    Reading is safe from many threads. Made by `open_store`.

    Attributes
    ----------
    path : Path or str
        Where it lies; a URL is a str.
    name : str
        The path's stem: ``fi`` for ``data/fi.vcz``.
    build : str
        "GRCh37", "GRCh38" or "unknown".
    people : int
        Number of people.
    sample_id : str array, shape (people,)
        Their ids, in the order of the packed genotypes.
    samples : DataFrame
        Index ``sample_id`` in the same order; float64 and text columns as imported.
    n_rows : int
        Number of packed rows.
    block_rows : int
        Rows of a packed chunk: reading slices that begin and end at its multiples is cheapest.
    digest : str
        SHA-256 of people, their table, rows and genotypes: what a site states about its cohort.
    genotype_digest : str
        The same without the table.
    opening : str
        Names this opening of the store: who opens it again, checks its chunks again.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = located(path)
        self._file_name = file_name(self.path)
        self.name = Path(self._file_name).stem
        self._root = open_root(self.path)
        self._facts = _packed_facts(self.path, self._root)
        try:
            self.build: str = self._facts["build"]
            self.people: int = self._facts["people"]
            self.n_rows: int = self._facts["rows"]
            self.block_rows: int = self._facts["block_rows"]
            self.digest: str = self._facts["digest"]
            self.genotype_digest: str = self._facts["genotype_digest"]
            self._packed = self._root[GROUP]["packed"]
            self._chunk_digests = np.asarray(self._root[GROUP]["packed_digest"][:])
            self._sound: dict[int, tuple[int, ...]] = {}
            self.opening = secrets.token_hex(8)
        except KeyError as error:
            raise self._damaged(f"{GROUP} (no {error.args[0]})") from error
        except Exception as error:
            raise self._damaged(f"{GROUP}/packed_digest") from error
        expected = (self.n_rows, -(-self.people // 4))
        if self._packed.shape != expected or self._packed.chunks[0] != self.block_rows:
            raise self._damaged(f"{GROUP}/packed (shape {self._packed.shape}, not {expected})")
        folder = self.path / GROUP / "packed" if isinstance(self.path, Path) else None
        self._chunks = ChunkReader(self._packed, folder)
        self.sample_id: NDArray[np.str_] = self._read_sample_id()

    def __repr__(self) -> str:
        return f"CohortStore({str(self.path)!r}: {self.people:,} people, {self.n_rows:,} rows)"

    def __reduce__(self) -> tuple:
        # A worker opens the store itself; what was read here stays here.
        return open_store, (str(self.path),)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """What each packed row is: contig, position, id, ref, alt, autosomal.

        Contigs are named "1".."22", "X", "Y", "MT" whatever the source calls them (others as they
        are); ids are ``.`` where there is none. The whole stays in memory, about 120 bytes a row;
        `names` gives a part.

        Raises
        ------
        SourceError
            If the names are not those that were imported.
        """
        return self.names(np.arange(self.n_rows))

    def names(self, rows: NDArray) -> pd.DataFrame:
        """Lines of `rows`, in the order asked for; raises as it does."""
        try:
            return self._names.take(rows)
        except Exception as error:
            raise self._damaged("its row table") from error

    def contigs(self, rows: NDArray) -> list[str]:
        """Contigs of some rows, in order of appearance; raises as `rows` does."""
        return [str(name) for name in self._column("contig").iloc[rows].unique()]

    @property
    def autosomal(self) -> NDArray[np.bool_]:
        """Which rows lie on autosomes, bool (rows,); raises as `rows` does."""
        return self._column("autosomal").to_numpy()

    def _column(self, name: str) -> pd.Series:
        try:
            return self._names.column(name)
        except Exception as error:
            raise self._damaged("its row table") from error

    @cached_property
    def _names(self) -> RowNames:
        names = RowNames(ByteReader(self._checked("rows_parquet")))
        if len(names) != self.n_rows:
            raise ValueError(f"{len(names)} names")
        return names

    @property
    def row_counts(self) -> NDArray[np.int64]:
        """Genotypes of each packed row over everybody, counted at import.

        Returns
        -------
        counts : int64 array, shape (rows, 4)
            People with 0, 1 and 2 copies of the ALT, and with a missing call: what
            `PackedBlock.counts` gives for one group of everybody.

        Raises
        ------
        SourceError
            If the counts are not those that were made at import.
        """
        return self.counts(np.arange(self.n_rows))

    def counts(self, rows: NDArray) -> NDArray[np.int64]:
        """Lines of `row_counts`, in the order asked for; raises as it does."""
        first, stop = (int(rows.min()), int(rows.max()) + 1) if rows.size else (0, 0)
        try:
            stored = self._counts.read(first, stop)[as_slice(rows - first)]
        except Exception as error:
            raise self._damaged(f"{GROUP}/row_counts") from error
        counts = np.empty((rows.size, 4), dtype=np.int64)
        counts[:, 1:] = stored
        counts[:, 0] = self.people - stored[:, 0] - stored[:, 1] - stored[:, 2]
        return counts

    @cached_property
    def _counts(self) -> CheckedArray:
        counts = self._checked("row_counts")
        if counts.shape != (self.n_rows, 3):
            raise ValueError(f"shape {counts.shape}")
        return counts

    def _checked(self, name: str) -> CheckedArray:
        return CheckedArray(self._root[GROUP][name], self._facts[f"{name}_sha256"])

    def read(self, rows: slice | NDArray, backend: str = "cpu") -> PackedBlock:
        """Read packed genotypes, each chunk checked against its digest when it is first read.

        Parameters
        ----------
        rows : slice or int64 array
            Rows of the store; an array may be in any order and repeat rows. A slice that is one
            whole chunk is not copied.
        backend : str
            Kernels that the block carries, one of `genome_eu.kernels.BACKENDS`.

        Returns
        -------
        block : PackedBlock
            In the order asked for.

        Raises
        ------
        IndexError
            If a row is not in the store.
        SourceError
            If a chunk is damaged or absent.
        """
        kernels = kernels_backend(backend)
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.n_rows)
            if step == 1:
                return PackedBlock(self._read_range(start, max(stop, start)), self.people, kernels)
            rows = np.arange(start, stop, step)
        return PackedBlock(self._read_index(np.asarray(rows)), self.people, kernels)

    def verify(self) -> None:
        """Read everything, and compare it with the digests made at import.

        Raises
        ------
        SourceError
            If packed rows, names of rows, people or their table are damaged, or `call_genotype`
            is not what the rows were packed from.
        """
        # What is cached was right once; here all of it is read again.
        for name in ("rows", "_names", "_counts"):
            self.__dict__.pop(name, None)
        digest = hashlib.sha256()
        for chunk in range(len(self._chunk_digests)):
            packed = self._read_chunk(chunk, again=True)
            digest.update(packed.data)
            first = chunk * self.block_rows
            stored = self.counts(np.arange(first, first + len(packed)))[:, 1:]
            if not np.array_equal(count_rows(packed, self.people), stored):
                raise self._damaged(f"{GROUP}/row_counts")
        if digest.hexdigest() != self._facts["packed_sha256"]:
            raise self._damaged(f"{GROUP}/packed")
        self._verify_names()
        self.__dict__.pop("samples", None)
        if table_digest(self.samples) != self._facts["samples_sha256"]:
            raise self._damaged("its table of people")
        try:
            genotypes = self._root["call_genotype"]
            # Of a chunk that is absent, Zarr 2 gives whatever lies in memory, perhaps the same.
            listed = isinstance(self.path, Path)
            absent = listed and genotypes.nchunks_initialized < genotypes.nchunks
            found = source_digest(genotypes)
        except Exception as error:
            raise self._damaged("call_genotype") from error
        if absent or found != self._facts["source_sha256"]:
            raise SourceError(
                f"cohort {self._file_name}: call_genotype is damaged or was changed after its rows "
                f"were packed; {_AGAIN}."
            )

    def _verify_names(self) -> None:
        """Compare the names of rows, and the variants that they came from, with the import."""
        group = self._root[GROUP]
        try:
            row_variant, row_allele = group["row_variant"][:], group["row_allele"][:]
            named = row_table(self._root, slice(0, None), row_variant, row_allele)
        except Exception as error:
            raise self._damaged("its row table") from error
        for table in (self.rows, named):
            digest = hashlib.sha256()
            digest_rows(digest, table)
            if digest.hexdigest() != self._facts["rows_sha256"]:
                raise self._damaged("its row table")

    def dataset(self) -> xarray.Dataset:
        """The whole VCF Zarr store as sgkit sees it, lazily."""
        import sgkit

        return sgkit.load_dataset(str(self.path))

    def describe(self) -> dict[str, Any]:
        """What the cohort holds, without reading genotypes.

        Returns
        -------
        description : dict
            Plain values that JSON can hold. ``sample_columns`` gives, for each column of the table
            of people, its name, type (number or text) and how many people have a value;
            ``duplicated_rows`` counts rows that repeat the contig, position, REF and ALT of an
            earlier one; ``call_rate`` is over all packed rows; bytes of a store behind a URL are
            not known, and None.
        """
        facts = self._facts
        return {
            "name": self.name,
            "path": str(self.path),
            "build": self.build,
            "people": self.people,
            "people_left_out": facts["people_left_out"],
            "table_people_without_genotypes": facts["table_people_without_genotypes"],
            "variants": facts["variants"],
            "variants_without_alt": facts["variants_without_alt"],
            "rows": self.n_rows,
            "autosomal_rows": facts["autosomal_rows"],
            "duplicated_rows": facts["duplicated_rows"],
            "contigs": dict(facts["contigs"]),
            "ploidy": facts["ploidy"],
            "call_rate": 1 - facts["missing_calls"] / (self.n_rows * self.people),
            "block_rows": self.block_rows,
            "sample_columns": [
                {
                    "name": name,
                    "type": "number" if self.samples[name].dtype == np.float64 else "text",
                    "people": int(self.samples[name].notna().sum()),
                }
                for name in self.samples.columns
            ],
            "bytes": bytes_in(self.path),
            "packed_bytes": bytes_in(self.path, GROUP),
            "source": dict(facts["source"]),
            "genotype_digest": self.genotype_digest,
            "digest": self.digest,
            "format": facts["format"],
            "software": dict(facts["software"]),
        }

    def _read_range(self, start: int, stop: int) -> NDArray:
        size = self.block_rows
        if start % size == 0 and start < stop == min(start + size, self.n_rows):
            return self._read_chunk(start // size)
        packed = np.empty((stop - start, self._packed.shape[1]), dtype=np.uint8)
        for first in range(start // size * size, stop, size):
            chunk = self._read_chunk(first // size)
            low, high = max(start, first), min(stop, first + len(chunk))
            packed[low - start : high - start] = chunk[low - first : high - first]
        return packed

    def _read_index(self, rows: NDArray) -> NDArray:
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            if rows.size:
                raise IndexError(f"rows must be whole numbers, not {rows.dtype} {rows.shape}.")
            rows = rows.reshape(-1).astype(np.int64)
        if rows.size == 0:
            return np.empty((0, self._packed.shape[1]), dtype=np.uint8)
        low, high = int(rows.min()), int(rows.max())
        if low < 0 or high >= self.n_rows:
            wrong = low if low < 0 else high
            raise IndexError(f"row {wrong} is not in cohort {self.name} of {self.n_rows:,} rows.")
        if isinstance(as_slice(rows), slice):
            return self._read_range(low, high + 1)
        packed = np.empty((rows.size, self._packed.shape[1]), dtype=np.uint8)
        chunk_of = rows // self.block_rows
        order = np.argsort(chunk_of, kind="stable")
        chunks, firsts = np.unique(chunk_of[order], return_index=True)
        for chunk, mine in zip(chunks, np.split(order, firsts[1:]), strict=True):
            packed[mine] = self._read_chunk(int(chunk))[rows[mine] - chunk * self.block_rows]
        return packed

    def _read_chunk(self, chunk: int, again: bool = False) -> NDArray:
        first = chunk * self.block_rows
        last = min(first + self.block_rows, self.n_rows)
        where = f"{GROUP}/packed, rows {first:,} to {last - 1:,},"
        file = self._chunk_file(chunk)
        try:
            packed = self._chunks.read(chunk)
        except Exception as error:  # a codec's reasons for refusing bytes have many types
            raise self._damaged(where) from error
        # SHA-256 takes as long as the kernels do, and iterations read every chunk many times. What
        # was right once is trusted while its file stays the same and this store stays open.
        if again or file is None or self._sound.get(chunk) != file:
            if not np.array_equal(chunk_digest(packed), self._chunk_digests[chunk]):
                raise self._replaced() or self._damaged(where)
            if file is not None:
                self._sound[chunk] = file
        return packed

    def _chunk_file(self, chunk: int) -> tuple[int, ...] | None:
        """What tells a chunk's file from another; None where the store is no folder."""
        if not isinstance(self.path, Path):
            return None
        try:
            found = (self.path / GROUP / "packed" / f"{chunk}.0").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    @cached_property
    def samples(self) -> pd.DataFrame:
        """What is known of the people.

        Raises
        ------
        SourceError
            If the table is not of the people in the store.
        """
        try:
            stored = np.asarray(self._root[GROUP]["samples_parquet"][:])
            sound = hashlib.sha256(stored.data).hexdigest() == self._facts["samples_parquet_sha256"]
            table = from_parquet_bytes(stored.tobytes()) if sound else None
        except Exception as error:
            raise self._damaged("its table of people") from error
        if table is None or table.index.tolist() != self.sample_id.tolist():
            raise self._damaged("its table of people")
        return table

    def _read_sample_id(self) -> NDArray[np.str_]:
        try:
            ids = [str(one) for one in self._root["sample_id"][:]]
        except Exception as error:
            raise self._damaged("its table of people") from error
        facts = self._facts
        if (
            genotype_digest(ids, facts) != facts["genotype_digest"]
            or cohort_digest(facts) != facts["digest"]
        ):
            raise self._damaged("its table of people")
        return np.array(ids, dtype=np.str_)

    def _replaced(self) -> SourceError | None:
        """The error to raise if another import lies under this store's name by now."""
        try:
            if open_store(self.path).digest == self.digest:
                return None
        except GenomeEuError:
            return None
        return SourceError(
            f"cohort {self.path} was imported again while it was in use; ask the question again"
        )

    def _damaged(self, what: str) -> SourceError:
        return SourceError(
            f"cohort {self._file_name}: {what} is damaged or absent; copy the store again from a "
            f"good copy, or {_AGAIN}."
        )


def _packed_facts(path: Path | str, root: Any) -> dict[str, Any]:
    try:
        facts = dict(root[GROUP].attrs)
    except KeyError:
        facts = {}
    except Exception as error:
        raise SourceError(f"{path} has unreadable metadata; {_AGAIN}.") from error
    if "format" not in facts:
        raise SourceError(
            f"{path} is Zarr without packed rows, made by another tool; import its VCF, BCF or "
            "PLINK source with `genome-eu import`."
        )
    if facts["format"] != FORMAT:
        raise SourceError(
            f"{path} has packed rows of format {facts['format']}, but this version reads format "
            f"{FORMAT}; {_AGAIN}."
        )
    return facts
