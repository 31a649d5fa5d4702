"""`python -m benchmarks`: this project and its peers on the same data, side by side."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import exactness, federation, growth, report
from benchmarks.accounting import Pace, ProcessFailed, measured
from benchmarks.data import SIZES, Size, prepare
from benchmarks.job import ENGINE, MISSING, PEERS, Limits
from benchmarks.jobs import JOBS
from benchmarks.session import Settings, environment, run_size

_HERE = Path(__file__).resolve().parent
_README, _RESULTS = _HERE / "README.md", _HERE / "results"

# What each suite measures, told in pieces so that an interrupted one leaves what it has.
SUITES = ("peers", "engine", "growth", "dask", "federation", "exact")
_SIZES = {"peers": PEERS, "engine": ENGINE}
Pieces = Iterator[list[dict[str, Any]]]


def main() -> int:
    """Run the command line; 1 if a program failed or found another answer."""
    given = _arguments()
    if given.table:
        print("\n\n".join(report.tables(json.loads(one.read_text())) for one in given.table))
        return 0
    with tempfile.TemporaryDirectory(prefix="genome-eu-benchmarks-") as scratch:
        work = (given.work or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        settings = _settings(given, work)
        failed = [one for suite in given.suite for one in _run(suite, given, settings)]
    for one in failed:
        settings.say(one)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)

    def add(option: str, text: str, **more: Any) -> None:
        parser.add_argument(option, help=text, **more)

    add("--suite", f"of {', '.join(SUITES)}; all of them unless named", default=",".join(SUITES))
    add("--sizes", f"of {', '.join(SIZES)}, instead of each job's own", default="")
    add("--jobs", f"of {', '.join(JOBS)}, instead of all", default="")
    add("--runs", "timed runs of each program", type=int, default=5)
    add("--slow-after", "seconds from which a program is slow", type=float, default=60)
    add("--slow-runs", "timed runs of a slow program", type=int, default=1)
    add("--threads", "numbers of threads for every program, as 1,2", default=str(cores))
    add("--seed", "of the simulated genotypes", type=int, default=1)
    add("--timeout", "seconds for one process", type=float, default=1800)
    add("--work", "keep simulated data here for the next time", type=Path)
    add("--out", "folder for the results instead of results/", type=Path)
    add("--quick", "small, one run: does it work?", action="store_true")
    add("--table", "only print the tables of earlier JSON files", type=Path, nargs="+")
    given = parser.parse_args()
    for option, known in (("suite", SUITES), ("sizes", SIZES), ("jobs", JOBS)):
        names = [name for name in getattr(given, option).split(",") if name]
        if unknown := [name for name in names if name not in known]:
            parser.error(f"--{option} takes {', '.join(known)}, not {', '.join(unknown)}")
        setattr(given, option, names)
    try:
        given.threads = [int(one) for one in given.threads.split(",")]
    except ValueError:
        parser.error(f"--threads takes numbers, as 1,2, not {given.threads}")
    if min(given.runs, given.slow_runs, *given.threads) < 1:
        parser.error("--runs, --slow-runs and --threads must be at least 1")
    # A part of a suite is no result of the suite, so it must not replace one.
    given.whole = not (given.sizes or given.jobs or given.quick)
    if given.sizes or given.jobs:
        given.suite = ["peers"]
    if given.quick:
        given.runs, given.threads = 1, given.threads[:1]
        if {"peers", "engine"} <= set(given.suite):
            given.suite.remove("engine")  # at the one size they are the same
    return given


def _settings(given: argparse.Namespace, work: Path) -> Settings:
    begin = time.perf_counter()

    def say(what: str) -> None:
        print(f"[{time.perf_counter() - begin:5.0f} s] {what}", file=sys.stderr, flush=True)

    pace = Pace(given.runs, given.slow_after, given.slow_runs)
    return Settings(
        work=work,
        limits=Limits(given.threads[0], report.memory()),
        # Everything is slow at once where it only has to work.
        pace=Pace(1, 0, 1) if given.quick else pace,
        quick=given.quick,
        seed=given.seed,
        timeout_s=given.timeout,
        say=say,
    )


def _run(suite: str, given: argparse.Namespace, settings: Settings) -> list[str]:
    """One suite, for every number of threads; returns what failed."""
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    rows: list[dict[str, Any]] = []
    session: dict[str, Any] = {
        "suite": suite,
        "date": date,
        "machine": report.machine(),
        "versions": report.versions(),
        "settings": {
            name: getattr(given, name)
            for name in ("threads", "runs", "slow_after", "slow_runs", "seed", "quick")
        },
        "outcomes": rows,
    }
    kept = given.out or (_RESULTS if given.whole else settings.work)
    kept.mkdir(parents=True, exist_ok=True)
    for threads in given.threads:
        limits = replace(settings.limits, threads=threads)
        for more in _PIECES[suite](suite, given, replace(settings, limits=limits)):
            rows += more
            (kept / f"{date}-{suite}.json").write_text(json.dumps(session, indent=1) + "\n")
    text = report.tables(session)
    if suite == "growth":
        picture = kept / f"{date}-growth.svg"
        growth.plot(rows, picture)
        text += f"\n\n![Growth with people and with variants]({_RESULTS.name}/{picture.name})"
    print(text, flush=True)
    if given.whole and given.out is None:
        report.write_between_markers(_README, suite, text)
    return [told for row in rows if (told := report.failure(row))]


def _side_by_side(suite: str, given: argparse.Namespace, settings: Settings) -> Pieces:
    sizes = ["small"] if given.quick else given.sizes or _SIZES[suite]
    for size in map(SIZES.__getitem__, sizes):
        jobs = [
            JOBS[name]
            for name in given.jobs or JOBS
            if not given.whole or size.name in JOBS[name].sizes
        ]
        yield [one.as_json(settings.pace) for one in run_size(size, jobs, settings)]


def _growth(suite: str, given: argparse.Namespace, settings: Settings) -> Pieces:
    series = growth.QUICK if given.quick else growth.SERIES
    for row in growth.points(series, settings, together=given.quick):
        yield [row]


def _dask(suite: str, given: argparse.Namespace, settings: Settings) -> Pieces:
    size: Size = SIZES["small" if given.quick else "billion"]
    data = prepare(size, MISSING, settings.seed, settings.work, settings.say)
    settings.say(f"{size.name}: Dask and a bare loop")
    log, found = settings.work / "runs" / "dask.log", settings.work / "runs" / "dask.json"
    asked = [str(data.cohort), "--runs", str(settings.pace.runs), "--out", str(found)]
    threads = settings.limits.threads
    try:
        measured(
            [sys.executable, "-m", "benchmarks.dask_tax", *asked],
            log,
            env=environment("genome_eu", threads),
            cores=threads,
            timeout_s=settings.timeout_s,
        )
    except ProcessFailed as error:
        yield [{"title": "Dask and a bare loop", "failure": f"failed: {error}"}]
    else:
        yield json.loads(found.read_text())


def _federation(suite: str, given: argparse.Namespace, settings: Settings) -> Pieces:
    yield from federation.pieces(settings, quick=given.quick)


def _exact(suite: str, given: argparse.Namespace, settings: Settings) -> Pieces:
    # The answers are the same whatever the number of threads.
    if settings.limits.threads == given.threads[0]:
        yield from exactness.pieces(settings, quick=given.quick)


_PIECES: dict[str, Callable[[str, argparse.Namespace, Settings], Pieces]] = {
    "peers": _side_by_side,
    "engine": _side_by_side,
    "growth": _growth,
    "dask": _dask,
    "federation": _federation,
    "exact": _exact,
}


if __name__ == "__main__":
    sys.exit(main())
