"""Simulated genotypes with population structure, as a PLINK fileset and as a cohort.

Populations descend from regions, regions from one ancestor (Balding & Nichols at both steps).
Variants are independent. Frequencies of the ancestor are log-uniform from 1 % to 50 %. Everything
follows from the seed; the genotypes behind two rates of missing calls are the same. A size that is
tiled repeats the genotypes of a smaller one, under other positions, in a cohort store only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.tile import write_tiled

TRAITS = ("trait", *(f"t{one:03d}" for one in range(2, 201)))
COVARIATES = ("age", "score", *(f"x{one:02d}" for one in range(3, 13)))
# A binary trait: the fifth of people with the highest liability, which is the first trait's.
CASES, _PREVALENCE = "cases", 0.2
COMPONENTS = 10

_REGIONS = (0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3)  # of each population
_REGION_FST, _POPULATION_FST = 0.01, 0.006
_CAUSAL = 100
_HERITABILITY = 0.3
_CHUNK = 2000
_VERSION = 3
# Written last: a folder that has one is complete.
_RECORD = "recipe.json"

# PLINK's two bits for 0, 1 and 2 copies of ALT and for a missing call (3).
_BED_CODE = np.array([0b11, 0b10, 0b00, 0b01], dtype=np.uint8)


@dataclass(frozen=True)
class Size:
    """How many people and variants; where it is tiled, of how many variants the tile is."""

    name: str
    people: int
    variants: int
    tile: int | None = None

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
        Size("billion", 10_000, 100_000),
        Size("ten-billion", 10_000, 1_000_000, tile=100_000),
    )
}


@dataclass(frozen=True)
class Model:
    """A GWAS: the first so many traits and covariates, and what becomes of missing calls.

    A binary one has the one binary trait, by the test that `test` names.
    """

    traits: int = 1
    covariates: int = 2
    missing: str = "mean"
    test: str | None = None

    @property
    def trait_names(self) -> tuple[str, ...]:
        """Columns of the table of people."""
        return TRAITS[: self.traits] if self.test is None else (CASES,)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Columns of the table of people."""
        return COVARIATES[: self.covariates]


@dataclass(frozen=True)
class Recipe:
    """What determines a data set."""

    people: int
    variants: int
    missing: float
    seed: int
    tile: int | None = None
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
    def traits(self) -> Path:
        """The traits as PLINK reads them."""
        return self.folder / "traits.tsv"

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
    recipe = Recipe(size.people, size.variants, missing, seed, size.tile)
    tiled = f"-tile{size.tile}" if size.tile else ""
    name = f"{size.people}x{size.variants}{tiled}-missing{missing:g}-seed{seed}"
    dataset = Dataset(work / name, recipe)
    if (dataset.folder / _RECORD).exists() and opened(dataset.folder) == dataset:
        return dataset
    shutil.rmtree(dataset.folder, ignore_errors=True)
    dataset.folder.mkdir(parents=True)
    if size.tile:
        whole = replace(size, variants=size.tile, tile=None)
        tile = prepare(whole, missing, seed, work, say)
        say(f"tiling {size}")
        write_tiled(tile.cohort, dataset.cohort, variant_table(size.variants))
    else:
        _simulate_and_import(size, dataset, say)
    (dataset.folder / _RECORD).write_text(json.dumps(asdict(recipe)))
    return dataset


def _simulate_and_import(size: Size, dataset: Dataset, say: Callable[[str], object]) -> None:
    import genome_eu

    say(f"simulating {size} with {dataset.recipe.missing:.1%} missing calls")
    simulate(dataset)
    say(f"importing {size}")
    bed = dataset.prefix.with_suffix(".bed")
    genome_eu.import_genotypes(bed, dataset.cohort, samples=dataset.table, build="GRCh38")
    if shutil.which("plink2"):
        # Each program reads its own format; making it is timed as a job of its own.
        made = ["--make-pgen", "--out", str(dataset.prefix)]
        subprocess.run(
            ["plink2", "--bfile", str(dataset.prefix), *made], check=True, capture_output=True
        )


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
    effects = rng.standard_normal((causal.size, len(TRAITS)))

    genetic = np.zeros((recipe.people, len(TRAITS)))
    with open(dataset.prefix.with_suffix(".bed"), "wb") as bed:
        bed.write(b"\x6c\x1b\x01")
        for start in range(0, recipe.variants, _CHUNK):
            stop = min(start + _CHUNK, recipe.variants)
            of_chunk = np.random.default_rng([recipe.seed, start])
            dosage = simulated_calls(of_chunk, stop - start, population)
            mine = (causal >= start) & (causal < stop)
            genetic += _standardized(dosage[causal[mine] - start]).T @ effects[mine]
            lose_calls(np.random.default_rng([recipe.seed, start, 1]), dosage, recipe.missing)
            bed.write(bed_bytes(dosage).tobytes())
    bim = dataset.prefix.with_suffix(".bim")
    variant_table(recipe.variants).to_csv(bim, sep="\t", header=False, index=False)
    _write_people(dataset, rng, population, genetic)


