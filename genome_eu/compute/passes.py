"""Passes over genotypes on Dask: one task a block, results in row order, memory bounded.

A pass runs on threads unless a `dask.distributed` client is active, in which case its workers run
the same tasks. Blocks are handed out in windows, so that neither the task graph nor the results in
flight grow with the number of variants; a window is computed while whoever asked uses the one
before it. Sums are folded pairwise within a window and then window by window, an order that depends
on nothing but the number of blocks.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, lru_cache
from itertools import chain
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import dask
import dask.threaded
from dask.delayed import Delayed
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from genome_eu.cohort import CohortStore, open_store
from genome_eu.cohort.ploidy import read_haploid, read_haploid_dosages
from genome_eu.compute.progress import Progress
from genome_eu.errors import BadInput, SourceError
from genome_eu.kernels import HaploidCalls

# Bytes of float64 that a block's products may take, and the most where they are so wide that few
# rows would fit: below about a thousand rows, kernels take longer to prepare than to multiply.
_PRODUCT_BYTES = 16 * 2**20
_WIDE_BYTES = 64 * 2**20
_ROWS_THAT_PAY = 1024
# Bytes of the dosages of a block, two for each person; decoding a part of them takes as much again.
_DOSAGE_BYTES = 32 * 2**20
# Blocks of a window, and the bytes that its results may take.
_WINDOW = 32
_WINDOW_BYTES = 128 * 2**20

Result = TypeVar("Result")


def block_rows(store: CohortStore, width: int = 1, dosages: bool = False) -> int:
    """Rows of a block: a packed chunk, or less where the columns of products are many.

    Dosages are eight times as large, so that fewer of them make a block.

    A chunk is large enough that its task lasts tens of milliseconds, and small enough that a
    worker's memory does not notice.
    """
    row_bytes = 8 * max(width, 1)
    rows = max(_PRODUCT_BYTES // row_bytes, min(_ROWS_THAT_PAY, _WIDE_BYTES // row_bytes))
    if dosages:
        rows = min(rows, _DOSAGE_BYTES // (2 * max(store.people, 1)))
    return max(1, min(store.block_rows, rows))


# Stores that passes in this process read, by their opening.
_HERE: WeakValueDictionary[str, CohortStore] = WeakValueDictionary()


@lru_cache(maxsize=16)
def _opened_on_worker(path: str, digest: str, opening: str) -> CohortStore:
    # Token and digest are in the key: a store that was opened or imported again is opened again.
    store = open_store(path)
    if store.digest != digest:
        raise SourceError(
            f"cohort {path} was imported again while it was in use; ask the question again"
        )
    return store


def _run(
    path: str,
    digest: str,
    opening: str,
    backend: str,
    rows: NDArray,
    function: Callable[..., Any],
    constants: tuple[Any, ...],
    haploid: HaploidCalls | None,
    dosages: bool,
    *sliced: NDArray,
) -> Any:
    """One task: read a block and summarize it. A worker opens each store once."""
    store = _HERE.get(opening) or _opened_on_worker(path, digest, opening)
    block: Any
    if haploid is not None:
        read = read_haploid_dosages if dosages else read_haploid
        block = read(store, rows, haploid, backend)
    else:
        block = (store.read_dosages if dosages else store.read)(rows, backend=backend)
    return function(block, *sliced, *constants)


def _tasks(
    store: CohortStore,
    rows: NDArray,
    function: Callable[..., Any],
    constants: tuple[Any, ...],
    by_row: Sequence[NDArray],
    size: int,
    backend: str,
    ends: Sequence[int] = (),
    haploid: HaploidCalls | None = None,
    reach: NDArray | None = None,
    dosages: bool = False,
) -> Iterator[tuple[int, Delayed]]:
    _HERE[store.opening] = store
    shared = dask.delayed(constants, pure=False, traverse=False)
    calls = dask.delayed(haploid, pure=False, traverse=False) if haploid is not None else None
    task = dask.delayed(_run, pure=False, traverse=False)
    for start, stop in edges(rows.size, size, ends):
        pieces = [values[start:stop] for values in by_row]
        last = stop if reach is None else int(reach[start:stop].max())
        yield (
            stop - start,
            task(
                str(store.path),
                store.digest,
                store.opening,
                backend,
                rows[start:last],
                function,
                shared,
                calls,
                dosages,
                *pieces,
            ),
        )


def edges(rows: int, size: int, ends: Sequence[int] = ()) -> Iterator[tuple[int, int]]:
    """Row ranges of the blocks: at most `size` rows, and none across one of `ends`."""
    begin = 0
    for end in [*ends, rows]:
        for start in range(begin, end, size):
            yield start, min(start + size, end)
        begin = end


def _window(summary_bytes: int) -> int:
    """Blocks of a window."""
    return min(_WINDOW, max(_WINDOW_BYTES // max(summary_bytes, 1), 2))


def _windows(
    tasks: Iterator[tuple[int, Delayed]], blocks: int
) -> Iterator[tuple[int, list[Delayed]]]:
    window: list[Delayed] = []
    rows = 0
    for count, task in tasks:
        window.append(task)
        rows += count
        if len(window) == blocks:
            yield rows, window
            window, rows = [], 0
    if window:
        yield rows, window


def _ahead(
    windows: Iterator[tuple[int, list[Delayed]]],
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Results of each window, the next one being computed meanwhile."""
    first, second = next(windows, None), next(windows, None)
    if first is not None and second is None:
        # Before a thread has started, a small pass is over.
        yield first[0], _compute(*first[1], alone=len(first[1]) == 1)
        return
    windows = chain((one for one in (first, second) if one is not None), windows)
    thread = ThreadPoolExecutor(1)
    running: tuple[int, Future[tuple[Any, ...]]] | None = None
    try:
        for rows, window in windows:
            done = running and (running[0], running[1].result())
            # A client may be the current one of this context only.
            here = contextvars.copy_context()
            running = rows, thread.submit(here.run, _compute, *window)
            if done:
                yield done
                del done
        if running:
            yield running[0], running[1].result()
    finally:
        thread.shutdown(wait=True, cancel_futures=True)


