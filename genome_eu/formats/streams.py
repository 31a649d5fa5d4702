"""The shape that every writer of rows shares."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xarray as xr

from genome_eu.atomic import AtomicFile, WholeOrNothing
from genome_eu.errors import UsageError
from genome_eu.formats.rows import Shard


def write_lines(file: AtomicFile, lines: Iterable[memoryview]) -> None:
    """Write lines as `tab_separated` gives them."""
    for some in lines:
        file.write(some)


class ResultWriter(WholeOrNothing):
    """Receives shards of a result, in row order, and leaves complete files behind.

    Use as a context manager: leaving it normally closes the writer, leaving it by an
    exception removes everything that was begun.
    """

    def __init__(self) -> None:
        self._open = True
        self._files: list[AtomicFile] = []

    def _create(self, target: str | os.PathLike[str]) -> AtomicFile:
        try:
            file = AtomicFile(target)
        except BaseException:
            self.abort()
            raise
        self._files.append(file)
        return file

    @property
    def targets(self) -> list[Path]:
        """The files that this writer leaves behind."""
        return [file.target for file in self._files]

    def append(self, dataset: xr.Dataset | Shard) -> None:
        """Add the next rows of the result; a `Shard` where several writers receive the same."""
        if not self._open:
            raise UsageError(f"{type(self).__name__} is closed; open a new one to write more rows.")
        try:
            self._append(dataset if isinstance(dataset, Shard) else Shard(dataset))
        except BaseException:
            self.abort()
            raise

    def close(self) -> Any:
        """Finish the files and give them their names."""
        if not self._open:
            return None
        try:
            # All are finished before the first one appears under its name.
            summary = self._finish()
            for file in self._files:
                file.seal()
            for file in self._files:
                file.commit()
        except BaseException:
            self.abort()
            raise
        self._open = False
        return summary

    def _complete(self) -> None:
        self.close()

    def abort(self) -> None:
        """Remove what was begun; nothing under the final names is touched."""
        if self._open:
            self._open = False
            for file in self._files:
                file.abort()

    @abstractmethod
    def _append(self, shard: Shard) -> None: ...

    def _finish(self) -> Any:
        return None
