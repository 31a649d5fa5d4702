"""The same work inside a process that has imported and compiled everything already.

`python -m benchmarks.warm SCRATCH JOB:SLUG:FOLDER … --runs N` is run by the benchmarks, once for
each program and size. It prints one line of JSON per call.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks.data import Dataset, opened
from benchmarks.jobs import JOBS, Contender, fresh


def main() -> None:
    """Time the calls that are named, in this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scratch", type=Path)
    parser.add_argument("asked", nargs="+", help="JOB:SLUG:FOLDER of the data set")
    parser.add_argument("--runs", type=int, required=True)
    given = parser.parse_args()
    for item in given.asked:
        job, slug, folder = item.split(":", 2)
        contender = JOBS[job].contender(slug)
        # The first call compiles, and is not told.
        for run in range(given.runs + 1):
            seconds = _seconds(contender, opened(Path(folder)), fresh(given.scratch))
            if run:
                print(json.dumps({"job": job, "slug": slug, "seconds": seconds}), flush=True)


def _seconds(contender: Contender, data: Dataset, out: Path) -> float:
    assert contender.call is not None  # noqa: S101
    start = time.perf_counter()
    contender.call(data, out)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
