"""The jobs: what is asked, of whom, on which data, and when two answers count as the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from benchmarks import agreement, dask_tax, ours, peers
from benchmarks.agreement import Numbers
from benchmarks.data import COMPONENTS, Dataset, Model, Size
from genome_eu.cohort import open_store

# Rates of missing calls; where nothing is missing, all three programs fit the same model.
MISSING, COMPLETE = 0.005, 0.0
# Sizes of the comparison with every peer, and of the comparison of engines.
PEERS, ENGINE = ("small", "medium", "large"), ("billion",)
# Eigenvalues are as exact as their residuals squared, so this is enough for six digits of them.
_LOOSE = 1e-3
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


_EXECUTABLES = {"PLINK 2": "plink2", "PCAone": "PCAone"}


@dataclass(frozen=True)
class Job:
    """One question, asked of this project and of its peers, by default at these sizes.

    `beside` names a job whose peers answer a question near this one: their times are set beside
    this job's too, their answers are not.
    """

    name: str
    title: str
    missing: float
    own: Contender
    peers: tuple[Contender, ...] = ()
    sizes: tuple[str, ...] = ()
    beside: str = ""

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


def _own(question: ours.Question, numbers: Reader, how: str = "") -> Contender:
    return Contender("genome_eu", question.command, numbers, question.call, how)


def _sgkit(task: str, agrees: Agreement, how: str = "", copies: int = 0) -> Contender:
    command, call = partial(peers.sgkit_command, task=task), partial(peers.sgkit_call, task=task)
    return Contender("sgkit", command, peers.sgkit_numbers, call, how, agrees, copies)


def _plink_counts(*asked: str) -> Contender:
    command = partial(peers.plink_frequency_command, asked=asked)
    return Contender("PLINK 2", command, peers.plink_frequencies, agrees=agreement.same_counts)


def _plink_gwas(model: Model) -> Contender:
    command = partial(peers.plink_gwas_command, model=model)
    numbers = partial(peers.plink_gwas, model=model)
    return Contender("PLINK 2", command, numbers, agrees=agreement.same_effects)


def _plink_pca(
    how: str, label: str, agrees: Agreement, sizes: tuple[str, ...] | None = None
) -> Contender:
    command = partial(peers.plink_pca_command, how=how)
    return Contender("PLINK 2", command, peers.plink_pca, how=label, agrees=agrees, sizes=sizes)


_SGKIT_GWAS = _sgkit("gwas", agreement.same_effects)


def _gwas(
    name: str,
    rate: float,
    model: Model,
    against: tuple[Contender, ...] = (),
    sizes: tuple[str, ...] = ENGINE,
    beside: str = "",
) -> Job:
    traits = "1 trait" if model.traits == 1 else f"{model.traits} traits"
    calls = f"missing {'dropped' if model.missing == 'drop' else 'at mean'}"
    title = f"GWAS, {traits}, {model.covariates} covariates, {calls if rate else 'nothing missing'}"
    return Job(
        name, title, rate, _own(ours.gwas_question(model), ours.gwas), against, sizes, beside
    )


def _gwas_against_plink(name: str, rate: float, model: Model) -> Job:
    return _gwas(name, rate, model, (_plink_gwas(model),))


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
    PEERS,
)

_COUNTS = Job(
    "counts",
    "Genotype counts",
    MISSING,
    _own(ours.frequency_question(hwe=False), ours.frequencies),
    (_plink_counts("--geno-counts"), _sgkit("counts", agreement.same_counts)),
    (*PEERS, *ENGINE),
)
_COUNTS_HWE = Job(
    "counts-hwe",
    "Genotype counts, HWE",
    MISSING,
    _own(ours.frequency_question(), ours.frequencies),
    (
        _plink_counts("--freq", "--geno-counts", "--hardy"),
        _sgkit("frequencies", agreement.same_counts),
    ),
    (*PEERS, *ENGINE),
)

_PCA = Job(
    "pca",
    f"PCA, {COMPONENTS} components",
    MISSING,
    _own(ours.pca_question(), ours.pca),
    (
        _plink_pca("meanimpute", "exact", agreement.same_components, PEERS),
        _plink_pca("approx", "approx", agreement.near_components),
        Contender(
            "PCAone",
            peers.pcaone_command,
            peers.pcaone_pca,
            how="out of core",
            agrees=agreement.near_components_to_scale,
            sizes=ENGINE,
        ),
        _sgkit("pca-tsqr", agreement.same_components, "tsqr", _TSQR_COPIES),
        _sgkit("pca-randomized", agreement.near_components, "randomized", _RANDOMIZED_COPIES),
    ),
    (*PEERS, *ENGINE),
)
# The full run is the judge of the short one.
_FULL = replace(_PCA.own, how="full", agrees=agreement.same_components)
_PCA_LOOSE = Job(
    "pca-loose",
    f"PCA, {COMPONENTS} components, residual {_LOOSE:g}",
    MISSING,
    _own(ours.pca_question(tolerance=_LOOSE), ours.pca),
    (_FULL,),
    ENGINE,
    beside="pca",
)

_COVARIATES = 12


def _logistic(test: str, agrees: Agreement, label: str) -> Job:
    model = Model(1, _COVARIATES, "mean", test)
    numbers = partial(peers.plink_gwas, model=model, kind="logistic.hybrid", test="Z_STAT")
    plink = partial(peers.plink_logistic_command, model=model)
    return Job(
        f"logistic-{test}-12x1",
        f"Logistic GWAS, {label}, {_COVARIATES} covariates, nothing missing",
        COMPLETE,
        _own(ours.gwas_question(model), ours.logistic),
        (Contender("PLINK 2", plink, numbers, agrees=agrees),),
        ENGINE,
    )


_PRUNE = Job(
    "prune",
    "LD pruning, 500kb 0.2",
    COMPLETE,
    _own(ours.prune_question(), ours.kept_rows),
    (
        Contender(
            "PLINK 2",
            peers.plink_prune_command,
            peers.plink_kept_rows,
            agrees=agreement.same_kept,
        ),
    ),
    ENGINE,
)
_KINSHIP = Job(
    "kinship",
    "KING-robust kinship and unrelated people",
    COMPLETE,
    _own(ours.kinship_question(), ours.kept_people),
    (
        Contender(
            "PLINK 2",
            peers.plink_kinship_command,
            peers.plink_kept_people,
            agrees=agreement.same_kept,
        ),
    ),
    ENGINE,
)

JOBS = {
    job.name: job
    for job in (
        _IMPORT,
        _COUNTS,
        _COUNTS_HWE,
        _gwas("gwas-complete", COMPLETE, Model(), (_plink_gwas(Model()), _SGKIT_GWAS), PEERS),
        _gwas(
            "gwas-drop",
            MISSING,
            Model(missing="drop"),
            (_plink_gwas(Model(missing="drop")),),
            (*PEERS, *ENGINE),
        ),
        _gwas("gwas-mean", MISSING, Model(), (_SGKIT_GWAS,), (*PEERS, *ENGINE), "gwas-drop"),
        _gwas_against_plink("gwas-complete-12x1", COMPLETE, Model(1, _COVARIATES)),
        _gwas_against_plink("gwas-complete-12x20", COMPLETE, Model(20, _COVARIATES)),
        _gwas_against_plink("gwas-complete-12x200", COMPLETE, Model(200, _COVARIATES)),
        _gwas_against_plink("gwas-drop-12x1", MISSING, Model(1, _COVARIATES, "drop")),
        _gwas_against_plink("gwas-drop-12x20", MISSING, Model(20, _COVARIATES, "drop")),
        _gwas("gwas-mean-12x1", MISSING, Model(1, _COVARIATES), beside="gwas-drop-12x1"),
        _gwas("gwas-mean-12x20", MISSING, Model(20, _COVARIATES), beside="gwas-drop-12x20"),
        _logistic("firth", agreement.near_tests, "score and Firth's test"),
        _logistic("hybrid", agreement.same_fits, "maximum likelihood"),
        _PRUNE,
        _KINSHIP,
        _PCA,
        _PCA_LOOSE,
    )
}


@dataclass(frozen=True)
class Asked:
    """What only this project is asked, inside a process, at sizes that grow."""

    title: str
    call: Call


def _pca_round(data: Dataset, out: Path) -> None:
    # Rounds until a residual is reached differ with size; the work of one does not.
    dask_tax.pca_products(open_store(data.cohort)).on_dask()


_GROWING = Model(1, _COVARIATES)
GROWTH = {
    "frequencies-by": Asked(
        "Frequencies by population", ours.frequency_question("population").call
    ),
    "gwas": Asked(
        f"GWAS, 1 trait, {_COVARIATES} covariates, missing at mean",
        ours.gwas_question(_GROWING).call,
    ),
    "pca-round": Asked("One round of a PCA", _pca_round),
}


def call_named(job: str, slug: str) -> Call:
    """The call of a contender on a job, or of a question of `GROWTH`, whose slug is its own name.

    Raises
    ------
    ValueError
        That program has none.
    """
    call = GROWTH[job].call if job == slug else JOBS[job].contender(slug).call
    if call is None:
        raise ValueError(f"{slug} cannot be called inside a process on job {job}")
    return call


def fresh(folder: Path) -> Path:
    """An empty folder for one process' answer."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
