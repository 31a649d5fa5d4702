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

from genome_eu.cohort.arrays import ByteReader, CheckedArray
from genome_eu.cohort.chunks import CheckedRows
from genome_eu.cohort.dosages import DOSAGES, SUMS, sum_rows
from genome_eu.cohort.exchanged import stored as places
from genome_eu.cohort.genome import AUTOSOMES
from genome_eu.cohort.location import bytes_in, file_name, located, open_root
from genome_eu.cohort.packing import (
    FORMAT,
    GROUP,
    cohort_digest,
    count_rows,
    genotype_digest,
    source_digest,
)
from genome_eu.cohort.rows import RowNames, as_slice, digest_rows, row_table
from genome_eu.cohort.samples import from_parquet_bytes, table_digest
from genome_eu.errors import GenomeEuError, SourceError
from genome_eu.kernels import PackedBlock, exchange, unpack
from genome_eu.kernels import backend as kernels_backend
from genome_eu.kernels.dense import (
    ONE,
    DenseBlock,
    codes_of_calls,
    dense_backend,
    exchange_codes,
)
from genome_eu.stats.ploidy import PloidyClass, classes

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
            self._packed = self._checked_rows("packed")
            self._dosages = self._checked_rows(DOSAGES) if self.has_dosages else None
            self.opening = secrets.token_hex(8)
        except KeyError as error:
            raise self._damaged(f"{GROUP} (no {error.args[0]})") from error
        except Exception as error:
            raise self._damaged(f"{GROUP}/packed_digest") from error
        expected = (self.n_rows, -(-self.people // 4))
        if self._packed.shape != expected or self._packed.chunk_rows != self.block_rows:
            raise self._damaged(f"{GROUP}/packed (shape {self._packed.shape}, not {expected})")
        expected = (self.n_rows, self.people)
        if self._dosages is not None and self._dosages.shape != expected:
            raise self._damaged(f"{GROUP}/{DOSAGES} (shape {self._dosages.shape}, not {expected})")
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

    @property
    def ploidy(self) -> NDArray[np.int8]:
        """The class of each row by how many copies people have there (see `stats.ploidy`).

        A `PloidyClass` as int8 (rows,); raises as `rows` does.
        """
        contig = self._column("contig")
        if set(contig.unique()) <= AUTOSOMES:
            return np.full(self.n_rows, PloidyClass.AUTOSOMAL, np.int8)
        return classes(contig, self._column("position"), self.build)

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
        """Lines of `row_counts`, in the order asked for; raises as it does.

        Rows may have their alleles exchanged, see `genome_eu.cohort.exchanged`.
        """
        rows, exchanged = places(rows)
        first, stop = (int(rows.min()), int(rows.max()) + 1) if rows.size else (0, 0)
        try:
            stored = self._counts.read(first, stop)[as_slice(rows - first)]
        except Exception as error:
            raise self._damaged(f"{GROUP}/row_counts") from error
        counts = np.empty((rows.size, 4), dtype=np.int64)
        counts[:, 1:] = stored
        counts[:, 0] = self.people - stored[:, 0] - stored[:, 1] - stored[:, 2]
        counts[exchanged] = counts[exchanged][:, [2, 1, 0, 3]]
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
            Rows of the store; an array may be in any order and repeat rows, and its rows may have
            their alleles exchanged (`genome_eu.cohort.exchanged`). A slice that is one whole chunk
            is not copied.
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
        return PackedBlock(self._calls(rows), self.people, kernels_backend(backend))

    def _calls(self, rows: slice | NDArray) -> NDArray:
        """Packed rows, oriented as asked for."""
        if isinstance(rows, slice):
            return self._read(self._packed, rows)
        rows, exchanged = places(rows)
        packed = self._read(self._packed, rows)
        if exchanged.any():
            packed = packed.copy()
            packed[exchanged] = exchange(packed[exchanged], self.people)
        return packed

    def read_dosages(self, rows: slice | NDArray, backend: str = "cpu") -> DenseBlock:
        """Read dosages, each chunk checked against its digest when it is first read.

        Of a cohort without dosages, hard calls are given as dosages of 0, 1 and 2.

        Parameters
        ----------
        rows : slice or int64 array
            Rows of the store; an array may be in any order and repeat rows, and its rows may have
            their alleles exchanged (`genome_eu.cohort.exchanged`). A slice that is one whole chunk
            is not copied.
        backend : str
            Kernels that the block carries, one of `genome_eu.kernels.BACKENDS`.

        Returns
        -------
        block : DenseBlock
            In the order asked for.

        Raises
        ------
        IndexError
            If a row is not in the store.
        SourceError
            If a chunk is damaged or absent.
        """
        kernels = dense_backend(backend)
        if self._dosages is not None:
            return DenseBlock(self._codes(self._dosages, rows), self.people, kernels)
        calls = unpack(self._calls(rows), self.people)
        return DenseBlock(codes_of_calls(calls), self.people, kernels)

    def _codes(self, dosages: CheckedRows, rows: slice | NDArray) -> NDArray:
        """Rows of dosages, oriented as asked for."""
        if isinstance(rows, slice):
            return self._read(dosages, rows)
        rows, exchanged = places(rows)
        codes = self._read(dosages, rows)
        if exchanged.any():
            codes = codes.copy()
            codes[exchanged] = exchange_codes(codes[exchanged])
        return codes

    @property
    def has_dosages(self) -> bool:
        """Whether the source was imputed, and its dosages are here."""
        return f"{DOSAGES}_sha256" in self._facts

    def dosage_sums(self, rows: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """What dosages of everybody sum to: what a block's `tally` and `counts` give.

        Parameters
        ----------
        rows : int64 array
            As for `read`.

        Returns
        -------
        called : int64 array, shape (rows,)
            People with a dosage; those with a hard call, of a cohort that has no dosages.
        dosage_sum, dosage_square : float64 arrays, shape (rows,)
        calls : int64 array, shape (rows, 4)
            People whose hard call is 0, 1 and 2 copies, and missing.

        Raises
        ------
        SourceError
            If the sums are not those that were made at import.
        """
        called, total, square, het, hom_alt, missing = self._sums_of_codes(rows).T
        hom_ref = self.people - het - hom_alt - missing
        calls = np.stack([hom_ref, het, hom_alt, missing], axis=1)
        return called, total / ONE, square / ONE**2, calls

    def _sums_of_codes(self, rows: NDArray) -> NDArray[np.int64]:
        """Lines of ``dosage_sums``, (rows, 6); of a cohort without dosages, those of its calls."""
        if self._dosages is None:
            counts = self.counts(rows)
            het, hom_alt, missing = counts[:, 1], counts[:, 2], counts[:, 3]
            copies, squares = ONE * (het + 2 * hom_alt), ONE**2 * (het + 4 * hom_alt)
            return np.stack([self.people - missing, copies, squares, het, hom_alt, missing], 1)
        rows, exchanged = places(rows)
        first, stop = (int(rows.min()), int(rows.max()) + 1) if rows.size else (0, 0)
        try:
            sums = self._dosage_sums.read(first, stop)[as_slice(rows - first)]
        except Exception as error:
            raise self._damaged(f"{GROUP}/{SUMS}") from error
        if exchanged.any():
            sums = sums.copy()
            # Σ(2 − g) and Σ(2 − g)² over the called; who carried none now carries two.
            called, copies, squares, het, hom_alt, missing = sums[exchanged].T
            sums[exchanged, 1] = 2 * ONE * called - copies
            sums[exchanged, 2] = 4 * ONE**2 * called - 4 * ONE * copies + squares
            sums[exchanged, 4] = self.people - het - hom_alt - missing
        return sums

    @cached_property
    def _dosage_sums(self) -> CheckedArray:
        return self._checked(SUMS)

    def _read(self, stored: CheckedRows, rows: slice | NDArray) -> NDArray:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.n_rows)
            if step == 1:
                return stored.range(start, max(stop, start))
            rows = np.arange(start, stop, step)
        return stored.take(self._in_store(np.asarray(rows)))

    def rows_of_site(self, rows: NDArray) -> tuple[NDArray, NDArray]:
        """Where the rows of the same variants begin and end: one for each of a variant's ALTs.

        Parameters
        ----------
        rows : int64 array

        Returns
        -------
        first, last : int64 arrays of the same shape
            The first row of each row's variant, and the one after its last.

        Raises
        ------
        SourceError
            If the variants of rows cannot be read.
        """
        variant = self._row_variant[places(rows)[0]]
        first = np.searchsorted(self._row_variant, variant, side="left")
        return first, np.searchsorted(self._row_variant, variant, side="right")

    @cached_property
    def _row_variant(self) -> NDArray[np.int32]:
        try:
            return np.asarray(self._root[GROUP]["row_variant"][:])
        except Exception as error:
            raise self._damaged(f"{GROUP}/row_variant") from error

    def verify(self) -> None:
        """Read everything, and compare it with the digests made at import.

        Raises
        ------
        SourceError
            If packed rows, names of rows, people or their table are damaged, or `call_genotype`
            is not what the rows were packed from.
        """
        # What is cached was right once; here all of it is read again.
        for name in ("rows", "_names", "_counts", "_dosage_sums"):
            self.__dict__.pop(name, None)
        digest = hashlib.sha256()
        for chunk in range(self._packed.chunks):
            packed = self._packed.chunk(chunk, again=True)
            digest.update(packed.data)
            first = chunk * self.block_rows
            stored = self.counts(np.arange(first, first + len(packed)))[:, 1:]
            if not np.array_equal(count_rows(packed, self.people), stored):
                raise self._damaged(f"{GROUP}/row_counts")
        if digest.hexdigest() != self._facts["packed_sha256"]:
            raise self._damaged(f"{GROUP}/packed")
        if self._dosages is not None:
            self._verify_dosages(self._dosages)
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

    def _verify_dosages(self, dosages: CheckedRows) -> None:
        """Compare dosages, and what they sum to, with the import."""
        digest = hashlib.sha256()
        for chunk in range(dosages.chunks):
            codes = dosages.chunk(chunk, again=True)
            digest.update(codes.data)
            first = chunk * dosages.chunk_rows
            stored = self._sums_of_codes(np.arange(first, first + len(codes)))
            if not np.array_equal(sum_rows(codes, self.people), stored):
                raise self._damaged(f"{GROUP}/{SUMS}")
        if digest.hexdigest() != self._facts[f"{DOSAGES}_sha256"]:
            raise self._damaged(f"{GROUP}/{DOSAGES}")

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
            "dosages": self.has_dosages,
            "source": dict(facts["source"]),
            "genotype_digest": self.genotype_digest,
            "digest": self.digest,
            "format": facts["format"],
            "software": dict(facts["software"]),
        }

    def _in_store(self, rows: NDArray) -> NDArray:
        """Rows to take, once they are known to be there."""
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            if rows.size:
                raise IndexError(f"rows must be whole numbers, not {rows.dtype} {rows.shape}.")
            rows = rows.reshape(-1).astype(np.int64)
        if rows.size:
            low, high = int(rows.min()), int(rows.max())
            if low < 0 or high >= self.n_rows:
                wrong = low if low < 0 else high
                raise IndexError(
                    f"row {wrong} is not in cohort {self.name} of {self.n_rows:,} rows."
                )
        return rows

    def _checked_rows(self, name: str) -> CheckedRows:
        folder = self.path / GROUP if isinstance(self.path, Path) else None
        return CheckedRows(self._root[GROUP], name, folder, self._damaged, self._replaced)

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
