"""A folder of this machine or its network as a store."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from genome_eu.errors import BadInput
from genome_eu.federation.carriers.stores.store import Entry, temporary_name

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe must not hold the reader, a link must not lead it elsewhere.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderStore:
    """Files in a shared folder, brought to the disk before they get their names.

    Others write here too, so paths are walked by descriptors, one folder at a time: between a
    check and its use nobody can put a link in the way. That is why AtomicFile, which takes a
    path, is not enough here.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise BadInput(f"exchange folder {root} does not exist; create it or correct its path")
        self.root = root

    def entries(self, folder: str) -> list[Entry]:
        """Folders and plain files in a folder."""
        found = []
        with self._opened(folder) as place, os.scandir(place) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # gone since
                    about = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode):
                        is_folder = stat.S_ISDIR(about.st_mode)
                        found.append(Entry(entry.name, about.st_size, is_folder))
        return found

    def read(self, path: str, limit: int) -> bytes:
        """The first bytes of a plain file."""
        folder, _, leaf = path.rpartition("/")
        with self._opened(folder) as place:
            try:
                handle = os.open(leaf, _READ, dir_fd=place)
            except OSError as error:
                raise FileNotFoundError(f"{path} is not there as a plain file") from error
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FileNotFoundError(f"{path} is not there as a plain file")
            return file.read(limit)

    def write(self, path: str, content: bytes) -> None:
        """Make or replace a file at once."""
        folder, _, leaf = path.rpartition("/")
        temporary = temporary_name(leaf)
        with self._opened(folder, make=True) as place:
            try:
                handle = os.open(temporary, _WRITE, 0o666, dir_fd=place)
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(handle)
                os.replace(temporary, leaf, src_dir_fd=place, dst_dir_fd=place)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=place)
                raise
            os.fsync(place)

    def remove(self, path: str) -> None:
        """Take a file away, and the folders that this leaves empty."""
        folder, _, leaf = path.rpartition("/")
        with self._opened(folder) as place:
            os.unlink(leaf, dir_fd=place)
            os.fsync(place)
        while folder:
            above, _, name = folder.rpartition("/")
            try:
                with self._opened(above) as place:
                    os.rmdir(name, dir_fd=place)
            except OSError:
                return
            folder = above

    def reset(self) -> None:
        """Nothing is held open."""

    @contextlib.contextmanager
    def _opened(self, folder: str, *, make: bool = False) -> Iterator[int]:
        place = os.open(self.root, _FOLDER)
        try:
            for name in folder.split("/") if folder else ():
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=place)
                        os.fsync(place)
                below = _open_below(place, name)
                os.close(place)
                place = below
            yield place
        finally:
            os.close(place)


def _open_below(place: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
            raise
        message = f"{name} is a link or a file where a folder should be"
        raise NotADirectoryError(errno.ENOTDIR, message) from error
