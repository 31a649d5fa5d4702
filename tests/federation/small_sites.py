"""Three small sites with simulated people, for tests of what travels between them.

The rows are made so that floors matter: common, rare at one site only, with one call missing, with
several missing. The sample table has traits that work and traits that must not be used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort import import_genotypes
from tests.cohort.genotype_files import write_plink

PEOPLE = {"ES": 41, "FI": 37, "IT": 43}
ROWS = 120
RARE_IN_FI = slice(0, 8)
ONE_MISSING = slice(8, 16)
SIX_MISSING = slice(16, 24)


@dataclass(frozen=True, eq=False)
class Made:
    """A site as it was made: what a test may know and a coordinator may not."""

    name: str
    store: Path
    bed: Path
    table: pd.DataFrame
    dosage: NDArray  # int8 (rows, people), copies of ALT, -1 missing


def variants(rows: int = ROWS) -> list[tuple[str, str, int, str, str]]:
    """Rows on chromosomes 1 to 4: contig, id, position, A1 (the ALT), A2 (the REF)."""
    return [
        (str(1 + 4 * row // rows), f"rs{row}", 10_000 + 50 * row, "C", "T") for row in range(rows)
    ]


def genotypes(name: str, people: int, rows: int = ROWS) -> NDArray:
    """Dosages with frequencies that all sites share."""
    frequency = np.random.default_rng(1).uniform(0.25, 0.75, rows)
    rng = np.random.default_rng(abs(hash_of(name)))
    dosage = rng.binomial(2, frequency[:, None], (rows, people)).astype(np.int8)
    if name == "FI":
        dosage[RARE_IN_FI] = 0
        for row in range(*RARE_IN_FI.indices(rows)):
            # 1 to 8 carriers: below the floor of 10 alleles.
            dosage[row, rng.choice(people, row + 1, replace=False)] = 1
    dosage[np.arange(rows)[ONE_MISSING], 3] = -1
    dosage[SIX_MISSING, 5:11] = -1
    return dosage


def hash_of(name: str) -> int:
    """A seed that does not change between runs of Python."""
    return int.from_bytes(name.encode().ljust(4, b"_")[:4], "little")


def sample_table(name: str, dosage: NDArray) -> pd.DataFrame:
    """Groups, covariates and traits of a site's people, by sample id."""
    people = dosage.shape[1]
    rng = np.random.default_rng(hash_of(name) + 1)
    age = np.round(rng.uniform(20, 80, people), 1)
    one = np.arange(people) == 4
    called = np.where(dosage[40] < 0, 0, dosage[40])
    ldl = np.round(0.8 * called + 0.02 * age + rng.standard_normal(people), 3)
    table = pd.DataFrame(
        {
            "sex": np.where(np.arange(people) % 2 == 0, "M", "F"),
            "population": np.where(np.arange(people) % 3 == 0, "north", "south"),
            "age": age,
            "age_in_months": 12 * age,
            "ldl": ldl,
            "crp": np.where(
                np.arange(people) < people - 6, np.round(rng.uniform(0.5, 5.0, people), 3), np.nan
            ),
            "case": (np.arange(people) % 4 == 0).astype(float),
            "constant": 1.0,
            "words": [f"w{person}" for person in range(people)],
            "label": [f"{name}-person-{person:03d} (ward 7)" for person in range(people)],
            "sparse": np.where((np.arange(people) == 0) & (name == "ES"), 1.5, np.nan),
            "one_person": one.astype(float),
            "one_person_differs": np.where(one, 0.7, np.arange(people) % 2),
            "age_but_one": np.where(one, age + 30.0, age),
        },
        index=pd.Index([f"{name}-person-{person:03d}" for person in range(people)]),
    )
    table.index.name = "sample_id"
    return table


def make(
    folder: Path,
    name: str,
    *,
    people: int | None = None,
    keep: NDArray | None = None,
    build: str | None = "GRCh38",
    rows: list[tuple[str, str, int, str, str]] | None = None,
) -> Made:
    """Import one site; `keep` chooses and orders its rows, `rows` names them otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    dosage = genotypes(name, people or PEOPLE[name])
    named = rows or variants()
    if keep is not None:
        dosage, named = dosage[keep], [named[row] for row in keep]
    table = sample_table(name, genotypes(name, people or PEOPLE[name]))
    table.to_csv(folder / f"{name}.tsv", sep="\t", na_rep="")
    ids = [(one, one, 0) for one in table.index]
    bed = write_plink(folder / name, ids, named, dosage)
    store = folder / f"{name.lower()}.vcz"
    import_genotypes(bed, store, samples=folder / f"{name}.tsv", build=build)
    return Made(name, store, bed, table, dosage)
