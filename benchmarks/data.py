"""Simulated genotypes with population structure, as a PLINK fileset and as a cohort.

Populations descend from regions, regions from one ancestor (Balding & Nichols at both steps).
Variants are independent. Frequencies of the ancestor are log-uniform from 1 % to 50 %. Everything
follows from the seed; the genotypes behind two rates of missing calls are the same.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

TRAIT = "trait"
COVARIATES = ("age", "score")
COMPONENTS = 10

_REGIONS = (0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3)  # of each population
_REGION_FST, _POPULATION_FST = 0.01, 0.006
_CAUSAL = 100
_HERITABILITY = 0.3
_CHUNK = 2000
_VERSION = 1
# Written last: a folder that has one is complete.
_RECORD = "recipe.json"

# PLINK's two bits for 0, 1 and 2 copies of ALT and for a missing call (3).
_BED_CODE = np.array([0b11, 0b10, 0b00, 0b01], dtype=np.uint8)


@dataclass(frozen=True)
class Size:
    """How many people and variants."""

    name: str
    people: int
    variants: int

    @property
    def genotypes(self) -> int:
        """People × variants."""
        return self.people * self.variants

    def __str__(self) -> str:
        return f"{self.people:,} people × {self.variants:,} variants"


SIZES = {
    size.name: size
    for size in (
        Size("small", 500, 5_000),
        Size("medium", 1_000, 10_000),
        Size("large", 2_000, 50_000),
    )
}


@dataclass(frozen=True)
class Recipe:
    """What determines a data set."""

    people: int
    variants: int
    missing: float
    seed: int
    version: int = _VERSION


@dataclass(frozen=True)
class Dataset:
    """One data set in every form that a program reads."""

    folder: Path
    recipe: Recipe

    @property
    def prefix(self) -> Path:
        """Of .bed, .bim, .fam and of .pgen, .pvar, .psam."""
        return self.folder / "genotypes"

    @property
    def table(self) -> Path:
        """Everybody's trait and covariates."""
        return self.folder / "samples.tsv"

    @property
    def trait(self) -> Path:
        """The trait as PLINK reads it."""
        return self.folder / "trait.tsv"

    @property
    def covariates(self) -> Path:
        """The covariates as PLINK reads them."""
        return self.folder / "covariates.tsv"

    @property
    def cohort(self) -> Path:
        """The cohort that this project imported; sgkit reads the same store."""
        return self.folder / "cohort.vcz"


def prepare(
    size: Size, missing: float, seed: int, work: Path, say: Callable[[str], object]
) -> Dataset:
    """Simulate and import a data set, or find the one that an earlier run left in `work`."""
    recipe = Recipe(size.people, size.variants, missing, seed)
    folder = work / f"{size.people}x{size.variants}-missing{missing:g}-seed{seed}"
    dataset = Dataset(folder, recipe)
    if (folder / _RECORD).exists() and opened(folder) == dataset:
        return dataset
    say(f"simulating {size} with {missing:.1%} missing calls")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    simulate(dataset)
    say(f"importing {size}")
    import genome_eu

    bed = dataset.prefix.with_suffix(".bed")
    genome_eu.import_genotypes(bed, dataset.cohort, samples=dataset.table, build="GRCh38")
    if shutil.which("plink2"):
        # Each program reads its own format; making it is timed as a job of its own.
        made = ["--make-pgen", "--out", str(dataset.prefix)]
        subprocess.run(
            ["plink2", "--bfile", str(dataset.prefix), *made], check=True, capture_output=True
        )
    (folder / _RECORD).write_text(json.dumps(asdict(recipe)))
    return dataset


def opened(folder: Path) -> Dataset:
    """The data set that an earlier `prepare` left in a folder."""
    return Dataset(folder, Recipe(**json.loads((folder / _RECORD).read_text())))


def simulate(dataset: Dataset) -> None:
    """Write the PLINK fileset and the tables of people."""
    recipe = dataset.recipe
    rng = np.random.default_rng([recipe.seed, recipe.people, recipe.variants])
    # Populations of different sizes, their people in turn, so that order tells nothing.
    shares = np.linspace(1.0, 2.0, len(_REGIONS))
    population = rng.choice(len(_REGIONS), size=recipe.people, p=shares / shares.sum())
    causal = np.linspace(0, recipe.variants - 1, min(_CAUSAL, recipe.variants)).astype(int)
    effects = rng.standard_normal(causal.size)

    genetic = np.zeros(recipe.people)
    with open(dataset.prefix.with_suffix(".bed"), "wb") as bed:
        bed.write(b"\x6c\x1b\x01")
        for start in range(0, recipe.variants, _CHUNK):
            stop = min(start + _CHUNK, recipe.variants)
            of_chunk = np.random.default_rng([recipe.seed, start])
            dosage = _genotypes(of_chunk, stop - start, population)
            mine = (causal >= start) & (causal < stop)
            genetic += _standardized(dosage[causal[mine] - start]).T @ effects[mine]
            _lose_calls(np.random.default_rng([recipe.seed, start, 1]), dosage, recipe.missing)
            bed.write(_bed_bytes(dosage).tobytes())
    _write_variants(dataset.prefix.with_suffix(".bim"), recipe.variants)
    _write_people(dataset, rng, population, genetic)


