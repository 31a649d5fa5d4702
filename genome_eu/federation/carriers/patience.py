"""How long to try: an end to every attempt, growing pauses between them, an end to trying."""

from __future__ import annotations

import errno
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

Outcome = TypeVar("Outcome")

# What a network, a server that starts again, or a store under load does; not what a mistake does.
_PASSING = frozenset({
    errno.EAGAIN, errno.EBUSY, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EINTR, errno.EIO, errno.ENETDOWN, errno.ENETRESET,
    errno.ENETUNREACH, errno.ENOTCONN, errno.EPIPE, errno.ESTALE, errno.ETIMEDOUT,
    getattr(errno, "EREMOTEIO", errno.EIO),
})  # fmt: skip


def may_pass(error: BaseException) -> bool:
    """Whether the same call might succeed a little later."""
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return True
    return isinstance(error, OSError) and error.errno in _PASSING


def bounded(call: Callable[[], Outcome], seconds: float) -> Outcome:
    """The outcome of a call, or TimeoutError after some seconds.

    The call runs in a thread of its own and is left behind when its time is up: a library without
    timeouts, or a network folder that hangs, cannot hold the caller.
    """
    outcome: Future[Outcome] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="genome_eu-store", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        if outcome.done():  # the call's own
            raise
        raise TimeoutError(f"nothing came back within {seconds:g} s") from None


@dataclass(frozen=True)
class Patience:
    """Exponential back-off with jitter, and its limits.

    Parameters
    ----------
    total_s : float
        No further attempt starts so long after the first one did.
    attempt_s : float
        How long one attempt may take, besides the time that its bytes need.
    first_s, longest_s : float
        The first pause, and the longest; each is twice the one before, less a random part of up
        to half, so that sites which failed together do not come back together.
    slowest : float
        Bytes per second that a transfer is allowed to be as slow as.
    sleep : callable
        Waits so many seconds; a true result ends the patience. A daemon passes its stop event's
        `wait`.
    """

    total_s: float = 300.0
    attempt_s: float = 30.0
    first_s: float = 0.25
    longest_s: float = 30.0
    slowest: float = 65536.0
    sleep: Callable[[float], object] = time.sleep

    def pauses(self) -> Iterator[float]:
        """Seconds between attempts, without end."""
        pause = self.first_s
        while True:
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret
            pause = min(2 * pause, self.longest_s)

    def persist(
        self,
        call: Callable[[], Outcome],
        *,
        transfer: int = 0,
        before_next: Callable[[], object] = lambda: None,
    ) -> Outcome:
        """Call until it succeeds, fails for good, or the time is up: then its last error is raised.

        Parameters
        ----------
        call : callable
            May be repeated without harm.
        transfer : int
            Bytes that it moves at most.
        before_next : callable
            Run after each failure that may pass.
        """
        end = time.monotonic() + self.total_s
        for pause in self.pauses():
            try:
                return bounded(call, self.attempt_s + transfer / self.slowest)
            except Exception as error:
                if not may_pass(error):
                    raise
                before_next()
                if time.monotonic() + pause >= end or self.sleep(pause):
                    raise
        raise AssertionError("pauses have no end")
