"""The rows of a cohort store: their names, ploidy and counts, all but the genotypes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort.arrays import ByteReader, CheckedArray
from genome_eu.cohort.exchanged import stored as places
from genome_eu.cohort.genome import AUTOSOMES
from genome_eu.cohort.opened import OpenedStore
from genome_eu.cohort.packing import GROUP
from genome_eu.cohort.rows import RowNames, as_slice
from genome_eu.stats.ploidy import PloidyClass, classes


class StoredRows(OpenedStore):
    """A store of which it is known what each packed row is."""

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
