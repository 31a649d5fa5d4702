"""One session: every job at every size, all programs in turn, checked, timed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.accounting import Cost, ProcessFailed, measured
from benchmarks.agreement import Disagreement
from benchmarks.data import Dataset, Size, prepare
from benchmarks.jobs import Contender, Job, Limits, fresh

_ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Outcome:
    """What one program did on one job at one size."""

    size: Size
    job: Job
    contender: Contender
    whole: list[Cost] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    agreement: str = ""
    failure: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the raw results: seconds and bytes of every run."""
        return {
            "size": self.size.name,
            "people": self.size.people,
            "variants": self.size.variants,
            "job": self.job.name,
            "title": self.job.title,
            "program": self.contender.label,
            "ours": self.contender is self.job.own,
            "whole_process": [cost.as_json() for cost in self.whole],
            "in_process_s": self.warm,
            "agreement": self.agreement,
            "failure": self.failure,
        }


@dataclass(frozen=True)
class Settings:
    """How a session measures."""

    work: Path
    limits: Limits
    runs: int
    quick: bool
    seed: int
    timeout_s: float
    say: Callable[[str], object]


def run_size(size: Size, jobs: Sequence[Job], settings: Settings) -> list[Outcome]:
    """All jobs at one size: whole processes first, then the calls inside warm processes."""
    datasets = {
        rate: prepare(size, rate, settings.seed, settings.work, settings.say)
        for rate in sorted({job.missing for job in jobs})
    }
    outcomes: list[Outcome] = []
    for job in jobs:
        outcomes += _whole(size, job, datasets[job.missing], settings)
    _warm(size, outcomes, datasets, settings)
    return outcomes


def environment(program: str, threads: int) -> dict[str, str]:
    """The same number of threads for everybody, by whichever variable each library listens to."""
    # Under sgkit and bio2zarr Dask's threads are the parallelism, and those of BLAS would fight
    # them; this project sees to that itself.
    blas = threads if program == "genome_eu" else 1
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    # Without compiled modules every process would compile all of its libraries again.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        **dict.fromkeys(names, str(blas)),
        "NUMBA_NUM_THREADS": str(threads),
        "DASK_NUM_WORKERS": str(threads),
        # sgkit compiles anew in every process unless it is told to keep what it compiled.
        "SGKIT_DISABLE_NUMBA_CACHE": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
        "PYTHONWARNINGS": "ignore",
    }


def _whole(size: Size, job: Job, data: Dataset, settings: Settings) -> list[Outcome]:
    """Rounds in which each program runs once, so that a busy minute falls on all of them."""
    outcomes = [Outcome(size, job, one) for one in job.contenders]
    for one in outcomes:
        if one.contender.program == "PLINK 2" and shutil.which("plink2") is None:
            one.failure = "not run: plink2 is not on PATH"
        elif not one.contender.fits(size, settings.limits):
            one.failure = "not run: needs more memory than there is"
    base = settings.work / "runs" / job.name
    # A first round that is not told fills the page cache and the caches of compiled code.
    rounds = range(settings.runs) if settings.quick else range(-1, settings.runs)
    for number in rounds:
        settings.say(f"{size.name}, {job.title}: round {number + 1} of {settings.runs}")
        running = [one for one in outcomes if not one.failure]
        for one in running:
            cost = _one_process(one, data, base, settings)
            if cost is not None and number >= 0:
                one.whole.append(cost)
        _check(job, data, outcomes, base)
    return outcomes


def _one_process(one: Outcome, data: Dataset, base: Path, settings: Settings) -> Cost | None:
    threads = settings.limits.threads
    out = fresh(base / one.contender.slug)
    try:
        return measured(
            one.contender.command(data, out, threads),
            base / f"{one.contender.slug}.log",
            env=environment(one.contender.program, threads),
            cores=threads,
            timeout_s=settings.timeout_s,
        )
    except ProcessFailed as error:
        one.failure = f"failed: {error}"
        return None


def _check(job: Job, data: Dataset, outcomes: Sequence[Outcome], base: Path) -> None:
    """No time counts unless the answer was found right in the same round."""
    own, *others = outcomes
    for one in others:
        if one.failure or own.failure:
            continue
        try:
            told = job.agree(
                data, base / own.contender.slug, one.contender, base / one.contender.slug
            )
        except Disagreement as error:
            one.failure = f"failed: another answer than genome_eu's, {error}"
        else:
            one.agreement = told


def _warm(
    size: Size, outcomes: Sequence[Outcome], datasets: dict[float, Dataset], settings: Settings
) -> None:
    runs = 1 if settings.quick else settings.runs
    able = [one for one in outcomes if one.contender.call is not None and not one.failure]
    for program in dict.fromkeys(one.contender.program for one in able):
        settings.say(f"{size.name}, {program} inside one process")
        mine = [one for one in able if one.contender.program == program]
        named = [
            f"{one.job.name}:{one.contender.slug}:{datasets[one.job.missing].folder}"
            for one in mine
        ]
        scratch, log = settings.work / "runs" / "warm", settings.work / "runs" / "warm.log"
        warm = [sys.executable, "-m", "benchmarks.warm", str(scratch), *named]
        try:
            measured(
                [*warm, "--runs", str(runs)],
                log,
                env=environment(program, settings.limits.threads),
                cores=settings.limits.threads,
                timeout_s=settings.timeout_s * len(mine),
            )
        except ProcessFailed as error:
            settings.say(f"{program} inside one process: {error}")
        for line in (log / "stdout").read_text().splitlines():
            told = json.loads(line) if line.startswith('{"job"') else {}
            for one in mine:
                if (one.job.name, one.contender.slug) == (told.get("job"), told.get("slug")):
                    one.warm.append(told["seconds"])
