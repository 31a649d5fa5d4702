from __future__ import annotations

import logging
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

from genome_eu.compute import reduce, stream
from tests.compute import tasks

pytestmark = pytest.mark.timeout(120)

BLOCKS = 30
ROWS = np.tile(np.arange(90), 2)
SIZE = ROWS.size // BLOCKS


def kill_after_a_block(victim: int, notes: Path) -> int:
    """Kill a worker that has done a block; how many blocks had been done by then."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if any(notes.glob(f"{victim}-*")):
            os.kill(victim, signal.SIGKILL)
            return sum(1 for _ in notes.iterdir())
        time.sleep(0.002)
    raise TimeoutError(f"process {victim} did no block")


def summed(store, function, *more) -> np.ndarray:
    return reduce(store, ROWS, function, *more, add=np.add, size=SIZE)


def streamed(store, function, *more) -> list[np.ndarray]:
    return list(stream(store, ROWS, function, *more, size=SIZE))


@pytest.mark.parametrize("asked", [summed, streamed])
@pytest.mark.slow
def test_killing_one_of_two_workers_changes_no_bit(cohort, tmp_path, asked):
    here = asked(cohort.store, tasks.column_sums)
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster),
        ThreadPoolExecutor(1) as watcher,
    ):
        victim = next(iter(cluster.workers.values())).pid
        killed = watcher.submit(kill_after_a_block, victim, tmp_path)
        there = asked(cohort.store, tasks.column_sums_noted, str(tmp_path))
        assert 0 < killed.result() < BLOCKS
    np.testing.assert_array_equal(there, here)
