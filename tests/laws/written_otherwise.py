"""The same people and variants in the files of several sites, each with its own way to write them.

Truth is one table of rows and the dosages of everybody. A site may write a variant as it is, with
REF and ALT exchanged, on the other strand, or both, and may lack it altogether.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import genome_eu as ge
from genome_eu.federation.coordinator import Federation
from genome_eu.stats.regions import Regions, regions
from tests import simulate
from tests.cohort.genotype_files import write_plink
from tests.oracles.harmonize import COMPLEMENT, is_palindromic, is_single

ALLELES = [
    *[("A", "G"), ("C", "T"), ("A", "C"), ("G", "T"), ("T", "C"), ("C", "A")],
    *[("A", "T"), ("G", "C"), ("A", "AT"), ("CTG", "C")],
]
WAYS = ("same", "swapped", "strand", "strand_swapped")
ROWS = 60
PEOPLE = 120


def truth() -> pd.DataFrame:
    """Rows with alleles of every kind, on two chromosomes."""
    rows = range(ROWS)
    return pd.DataFrame(
        {
            "contig": [str(1 + 2 * row // ROWS) for row in rows],
            "position": [1000 + 100 * row for row in rows],
            "ref": [ALLELES[row % len(ALLELES)][0] for row in rows],
            "alt": [ALLELES[row % len(ALLELES)][1] for row in rows],
            "id": [f"v{row}" for row in rows],
        }
    )


def written(ref: str, alt: str, way: str) -> tuple[str, str]:
    """REF and ALT as a site writes them."""
    if "strand" in way:
        ref, alt = COMPLEMENT[ref], COMPLEMENT[alt]
    return (alt, ref) if "swapped" in way else (ref, alt)


@dataclass(frozen=True, eq=False)
class Written:
    """Truth, and what became of it at each site.

    `usable` says where a site's row is the row of the truth beyond doubt, `present` where it has
    it in any form, both bool (sites, rows); `covered` is where it could call.
    """

    rows: pd.DataFrame
    dosage: np.ndarray
    people: pd.DataFrame
    site: np.ndarray
    usable: np.ndarray
    present: np.ndarray
    covered: np.ndarray
    pooled: ge.Cohort
    cohorts: dict[str, ge.Cohort]
    called: dict[str, Regions]

    def federation(self, policy: str = "open-data", *, called: bool = True) -> Federation:
        """The sites, with or without the regions in which they could call."""
        declared = self.called if called else None
        return ge.federate(self.cohorts, policy=policy, callable_regions=declared)

    @property
    def common(self) -> np.ndarray:
        """Rows that every site has beyond doubt, bool (rows,)."""
        return self.usable.all(axis=0)


def write(folder: Path, sites: int, *, missing: float = 0.02, lacking: float = 0.1) -> Written:
    """Make the sites' files and import them; the first site writes everything as it is."""
    rng = np.random.default_rng(40 + sites)
    rows = truth()
    dosage = simulate.dosages(ROWS, PEOPLE, missing, seed=sites)
    table = simulate.people(dosage, seed=sites + 1)
    site = rng.permutation(np.arange(PEOPLE) % sites)
    usable = np.ones((sites, ROWS), bool)
    present = np.ones((sites, ROWS), bool)
    covered = rng.random((sites, ROWS)) < 0.5
    cohorts, called = {}, {}
    for number in range(sites):
        mine = site == number
        lines, calls = [], []
        for row, (contig, position, ref, alt, name) in enumerate(rows.itertuples(index=False)):
            way = "same" if number == 0 else str(rng.choice(WAYS))
            if not is_single(ref, alt) or is_palindromic(ref, alt):
                way = "swapped" if "swapped" in way else "same"
                usable[number, row] = way == "same"
            if number and rng.random() < lacking:
                usable[number, row] = present[number, row] = False
                continue
            own_ref, own_alt = written(ref, alt, way)
            lines.append((contig, name, position, own_alt, own_ref))
            copies = dosage[row, mine]
            flipped = np.where(copies < 0, -1, 2 - copies)
            calls.append(flipped if "swapped" in way else copies)
        path = folder / f"S{number}"
        ids = [(one, one, 0) for one in table.index[mine]]
        bed = write_plink(path, ids, lines, np.array(calls, np.int8))
        table[mine].to_csv(path.with_suffix(".tsv"), sep="\t", na_rep="NA")
        store = ge.import_genotypes(
            bed, path.with_suffix(".vcz"), samples=path.with_suffix(".tsv")
        ).path
        cohorts[f"S{number}"] = ge.open_cohort(store)
        where = rows[covered[number]]
        start = where["position"].to_numpy() - 1
        called[f"S{number}"] = regions(where["contig"].to_numpy(), start, start + 10)
    lines = [(c, name, p, alt, ref) for c, p, ref, alt, name in rows.itertuples(index=False)]
    bed = write_plink(folder / "all", [(one, one, 0) for one in table.index], lines, dosage)
    table.to_csv(folder / "all.tsv", sep="\t", na_rep="NA")
    store = ge.import_genotypes(bed, folder / "all.vcz", samples=folder / "all.tsv").path
    return Written(
        rows, dosage, table, site, usable, present, covered, ge.open_cohort(store), cohorts, called
    )
