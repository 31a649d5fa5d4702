"""One session: the jobs of a size, all programs in turn, checked, timed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.accounting import Cost, Pace, ProcessFailed, measured
from benchmarks.agreement import Disagreement
from benchmarks.data import Dataset, Size, prepare
from benchmarks.job import Contender, Job, Limits
from benchmarks.jobs import fresh

_ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Outcome:
    """What one program did on one job at one size, with so many threads."""

    size: Size
    threads: int
    job: Job
    contender: Contender
    whole: list[Cost] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    agreement: str = ""
    failure: str = ""

    @property
    def seconds(self) -> list[float]:
        """Of every whole process so far."""
        return [cost.wall_s for cost in self.whole]

    def as_json(self, pace: Pace) -> dict[str, Any]:
        """For the raw results: seconds and bytes of every run that counts."""
        told = self.whole[pace.told(self.seconds)]
        return {
            "size": self.size.name,
            "threads": self.threads,
            "people": self.size.people,
            "variants": self.size.variants,
            "job": self.job.name,
            "title": self.job.title,
            "program": self.contender.label,
            "ours": self.contender is self.job.own,
            "beside": self.job.beside,
            "whole_process": [cost.as_json() for cost in told],
            "in_process_s": self.warm,
            "agreement": self.agreement,
            "failure": self.failure,
        }


@dataclass(frozen=True)
class Settings:
    """How a session measures."""

    work: Path
    limits: Limits
    pace: Pace
    quick: bool
    seed: int
    timeout_s: float
    say: Callable[[str], object]

    def answers(self, job: Job) -> Path:
        """Where the programs leave their answers to a job, each in a folder of its own."""
        return self.work / "runs" / job.name


def run_size(size: Size, jobs: Sequence[Job], settings: Settings) -> list[Outcome]:
    """All jobs at one size: whole processes first, then the calls inside warm processes."""
    datasets = {
        rate: prepare(size, rate, settings.seed, settings.work, settings.say)
        for rate in sorted({job.missing for job in jobs})
    }
    for job in jobs:
        for need in job.needs:
            need(datasets[job.missing])
    outcomes: list[Outcome] = []
    started: set[str] = set()
    for job in jobs:
        outcomes += _whole(size, job, datasets[job.missing], settings, started)
    able = [one for one in outcomes if one.contender.call is not None and not one.failure]
    for program in dict.fromkeys(one.contender.program for one in able):
        settings.say(f"{size.name}, {program} inside one process")
        mine = [one for one in able if one.contender.program == program]
        asked = [(one.job.name, one.contender.slug, datasets[one.job.missing]) for one in mine]
        try:
            seconds, _ = inside_one_process(program, asked, settings)
        except ProcessFailed as error:
            for one in mine:
                one.failure = f"failed inside one process: {error}"
            continue
        for one in mine:
            one.warm = seconds[one.job.name, one.contender.slug]
    # The calls have left their answers where the processes had left theirs.
    for job in jobs:
        own, *others = [one for one in outcomes if one.job is job]
        _check(job, datasets[job.missing], own, others, settings)
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


def _whole(
    size: Size, job: Job, data: Dataset, settings: Settings, started: set[str]
) -> list[Outcome]:
    """Rounds in which each program runs once, so that a busy minute falls on all of them.

    A quick run starts a program that can be called inside a process only if it has not `started`.
    """
    outcomes = [Outcome(size, settings.limits.threads, job, one) for one in job.at(size)]
    for one in outcomes:
        executable = one.contender.executable
        if executable and shutil.which(executable) is None:
            one.failure = f"not run: {executable} is not on PATH"
        elif not one.contender.fits(size, settings.limits):
            one.failure = "not run: needs more memory than there is"
    asked = [
        one
        for one in outcomes
        if not (settings.quick and one.contender.call and one.contender.program in started)
    ]
    started |= {one.contender.program for one in asked}
    number = 0
    while running := [
        one for one in asked if not one.failure and not settings.pace.enough(one.seconds)
    ]:
        number += 1
        settings.say(f"{size.name}, {job.title}: round {number}")
        for one in running:
            cost = _one_process(one, data, settings)
            if cost is not None:
                one.whole.append(cost)
        if outcomes[0] in asked:
            _check(job, data, outcomes[0], running, settings)
    return outcomes


def _one_process(one: Outcome, data: Dataset, settings: Settings) -> Cost | None:
    threads = settings.limits.threads
    base = settings.answers(one.job)
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


def _check(
    job: Job, data: Dataset, own: Outcome, others: Sequence[Outcome], settings: Settings
) -> None:
    """No time counts unless the answer that it took was found right."""
    base = settings.answers(job)
    for one in others:
        if one is own or one.failure or own.failure:
            continue
        try:
            told = job.agree(
                data, base / own.contender.slug, one.contender, base / one.contender.slug
            )
        except Disagreement as error:
            one.failure = f"failed: another answer than genome_eu's, {error}"
        else:
            one.agreement = told


def inside_one_process(
    program: str, asked: Sequence[tuple[str, str, Dataset]], settings: Settings
) -> tuple[dict[tuple[str, str], list[float]], Cost]:
    """Time calls of one program, one after the other, in one process of their own.

    Parameters
    ----------
    program : str
    asked : sequence
        What `jobs.call_named` knows by two names, and on which data.
    settings : Settings

    Returns
    -------
    seconds : dict
        Of the calls that count, by their two names.
    cost : Cost
        Of the process.

    Raises
    ------
    ProcessFailed
        A call failed, or all of them did not end in time.
    """
    answers = settings.work / "runs"
    log = answers / "warm.log"
    named = [f"{job}:{slug}:{data.folder}" for job, slug, data in asked]
    pace, threads = settings.pace, settings.limits.threads
    often = {"runs": pace.runs, "slow-after": pace.slow_after, "slow-runs": pace.slow_runs}
    options = [word for name, value in often.items() for word in (f"--{name}", str(value))]
    cost = measured(
        [sys.executable, "-m", "benchmarks.warm", str(answers), *named, *options],
        log,
        env=environment(program, threads),
        cores=threads,
        timeout_s=settings.timeout_s * len(asked),
    )
    seconds: dict[tuple[str, str], list[float]] = {}
    for line in (log / "stdout").read_text().splitlines():
        if line.startswith('{"job"'):
            told = json.loads(line)
            seconds.setdefault((told["job"], told["slug"]), []).append(told["seconds"])
    return seconds, cost
