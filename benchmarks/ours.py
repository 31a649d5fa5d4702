"""This project's side: its commands, as processes and as calls, and its numbers as arrays."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agreement import Disagreement, Numbers
from benchmarks.data import COMPONENTS, Dataset, Model

_CLI = (sys.executable, "-m", "genome_eu.cli.main")


@dataclass(frozen=True)
class Question:
    """A command of the command line: as a whole process, and as the function behind it."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def command(self, data: Dataset, out: Path, threads: int) -> list[str]:
        """The whole process."""
        words = [*_CLI, self.name, str(data.cohort), "--out", str(out)]
        for option, value in self.options.items():
            if isinstance(value, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
                continue
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{option}", str(one)]
        return words

    def call(self, data: Dataset, out: Path) -> None:
        """The same in this process: the store is opened and the files are written."""
        command = getattr(importlib.import_module(f"genome_eu.cli.{self.name}"), self.name)
        with contextlib.redirect_stdout(io.StringIO()):
            given = {option.replace("-", "_"): value for option, value in self.options.items()}
            command(str(data.cohort), out, **given)


def frequency_question(by: str = "", *, hwe: bool = True) -> Question:
    return Question("freq", {"by": by, "hwe": hwe, "formats": "parquet"})


def gwas_question(model: Model) -> Question:
    asked = {
        "trait": list(model.trait_names),
        "covariates": ",".join(model.covariate_names),
        "missing": model.missing,
    }
    if model.test is not None:
        asked |= {"model": "logistic", "test": model.test}
    return Question("gwas", {**asked, "formats": "parquet"})


def prune_question() -> Question:
    return Question("prune", {"window": "500kb", "r2": 0.2, "keep-long-range": True})


def kinship_question() -> Question:
    return Question("kinship", {"unrelated": 0.0884})


def pca_question(**options: Any) -> Question:
    return Question("pca", {"components": COMPONENTS, **options})


def import_command(data: Dataset, out: Path, threads: int) -> list[str]:
    source = str(data.prefix.with_suffix(".bed"))
    return [*_CLI, "import", source, str(out / "made.vcz"), "--samples", str(data.table)]


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


def logistic(data: Dataset, out: Path) -> Numbers:
    found = gwas(data, out, statistic="z")
    return found | {"t": found.pop("z")}


def gwas(data: Dataset, out: Path, *, statistic: str = "t") -> Numbers:
    import pyarrow.parquet as pq

    columns = ["beta", "se", statistic, "neg_log10_p"]
    # Trait after trait within a row; millions of tests are too many for anything but columns.
    found = pq.read_table(out / "gwas.parquet", columns=columns)
    shape = (data.recipe.variants, -1)
    return {name: found[name].to_numpy().reshape(shape) for name in columns}


def kept_rows(data: Dataset, out: Path) -> Numbers:
    return {"kept": np.array(sorted((out / "kept.prune.in").read_text().split()))}


def kept_people(data: Dataset, out: Path) -> Numbers:
    lines = (out / "kinship.king.cutoff.in.id").read_text().split()
    return {"kept": np.array(sorted(lines[1:]))}


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
