"""This project's side: its commands, as processes and as calls, and its numbers as arrays."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.agreement import Disagreement, Numbers
from benchmarks.data import COMPONENTS, Dataset, Model

_CLI = (sys.executable, "-m", "genome_eu.cli.main")

Target: TypeAlias = Callable[[Dataset], Path | list[Path]]


def _cohort(data: Dataset) -> Path:
    return data.cohort


@dataclass(frozen=True)
class Question:
    """A command of the command line: as a whole process, and inside this one.

    It is asked of `target`; the value of an option may be a function of the data set.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    target: Target = _cohort

    def command(self, data: Dataset, out: Path, threads: int) -> list[str]:
        """The whole process."""
        return [*_CLI, *self._words(data, out)]

    def call(self, data: Dataset, out: Path) -> None:
        """The same in this process: the store is opened and the files are written."""
        with contextlib.redirect_stdout(io.StringIO()):
            _commands().main(self._words(data, out), standalone_mode=False)

    def _words(self, data: Dataset, out: Path) -> list[str]:
        target = self.target(data)
        whom = target if isinstance(target, list) else [target]
        words = [self.name, *map(str, whom), "--out", str(out)]
        for option, given in self.options.items():
            value = given(data) if callable(given) else given
            if isinstance(value, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
                continue
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{option}", str(one)]
        return words


@cache
def _commands() -> Any:
    """All commands, as a process of the command line makes them before anything else."""
    from typer.main import get_command

    from genome_eu.cli.main import app

    return get_command(app)


def frequency_question(by: str = "", *, hwe: bool = True) -> Question:
    return Question("freq", {"by": by, "hwe": hwe, "formats": "parquet"})


def gwas_question(fit: Model, target: Target = _cohort, **more: Any) -> Question:
    asked = {
        "trait": list(fit.trait_names),
        "covariates": ",".join(fit.covariate_names),
        "missing": fit.missing,
    }
    if fit.test is not None:
        asked |= {"model": "logistic", "test": fit.test}
    return Question("gwas", {**asked, **more, "formats": "parquet"}, target)


def prune_question() -> Question:
    return Question("prune", {"window": "500kb", "r2": 0.2, "keep-long-range": True})


def kinship_question() -> Question:
    return Question("kinship", {"unrelated": 0.0884})


def pca_question(**options: Any) -> Question:
    return Question("pca", {"components": COMPONENTS, **options})


def bed(data: Dataset) -> Path:
    return data.prefix.with_suffix(".bed")


def import_command(
    data: Dataset, out: Path, threads: int, *, source: Callable[[Dataset], Path] = bed
) -> list[str]:
    made = str(out / "made.vcz")
    return [*_CLI, "import", str(source(data)), made, "--samples", str(data.table)]


def import_call(data: Dataset, out: Path, *, source: Callable[[Dataset], Path] = bed) -> None:
    import genome_eu

    target = out / "made.vcz"
    shutil.rmtree(target, ignore_errors=True)
    genome_eu.import_genotypes(source(data), target, samples=data.table)


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


def gwas(data: Dataset, out: Path, *, statistic: str = "t", traits: int | None = None) -> Numbers:
    import pyarrow.parquet as pq

    columns = ["beta", "se", statistic, "neg_log10_p"]
    # Trait after trait within a row; millions of tests are too many for anything but columns.
    found = pq.read_table(out / "gwas.parquet", columns=columns)
    shape = (data.recipe.variants, -1) if traits is None else (-1, traits)
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


def imported_dosages(data: Dataset, out: Path) -> Numbers:
    import genome_eu

    found = genome_eu.open_cohort(out / "made.vcz").dosage_frequencies()
    return _dosages(found)


def dosages(data: Dataset, out: Path) -> Numbers:
    from genome_eu.formats.parquet import read_dosages

    return _dosages(read_dosages(out / "dosages.parquet"))


def _dosages(found: Any) -> Numbers:
    return {
        "alleles": found["variant_allele_total"].values,
        "frequency": found["variant_allele_frequency"].values[:, 1],
        "imputation r²": found["variant_imputation_r2"].values,
    }


def group_frequencies(data: Dataset, out: Path) -> Numbers:
    """Counts (variants, groups), groups in the order of their names."""
    from genome_eu.formats.parquet import read_frequencies

    found = read_frequencies(out / "frequencies.parquet")
    order = np.argsort(found["cohort_id"].values.astype(str))
    names = ("n_hom_ref", "n_het", "n_hom_alt", "n_missing")
    return {name: found[f"cohort_{name}"].values[:, order] for name in names}


def fst(data: Dataset, out: Path) -> Numbers:
    return {"F_ST": between_pairs(out / "frequencies.fst.summary")}


def between_pairs(path: Path) -> NDArray:
    """F_ST of every pair in a `.fst.summary`, pairs in the order of their names."""
    found = pd.read_csv(path, sep="\t")
    pairs = [tuple(sorted(pair)) for pair in zip(found["#POP1"], found["POP2"], strict=True)]
    order = sorted(range(len(pairs)), key=pairs.__getitem__)
    return found["HUDSON_FST"].to_numpy(float)[order]


def quality(data: Dataset, out: Path) -> Numbers:
    people = pd.read_csv(out / "qc.people.tsv", sep="\t")
    rows = pd.read_parquet(out / "qc.variants.parquet")
    missing = np.rint((1 - rows["call_rate"].to_numpy()) * data.recipe.people)
    return {
        "people's calls": people["n_called"].to_numpy(),
        "homozygotes": people["n_hom"].to_numpy(),
        "transitions": people["n_transitions"].to_numpy(),
        "expected homozygotes": people["expected_hom"].to_numpy(float),
        "F": people["inbreeding_coefficient"].to_numpy(float),
        "rows' missing calls": missing.astype(int),
        "MAF": rows["minor_allele_frequency"].to_numpy(),
        "HWE p": 10 ** -rows["hwe_neg_log10_p"].to_numpy(),
    }


def scores(data: Dataset, out: Path) -> Numbers:
    found = pd.read_csv(out / "score.sscore", sep="\t").filter(regex="ALLELE_CT|_AVG|_SUM$")
    alleles, _, average, whole = found.to_numpy(float).T
    return {"alleles": alleles.astype(int), "sum": whole, "average": average}


def projected(data: Dataset, out: Path) -> Numbers:
    with np.load(out / "pca.scores.npz", allow_pickle=False) as kept:
        return {"scores": kept["scores"]}


def combined(data: Dataset, out: Path) -> Numbers:
    found = pd.read_parquet(out / "meta.parquet")
    found = found.assign(contig=found["contig"].astype(int)).sort_values(["contig", "position"])
    return {
        "beta": found["beta"].to_numpy(),
        "random beta": found["random_beta"].to_numpy(),
        "p": 10 ** -found["neg_log10_p"].to_numpy(),
        "random p": 10 ** -found["random_neg_log10_p"].to_numpy(),
        "tail of Q": 10 ** -found["q_neg_log10_p"].to_numpy(),
    }


def clumps(data: Dataset, out: Path) -> Numbers:
    """How many rows each clump has, by the name of the row it is named after."""
    found = pd.read_csv(out / "clumps.clumps", sep="\t").sort_values("ID")
    return {"clumps": found["ID"].to_numpy(str), "members": found["TOTAL"].to_numpy(int)}


def clumped_rows(data: Dataset, out: Path) -> Numbers:
    """Rows that are named in clumps, after the row that each clump is named after."""
    return {"pairs": named_pairs(pd.read_csv(out / "clumps.clumps", sep="\t"), "ID")}


def named_pairs(found: pd.DataFrame, index: str) -> NDArray:
    """Pairs of rows from a column of lists; PLINK 1.9 puts the number of a file behind each."""
    pairs = []
    for name, listed in zip(found[index], found["SP2"].astype(str), strict=True):
        rows = [one.removesuffix("(1)") for one in listed.split(",")]
        pairs += [f"{name} {row}" for row in (name, *rows) if row not in (".", "NONE", "nan")]
    return np.array(pairs)
