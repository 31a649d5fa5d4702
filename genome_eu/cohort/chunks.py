"""Rows of a store that are read by whole chunks, each compared with its digest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort.arrays import ChunkReader, chunk_digest, digest_name
from genome_eu.cohort.rows import as_slice
from genome_eu.errors import SourceError

# What is kept of the rows that were chosen from a chunk: of all chunks so many bytes, and of none
# more than this part of it.
_KEPT_BYTES = 64 * 2**20
_LARGEST_PART = 1 / 4


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Rows that were chosen from a chunk, and the file that they were read from."""

    file: tuple[int, ...]
    places: NDArray[np.int64]  # in the chunk, ascending
    rows: NDArray

    def take(self, places: NDArray) -> NDArray | None:
        """Some of them, if all are here."""
        at = np.searchsorted(self.places, places)
        here = at < self.places.size
        here[here] = self.places[at[here]] == places[here]
        return self.rows[at] if here.all() else None


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
        self._chosen: dict[int, _Chosen] = {}
        self._keeping = threading.Lock()

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
            taken[mine] = self._choose(int(chunk), rows[mine] - chunk * self.chunk_rows)
        return taken

    def _choose(self, number: int, places: NDArray) -> NDArray:
        """Some rows of a chunk.

        A few are kept: the rounds of a test ask for fewer and fewer of the same rows, and decoding
        takes much longer than what is done with them.
        """
        file = self._file(number)
        kept = self._chosen.get(number)
        if kept is not None and kept.file == file:
            found = kept.take(places)
            if found is not None:
                return found
        found = self.chunk(number)[places]
        if file is not None and file == self._sound.get(number):
            self._keep(number, file, places, found)
        return found

    def _keep(self, number: int, file: tuple[int, ...], places: NDArray, rows: NDArray) -> None:
        """Keep rows of a chunk beside those that are kept of it, or instead if all are too many."""
        most = int(_LARGEST_PART * self.chunk_rows)
        kept = self._chosen.get(number)
        if kept is not None and kept.file == file:
            both = np.concatenate([kept.places, places])
            if np.unique(both).size <= most:
                places, rows = both, np.concatenate([kept.rows, rows])
        places, first = np.unique(places, return_index=True)
        if places.size > most:
            return
        chosen = _Chosen(file, places, rows[first])
        with self._keeping:
            self._chosen.pop(number, None)
            self._chosen[number] = chosen
            size = sum(one.rows.nbytes for one in self._chosen.values())
            while size > _KEPT_BYTES:
                oldest = next(iter(self._chosen))
                size -= self._chosen.pop(oldest).rows.nbytes

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