def simulated_calls(
    rng: np.random.Generator, variants: int, population: NDArray
) -> NDArray[np.uint8]:
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


def lose_calls(rng: np.random.Generator, dosage: NDArray[np.uint8], rate: float) -> None:
    if rate:
        lost = rng.integers(0, dosage.size, rng.binomial(dosage.size, rate))
        dosage.reshape(-1)[lost] = 3


def _standardized(dosage: NDArray) -> NDArray:
    centred = dosage - dosage.mean(axis=1, keepdims=True)
    return centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-6)


def bed_bytes(dosage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    variants, people = dosage.shape
    codes = np.zeros((variants, -(-people // 4) * 4), dtype=np.uint8)
    codes[:, :people] = _BED_CODE[dosage]
    packed = codes[:, 0::4].copy()
    for place in (1, 2, 3):
        packed |= codes[:, place::4] << (2 * place)
    return packed


def variant_table(variants: int) -> pd.DataFrame:
    """SNPs at even distances on 22 chromosomes, as the columns of a .bim file; A1 is ALT."""
    number = np.arange(variants)
    contig = number * 22 // variants
    pairs = np.array([("G", "A"), ("C", "T"), ("A", "C"), ("T", "G")])[number % 4]
    return pd.DataFrame(
        {
            "contig": contig + 1,
            "id": [f"v{one + 1}" for one in number],
            "cm": 0,
            "position": 1000 * (number - np.searchsorted(contig, contig) + 1),
            "a1": pairs[:, 1],
            "a2": pairs[:, 0],
        }
    )


def _write_people(
    dataset: Dataset, rng: np.random.Generator, population: NDArray, genetic: NDArray
) -> None:
    people, traits = genetic.shape
    ids = [f"P{one + 1:06d}" for one in range(people)]
    age = rng.integers(20, 80, people)
    others = rng.standard_normal((people, len(COVARIATES) - 1)).round(6)
    covariates = np.column_stack([age, others])
    genetic = genetic / np.maximum(genetic.std(axis=0), 1e-12)
    known = (covariates - [50, *[0] * others.shape[1]]) * [0.02, *[0.1] * others.shape[1]]
    rest = known.sum(axis=1, keepdims=True) + rng.standard_normal((people, traits))
    values = np.sqrt(_HERITABILITY) * genetic + np.sqrt(1 - _HERITABILITY) * rest
    liability = values[:, 0]
    cases = liability > np.quantile(liability, 1 - _PREVALENCE)
    table = pd.concat(
        [
            pd.DataFrame(
                {"sample_id": ids, "population": [f"POP{one + 1:02d}" for one in population]}
            ),
            pd.DataFrame(covariates, columns=list(COVARIATES)).astype({"age": int}),
            pd.DataFrame(values.round(9), columns=list(TRAITS)),
            pd.DataFrame({CASES: cases.astype(int)}),
        ],
        axis=1,
    )
    fam = pd.DataFrame({"fid": "0", "iid": ids, "father": "0", "mother": "0", "sex": 0, "y": -9})
    fam.to_csv(dataset.prefix.with_suffix(".fam"), sep="\t", header=False, index=False)
    table.to_csv(dataset.table, sep="\t", index=False)
    for_plink = table.rename(columns={"sample_id": "#IID"})
    # PLINK has controls 1 and cases 2.
    for_plink[CASES] += 1
    for_plink[["#IID", *TRAITS, CASES]].to_csv(dataset.traits, sep="\t", index=False)
    for_plink[["#IID", *COVARIATES]].to_csv(dataset.covariates, sep="\t", index=False)