def _genotypes(rng: np.random.Generator, variants: int, population: NDArray) -> NDArray[np.uint8]:
    """Copies of ALT, (variants, people), from one draw each."""
    ancestral = np.exp(rng.uniform(np.log(0.01), np.log(0.5), (variants, 1)))
    region = _drifted(rng, np.repeat(ancestral, max(_REGIONS) + 1, axis=1), _REGION_FST)
    frequency = _drifted(rng, region[:, list(_REGIONS)], _POPULATION_FST)
    # Of 65,536 equally likely draws, those below the first bound are 0 and above the second 2.
    bounds = np.stack([(1 - frequency) ** 2, 1 - frequency**2])
    bounds = np.minimum(np.rint(bounds * 2**16), 2**16 - 1).astype(np.uint16)
    draw = rng.integers(0, 2**16, (variants, population.size), dtype=np.uint16)
    dosage = (draw >= bounds[0][:, population]).astype(np.uint8)
    dosage += draw >= bounds[1][:, population]
    return dosage


def _drifted(rng: np.random.Generator, frequency: NDArray, fst: float) -> NDArray:
    spread = (1 - fst) / fst
    drawn = rng.beta(frequency * spread, (1 - frequency) * spread)
    # A variant that one population lost must still vary somewhere.
    return np.clip(drawn, 0.002, 0.998)


def _lose_calls(rng: np.random.Generator, dosage: NDArray[np.uint8], rate: float) -> None:
    if rate:
        lost = rng.integers(0, dosage.size, rng.binomial(dosage.size, rate))
        dosage.reshape(-1)[lost] = 3


def _standardized(dosage: NDArray) -> NDArray:
    centred = dosage - dosage.mean(axis=1, keepdims=True)
    return centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-6)


def _bed_bytes(dosage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    variants, people = dosage.shape
    codes = np.zeros((variants, -(-people // 4) * 4), dtype=np.uint8)
    codes[:, :people] = _BED_CODE[dosage]
    packed = codes[:, 0::4].copy()
    for place in (1, 2, 3):
        packed |= codes[:, place::4] << (2 * place)
    return packed


def _write_variants(path: Path, variants: int) -> None:
    """SNPs at even distances on 22 chromosomes; A1 is ALT."""
    number = np.arange(variants)
    contig = number * 22 // variants
    pairs = np.array([("G", "A"), ("C", "T"), ("A", "C"), ("T", "G")])[number % 4]
    pd.DataFrame(
        {
            "contig": contig + 1,
            "id": [f"v{one + 1}" for one in number],
            "cm": 0,
            "position": 1000 * (number - np.searchsorted(contig, contig) + 1),
            "a1": pairs[:, 1],
            "a2": pairs[:, 0],
        }
    ).to_csv(path, sep="\t", header=False, index=False)


def _write_people(
    dataset: Dataset, rng: np.random.Generator, population: NDArray, genetic: NDArray
) -> None:
    people = population.size
    ids = [f"P{one + 1:06d}" for one in range(people)]
    age = rng.integers(20, 80, people)
    score = rng.standard_normal(people).round(6)
    genetic = genetic / max(float(genetic.std()), 1e-12)
    rest = 0.02 * (age - 50) + 0.3 * score + rng.standard_normal(people)
    trait = np.sqrt(_HERITABILITY) * genetic + np.sqrt(1 - _HERITABILITY) * rest
    table = pd.DataFrame(
        {
            "sample_id": ids,
            "population": [f"POP{one + 1:02d}" for one in population],
            "age": age,
            "score": score,
            TRAIT: trait.round(9),
        }
    )
    fam = pd.DataFrame({"fid": "0", "iid": ids, "father": "0", "mother": "0", "sex": 0, "y": -9})
    fam.to_csv(dataset.prefix.with_suffix(".fam"), sep="\t", header=False, index=False)
    table.to_csv(dataset.table, sep="\t", index=False)
    for_plink = table.rename(columns={"sample_id": "#IID"})
    for_plink[["#IID", TRAIT]].to_csv(dataset.trait, sep="\t", index=False)
    for_plink[["#IID", *COVARIATES]].to_csv(dataset.covariates, sep="\t", index=False)
