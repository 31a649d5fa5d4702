"""A site's daemon: looks at the exchange, lets the desk work, and says how it stands."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from genome_eu.errors import BadInput, GenomeEuError
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.daemon.desk import Desk
from genome_eu.federation.daemon.settings import policy_of, read_settings, state_of
from genome_eu.federation.daemon.status import StatusFile
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.plan import Plan
from genome_eu.federation.roster import pinned_roster
from genome_eu.federation.site import Site, read_callable

log = logging.getLogger("genome_eu.site")

# After an answer, and by how much longer each look without one is waited for: about a sixth of the
# time that has passed, so that a question of many rounds is slowed by no more than that.
_POLL_S = 0.05
_POLL_GROWTH = 1.2
_POLL_LIMIT_S = 2.0
# While the exchange is out of reach or a disk is full.
_TROUBLE_LIMIT_S = 60.0


@contextlib.contextmanager
def open_desk(path: Path, passphrase: Callable[[], str] | None = None) -> Iterator[Desk]:
    """The desk of the site that a `site.toml` describes; nobody else works at it meanwhile.

    Raises
    ------
    BadInput
        Something that it names is missing, or no roster has been accepted.
    """
    settings = read_settings(path)
    base, state = path.parent, state_of(path, settings)
    if settings.keys is None:
        raise BadInput(f"site file {path} names no keys; make some with `genome-eu keys new`")
    keys = SecretKeys.read(base / settings.keys, passphrase)
    roster = pinned_roster(state)
    policy = roster.floored(policy_of(path, settings))
    called = read_callable(base / settings.callable) if settings.callable else None
    site = Site.open(
        settings.name,
        base / settings.cohort,
        policy,
        state=SiteState(state),
        callable_regions=called,
    )
    location = settings.exchange or roster.exchange
    if location is None:
        raise BadInput(f"neither {path} nor the roster names an exchange")
    post = Post(
        location if "://" in location else str(base / location),
        host_key=roster.host_key,
        options=settings.exchange_options,
    )
    with _alone(state):
        yield Desk(site, roster=roster, keys=keys, post=post, folder=state)


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two daemons on one state would answer everything twice."""
    opened = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadInput(f"another `genome-eu site serve` works in {state}; stop it first") from None
    else:
        yield
    finally:
        os.close(opened)


def serve(
    desks: Sequence[Desk],
    *,
    stop: threading.Event,
    idle_exit_s: float | None = None,
) -> int:
    """Answer plans until `stop` is set, or until none came for `idle_exit_s` seconds.

    Returns
    -------
    int
        Messages sent.
    """
    sent, pause, idle_since = 0, _POLL_S, time.monotonic()
    status = [_Watched(desk) for desk in desks]
    while not stop.is_set():
        worked, limit = 0, _POLL_LIMIT_S
        for desk, said in zip(desks, status, strict=True):
            try:
                done = desk.attend()
                worked += done
                said.attended(desk, done)
            except (GenomeEuError, OSError) as error:
                # A full disk, or an exchange out of reach: wait, and try again.
                log.error("site %s: %s", desk.site.name, error)
                said.failed(error)
                limit = _TROUBLE_LIMIT_S
            if stop.is_set():
                break
        sent += worked
        now = time.monotonic()
        if worked:
            pause, idle_since = _POLL_S, now
            continue
        if idle_exit_s is not None and now - idle_since > idle_exit_s:
            break
        if any(desk.expects for desk in desks):
            # The others of a secure sum are about to be ready.
            pause = _POLL_S
        stop.wait(pause)
        pause = min(pause * _POLL_GROWTH, limit)
    for said in status:
        said.file.stops()
    return sent


class _Watched:
    """What a desk does, as the status file tells it."""

    def __init__(self, desk: Desk) -> None:
        self.file = StatusFile(desk.folder, desk.site.name)
        desk.tell(self._begins)
        log.info("site %s serves %s", desk.site.name, desk.site.store.name)

    def _begins(self, plan: Plan, step: str) -> None:
        self.file.begins(plan.hash, plan.study, plan.round, plan.statistic, plan.rows)
        self.file.advances(0, step)

    def attended(self, desk: Desk, done: int) -> None:
        """The exchange was looked at."""
        if self.file.status.work is not None:
            self.file.ends(answered=bool(done))
        head = desk.airlock.ledger.head
        self.file.polled(waiting=desk.waiting, ledger=(head.count, head.hash))

    def failed(self, error: Exception) -> None:
        """Something went wrong; what was in hand is taken up again."""
        if self.file.status.work is not None:
            self.file.ends(answered=False)
        self.file.failed(str(error))
