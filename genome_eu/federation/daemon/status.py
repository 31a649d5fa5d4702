"""What a site's daemon is doing, as `state/status.json`: for people and for monitoring."""

from __future__ import annotations

import datetime
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from genome_eu.atomic import write_whole
from genome_eu.errors import BadInput
from genome_eu.federation.parameters.types import Hash, Name

_POLLED_EVERY_S = 5.0


class Work(BaseModel):
    """The plan in hand."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    plan: Hash
    study: Name
    round: int
    statistic: Name
    since: str
    step: str = ""
    rows_done: int = 0
    rows: int = 0


class LedgerHead(BaseModel):
    """How long the ledger is, and the hash of its last entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    count: int
    hash: str


class Status(BaseModel):
    """One look at the daemon."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    site: Name
    pid: int
    host: str
    since: str
    stopped: str | None = None
    polled: str | None = None
    answered: int = 0
    work: Work | None = None
    waiting: int = 0
    last_error: str | None = None
    last_error_time: str | None = None
    ledger: LedgerHead | None = None

    @property
    def silent_s(self) -> float | None:
        """Seconds since the exchange was last looked at; None if it never was."""
        if self.polled is None:
            return None
        then = datetime.datetime.fromisoformat(self.polled)
        return (datetime.datetime.now(datetime.UTC) - then).total_seconds()

    @property
    def alive(self) -> bool | None:
        """Whether the daemon runs; None where that cannot be told, from another machine."""
        if self.stopped is not None:
            return False
        if self.host != socket.gethostname():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class StatusFile:
    """Writes the status of this process; every change is visible at once, and whole.

    Parameters
    ----------
    state : path
        The site's private state folder.
    site : str
        The site's name.
    """

    def __init__(self, state: Path, site: str) -> None:
        self._path = _path(state)
        self._lock = threading.Lock()
        self._polled = float("-inf")
        self.status = Status(site=site, pid=os.getpid(), host=socket.gethostname(), since=now())
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.set()

    def set(self, **changes: Any) -> None:
        """Change fields of the status and write it."""
        with self._lock:
            fields = {name: getattr(self.status, name) for name in Status.model_fields}
            self.status = Status(**(fields | changes))
            content = json.dumps(self.status.model_dump(mode="json"), indent=1)
            write_whole(self._path, content.encode(), private=True)

    def polled(self, *, waiting: int, ledger: tuple[int, str] | None = None) -> None:
        """The exchange was looked at. Written when something changed, else every few seconds."""
        head = LedgerHead(count=ledger[0], hash=ledger[1]) if ledger is not None else None
        changes = {"waiting": waiting, "ledger": head or self.status.ledger}
        same = all(getattr(self.status, name) == value for name, value in changes.items())
        if same and time.monotonic() - self._polled < _POLLED_EVERY_S:
            return
        self._polled = time.monotonic()
        self.set(polled=now(), **changes)

    def begins(self, plan: str, study: str, number: int, statistic: str, rows: int) -> None:
        """Work on a plan begins."""
        work = Work(
            plan=plan, study=study, round=number, statistic=statistic, since=now(), rows=rows
        )
        self.set(work=work)

    def advances(self, rows_done: int, step: str = "") -> None:
        """Rows of the plan in hand are done."""
        if self.status.work is not None:
            changes = {"rows_done": rows_done, "step": step or self.status.work.step}
            self.set(work=self.status.work.model_copy(update=changes))

    def ends(self, *, answered: bool) -> None:
        """The plan in hand is finished, or given up."""
        self.set(work=None, answered=self.status.answered + answered)

    def failed(self, message: str) -> None:
        """Something went wrong; the last such thing is kept."""
        self.set(last_error=" ".join(message.split())[:500], last_error_time=now())

    def stops(self) -> None:
        """The daemon leaves."""
        self.set(stopped=now(), work=None)


def read_status(state: Path) -> Status | None:
    """The last status that a daemon wrote; None where none ever did.

    Raises
    ------
    BadInput
        The file is damaged.
    """
    path = _path(state)
    try:
        return Status.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise BadInput(f"{path} is damaged; restart `genome-eu site serve`") from None


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _path(state: Path) -> Path:
    return state / "status.json"
