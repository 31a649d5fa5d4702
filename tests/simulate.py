"""Simulated cohorts for tests: genotypes with structure and missing calls, people, and stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import genome_eu as ge
from genome_eu.cohort import CohortStore, open_store
from genome_eu.disclosure.policy import load_policy
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.plan import ROWS_PER_SHARD
from genome_eu.federation.site import Site
from genome_eu.kernels import (
    HaploidBlock,
    HaploidCalls,
    PackedBlock,
    backend,
    pack,
    pack_genotypes,
)
from genome_eu.kernels import (
    haploid_block as as_haploid,
)
from genome_eu.kernels.dense import MISSING, ONE, DenseBlock, dense_backend
from tests.cohort.bgen_files import BgenVariant, write_bgen
from tests.cohort.genotype_files import write_plink

#: Rows of every simulated cohort that are not polymorphic or hardly called, by what they are.
SPECIAL_ROWS = {"nobody carries": 0, "all carry twice": 1, "all missing": 2, "one carrier": 3}


@dataclass(frozen=True)
class SimulatedCohort:
    """Genotypes (rows, people; −1 is missing), the table of their people, and their store."""

    dosage: np.ndarray
    people: pd.DataFrame
    store: CohortStore

    def column(self, name: str) -> np.ndarray:
        """A column of the table as numbers; F is 2 and M is 1."""
        return self.people[name].replace({"M": 1.0, "F": 2.0}).to_numpy(dtype=float)

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """Columns as a matrix (people, columns)."""
        columns = [self.column(name) for name in names]
        return np.column_stack(columns) if columns else np.empty((len(self.people), 0))


def dosages(rows: int, people: int, missing: float, seed: int, groups: int = 3) -> np.ndarray:
    """Dosages of people from `groups` populations in turn, with a share of calls missing.

    The first rows are those of `SPECIAL_ROWS`.
    """
    rng = np.random.default_rng(seed)
    ancestral = rng.uniform(0.1, 0.9, (rows, 1))
    frequency = np.clip(ancestral + rng.normal(0, 0.2, (rows, groups)), 0.03, 0.97)
    dosage = rng.binomial(2, frequency[:, np.arange(people) % groups]).astype(np.int8)
    dosage[: len(SPECIAL_ROWS)] = 0
    dosage[SPECIAL_ROWS["all carry twice"]] = 2
    dosage[SPECIAL_ROWS["one carrier"], people // 2] = 1
    lost = rng.random(dosage.shape) < missing
    lost[SPECIAL_ROWS["one carrier"]] = False
    dosage[lost] = -1
    dosage[SPECIAL_ROWS["all missing"]] = -1
    return dosage


def people(dosage: np.ndarray, seed: int) -> pd.DataFrame:
    """A table of people: two covariates with values for all, traits that lack different people.

    Years are far from 0, so that sums of their squares would lose digits without an origin.
    """
    rng = np.random.default_rng(seed)
    n = dosage.shape[1]
    age = rng.integers(20, 90, n).astype(float)
    sex = rng.choice(["M", "F"], n)
    causal = np.maximum(dosage[len(SPECIAL_ROWS)], 0)
    complete = 100 + 0.2 * age + 3.0 * (sex == "M") + 2.0 * causal + rng.normal(0, 3, n)
    table = pd.DataFrame(
        {
            "sex": sex,
            "age": age,
            "birth_year": 2020.0 - age + rng.integers(-3, 3, n),
            "centre": np.array(["north", "south", "west"])[np.arange(n) // 2 % 3],
            "complete": complete,
            "some_lack_it": np.where(rng.random(n) < 0.1, np.nan, rng.normal(5, 1, n)),
            "others_lack_it": np.where(rng.random(n) < 0.2, np.nan, rng.normal(0, 1e-3, n)),
            "case": (complete + rng.normal(0, 6, n) > np.median(complete)).astype(float),
        },
        index=pd.Index([f"P{number:04d}" for number in range(n)], name="sample_id"),
    )
    # Text and back, as it comes from a file, so that oracles see the very same numbers.
    return table.round(6)


def write_store(folder: Path, dosage: np.ndarray, table: pd.DataFrame, name: str = "sim") -> Path:
    """Write a PLINK fileset and a sample table, import them, and return the store's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = len(dosage)
    variants = [(str(1 + 2 * j // rows), f"v{j}", 1000 + 10 * j, "A", "G") for j in range(rows)]
    bed = write_plink(folder / name, [(one, one, 0) for one in table.index], variants, dosage)
    samples = folder / f"{name}.tsv"
    table.to_csv(samples, sep="\t", na_rep="NA")
    return ge.import_genotypes(bed, folder / f"{name}.vcz", samples=samples).path


def cohort(
    folder: Path, *, rows: int, people_number: int, missing: float, seed: int
) -> SimulatedCohort:
    """A simulated cohort in a store of its own."""
    dosage = dosages(rows, people_number, missing, seed)
    table = people(dosage, seed + 1)
    path = write_store(folder, dosage, table)
    return SimulatedCohort(dosage, table, open_store(path))


#: Rows of every imputed cohort that do not vary, or of which nothing is known.
IMPUTED_SPECIAL_ROWS = {"nobody carries": 0, "everybody the same": 1, "all missing": 2}


def probabilities(rows: int, people: int, missing: float, seed: int, bits: int = 8) -> np.ndarray:
    """What a BGEN file holds of imputed genotypes: numerators (rows, people, 2), −1 if missing.

    Some rows are imputed well and some hardly; a few people's genotypes are certain.
    """
    rng = np.random.default_rng(seed)
    true = np.maximum(dosages(rows, people, 0.0, seed), 0)
    certainty = rng.choice([1.0, 6.0, 60.0], (rows, 1))
    weight = rng.gamma(0.2 + certainty[..., None] * (true[..., None] == np.arange(3)))
    most = 2**bits - 1
    numerators = np.floor(most * weight[..., :2] / weight.sum(axis=2, keepdims=True))
    certain = rng.random((rows, people)) < 0.2
    numerators[certain] = most * np.stack([true == 0, true == 1], axis=-1)[certain]
    numerators[IMPUTED_SPECIAL_ROWS["nobody carries"]] = [most, 0]
    numerators[IMPUTED_SPECIAL_ROWS["everybody the same"]] = [most // 3, most // 5]
    numerators[rng.random((rows, people)) < missing] = -1
    numerators[IMPUTED_SPECIAL_ROWS["all missing"]] = -1
    return numerators.astype(np.int64)


def imputed(
    folder: Path, *, rows: int, people_number: int, missing: float, seed: int
) -> SimulatedCohort:
    """A simulated cohort that came from a BGEN file; `dosage` holds fractions."""
    folder.mkdir(parents=True, exist_ok=True)
    numerators = probabilities(rows, people_number, missing, seed)
    table = people(np.where(numerators[..., 0] < 0, -1, numerators[..., 1] // 100), seed + 1)
    variants = [
        BgenVariant(row, contig=str(1 + 2 * j // rows), position=1000 + 10 * j, rsid=f"v{j}")
        for j, row in enumerate(numerators)
    ]
    bgen = write_bgen(folder / "imputed.bgen", variants, people=list(table.index))
    table.to_csv(folder / "imputed.tsv", sep="\t", na_rep="NA")
    path = ge.import_genotypes(bgen, folder / "imputed.vcz", samples=folder / "imputed.tsv").path
    store = open_store(path)
    return SimulatedCohort(store.read_dosages(slice(None)).dosages(), table, store)


def split(
    simulated: SimulatedCohort,
    site: np.ndarray,
    *,
    block_size: int | None = None,
    rows_per_shard: int = ROWS_PER_SHARD,
    policy: str = "open-data",
) -> Federation:
    """The people of one store as sites of a federation; `site` names the site of each person."""
    rules = load_policy(policy)
    sites = {
        str(name): Site(
            str(name), simulated.store, rules, people=site == name, block_size=block_size
        )
        for name in np.unique(site)
    }
    return Federation("test", Memory(sites), tuple(sites), rows_per_shard=rows_per_shard)


def dense(dosage: np.ndarray, kernels: str = "cpu") -> DenseBlock:
    """Fractional dosages, −1 where missing, as the block that statistics are handed."""
    codes = np.where(dosage < 0, MISSING, np.rint(dosage * ONE)).astype(np.uint16)
    return DenseBlock(codes, dosage.shape[1], dense_backend(kernels))


def haploid_dense(dosage: np.ndarray, haploid: np.ndarray, *, halved: bool = False) -> HaploidBlock:
    """Dosages of 0 to 2 as the block that statistics get where some people are haploid."""
    block = dense(dosage)
    return HaploidBlock(block, block, HaploidCalls(haploid, halved))


def block(dosage: np.ndarray, kernels: str = "cpu") -> PackedBlock:
    """Dosages as the packed block that statistics are handed."""
    return PackedBlock(pack(dosage.astype(np.int8)), dosage.shape[1], backend(kernels))


def haploid_block(
    alleles: np.ndarray, haploid: np.ndarray, *, halved: bool = False
) -> HaploidBlock:
    """Biallelic calls (sites, people, 2) as the block that statistics get where some are haploid."""
    packed = pack_genotypes(alleles, np.ones(len(alleles), int))
    calls = HaploidCalls(haploid, halved)
    return as_haploid(PackedBlock(packed, len(haploid), backend("cpu")), calls)
