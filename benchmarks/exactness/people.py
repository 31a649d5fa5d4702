"""People of several sites, simulated for the suite `exact`: small, and awkward on purpose.

The table of people has a column for every way to spread them over sites. Folds of a whole-genome
regression are runs of a site's people in their order, so either half of the people is spread alike:
then the folds of the sites together are those of everybody.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.data import bed_bytes, lose_calls, simulated_calls

PEOPLE, ROWS, IMPUTED_ROWS = 2424, 180, 60
CHROMOSOMES, POPULATIONS, REGIONS = 4, 12, 4
#: People of the small site, and how many of them are among the cases of the rare trait.
SMALL, _SMALL_CASES = 30, 2
#: Cases of the rare trait, 1 for 100 controls.
RARE_CASES = PEOPLE // 101
_RUNS = (("X", 50_000_000, 24), ("Y", 10_000_000, 12), ("MT", 300, 12))
_STRAND = dict(zip("ACGT", "TGCA", strict=True))
_MISSING = 3
# Written last: a folder that has it, of this version, is complete.
_WHOLE, _VERSION = "complete", "1"
_NOBODY, _ONE_CARRIER, _NOT_CALLED = 20, 70, 120


@dataclass(frozen=True)
class Split:
    """How people are spread: over so many sites, evenly or with one that has few."""

    sites: int
    small: bool = False

    @property
    def column(self) -> str:
        """Of the table of people."""
        return f"sites_{self.sites}" + "_one_small" * self.small

    def __str__(self) -> str:
        return f"{self.sites}, one of {SMALL} people" if self.small else str(self.sites)

    def place(self) -> NDArray[np.int64]:
        """The site of each person; the small one is the last."""
        half = np.arange(PEOPLE // 2)
        one = half % self.sites
        if self.small:
            one = np.where(half < SMALL // 2, self.sites - 1, half % (self.sites - 1))
        return np.tile(one, 2)


SPLITS = tuple(
    Split(sites, small) for small in (False, True) for sites in (1, 2, 3, 7) if sites > small
)


@dataclass(frozen=True, eq=False)
class People:
    """Cohorts of the same people: calls, calls written otherwise, haploid calls, and dosages."""

    folder: Path
    missing: float

    @cached_property
    def calls(self) -> Any:
        """Rows on autosomes."""
        return self._opened("calls")

    @cached_property
    def exchanged(self) -> Any:
        """A third with REF and ALT exchanged, a third on the other strand; some absent."""
        return self._opened("exchanged")

    @cached_property
    def haploid(self) -> Any:
        """Rows on X, Y and MT."""
        return self._opened("haploid")

    @cached_property
    def imputed(self) -> Any:
        """Dosages."""
        return self._opened("imputed")

    @cached_property
    def dosage(self) -> NDArray[np.int8]:
        """Copies of ALT on autosomes, (rows, people); −1 where missing."""
        found: NDArray[np.int8] = self.calls.dosages(np.arange(len(self.calls.rows)))
        return found

    @cached_property
    def imputed_dosage(self) -> NDArray[np.float64]:
        """Expected copies of ALT, (rows, people); −1 where missing."""
        from genome_eu.cohort import open_store

        found = open_store(self.imputed.path).read_dosages(slice(None)).dosages()
        return np.asarray(found, np.float64)

    @property
    def table(self) -> pd.DataFrame:
        """The table of people."""
        found: pd.DataFrame = self.calls.samples
        return found

    def _opened(self, name: str) -> Any:
        import genome_eu

        return genome_eu.open_cohort(self.folder / f"{name}.vcz")


def simulate(folder: Path, missing: float, seed: int) -> People:
    """Write and import everything, with this share of calls missing; or find what is there."""
    if (folder / _WHOLE).exists() and (folder / _WHOLE).read_text() == _VERSION:
        return People(folder, missing)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = np.random.default_rng([seed, round(1000 * missing)])
    population = np.random.default_rng(seed).integers(0, POPULATIONS, PEOPLE)
    calls = _in_disequilibrium(rng, simulated_calls(rng, ROWS, population))
    table = _table(np.random.default_rng([seed, 1]), population, calls)
    samples = folder / "samples.tsv"
    table.to_csv(samples, sep="\t", index=False, na_rep="NA")
    true = calls.copy()
    calls[_NOBODY] = 0
    calls[_ONE_CARRIER] = np.arange(PEOPLE) == PEOPLE // 3
    lose_calls(rng, calls, missing)
    calls[_NOT_CALLED] = _MISSING
    rows = _rows()
    _import(folder, "calls", rows, calls, table)
    _import(folder, "exchanged", *_exchanged(rows, calls), table)
    _import(folder, "haploid", *_haploid(rng, table["sex"].to_numpy(), missing), table)
    _import_dosages(folder, rng, rows[:IMPUTED_ROWS], true[:IMPUTED_ROWS], missing)
    (folder / _WHOLE).write_text(_VERSION)
    return People(folder, missing)


def _in_disequilibrium(rng: np.random.Generator, calls: NDArray) -> NDArray:
    """Two rows of three resemble the row before them."""
    for row in range(1, len(calls)):
        if row % 3:
            same = rng.random(calls.shape[1]) < 0.75
            calls[row, same] = calls[row - 1, same]
    return calls


def _rows() -> pd.DataFrame:
    number = np.arange(ROWS)
    pairs = np.array([("G", "A"), ("C", "T"), ("A", "C"), ("T", "G")])[number % 4]
    return pd.DataFrame(
        {
            "contig": (1 + number * CHROMOSOMES // ROWS).astype(str),
            "id": [f"v{one + 1}" for one in number],
            "position": 1_000_000 + 1_000 * number,
            "ref": pairs[:, 0],
            "alt": pairs[:, 1],
        }
    )


def _exchanged(rows: pd.DataFrame, calls: NDArray) -> tuple[pd.DataFrame, NDArray]:
    kept = np.flatnonzero(np.arange(ROWS) % 10 != 7)
    rows, calls = rows.iloc[kept].reset_index(drop=True), calls[kept]
    swapped, other = np.arange(len(rows)) % 3 == 1, np.arange(len(rows)) % 3 == 2
    ref, alt = rows["ref"].copy(), rows["alt"].copy()
    rows.loc[swapped, "ref"], rows.loc[swapped, "alt"] = alt[swapped], ref[swapped]
    for column in ("ref", "alt"):
        rows.loc[other, column] = rows.loc[other, column].map(_STRAND)
    flipped = np.where(calls == _MISSING, _MISSING, 2 - np.minimum(calls, 2))
    return rows, np.where(swapped[:, None], flipped, calls).astype(np.uint8)


def _haploid(
    rng: np.random.Generator, sex: NDArray, missing: float
) -> tuple[pd.DataFrame, NDArray[np.uint8]]:
    """Calls as PLINK has them: haploid ones twice, a few of them wrongly heterozygous."""
    parts, calls = [], []
    for contig, first, number in _RUNS:
        frequency = rng.uniform(0.05, 0.5, (number, 1))
        here = rng.binomial(2, frequency, (number, PEOPLE))
        once = (sex == "M") | (contig == "MT")
        here[:, once] = 2 * rng.binomial(1, frequency, (number, once.sum()))
        here[rng.random(here.shape) < 0.002] = 1
        calls.append(here.astype(np.uint8))
        position = first + 10 * np.arange(number)
        parts.append(pd.DataFrame({"contig": contig, "position": position}))
    rows = pd.concat(parts, ignore_index=True).assign(ref="A", alt="G")
    rows["id"] = [f"h{one + 1}" for one in range(len(rows))]
    joined = np.concatenate(calls)
    lose_calls(rng, joined, missing)
    return rows, joined


def _table(rng: np.random.Generator, population: NDArray, calls: NDArray) -> pd.DataFrame:
    """Everybody's columns: covariates, traits of every kind, and sites."""
    genetic = rng.standard_normal(len(calls)) @ calls
    genetic = (genetic - genetic.mean()) / genetic.std()
    age = rng.integers(20, 80, PEOPLE)
    noise = rng.standard_normal((PEOPLE, 4))
    liability = 0.5 * genetic + 0.01 * (age - 50) + noise[:, 0]
    table = pd.DataFrame(
        {
            "sample_id": [f"P{one + 1:05d}" for one in range(PEOPLE)],
            "region": [f"R{one}" for one in population * REGIONS // POPULATIONS],
            "sex": rng.choice(["M", "F"], PEOPLE),
            "age": age,
            "birth_year": 2020 - age + rng.integers(-3, 3, PEOPLE),
            "centre": rng.choice(["north", "south", "west"], PEOPLE, p=[0.5, 0.3, 0.2]),
            # An origin far from 0 takes digits away.
            "trait": 170 + 3 * liability,
            "positive": np.exp(0.3 * liability),
            "some_lack_it": np.where(rng.random(PEOPLE) < 0.1, np.nan, liability + noise[:, 1]),
            "others_lack_it": np.where(rng.random(PEOPLE) < 0.2, np.nan, 1e-3 * noise[:, 2]),
            "balanced": (liability + noise[:, 3] > np.median(liability)).astype(int),
            "rare": _rare(rng),
        }
    )
    for split in SPLITS:
        table[split.column] = [f"S{one + 1}" for one in split.place()]
    return table.round(6)


def _rare(rng: np.random.Generator) -> NDArray[np.int64]:
    """Cases by 1 to 100 controls, some at every site of every split."""
    small, seven = Split(2, small=True).place() == 1, Split(7).place()
    case = np.zeros(PEOPLE, np.int64)
    case[rng.choice(np.flatnonzero(small), _SMALL_CASES, replace=False)] = 1
    for number in range(RARE_CASES - _SMALL_CASES):
        free = (seven == number % 7) & ~small & (case == 0)
        case[rng.choice(np.flatnonzero(free))] = 1
    return case


def _import(
    folder: Path, name: str, rows: pd.DataFrame, calls: NDArray, table: pd.DataFrame
) -> None:
    import genome_eu

    bed = folder / f"{name}.bed"
    # The .bed codes count its first allele.
    bed.write_bytes(b"\x6c\x1b\x01" + bed_bytes(calls).tobytes())
    rows.assign(cm=0)[["contig", "id", "cm", "position", "alt", "ref"]].to_csv(
        bed.with_suffix(".bim"), sep="\t", header=False, index=False
    )
    fam = _fam(table)
    fam.to_csv(bed.with_suffix(".fam"), sep="\t", header=False, index=False)
    target = folder / f"{name}.vcz"
    genome_eu.import_genotypes(bed, target, samples=folder / "samples.tsv", build="GRCh38")


def _fam(table: pd.DataFrame) -> pd.DataFrame:
    ids = table["sample_id"]
    sex = table["sex"].map({"M": 1, "F": 2})
    return pd.DataFrame({"fid": 0, "iid": ids, "pat": 0, "mat": 0, "sex": sex, "y": -9})


def _import_dosages(
    folder: Path, rng: np.random.Generator, rows: pd.DataFrame, true: NDArray, missing: float
) -> None:
    """Genotypes with noise, as PLINK 2 writes them in a BGEN file."""
    import genome_eu

    noise = rng.normal(0, rng.choice([0.02, 0.2, 0.6], (len(rows), 1)), true.shape)
    dosage = np.clip(true + noise, 0, 2).round(3)
    dosage[rng.random(dosage.shape) < missing] = np.nan
    text = folder / "imputed.txt"
    named = rows[["id", "alt", "ref"]].reset_index(drop=True)
    lines = pd.concat([named, pd.DataFrame(dosage)], axis=1)
    lines.to_csv(text, sep="\t", header=False, index=False, na_rep="NA")
    with_places = folder / "calls"
    subprocess.run(
        [
            *("plink2", "--import-dosage", str(text), "noheader", "format=1", "ref-last"),
            *("--psam", f"{with_places}.fam", "--map", f"{with_places}.bim"),
            *("--export", "bgen-1.2", "ref-first", "--out", str(folder / "imputed")),
        ],
        check=True,
        capture_output=True,
    )
    bgen, target = folder / "imputed.bgen", folder / "imputed.vcz"
    genome_eu.import_genotypes(bgen, target, samples=folder / "samples.tsv", build="GRCh38")
