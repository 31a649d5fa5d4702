"""The jobs: what is asked, of whom, on which data, and when two answers count as the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from benchmarks import agreement, ours, peers
from benchmarks.agreement import Numbers
from benchmarks.data import COMPONENTS, Dataset, Size

# Rates of missing calls; where nothing is missing, all three programs fit the same model.
MISSING, COMPLETE = 0.005, 0.0
# Copies of the float32 matrix that sgkit's PCAs hold, as seen at the small size; they are left out
# where these take more than this part of memory.
_TSQR_COPIES, _RANDOMIZED_COPIES = 12, 5
_MEMORY_PART = 0.7

Agreement: TypeAlias = Callable[[Numbers, Numbers], str]
Call: TypeAlias = Callable[[Dataset, Path], None]
Command: TypeAlias = Callable[[Dataset, Path, int], list[str]]
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
    already (nothing of the kind exists for PLINK).
    """

    program: str
    command: Command
    numbers: Reader
    call: Call | None = None
    how: str = ""
    agrees: Agreement | None = None
    copies: int = 0  # of a float32 matrix that it holds at once, if it holds the whole

    @property
    def label(self) -> str:
        """Name in tables."""
        return f"{self.program} {self.how}".strip()

    @property
    def slug(self) -> str:
        """Name of its folder."""
        return self.label.replace(" ", "-").lower()

    def fits(self, size: Size, limits: Limits) -> bool:
        """Whether this machine's memory holds what it needs."""
        return 4 * size.genotypes * self.copies < _MEMORY_PART * limits.memory


@dataclass(frozen=True)
class Job:
    """One question, asked of this project and of its peers."""

    name: str
    title: str
    missing: float
    own: Contender
    peers: tuple[Contender, ...]

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """Everybody, this project first."""
        return (self.own, *self.peers)

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


def _sgkit(task: str, agrees: Agreement, how: str = "", copies: int = 0) -> Contender:
    command, call = partial(peers.sgkit_command, task=task), partial(peers.sgkit_call, task=task)
    return Contender("sgkit", command, peers.sgkit_numbers, call, how, agrees, copies)


_PLINK_GWAS = Contender(
    "PLINK 2", peers.plink_gwas_command, peers.plink_gwas, agrees=agreement.same_effects
)
_SGKIT_GWAS = _sgkit("gwas", agreement.same_effects)


def _gwas(name: str, title: str, rate: float, missing: str, *against: Contender) -> Job:
    own = Contender(
        "genome_eu",
        partial(ours.gwas_command, missing=missing),
        ours.gwas,
        partial(ours.gwas_call, missing=missing),
    )
    return Job(name, title, rate, own, against)


def _plink_pca(how: str, label: str, agrees: Agreement) -> Contender:
    command = partial(peers.plink_pca_command, how=how)
    return Contender("PLINK 2", command, peers.plink_pca, how=label, agrees=agrees)


_IMPORT = Job(
    "import",
    "Import of a .bed",
    MISSING,
    Contender("genome_eu", ours.import_command, ours.imported, ours.import_call),
    (
        Contender(
            "bio2zarr",
            peers.bio2zarr_command,
            peers.bio2zarr_imported,
            peers.bio2zarr_call,
            agrees=agreement.same_arrays,
        ),
        Contender(
            "PLINK 2",
            peers.plink_import_command,
            peers.plink_imported,
            how="--make-pgen",
            agrees=agreement.same_arrays,
        ),
    ),
)

_COUNTS = Job(
    "counts",
    "Genotype counts, HWE",
    MISSING,
    Contender("genome_eu", ours.frequency_command, ours.frequencies, ours.frequency_call),
    (
        Contender(
            "PLINK 2",
            peers.plink_frequency_command,
            peers.plink_frequencies,
            agrees=agreement.same_counts,
        ),
        _sgkit("frequencies", agreement.same_counts),
    ),
)

_PCA = Job(
    "pca",
    f"PCA, {COMPONENTS} components",
    MISSING,
    Contender("genome_eu", ours.pca_command, ours.pca, ours.pca_call),
    (
        _plink_pca("meanimpute", "exact", agreement.same_components),
        _plink_pca("approx", "approx", agreement.near_components),
        _sgkit("pca-tsqr", agreement.same_components, "tsqr", _TSQR_COPIES),
        _sgkit("pca-randomized", agreement.near_components, "randomized", _RANDOMIZED_COPIES),
    ),
)

JOBS = {
    job.name: job
    for job in (
        _IMPORT,
        _COUNTS,
        _gwas("gwas-complete", "GWAS, nothing missing", COMPLETE, "mean", _PLINK_GWAS, _SGKIT_GWAS),
        _gwas("gwas-drop", "GWAS, missing dropped", MISSING, "drop", _PLINK_GWAS),
        _gwas("gwas-mean", "GWAS, missing at mean", MISSING, "mean", _SGKIT_GWAS),
        _PCA,
    )
}


def fresh(folder: Path) -> Path:
    """An empty folder for one process' answer."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
