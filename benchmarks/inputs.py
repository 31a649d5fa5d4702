"""What some questions need beside genotypes and people: made once, kept with the data set.

Every function gives the path of a file or folder, and makes it where it is not there yet.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import bgen
from benchmarks.data import COMPONENTS, COVARIATES, TRAITS, Dataset, variant_table
from benchmarks.derived import linked, made, plink2
from benchmarks.ours import Question, pca_question

# Effects lie in millions of variants of which a study has all; genotypes need not be simulated.
STUDIES, STUDY_VARIANTS = 3, 10
# Two covariates are enough for p-values to make clumps of.
_ADJUSTED = COVARIATES[:2]
# Loadings to project on are given; how they were found is no part of the question.
_TOLERANCE = 1e-3
_CHUNK = 1_000


def populations(data: Dataset) -> Path:
    """Everybody's population as PLINK reads it."""

    def write(path: Path) -> None:
        people = pd.read_csv(data.table, sep="\t", usecols=["sample_id", "population"])
        people.rename(columns={"sample_id": "#IID"}).to_csv(path, sep="\t", index=False)

    return made(data, "populations.tsv", write)


def weights(data: Dataset) -> Path:
    """A weight of every variant, of REF for every third: lines of ID, allele and weight."""

    def write(path: Path) -> None:
        rng = np.random.default_rng([data.recipe.seed, 2])
        rows = variant_table(data.recipe.variants)
        allele = np.where(np.arange(len(rows)) % 3, rows["a1"], rows["a2"])
        weight = rng.standard_normal(len(rows)).round(6)
        table = pd.DataFrame({"ID": rows["id"], "A1": allele, "score": weight})
        table.to_csv(path, sep="\t", index=False)

    return made(data, "weights.tsv", write)


def studies(data: Dataset) -> list[Path]:
    """Summary statistics of studies, as PLINK 2 writes them, with ten times the variants.

    The last study names the alleles of every third variant the other way round.
    """

    def write(folder: Path) -> None:
        folder.mkdir()
        rng = np.random.default_rng([data.recipe.seed, 3])
        rows = variant_table(STUDY_VARIANTS * data.recipe.variants)
        true = rng.normal(0, 0.5, len(rows)) * (np.arange(len(rows)) % 5 == 0)
        for number in range(STUDIES):
            se = rng.uniform(0.1, 1.0, len(rows))
            beta = true + se * rng.standard_normal(len(rows))
            turned = (np.arange(len(rows)) % 3 == 0) & (number == STUDIES - 1)
            table = pd.DataFrame({"#CHROM": rows["contig"], "POS": rows["position"]})
            table["ID"] = rows["id"]
            table["REF"] = np.where(turned, rows["a1"], rows["a2"])
            table["ALT"] = table["A1"] = np.where(turned, rows["a2"], rows["a1"])
            table["OBS_CT"] = 1000 * (number + 1)
            table["BETA"], table["SE"] = np.where(turned, -beta, beta), se
            table.to_csv(_study(folder, number), sep="\t", index=False, float_format="%.6g")

    folder = made(data, "studies", write)
    return [_study(folder, number) for number in range(STUDIES)]


def _study(folder: Path, number: int) -> Path:
    return folder / f"study{number + 1}.tsv"


def imputed_bgen(data: Dataset) -> Path:
    """The genotypes as if imputed: probabilities of 8 bits, of which a third are not certain."""

    def write(path: Path) -> None:
        import genome_eu

        cohort = genome_eu.open_cohort(data.cohort)
        rows, variants = variant_table(data.recipe.variants), data.recipe.variants
        with bgen.Writer(path, list(cohort.samples.index), variants) as file:
            for start in range(0, variants, _CHUNK):
                chosen = np.arange(start, min(start + _CHUNK, variants))
                rng = np.random.default_rng([data.recipe.seed, start, 4])
                numerators = bgen.uncertain(rng, cohort.dosages(chosen))
                for row, values in zip(rows.iloc[chosen].itertuples(), numerators, strict=True):
                    file.append(str(row.contig), row.position, row.id, (row.a2, row.a1), values)

    return made(data, "imputed.bgen", write)


def imputed_cohort(data: Dataset) -> Path:
    """The same, imported by this project."""

    def write(path: Path) -> None:
        import genome_eu

        source = imputed_bgen(data)
        genome_eu.import_genotypes(source, path, samples=data.table, build="GRCh38")

    return made(data, "imputed.vcz", write)


def imputed_pgen(data: Dataset) -> Path:
    """The same, imported by PLINK; the folder of its fileset `imputed`."""

    def write(folder: Path) -> None:
        folder.mkdir()
        source = ("--bgen", imputed_bgen(data), "ref-first")
        plink2(*source, "--make-pgen", "--out", folder / "imputed")

    return made(data, "imputed", write)


def reference(data: Dataset) -> Path:
    """The folder of a PCA of everybody, whose loadings are there for PLINK too."""

    def write(folder: Path) -> None:
        from genome_eu.formats.parquet import read_pca

        pca_question(tolerance=_TOLERANCE).call(data, folder)
        plink2("--pfile", data.prefix, "--freq", "counts", "--out", folder / "plink")
        loadings = read_pca(folder / "pca.parquet")["sample_pca_component"].values
        used = np.any(loadings != 0, axis=1)
        rows = variant_table(data.recipe.variants)
        table = pd.DataFrame(loadings, columns=[f"PC{one + 1}" for one in range(COMPONENTS)])
        table.insert(0, "ID", rows["id"])
        table.insert(1, "A1", rows["a1"])
        written = folder / "plink.loadings"
        table[used].to_csv(written, sep="\t", index=False, float_format="%.12g")

    return made(data, "reference", write)


def association(data: Dataset) -> Path:
    """The folder of a GWAS of the first trait, whose p-values are there for PLINK 1.9 too."""

    def write(folder: Path) -> None:
        import pyarrow.parquet as pq

        asked = {"trait": [TRAITS[0]], "covariates": ",".join(_ADJUSTED), "formats": "parquet"}
        Question("gwas", asked).call(data, folder)
        found = pq.read_table(folder / "gwas.parquet", columns=["id", "p"]).to_pandas()
        found = found.dropna().rename(columns={"id": "SNP", "p": "P"})
        found.to_csv(folder / "plink.assoc", sep="\t", index=False, float_format="%.17g")

    return made(data, "association", write)


def linked_association(data: Dataset) -> Path:
    """The same of genotypes in linkage disequilibrium."""
    return association(linked(data))
