"""Work on many threads whose results come back in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def in_order(
    function: Callable[..., Result], arguments: Iterable[tuple[Any, ...]], threads: int
) -> Iterator[Iterator[Result]]:
    """Call a function that releases the GIL on many threads; gives the results in order.

    No more calls than threads, and one, are ahead of the result that is asked for, so that memory
    does not grow with their number. No thread is left working when this ends, however it ends.
    """
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Result]] = deque()

        def results() -> Iterator[Result]:
            for one in arguments:
                ahead.append(pool.submit(function, *one))
                if len(ahead) > threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

        try:
            yield results()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
