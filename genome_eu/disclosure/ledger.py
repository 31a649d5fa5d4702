"""A site's ledger: what was asked, decided and released. Lines are added and never changed.

Whoever can write the file can write another one that is as sound in itself. What shows that, and a
ledger cut short, is a head pinned elsewhere: each message to the coordinator carries it, signed.

What it may hold: names of parties, studies, statistics and sample columns; digests; counts; words
of the data officer. Never a variant, a genotype or a sample id.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from genome_eu.disclosure.chain import EVENTS, LONGEST, START, Entry, Head, chained, parsed
from genome_eu.errors import LedgerError

__all__ = ["EVENTS", "Entry", "Head", "Ledger", "sync_folder"]

_CHUNK = 2**16


class Ledger:
    """An append-only, hash-chained record.

    Several processes may write and read one file at the same time.

    Parameters
    ----------
    path : path or None
        The file, made by the first entry and readable by its owner only. None keeps the ledger in
        memory, for notebooks and tests.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.path = None if path is None else Path(path)
        self._memory = io.BytesIO()
        self._one_at_a_time = threading.RLock()
        # What this object has seen: a file that falls behind it was cut while it was in use.
        self._seen = 0

    @property
    def head(self) -> Head:
        """The last line, read from the end of the file.

        Raises
        ------
        LedgerError
            The last line is not what was written.
        """
        with self._locked(fcntl.LOCK_SH) as file:
            return self._last(file, _end(file))

    def append(self, event: str, /, **fields: Any) -> Entry:
        """Write down one event; it is on the disk when this returns.

        Parameters
        ----------
        event : str
            One of `EVENTS`.
        **fields
            What there is to say of it: text of at most 2,000 characters, numbers, and lists and
            dictionaries of those.

        Raises
        ------
        UsageError
            The event is not known, or the fields are not of those kinds.
        LedgerError
            The ledger is damaged, or the disk did not take the line; nothing was added.
        """
        with self._locked(fcntl.LOCK_EX) as file:
            end, size = _end(file), _size(file)
            entry, line = chained(self._last(file, end), event, fields, torn=size - end)
            try:
                file.truncate(end)
                _write(file, end, line)
            except OSError as error:
                # Nobody was told that the line stands, so none of it may.
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise LedgerError(
                    f"{self._name} cannot be written ({error.strerror}); nothing leaves the site "
                    f"until it can"
                ) from None
            self._seen = entry.number
        return entry

    def entries(self) -> Iterator[Entry]:
        """Every line, checked on the way.

        Raises
        ------
        LedgerError
            At the first line that is not what was written. A last line that a crash left
            unfinished is no line yet.
        """
        # Lines below the end do not change any more, so nobody need wait while they are read.
        with self._locked(fcntl.LOCK_SH) as file:
            left = _end(file)
        last = START
        with self._reading() as file:
            while left > 0:
                line = file.readline(min(left, LONGEST))
                left -= len(line) or left
                entry = parsed(line)
                if entry is None:
                    raise self._bad(last.count + 1, "it is not what was written")
                if entry.number != last.count + 1 or entry.previous != last.hash:
                    raise self._bad(last.count + 1, "it does not follow the line before it")
                yield entry
                last = entry.head

    def verify(self, pinned: Head | None = None) -> Head:
        """Read the whole ledger and check every line.

        Parameters
        ----------
        pinned : Head, optional
            A head that this ledger once had, kept elsewhere.

        Returns
        -------
        Head
            The head that it has now.

        Raises
        ------
        LedgerError
            With the first line that is wrong; or the ledger is shorter than the pinned head, or
            another one.
        """
        head, met = START, pinned == START
        for entry in self.entries():
            head = entry.head
            met = met or head == pinned
        with self._locked(fcntl.LOCK_SH) as file:
            torn = _size(file) - _end(file)
        if torn:
            raise self._bad(
                head.count + 1,
                "it is unfinished, as a crash leaves it; the next entry cuts it off and says so",
            )
        if pinned is not None and head.count < pinned.count:
            raise LedgerError(
                f"{self._name} has {head.count} lines, the pinned head has {pinned.count}: it was "
                f"cut short; restore it from a backup"
            )
        if pinned is not None and not met:
            raise self._bad(pinned.count, "it is not the line that was pinned")
        return head

    def copy(self, target: Path) -> Ledger:
        """A copy of the lines that stand now, which nobody adds to.

        Parameters
        ----------
        target : path
            A new file.
        """
        with self._locked(fcntl.LOCK_SH) as file:
            end = _end(file)
            file.seek(0)
            with target.open("xb") as copied:
                while end > 0:
                    content = file.read(min(end, _CHUNK))
                    end -= copied.write(content) or end
        return Ledger(target)

    # -- the file ----------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"ledger {self.path}" if self.path else "the ledger in memory"

    def _bad(self, number: int, problem: str) -> LedgerError:
        return LedgerError(f"{self._name}: line {number}: {problem}")

    @contextlib.contextmanager
    def _locked(self, mode: int) -> Iterator[BinaryIO]:
        """The file under a lock. One that does not exist is made to be written, empty to read."""
        with self._one_at_a_time:
            if self.path is None:
                yield self._memory
                return
            if not self.path.exists():
                if mode == fcntl.LOCK_SH:
                    yield io.BytesIO()
                    return
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
                sync_folder(self.path.parent)
            opened = os.O_RDONLY if mode == fcntl.LOCK_SH else os.O_RDWR
            with os.fdopen(os.open(self.path, opened), "r+b" if opened else "rb", 0) as file:
                # flock belongs to this opening of the file, so it holds against our own threads.
                fcntl.flock(file, mode)
                yield cast(BinaryIO, file)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[BinaryIO]:
        if self.path is None:
            yield io.BytesIO(self._memory.getvalue())
        elif not self.path.exists():
            yield io.BytesIO()
        else:
            with self.path.open("rb") as file:
                yield file

    def _last(self, file: BinaryIO, end: int) -> Head:
        """The head of the lines before `end`, from the last of them alone."""
        head = START
        if end:
            entry = parsed(_line_before(file, end))
            if entry is None:
                raise LedgerError(
                    f"{self._name}: its last line is not what was written; restore it from a backup"
                )
            head = entry.head
        if head.count < self._seen:
            raise LedgerError(
                f"{self._name} has {head.count} lines and had {self._seen}: it was cut short; "
                f"restore it from a backup"
            )
        self._seen = head.count
        return head


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: a renamed or new file is lasting only then."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _end(file: BinaryIO) -> int:
    """Where the last finished line ends."""
    return _after_newline(file, _size(file))


def _after_newline(file: BinaryIO, before: int) -> int:
    """The place after the last newline that lies before a place; 0 where there is none."""
    while before > 0:
        start = max(0, before - _CHUNK)
        file.seek(start)
        found = file.read(before - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0


def _line_before(file: BinaryIO, end: int) -> bytes:
    start = _after_newline(file, end - 1)
    file.seek(start)
    return file.read(end - start)


def _write(file: BinaryIO, place: int, line: bytes) -> None:
    file.seek(place)
    left = memoryview(line)
    while left:
        left = left[file.write(left) :]
    if not isinstance(file, io.BytesIO):
        os.fsync(file.fileno())
