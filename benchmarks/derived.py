"""Data sets made of the simulated one, of the same people with the same traits.

Each is a data set in a folder of its own, with the recipe of the one that it was made of; its
`traits` and `covariates` for PLINK are those of that one. It is made where it is not there yet.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.data import Dataset, bed_bytes, variant_table

_CHUNK = 1_000
# Rows of a block begin as copies of its first; an allele of the k-th is that one's with this chance
# to the power of k, its own otherwise. So r² falls from 0.98 for the first two rows to 0.6 between
# the first and the last, and lower between others.
_BLOCK, _KEPT = 25, 0.99
# Behind the first pseudo-autosomal region of X, in front of the second (GRCh38).
_X_START, _X_STEP = 2_800_000, 1_500
# Rows that only one of two sites lists, and rows whose alleles the second writes the other way
# round.
_ONE_SITE, _TURNED = 10, 2

# Calls (rows, people) of some rows, 3 where missing.
Calls = Callable[[NDArray], NDArray[np.uint8]]


def made(data: Dataset, name: str, write: Callable[[Path], object]) -> Path:
    """A file or folder of the data set, which gets its name once it is whole."""
    path = data.folder / name
    if not path.exists():
        part = path.with_name(f"part-{name}")
        shutil.rmtree(part, ignore_errors=True)
        write(part)
        part.rename(path)
    return path


def plink2(*words: str | Path) -> None:
    """PLINK 2, if it takes part."""
    if shutil.which("plink2") is None:
        return
    subprocess.run(["plink2", *map(str, words)], check=True, capture_output=True)


def linked(data: Dataset) -> Dataset:
    """The same with linkage disequilibrium, in blocks of rows; of data that lack no calls."""

    def write(folder: Path) -> None:
        given = _calls(data)

        def calls(rows: NDArray) -> NDArray[np.uint8]:
            rng = np.random.default_rng([data.recipe.seed, int(rows[0]), 5])
            own = _alleles(rng, given(rows))
            first, place = np.unique(rows - rows % _BLOCK, return_inverse=True)
            leader = [one[place] for one in _alleles(np.random.default_rng(first), given(first))]
            kept = _KEPT ** (rows % _BLOCK)[:, np.newaxis]
            pairs = zip(leader, own, strict=True)
            both = [np.where(rng.random(a.shape) < kept, a, b) for a, b in pairs]
            return np.add(*both, dtype=np.uint8)

        people = pd.read_csv(data.table, sep="\t")
        _write(Dataset(folder, data.recipe), variant_table(data.recipe.variants), people, calls)

    return Dataset(made(data, "linked", write), data.recipe)


def _alleles(rng: np.random.Generator, calls: NDArray[np.uint8]) -> list[NDArray[np.bool_]]:
    """The two alleles of each call, none of them missing; which is which is drawn."""
    first = (calls == 2) | ((calls == 1) & (rng.random(calls.shape) < 0.5))
    return [first, calls.astype(int) - first > 0]


def on_x(data: Dataset) -> Dataset:
    """The same rows on X, where every other person is a male and has one allele."""

    def write(folder: Path) -> None:
        given = _calls(data)
        people = pd.read_csv(data.table, sep="\t")
        male = np.arange(len(people)) % 2 == 0

        def calls(rows: NDArray) -> NDArray[np.uint8]:
            found = given(rows)
            one_allele = np.where(rows % 2, 0, 2).astype(np.uint8)[:, np.newaxis]
            only: NDArray[np.uint8] = np.where(male & (found == 1), one_allele, found)
            return only

        rows = variant_table(data.recipe.variants)
        rows = rows.assign(contig="X", position=_X_START + _X_STEP * np.arange(len(rows)))
        derived = Dataset(folder, data.recipe)
        _write(derived, rows, people.copy().assign(sex=np.where(male, "M", "F")), calls)
        plink2("--bfile", derived.prefix, "--make-pgen", "--out", derived.prefix)

    return Dataset(made(data, "x", write), data.recipe)


def agreed(data: Dataset) -> Path:
    """Two sites, each with half of the people, that list the same rows."""
    return _sites(data, "agreed") / "federation.toml"


def differing(data: Dataset) -> Path:
    """The same sites as they came: with rows of their own, and REF and ALT the other way round."""
    return _sites(data, "differing") / "federation.toml"


def _sites(data: Dataset, name: str) -> Path:
    def write(folder: Path) -> None:
        folder.mkdir()
        given, people = _calls(data), pd.read_csv(data.table, sep="\t")
        number = np.arange(data.recipe.variants)
        lines = [f'name = "{name}"']
        for site in (0, 1):
            mine = np.arange(len(people)) % 2 == site
            here = ~np.isin(number % _ONE_SITE, (0, 1))
            if name == "differing":
                here |= number % _ONE_SITE == site
            turned = (site == 1) & (number % _TURNED == 0) & (name == "differing")
            _write_site(folder / f"S{site}", data, given, people, mine, number[here], turned)
            lines += ["[[site]]", f'name = "S{site}"', f'cohort = "S{site}/cohort.vcz"']
            lines += ['policy = "open-data"']
        (folder / "federation.toml").write_text("\n".join(lines) + "\n")

    return made(data, name, write)


def _write_site(
    folder: Path,
    data: Dataset,
    given: Calls,
    people: pd.DataFrame,
    mine: NDArray,
    number: NDArray,
    turned: NDArray,
) -> None:
    """A site with the people and the rows that are its own."""
    other_way = np.array([2, 1, 0, 3], dtype=np.uint8)

    def calls(rows: NDArray) -> NDArray[np.uint8]:
        found = given(number[rows])[:, mine]
        return np.where(turned[number[rows]][:, np.newaxis], other_way[found], found)

    rows = variant_table(data.recipe.variants).iloc[number]
    alt, ref = rows["a1"], rows["a2"]
    back = turned[number]
    rows = rows.assign(a1=np.where(back, ref, alt), a2=np.where(back, alt, ref))
    _write(Dataset(folder, data.recipe), rows, people[mine], calls)


def _calls(data: Dataset) -> Calls:
    import genome_eu

    cohort = genome_eu.open_cohort(data.cohort)

    def calls(rows: NDArray) -> NDArray[np.uint8]:
        found = cohort.dosages(rows)
        return np.where(found < 0, 3, found).astype(np.uint8)

    return calls


def _write(derived: Dataset, rows: pd.DataFrame, people: pd.DataFrame, calls: Calls) -> None:
    """The PLINK fileset of a data set, its table of people, and the cohort."""
    import genome_eu

    derived.folder.mkdir(parents=True)
    bed = derived.prefix.with_suffix(".bed")
    with open(bed, "wb") as file:
        file.write(b"\x6c\x1b\x01")
        for start in range(0, len(rows), _CHUNK):
            chosen = np.arange(start, min(start + _CHUNK, len(rows)))
            file.write(bed_bytes(calls(chosen)).tobytes())
    bim = derived.prefix.with_suffix(".bim")
    rows.to_csv(bim, sep="\t", header=False, index=False)
    codes = {"M": 1, "F": 2}
    sex = people["sex"].map(codes) if "sex" in people else 0
    fam = pd.DataFrame({"fid": "0", "iid": people["sample_id"], "father": "0", "mother": "0"})
    fam = fam.assign(sex=sex, y=-9)
    fam.to_csv(derived.prefix.with_suffix(".fam"), sep="\t", header=False, index=False)
    people.to_csv(derived.table, sep="\t", index=False)
    genome_eu.import_genotypes(bed, derived.cohort, samples=derived.table, build="GRCh38")