@cache
def _thread_pools() -> ThreadpoolController:
    # Finding them takes milliseconds, more than a small pass.
    return ThreadpoolController()


class _OneBlasThread:
    """BLAS has one thread as long as a pass runs, or several do.

    Dask's threads are the parallelism; threads of BLAS under each would only fight them. Whoever
    uses the results meanwhile has one thread too: BLAS rounds differently where it divides the
    work, so that a rerun would not be the same if that depended on what else runs just then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passes = 0
        self._limiter: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._passes:
                self._limiter = _thread_pools().limit(limits=1, user_api="blas")
            self._passes += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._passes -= 1
            if not self._passes:
                self._limiter.restore_original_limits()


_ONE_BLAS_THREAD = _OneBlasThread()


def _compute(*window: Delayed, alone: bool = False) -> tuple[Any, ...]:
    if "distributed" in sys.modules or dask.config.get("scheduler", None) is not None:
        return tuple(dask.compute(*window))
    # Without a client there are threads; asked by name, Dask would import `distributed` to see. A
    # task that is alone needs no other thread.
    return tuple(dask.compute(*window, scheduler=dask.get if alone else dask.threaded.get))


def stream(
    store: CohortStore,
    rows: NDArray,
    function: Callable[..., Result],
    *constants: Any,
    by_row: Sequence[NDArray] = (),
    size: int,
    summary_bytes: int = 0,
    ends: Sequence[int] = (),
    backend: str = "cpu",
    progress: Progress | None = None,
    haploid: HaploidCalls | None = None,
    reach: NDArray | None = None,
    dosages: bool = False,
) -> Iterator[Result]:
    """Summaries of consecutive blocks, in row order.

    Parameters
    ----------
    store : CohortStore
        The cohort to read.
    rows : int64 array
        Packed rows to read, in the order wanted.
    function : callable
        `function(block, *slices of by_row, *constants)`; runs on the workers.
    constants : Any
        Sent once, not per block.
    by_row : sequence of arrays with one entry per row
        Each block gets its slice.
    size : int
        Rows of a block (`block_rows`).
    summary_bytes : int
        Of one block's summary; windows are smaller where it is large.
    ends : sequence of int, ascending
        Positions in `rows` that no block crosses: the ends of shards (see `edges`).
    backend : str
        Kernel backend.
    progress : Progress, optional
        Is told of rows as they finish.
    haploid : HaploidCalls, optional
        Who is haploid in these rows: blocks are `HaploidBlock`s then.
    reach : int64 array, optional
        One past the last of `rows` that each needs beside itself: a block then has, after its own
        rows, those that they reach. Slices of `by_row` are of its own rows.
    dosages : bool
        Read dosages and not hard calls: blocks are `DenseBlock`s then, or `HaploidBlock`s of them.
    """
    tasks = _tasks(
        store, rows, function, constants, by_row, size, backend, ends, haploid, reach, dosages
    )
    with _ONE_BLAS_THREAD:
        for count, results in _ahead(_windows(tasks, _window(summary_bytes))):
            yield from results
            if progress is not None:
                progress.advance(count)


def reduce(
    store: CohortStore,
    rows: NDArray,
    function: Callable[..., Result],
    *constants: Any,
    add: Callable[[Result, Result], Result],
    by_row: Sequence[NDArray] = (),
    size: int,
    summary_bytes: int = 0,
    backend: str = "cpu",
    progress: Progress | None = None,
) -> Result:
    """The sum of block summaries, folded as a tree on the workers (see `stream`).

    Raises
    ------
    BadInput
        There are no rows to sum over.
    """
    join = dask.delayed(add, pure=False, traverse=False)
    whole: Any = None
    tasks = _tasks(store, rows, function, constants, by_row, size, backend)
    for count, window in _windows(tasks, _window(summary_bytes)):
        alone = len(window) == 1
        while len(window) > 1:
            pairs = [join(a, b) for a, b in zip(window[::2], window[1::2], strict=False)]
            window = pairs + (window[-1:] if len(window) % 2 else [])
        with _ONE_BLAS_THREAD:
            (part,) = _compute(window[0], alone=alone)
        whole = part if whole is None else add(whole, part)
        if progress is not None:
            progress.advance(count)
    if whole is None:
        raise BadInput(f"cohort {store.name} has no rows to compute on")
    return whole


def each(
    store: CohortStore,
    rows: NDArray,
    items: Sequence[tuple[Any, ...]],
    function: Callable[..., Any],
    finish: Callable[..., Result],
    *constants: Any,
    add: Callable[[Any, Any], Any],
    size: int,
    backend: str = "cpu",
    progress: Progress | None = None,
) -> Iterator[Result]:
    """What becomes of the sums over all rows, for each of some items, in their order.

    For sums so large that they are better added where they are made: a task reads all rows, block
    by block, for one item. `reduce` has a task a block.

    Parameters
    ----------
    store : CohortStore
        The cohort to read.
    rows : int64 array
        Packed rows to read; at least one.
    items : sequence of tuples
        A task each.
    function : callable
        `function(block, *item)`; its results are added by `add`, which may change the first.
    finish : callable
        `finish(sum, *constants)`: what a task returns.
    constants : Any
        Sent once, not per item.
    size : int
        Rows of a block.
    backend : str
        Kernel backend.
    progress : Progress, optional
        Is told of as many rows for each item.
    """
    _HERE[store.opening] = store
    where = (str(store.path), store.digest, store.opening)
    shared = dask.delayed((rows, function, add, finish, constants), pure=False, traverse=False)
    task = dask.delayed(_run_all, pure=False, traverse=False)
    tasks = ((rows.size, task(*where, backend, size, item, shared)) for item in items)
    with _ONE_BLAS_THREAD:
        for count, results in _ahead(_windows(tasks, _WINDOW)):
            yield from results
            if progress is not None:
                progress.advance(count)


def _run_all(
    path: str,
    digest: str,
    opening: str,
    backend: str,
    size: int,
    item: tuple[Any, ...],
    shared: tuple[Any, ...],
) -> Any:
    """One task: read all rows and sum them up."""
    store = _HERE.get(opening) or _opened_on_worker(path, digest, opening)
    rows, function, add, finish, constants = shared
    whole: Any = None
    for start, stop in edges(rows.size, size):
        part = function(store.read(rows[start:stop], backend=backend), *item)
        whole = part if whole is None else add(whole, part)
    return finish(whole, *constants)
