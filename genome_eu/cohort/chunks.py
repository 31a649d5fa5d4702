"""Rows of a store that are read by whole chunks, each compared with its digest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort.arrays import ChunkReader, chunk_digest, digest_name
from genome_eu.cohort.rows import as_slice
from genome_eu.errors import SourceError


class CheckedRows:
    """An array of rows in a group of a store, as `DigestedWriter` wrote it.

    Reading is safe from many threads.

    Parameters
    ----------
    group : zarr.Group
    name : str
        Of the array; its digests lie beside it.
    folder : Path, optional
        Where the group lies, if that is on this machine.
    damaged : callable
        Gives the error to raise, told what is damaged.
    replaced : callable
        Gives the error to raise if another import took the store's place meanwhile, or None.

    Raises
    ------
    Exception
        Of any type, if the array or its digests cannot be opened.
    """

    def __init__(
        self,
        group: Any,
        name: str,
        folder: Path | None,
        damaged: Callable[[str], SourceError],
        replaced: Callable[[], SourceError | None],
    ) -> None:
        self.array = group[name]
        self.digests = np.asarray(group[digest_name(name)][:])
        self._title = f"{group.name.strip('/')}/{name}"
        self._folder = None if folder is None else folder / name
        self._damaged, self._replaced = damaged, replaced
        self._reader = ChunkReader(self.array, self._folder)
        self._sound: dict[int, tuple[int, ...]] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, and columns of the array."""
        return tuple(self.array.shape)

    @property
    def chunk_rows(self) -> int:
        """Rows of a chunk."""
        return int(self.array.chunks[0])

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self.digests)

    def range(self, start: int, stop: int) -> NDArray:
        """Rows from `start` up to `stop`; one whole chunk is not copied."""
        size = self.chunk_rows
        if start % size == 0 and start < stop == min(start + size, self.shape[0]):
            return self.chunk(start // size)
        rows = self._empty(stop - start)
        for first in range(start // size * size, stop, size):
            chunk = self.chunk(first // size)
            low, high = max(start, first), min(stop, first + len(chunk))
            rows[low - start : high - start] = chunk[low - first : high - first]
        return rows

    def take(self, rows: NDArray) -> NDArray:
        """Rows in any order, which must be in the array; they may repeat."""
        if rows.size == 0:
            return self._empty(0)
        if isinstance(as_slice(rows), slice):
            return self.range(int(rows[0]), int(rows[-1]) + 1)
        taken = self._empty(rows.size)
        chunk_of = rows // self.chunk_rows
        order = np.argsort(chunk_of, kind="stable")
        chunks, firsts = np.unique(chunk_of[order], return_index=True)
        for chunk, mine in zip(chunks, np.split(order, firsts[1:]), strict=True):
            taken[mine] = self.chunk(int(chunk))[rows[mine] - chunk * self.chunk_rows]
        return taken

    def chunk(self, number: int, again: bool = False) -> NDArray:
        """The rows of one chunk, compared with its digest when it is first read, or `again`.

        Raises
        ------
        SourceError
            If it is damaged or absent.
        """
        first = number * self.chunk_rows
        last = min(first + self.chunk_rows, self.shape[0])
        where = f"{self._title}, rows {first:,} to {last - 1:,},"
        file = self._file(number)
        try:
            rows = self._reader.read(number)
        except Exception as error:  # a codec's reasons for refusing bytes have many types
            raise self._damaged(where) from error
        # SHA-256 takes as long as the kernels do, and iterations read every chunk many times. What
        # was right once is trusted while its file stays the same and this store stays open.
        if again or file is None or self._sound.get(number) != file:
            if not np.array_equal(chunk_digest(rows), self.digests[number]):
                raise self._replaced() or self._damaged(where)
            if file is not None:
                self._sound[number] = file
        return rows

    def _file(self, number: int) -> tuple[int, ...] | None:
        """What tells a chunk's file from another; None where the store is no folder."""
        if self._folder is None:
            return None
        try:
            found = (self._folder / f"{number}.0").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _empty(self, rows: int) -> NDArray:
        return np.empty((rows, *self.shape[1:]), dtype=self.array.dtype)
