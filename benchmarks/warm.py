"""The same work inside a process that has imported and compiled everything already.

`python -m benchmarks.warm ANSWERS JOB:SLUG:FOLDER … --runs N` is run by the benchmarks, once for
each program and size. It prints one line of JSON per call that counts, and leaves the last answer
in ANSWERS/JOB/SLUG.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks.accounting import Pace
from benchmarks.data import Dataset, opened
from benchmarks.job import Call
from benchmarks.jobs import call_named, fresh


def main() -> None:
    """Time the calls that are named, in this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("answers", type=Path)
    parser.add_argument("asked", nargs="+", help="JOB:SLUG:FOLDER of the data set")
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--slow-after", type=float, required=True)
    parser.add_argument("--slow-runs", type=int, required=True)
    given = parser.parse_args()
    pace = Pace(given.runs, given.slow_after, given.slow_runs)
    for item in given.asked:
        job, slug, folder = item.split(":", 2)
        call = call_named(job, slug)
        seconds: list[float] = []
        while not pace.enough(seconds):
            out = fresh(given.answers / job / slug)
            seconds.append(_seconds(call, opened(Path(folder)), out))
        for one in seconds[pace.told(seconds)]:
            print(json.dumps({"job": job, "slug": slug, "seconds": one}), flush=True)


def _seconds(call: Call, data: Dataset, out: Path) -> float:
    start = time.perf_counter()
    call(data, out)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
