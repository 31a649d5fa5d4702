"""A cohort store: the genotypes of one site, opened for reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort.arrays import CheckedArray
from genome_eu.cohort.chunks import CheckedRows
from genome_eu.cohort.dosages import DOSAGES, SUMS, sum_rows
from genome_eu.cohort.exchanged import stored as places
from genome_eu.cohort.location import bytes_in
from genome_eu.cohort.opened import AGAIN
from genome_eu.cohort.packing import GROUP, count_rows, source_digest
from genome_eu.cohort.rows import as_slice, digest_rows, row_table
from genome_eu.cohort.samples import table_digest
from genome_eu.cohort.stored_rows import StoredRows
from genome_eu.errors import SourceError
from genome_eu.kernels import PackedBlock, exchange, unpack
from genome_eu.kernels import backend as kernels_backend
from genome_eu.kernels.dense import (
    ONE,
    DenseBlock,
    codes_of_calls,
    dense_backend,
    exchange_codes,
)

if TYPE_CHECKING:
    import xarray


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


class CohortStore(StoredRows):
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

    def __repr__(self) -> str:
        return f"CohortStore({str(self.path)!r}: {self.people:,} people, {self.n_rows:,} rows)"

    def __reduce__(self) -> tuple:
        # A worker opens the store itself; what was read here stays here.
        return open_store, (str(self.path),)

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
        return self._oriented(self._packed, rows, partial(exchange, people=self.people))

    def _oriented(
        self,
        stored: CheckedRows,
        rows: slice | NDArray,
        exchanging: Callable[[NDArray], NDArray],
    ) -> NDArray:
        """Rows as they are stored, or with their alleles exchanged where that is asked for."""
        if isinstance(rows, slice):
            return self._read(stored, rows)
        rows, exchanged = places(rows)
        found = self._read(stored, rows)
        if exchanged.any():
            found = found.copy()
            found[exchanged] = exchanging(found[exchanged])
        return found

    def read_dosages(self, rows: slice | NDArray, backend: str = "cpu") -> DenseBlock:
        """Read dosages, each chunk checked against its digest when it is first read.

        Of a cohort without dosages, hard calls are given as dosages of 0, 1 and 2.

        Parameters, order and errors are those of `read`.
        """
        kernels = dense_backend(backend)
        if self._dosages is not None:
            codes = self._oriented(self._dosages, rows, exchange_codes)
            return DenseBlock(codes, self.people, kernels)
        calls = unpack(self._calls(rows), self.people)
        return DenseBlock(codes_of_calls(calls), self.people, kernels)

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
                f"were packed; {AGAIN}."
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
