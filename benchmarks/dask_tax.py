"""What Dask costs, against a bare loop over the same blocks, and what it survives.

`python -m benchmarks.dask_tax STORE [--runs N] [--out FILE]`, of a store that the benchmarks made.
Threads are as many as `DASK_NUM_WORKERS` says, else one for each core.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import os
import signal
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.data import Model
from genome_eu.cohort import CohortStore, open_store
from genome_eu.compute import block_rows, edges, reduce, stream
from genome_eu.stats import linear, pca

_WIDTH = 20
# At least so many blocks where a worker is lost, so that it has some before and some after.
_BLOCKS_TO_LOSE = 16
_SECONDS_TO_BEGIN = 60


@dataclass(frozen=True)
class Pass:
    """One pass over a store: a function of blocks, whose answers are streamed or summed."""

    title: str
    store: CohortStore
    function: Callable[..., Any]
    constants: tuple[Any, ...]
    by_row: tuple[NDArray, ...]
    size: int
    summed: bool

    @property
    def rows(self) -> NDArray:
        """All of the store."""
        return np.arange(self.store.n_rows)

    def on_dask(self) -> Any:
        """As this project runs it, on threads or on an active client's workers."""
        given = (self.store, self.rows, self.function, *self.constants)
        if self.summed:
            return reduce(*given, add=np.add, by_row=self.by_row, size=self.size)
        return sum(1 for _ in stream(*given, by_row=self.by_row, size=self.size))

    def bare(self, threads: int) -> Any:
        """The same blocks on a pool of threads, and nothing else."""
        with ThreadPoolExecutor(threads) as pool, threadpool_limits(1, user_api="blas"):
            results = pool.map(self._block, edges(self.store.n_rows, self.size))
            return functools.reduce(np.add, results) if self.summed else sum(1 for _ in results)

    def _block(self, rows: tuple[int, int]) -> Any:
        start, stop = rows
        sliced = (values[start:stop] for values in self.by_row)
        return self.function(self.store.read(self.rows[start:stop]), *sliced, *self.constants)


def gwas_sums(store: CohortStore) -> Pass:
    """Sums of a GWAS of one trait with twelve covariates: 13 columns."""
    model = Model(1, 12)
    values = store.samples[[*model.covariate_names, *model.trait_names]].to_numpy(float)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    design = linear.design(values[:, :-1], values[:, -1:], site_effects=True)
    size = block_rows(store, 2 * values.shape[1])
    return Pass("GWAS sums", store, linear.summarize_mean, (design,), (), size, summed=False)


def pca_products(store: CohortStore) -> Pass:
    """Products of one round of a PCA, 20 columns."""
    counts = store.row_counts[:, :3]
    frequency = counts @ np.array([0.0, 0.5, 1.0]) / np.maximum(counts.sum(axis=1), 1)
    scores = np.random.default_rng(1).standard_normal((store.people, _WIDTH))
    by_row, size = (frequency,), block_rows(store, _WIDTH)
    return Pass("PCA products", store, pca.apply_covariance, (scores,), by_row, size, summed=True)


def compared(asked: Pass, threads: int, runs: int) -> dict[str, Any]:
    """Seconds of both, in turn; the first of each compiles and reads, and is not told."""
    bare: list[float] = []
    on_dask: list[float] = []
    for _ in range(runs + 1):
        for seconds, run in ((bare, lambda: asked.bare(threads)), (on_dask, asked.on_dask)):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    told = {"title": asked.title, "threads": threads, "failure": ""}
    return {**told, "bare_s": bare[1:], "dask_s": on_dask[1:]}


def lost_worker(asked: Pass) -> dict[str, Any]:
    """Whether two worker processes, one of which is killed, give what threads give, bit for bit."""
    from distributed import Client, LocalCluster

    asked = replace(asked, size=max(1, min(asked.size, asked.store.n_rows // _BLOCKS_TO_LOSE)))
    blocks = sum(1 for _ in edges(asked.store.n_rows, asked.size))
    here = asked.on_dask()
    with (
        tempfile.TemporaryDirectory() as notes,
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster),
        ThreadPoolExecutor(1) as watcher,
    ):
        victim = next(iter(cluster.workers.values())).pid
        killed = watcher.submit(_kill, victim, Path(notes))
        noted = functools.partial(_run_and_note, asked.function, notes)
        there = replace(asked, function=noted).on_dask()
        after = killed.result()
    same = after < blocks and np.array_equal(here, there)
    return {
        "title": f"{asked.title} on two worker processes, one of them killed",
        "blocks": blocks,
        "killed_after_blocks": after,
        "failure": "" if same else "failed: another answer than that of threads",
    }


def _run_and_note(function: Callable[..., Any], notes: str, block: Any, *rest: Any) -> Any:
    found = function(block, *rest)
    Path(notes, f"{os.getpid()}-{uuid.uuid4().hex}").touch()
    # A moment in which this worker can be killed.
    time.sleep(0.05)
    return found


def _kill(victim: int, notes: Path) -> int:
    """Kill a worker once it has done a block; how many blocks had been done by then."""
    end = time.monotonic() + _SECONDS_TO_BEGIN
    while time.monotonic() < end:
        if any(notes.glob(f"{victim}-*")):
            os.kill(victim, signal.SIGKILL)
            return sum(1 for _ in notes.iterdir())
        time.sleep(0.002)
    raise TimeoutError(f"no block was done by process {victim}")


def table(rows: list[dict[str, Any]]) -> str:
    """What was found, as Markdown."""
    lines = [
        "### Dask against a bare loop over the same blocks",
        "",
        "| pass | threads | bare loop | Dask | Dask ÷ bare |",
        "|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        if "dask_s" in row:
            bare, on_dask = (statistics.median(row[name]) for name in ("bare_s", "dask_s"))
            cells = f"{row['threads']} | {bare:.3g} s | {on_dask:.3g} s | {on_dask / bare:.2f}"
            lines.append(f"| {row['title']} | {cells} |")
    for row in rows:
        if "blocks" in row:
            found = row["failure"] or "the same answer as threads give, bit for bit"
            after = f"after {row['killed_after_blocks']} of {row['blocks']} blocks"
            lines += ["", f"{row['title']} {after}: {found}."]
        elif row["failure"]:
            lines += ["", f"{row['title']}: {row['failure']}."]
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dask_tax")
    parser.add_argument("store", type=Path, help="cohort store that the benchmarks made")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each")
    parser.add_argument("--out", type=Path, help="write what was found as JSON")
    given = parser.parse_args()
    store = open_store(given.store)
    threads = dask.config.get("num_workers", None) or len(os.sched_getaffinity(0))
    passes = gwas_sums(store), pca_products(store)
    rows = [compared(one, threads, given.runs) for one in passes]
    rows.append(lost_worker(passes[-1]))
    print(table(rows))
    if given.out:
        given.out.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
