"""A cohort store: the genotypes of one site, opened for reading."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from genome_eu.cohort.packing import (
    FORMAT,
    GROUP,
    chunk_digest,
    cohort_digest,
    genotype_digest,
    source_digest,
)
from genome_eu.cohort.rows import digest_rows, row_table
from genome_eu.cohort.samples import from_parquet_bytes, table_digest
from genome_eu.errors import SourceError
from genome_eu.kernels import PackedBlock
from genome_eu.kernels import backend as kernels_backend

if TYPE_CHECKING:
    import xarray

_MARKERS = (".zgroup", ".zmetadata", "zarr.json")
_AGAIN = "import the cohort again with `genome-eu import`"


def open_store(path: str | Path) -> CohortStore:
    """Open a cohort store.

    The table of people is read and checked; genotypes and rows are not read until asked for.

    Parameters
    ----------
    path : path
        A store that `import_genotypes` made.

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
    path : Path
        Where it lies.
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
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self._root = _open_root(self.path)
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
        except KeyError as error:
            raise self._damaged(f"{GROUP} (no {error.args[0]})") from error
        except Exception as error:
            raise self._damaged(f"{GROUP}/packed_digest") from error
        expected = (self.n_rows, -(-self.people // 4))
        if self._packed.shape != expected or self._packed.chunks[0] != self.block_rows:
            raise self._damaged(f"{GROUP}/packed (shape {self._packed.shape}, not {expected})")
        self.samples: pd.DataFrame = self._read_samples()
        self.sample_id: NDArray = np.array(self.samples.index.tolist(), dtype=np.str_)

    def __repr__(self) -> str:
        return f"CohortStore({str(self.path)!r}: {self.people:,} people, {self.n_rows:,} rows)"

    def __reduce__(self) -> tuple:
        # A worker opens the store itself; what was read here stays here.
        return open_store, (str(self.path),)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """What each packed row is: contig, position, id, ref, alt, autosomal.

        Contigs are named "1".."22", "X", "Y", "MT" whatever the source calls them (others as they
        are); ids are ``.`` where there is none.

        Raises
        ------
        SourceError
            If the names are not those that were imported.
        """
        group = self._root[GROUP]
        try:
            row_variant, row_allele = group["row_variant"][:], group["row_allele"][:]
            table = row_table(self._root, slice(0, None), row_variant, row_allele)
        except Exception as error:
            raise self._damaged("its row table") from error
        digest = hashlib.sha256()
        digest_rows(digest, table)
        if digest.hexdigest() != self._facts["rows_sha256"]:
            raise self._damaged("its row table")
        return table

    def read(self, rows: slice | NDArray, backend: str = "cpu") -> PackedBlock:
        """Read packed genotypes, each chunk checked against the digest made at import.

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
        digest = hashlib.sha256()
        for chunk in range(len(self._chunk_digests)):
            digest.update(self._read_chunk(chunk).data)
        if digest.hexdigest() != self._facts["packed_sha256"]:
            raise self._damaged(f"{GROUP}/packed")
        self.__dict__.pop("rows", None)
        _ = self.rows
        self._read_samples()
        try:
            genotypes = source_digest(self._root["call_genotype"])
        except Exception as error:
            raise self._damaged("call_genotype") from error
        if genotypes != self._facts["source_sha256"]:
            raise SourceError(
                f"cohort {self.path.name}: call_genotype is damaged or was changed after its rows "
                f"were packed; {_AGAIN}."
            )

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
            earlier one; ``call_rate`` is over all packed rows.
        """
        facts = self._facts
        sizes = {file: file.stat().st_size for file in self.path.rglob("*") if file.is_file()}
        packed = self.path / GROUP
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
            "bytes": sum(sizes.values()),
            "packed_bytes": sum(size for file, size in sizes.items() if packed in file.parents),
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
        if high - low + 1 == rows.size and (np.diff(rows.astype(np.int64)) == 1).all():
            return self._read_range(low, high + 1)
        packed = np.empty((rows.size, self._packed.shape[1]), dtype=np.uint8)
        chunk_of = rows // self.block_rows
        order = np.argsort(chunk_of, kind="stable")
        chunks, firsts = np.unique(chunk_of[order], return_index=True)
        for chunk, mine in zip(chunks, np.split(order, firsts[1:]), strict=True):
            packed[mine] = self._read_chunk(int(chunk))[rows[mine] - chunk * self.block_rows]
        return packed

    def _read_chunk(self, chunk: int) -> NDArray:
        first = chunk * self.block_rows
        last = min(first + self.block_rows, self.n_rows)
        where = f"{GROUP}/packed, rows {first:,} to {last - 1:,},"
        try:
            packed = np.ascontiguousarray(self._packed[first:last])
        except Exception as error:  # a codec's reasons for refusing bytes have many types
            raise self._damaged(where) from error
        if not np.array_equal(chunk_digest(packed), self._chunk_digests[chunk]):
            raise self._damaged(where)
        return packed

    def _read_samples(self) -> pd.DataFrame:
        try:
            table = from_parquet_bytes(self._root[GROUP]["samples_parquet"][:].tobytes())
            ids = [str(one) for one in self._root["sample_id"][:]]
        except Exception as error:
            raise self._damaged("its table of people") from error
        facts = self._facts
        if (
            ids != table.index.tolist()
            or table_digest(table) != facts["samples_sha256"]
            or genotype_digest(ids, facts) != facts["genotype_digest"]
            or cohort_digest(facts) != facts["digest"]
        ):
            raise self._damaged("its table of people")
        return table

    def _damaged(self, what: str) -> SourceError:
        return SourceError(
            f"cohort {self.path.name}: {what} is damaged or absent; copy the store again from a "
            f"good copy, or {_AGAIN}."
        )


def _open_root(path: Path) -> Any:
    if not path.exists():
        raise SourceError(f"{path}: no such cohort; make one with `genome-eu import`.")
    if not any((path / marker).is_file() for marker in _MARKERS):
        raise SourceError(f"{path} is not a cohort store; make one with `genome-eu import`.")
    try:
        return zarr.open_group(str(path), mode="r")
    except Exception as error:
        raise SourceError(f"{path} cannot be opened as Zarr; {_AGAIN}.") from error


def _packed_facts(path: Path, root: Any) -> dict[str, Any]:
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
