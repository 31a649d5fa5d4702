"""This project's side: its commands, its calls, and its numbers as arrays."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np

from benchmarks.agreement import Disagreement, Numbers
from benchmarks.data import COMPONENTS, COVARIATES, TRAIT, Dataset

_CLI = (sys.executable, "-m", "genome_eu.cli.main")


def frequency_command(data: Dataset, out: Path, threads: int) -> list[str]:
    return [*_CLI, "freq", str(data.cohort), "--out", str(out)]


def gwas_command(data: Dataset, out: Path, threads: int, *, missing: str) -> list[str]:
    named = ["--trait", TRAIT, "--covariates", ",".join(COVARIATES), "--missing", missing]
    return [*_CLI, "gwas", str(data.cohort), "--out", str(out), *named]


def pca_command(data: Dataset, out: Path, threads: int) -> list[str]:
    return [*_CLI, "pca", str(data.cohort), "--out", str(out), "--components", str(COMPONENTS)]


def import_command(data: Dataset, out: Path, threads: int) -> list[str]:
    source = str(data.prefix.with_suffix(".bed"))
    return [*_CLI, "import", source, str(out / "made.vcz"), "--samples", str(data.table)]


def frequency_call(data: Dataset, out: Path) -> None:
    import genome_eu

    genome_eu.open_cohort(data.cohort).frequencies()


def gwas_call(data: Dataset, out: Path, *, missing: str) -> None:
    import genome_eu

    cohort = genome_eu.open_cohort(data.cohort)
    cohort.gwas(TRAIT, covariates=COVARIATES, missing=missing)


def pca_call(data: Dataset, out: Path) -> None:
    import genome_eu

    genome_eu.open_cohort(data.cohort).pca(COMPONENTS)


def import_call(data: Dataset, out: Path) -> None:
    import genome_eu

    target = out / "made.vcz"
    shutil.rmtree(target, ignore_errors=True)
    genome_eu.import_genotypes(data.prefix.with_suffix(".bed"), target, samples=data.table)


def frequencies(data: Dataset, out: Path) -> Numbers:
    from genome_eu.formats.parquet import read_frequencies

    found = read_frequencies(out / "frequencies.parquet")
    names = ("n_hom_ref", "n_het", "n_hom_alt", "n_missing")
    return {name: found[f"variant_{name}"].values for name in names} | {
        "hwe_p": found["variant_hwe_p_value"].values
    }


def gwas(data: Dataset, out: Path) -> Numbers:
    from genome_eu.formats.parquet import read_gwas

    found = read_gwas(out / "gwas.parquet")
    names = {"beta": "beta", "se": "se", "t": "t_value", "neg_log10_p": "neg_log10_p"}
    return {name: found[f"variant_linreg_{own}"].values[:, 0] for name, own in names.items()}


def pca(data: Dataset, out: Path) -> Numbers:
    from genome_eu.formats.parquet import read_pca

    with np.load(out / "pca.scores.npz", allow_pickle=False) as kept:
        scores = kept["scores"]
    eigenvalues = read_pca(out / "pca.parquet")["sample_pca_explained_variance"].values
    return {"eigenvalues": eigenvalues, "scores": scores}


def imported(data: Dataset, out: Path) -> Numbers:
    """A digest of the VCF Zarr's genotypes, after the packed rows were found to hold the same."""
    import genome_eu

    cohort = genome_eu.open_cohort(out / "made.vcz")
    genotypes = cohort.dataset()["call_genotype"]
    whole = hashlib.sha256()
    for start in range(0, genotypes.shape[0], 5000):
        alleles = genotypes[start : start + 5000].values
        whole.update(np.ascontiguousarray(alleles).data)
        dosage = np.where((alleles < 0).any(axis=-1), -1, alleles.sum(axis=-1))
        if not np.array_equal(cohort.dosages(np.arange(start, start + len(dosage))), dosage):
            raise Disagreement("packed rows differ from the genotypes that they were made of")
    return {"call_genotype": np.frombuffer(whole.digest(), np.uint8)}
