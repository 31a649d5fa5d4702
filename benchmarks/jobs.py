"""The jobs: what is asked, of whom, on which data, and when two answers count as the same."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks import agreement, dask_tax, further, ours, peers, plink
from benchmarks.data import COMPONENTS, Dataset, Model
from benchmarks.job import (
    COMPLETE,
    ENGINE,
    MISSING,
    PEERS,
    Agreement,
    Call,
    Contender,
    Job,
    own,
    plink_2,
)
from genome_eu.cohort import open_store

# Eigenvalues are as exact as their residuals squared, so this is enough for six digits of them.
_LOOSE = 1e-3
# Copies of the float32 matrix that sgkit's PCAs hold, as seen at the small size; they are left out
# where these take more than this part of memory.
_TSQR_COPIES, _RANDOMIZED_COPIES = 12, 5


def _sgkit(task: str, agrees: Agreement, how: str = "", copies: int = 0) -> Contender:
    command, call = partial(peers.sgkit_command, task=task), partial(peers.sgkit_call, task=task)
    return Contender("sgkit", command, peers.sgkit_numbers, call, how, agrees, copies)


def _plink_counts(*asked: str) -> Contender:
    return plink_2(plink.asks(*asked), plink.frequencies, agreement.same_counts)


def _plink_gwas(model: Model) -> Contender:
    numbers = partial(plink.gwas, model=model)
    return plink_2(plink.asks(plink.regression(model)), numbers, agreement.same_effects)


def _plink_pca(
    how: str, label: str, agrees: Agreement, sizes: tuple[str, ...] | None = None
) -> Contender:
    command = plink.asks("--pca", COMPONENTS, how)
    return Contender("PLINK 2", command, plink.pca, how=label, agrees=agrees, sizes=sizes)


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
    return Job(name, title, rate, own(ours.gwas_question(model), ours.gwas), against, sizes, beside)


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
        plink_2(
            plink.asks("--make-pgen", source=plink.bed),
            plink.imported,
            agreement.same_arrays,
            "--make-pgen",
        ),
    ),
    PEERS,
)

_COUNTS = Job(
    "counts",
    "Genotype counts",
    MISSING,
    own(ours.frequency_question(hwe=False), ours.frequencies),
    (_plink_counts("--geno-counts"), _sgkit("counts", agreement.same_counts)),
    (*PEERS, *ENGINE),
)
_COUNTS_HWE = Job(
    "counts-hwe",
    "Genotype counts, HWE",
    MISSING,
    own(ours.frequency_question(), ours.frequencies),
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
    own(ours.pca_question(), ours.pca),
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
    own(ours.pca_question(tolerance=_LOOSE), ours.pca),
    (_FULL,),
    ENGINE,
    beside="pca",
)

_COVARIATES = 12


def _logistic(test: str, agrees: Agreement, label: str) -> Job:
    model = Model(1, _COVARIATES, "mean", test)
    numbers = partial(plink.gwas, model=model, kind="logistic.hybrid", test="Z_STAT")
    peer = plink_2(plink.asks(plink.regression(model)), numbers, agrees)
    return Job(
        f"logistic-{test}-12x1",
        f"Logistic GWAS, {label}, {_COVARIATES} covariates, nothing missing",
        COMPLETE,
        own(ours.gwas_question(model), ours.logistic),
        (peer,),
        ENGINE,
    )


_SPA = Model(1, _COVARIATES, "mean", "spa")
_SCORE = ours.gwas_question(replace(_SPA, test="score"))
# PLINK has no saddlepoint approximation: its maximum likelihood is another test of the same.
_LOGISTIC_SPA = Job(
    "logistic-spa-12x1",
    f"Logistic GWAS, score and saddlepoint, {_COVARIATES} covariates, nothing missing",
    COMPLETE,
    own(ours.gwas_question(_SPA), ours.logistic),
    (
        Contender(
            "genome_eu",
            _SCORE.command,
            ours.logistic,
            _SCORE.call,
            how="score only",
            agrees=agreement.near_tests,
        ),
        plink_2(
            plink.asks(plink.regression(_SPA)),
            partial(plink.gwas, model=_SPA, kind="logistic.hybrid", test="Z_STAT"),
            agreement.near_tests,
            "maximum likelihood",
        ),
    ),
    ENGINE,
)

_PRUNE = Job(
    "prune",
    "LD pruning, 500kb 0.2",
    COMPLETE,
    own(ours.prune_question(), ours.kept_rows),
    (
        plink_2(
            plink.asks("--indep-pairwise", "500kb", "0.2"), plink.kept_rows, agreement.same_kept
        ),
    ),
    ENGINE,
)
_KINSHIP = Job(
    "kinship",
    "KING-robust kinship and unrelated people",
    COMPLETE,
    own(ours.kinship_question(), ours.kept_people),
    (plink_2(plink.asks("--king-cutoff", "0.0884"), plink.kept_people, agreement.same_kept),),
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
        _LOGISTIC_SPA,
        _PRUNE,
        _KINSHIP,
        _PCA,
        _PCA_LOOSE,
        *further.JOBS,
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
