"""A daemon that is killed before any one change that it makes, and disks that are full."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genome_eu.atomic import AtomicFile
from genome_eu.disclosure.ledger import Ledger
from genome_eu.federation.carriers.exchange import Exchange
from genome_eu.federation.carriers.stores.folder import FolderStore
from genome_eu.federation.heads import Heads
from genome_eu.federation.study import Study

#: All that changes something lasting: files get and lose names, lines and messages are added.
CHANGES: tuple[tuple[Any, str], ...] = (
    (Path, "replace"),
    (Path, "unlink"),
    (Path, "touch"),
    (shutil, "rmtree"),
    (Ledger, "append"),
    (FolderStore, "write"),
    (FolderStore, "remove"),
)
#: What a coordinator changes and a site never does, for one that shares its process with sites.
COORDINATOR: tuple[tuple[Any, str], ...] = (
    (Study, "open_round"),
    (Study, "keep"),
    (Study, "log"),
    (Heads, "ask"),
    (Heads, "pin"),
    (Exchange, "_publish"),
    (Exchange, "_take"),
)
#: All that needs room on the disk of a site.
ROOM: tuple[tuple[Any, str], ...] = ((AtomicFile, "write"), (Ledger, "append"), (Path, "touch"))


class Died(BaseException):
    """The process is gone."""


class Steps:
    """How many changes were made."""

    def __init__(self) -> None:
        self.made = 0


@contextlib.contextmanager
def _counted(calls: tuple[tuple[Any, str], ...], before: Callable[[int], None]) -> Iterator[Steps]:
    steps = Steps()

    def wrapped(call: Any) -> Any:
        def counting(*args: Any, **named: Any) -> Any:
            before(steps.made)
            steps.made += 1
            return call(*args, **named)

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in calls:
            patch.setattr(owner, name, wrapped(getattr(owner, name)))
        yield steps


@contextlib.contextmanager
def killed_at(step: int, changes: tuple[tuple[Any, str], ...] = CHANGES) -> Iterator[Steps]:
    """The process dies before this change, and with it whatever would tidy up after it."""

    def before(made: int) -> None:
        if made >= step:
            raise Died

    with _counted(changes, before) as steps, contextlib.suppress(Died):
        yield steps


@contextlib.contextmanager
def full_at(step: int, calls: tuple[tuple[Any, str], ...] = ROOM) -> Iterator[Steps]:
    """From this write on there is no room, until the end of the block."""

    def before(made: int) -> None:
        if made >= step:
            raise OSError(errno.ENOSPC, "No space left on device")

    with _counted(calls, before) as steps:
        yield steps
