"""`python -m benchmarks`: PLINK 2, sgkit and this project on the same data, side by side."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.data import SIZES
from benchmarks.jobs import JOBS, Limits
from benchmarks.session import Outcome, Settings, run_size

_HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run the command line; 1 if a program failed or found another answer."""
    given = _arguments()
    if given.table:
        print(report.tables(json.loads(given.table.read_text())))
        return 0
    with tempfile.TemporaryDirectory(prefix="genome-eu-benchmarks-") as scratch:
        work = (given.work or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        failed = _run(given, work)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", default=",".join(SIZES), help=f"of {', '.join(SIZES)}")
    parser.add_argument("--jobs", default=",".join(JOBS), help=f"of {', '.join(JOBS)}")
    parser.add_argument("--runs", type=int, default=3, help="timed runs of each program")
    parser.add_argument("--threads", type=int, default=cores, help="threads for every program")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated genotypes")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one process")
    parser.add_argument("--work", type=Path, help="keep simulated data here for the next time")
    parser.add_argument("--out", type=Path, help="folder for the results instead of results/")
    parser.add_argument("--quick", action="store_true", help="small, one run: does it work?")
    parser.add_argument("--table", type=Path, help="only print the table of an earlier JSON")
    given = parser.parse_args()
    for option, known in (("sizes", SIZES), ("jobs", JOBS)):
        names = [name for name in getattr(given, option).split(",") if name]
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            parser.error(f"--{option} takes {', '.join(known)}, not {', '.join(unknown)!r}")
        setattr(given, option, [known[name] for name in names])
    if min(given.runs, given.threads) < 1:
        parser.error("--runs and --threads must be at least 1")
    if given.quick:
        given.sizes, given.runs = [SIZES["small"]], 1
    return given


def _run(given: argparse.Namespace, work: Path) -> list[Outcome]:
    """The session; returns what failed."""
    begin = time.perf_counter()

    def say(what: str) -> None:
        print(f"[{time.perf_counter() - begin:5.0f} s] {what}", file=sys.stderr, flush=True)

    settings = Settings(
        work=work,
        limits=Limits(given.threads, report.memory()),
        runs=given.runs,
        quick=given.quick,
        seed=given.seed,
        timeout_s=given.timeout,
        say=say,
    )
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    session: dict[str, Any] = {
        "date": date,
        "machine": report.machine(),
        "versions": report.versions(),
        "settings": {
            "threads": given.threads,
            "runs": given.runs,
            "seed": given.seed,
            "quick": given.quick,
        },
        "outcomes": [],
    }
    # A quick run shows nothing worth keeping beside measured results.
    kept = given.out or (work if given.quick else _HERE / "results")
    kept.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for size in given.sizes:
        outcomes += run_size(size, given.jobs, settings)
        session["outcomes"] = [one.as_json() for one in outcomes]
        # After each size, so that an interrupted session leaves what it has measured.
        (kept / f"{date}.json").write_text(json.dumps(session, indent=1) + "\n")
    text = report.tables(session)
    print(text)
    if given.out is None and not given.quick:
        report.write_between_markers(_HERE / "README.md", text)
    failed = [one for one in outcomes if one.failure.startswith("failed")]
    for one in failed:
        say(f"{one.size.name}, {one.job.title}, {one.contender.label}: {one.failure}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
