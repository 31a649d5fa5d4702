"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from genome_eu.errors import UsageError


class WholeOrNothing(ABC):
    """Leaving it normally completes what was begun, leaving it by an exception removes that."""

    @abstractmethod
    def _complete(self) -> None: ...

    @abstractmethod
    def abort(self) -> None:
        """Remove what was begun."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._complete()
        else:
            self.abort()


class AtomicFile(WholeOrNothing):
    """A binary file written beside its target and renamed onto it when it is complete.

    Parameters
    ----------
    target : path
        The final name; its folder must exist. Whatever is there stays until `commit`.
    private : bool
        Readable by its owner only: for files about people.
    """

    def __init__(self, target: str | os.PathLike[str], *, private: bool = False) -> None:
        self.target = Path(target)
        if not self.target.parent.is_dir():
            raise UsageError(
                f"cannot write {self.target.name}: the folder {self.target.parent} does not exist. "
                "Create it first."
            )
        # A name of its own keeps two runs into one folder from writing the same temporary.
        unique = secrets.token_hex(4)
        self.temporary = self.target.with_name(f".{self.target.name}.{unique}.partial")
        mode = 0o600 if private else 0o666
        opened = os.open(self.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        self.handle: BinaryIO = os.fdopen(opened, "wb")

    def write(self, content: bytes | memoryview) -> int:
        """Add bytes to the temporary file."""
        return self.handle.write(content)

    def seal(self) -> None:
        """Bring the bytes to the disk; the file keeps its temporary name."""
        if not self.handle.closed:
            self.handle.flush()
            os.fsync(self.handle.fileno())
            self.handle.close()

    def commit(self) -> None:
        """Give the complete file its name."""
        self.seal()
        self.temporary.replace(self.target)

    def abort(self) -> None:
        """Remove the temporary file."""
        self.handle.close()
        self.temporary.unlink(missing_ok=True)

    def _complete(self) -> None:
        self.commit()


def write_whole(target: str | os.PathLike[str], content: bytes, *, private: bool = False) -> None:
    """Write one small file atomically."""
    with AtomicFile(target, private=private) as file:
        file.write(content)


def copy_whole(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy a file; the copy appears whole or not at all."""
    with AtomicFile(target) as file, Path(source).open("rb") as content:
        shutil.copyfileobj(content, file.handle)
