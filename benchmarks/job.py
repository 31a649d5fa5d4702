"""What a job is: a question, asked of this project and of its peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks import ours
from benchmarks.agreement import Numbers
from benchmarks.data import Dataset, Size
from benchmarks.plink import Command

# Rates of missing calls; where nothing is missing, all three programs fit the same model.
MISSING, COMPLETE = 0.005, 0.0
# Sizes of the comparison with every peer, and of the comparison of engines.
PEERS, ENGINE = ("small", "medium", "large"), ("billion",)
# What is held in memory at once may take this part of it.
_MEMORY_PART = 0.7

Agreement: TypeAlias = Callable[[Numbers, Numbers], str]
Call: TypeAlias = Callable[[Dataset, Path], None]
Reader: TypeAlias = Callable[[Dataset, Path], Numbers]


@dataclass(frozen=True)
class Limits:
    """What the machine gives to each program."""

    threads: int
    memory: int


@dataclass(frozen=True)
class Contender:
    """One program on one job.

    `command` is its whole process, on so many threads, with its answer in a folder; `numbers`
    reads that. `call` is the same work inside a process that has imported and compiled everything
    already (nothing of the kind exists for PLINK). `sizes` are the only ones that it is run at.
    """

    program: str
    command: Command
    numbers: Reader
    call: Call | None = None
    how: str = ""
    agrees: Agreement | None = None
    copies: int = 0  # of a float32 matrix that it holds at once, if it holds the whole
    sizes: tuple[str, ...] | None = None

    @property
    def label(self) -> str:
        """Name in tables."""
        return f"{self.program} {self.how}".strip()

    @property
    def slug(self) -> str:
        """Name of its folder."""
        return self.label.replace(" ", "-").lower()

    @property
    def executable(self) -> str | None:
        """The program that must be on PATH."""
        return _EXECUTABLES.get(self.program)

    def fits(self, size: Size, limits: Limits) -> bool:
        """Whether this machine's memory holds what it needs."""
        return 4 * size.genotypes * self.copies < _MEMORY_PART * limits.memory


_EXECUTABLES = {"PLINK 2": "plink2", "PLINK 1.9": "plink1.9", "PCAone": "PCAone"}


@dataclass(frozen=True)
class Job:
    """One question, asked of this project and of its peers, by default at these sizes.

    `beside` names a job whose peers answer a question near this one: their times are set beside
    this job's too, their answers are not. `needs` are the files that it is asked with, which are
    made before anything is timed.
    """

    name: str
    title: str
    missing: float
    own: Contender
    peers: tuple[Contender, ...] = ()
    sizes: tuple[str, ...] = ()
    beside: str = ""
    needs: tuple[Callable[[Dataset], object], ...] = ()

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """Everybody, this project first."""
        return (self.own, *self.peers)

    def at(self, size: Size) -> list[Contender]:
        """Those who are run at a size, this project first."""
        return [one for one in self.contenders if one.sizes is None or size.name in one.sizes]

    def contender(self, slug: str) -> Contender:
        """The one of this name."""
        return next(one for one in self.contenders if one.slug == slug)

    def agree(self, data: Dataset, own: Path, peer: Contender, other: Path) -> str:
        """In which digits the two answers agree.

        Raises
        ------
        Disagreement
            They do not.
        """
        if peer.agrees is None:
            raise TypeError(f"{peer.label} is compared with nothing")
        return peer.agrees(self.own.numbers(data, own), peer.numbers(data, other))


def own(question: ours.Question, numbers: Reader, how: str = "") -> Contender:
    """This project, by a command of its own."""
    return Contender("genome_eu", question.command, numbers, question.call, how)


def plink_2(command: Command, numbers: Reader, agrees: Agreement, how: str = "") -> Contender:
    """PLINK 2, which nothing can call inside a process."""
    return Contender("PLINK 2", command, numbers, how=how, agrees=agrees)
