"""Where passes run: threads of this process, or the workers of a Dask cluster."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from genome_eu.errors import NoAnswer, UsageError

_ADDRESS = re.compile(r"(tcp|tls)://([^\s/:]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")


@contextmanager
def connected(address: str | None, *, timeout_s: float = 20.0) -> Iterator[None]:
    """Use the scheduler at `address` (tcp://host:port) for all passes inside the block.

    Without an address, an active `dask.distributed` client is used if there is one, else threads.

    Raises
    ------
    UsageError
        The address is not of the form tcp://host:port or tls://host:port, or is tls:// and Dask
        has no certificates.
    NoAnswer
        No scheduler answers there.
    """
    if address is None:
        yield
        return
    if not _ADDRESS.fullmatch(address):
        raise UsageError(f"--dask {address}: give a scheduler as tcp://host:port")
    from distributed import Client

    try:
        _greet(address, timeout_s)
        client = Client(address, timeout=timeout_s, set_as_default=True)
    except (OSError, TimeoutError):
        raise NoAnswer(
            f"no Dask scheduler answers at {address}; start one with `dask scheduler`, or leave "
            f"out --dask to run on threads here"
        ) from None
    except TypeError:
        # This is how Dask says that it has no certificates for tls://.
        raise UsageError(
            f"--dask {address}: Dask has no TLS certificates here; set distributed.comm.tls in its "
            f"configuration, or use tcp://"
        ) from None
    with client:
        yield


def _greet(address: str, timeout_s: float) -> None:
    """Shake hands once. A client waits for ever at a port that takes connections and is silent."""
    from distributed.comm import connect
    from distributed.security import Security

    async def greet() -> None:
        options = Security().get_connection_args("client")
        comm = await connect(address, timeout=timeout_s, **options)
        await comm.close()

    async def greet_in_time() -> None:
        await asyncio.wait_for(greet(), timeout_s)

    # A notebook's thread already runs an event loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, greet_in_time()).result()
