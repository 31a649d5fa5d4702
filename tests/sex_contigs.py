"""A simulated cohort with rows on X, Y, MT and autosomes, some of its sites with several ALTs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import genome_eu as ge
from genome_eu.cohort import CohortStore, open_store
from tests.cohort.genotype_files import write_vcf
from tests.oracles import haploid

_LENGTHS = {"chr1": 248956422, "chrX": 156040895, "chrY": 57227415, "chrM": 16569, "chrUn": 9000}
HEADER = (
    "##fileformat=VCFv4.2\n"
    + "".join(f"##contig=<ID={name},length={size}>\n" for name, size in _LENGTHS.items())
    + '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    + '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    + '##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dosage">\n'
    + '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Depths">\n'
)

#: Runs of sites: contig, first position, kind (None where ploidy is not known), sites.
_RUNS = (
    ("chr1", 5_000_000, "diploid", 6),
    ("chrX", 1_000_000, "diploid", 3),
    ("chrX", 50_000_000, "x", 14),
    ("chrX", 155_800_000, "diploid", 2),
    ("chrY", 1_000_000, None, 1),
    ("chrY", 10_000_000, "y", 7),
    ("chrM", 300, "mt", 7),
    ("chrUn", 1_000, None, 1),
)
_ALTS = ("C", "G", "T")


@dataclass(frozen=True)
class SexContigs:
    """Calls of sites (sites, people, 2), what the sites are, the table of people, their store."""

    alleles: np.ndarray
    sites: pd.DataFrame  # contig, position, kind, alts, haploid (a mask of people)
    people: pd.DataFrame
    store: CohortStore
    vcf: Path

    @property
    def rows(self) -> list[tuple[int, int, str]]:
        """Site, ALT and kind of each row that is counted, in their order."""
        return [
            (site, alt, kind)
            for site, (kind, alts) in enumerate(
                zip(self.sites["kind"], self.sites["alts"], strict=True)
            )
            for alt in range(1, alts + 1)
            if kind is not None
        ]

    def sex(self, code: str) -> np.ndarray:
        """Who has a sex, bool (people,)."""
        return (self.people["sex"] == code).to_numpy()

    def haploid(self, kind: str) -> np.ndarray:
        """Who has one copy, bool (people,)."""
        return haploid_of(kind, self.sex("M"))

    def counted(self, kind: str) -> np.ndarray:
        """Who is counted, bool (people,)."""
        return self.sex("M") if kind == "y" else np.ones(len(self.people), bool)


def haploid_of(kind: str | None, male: np.ndarray) -> np.ndarray:
    """Who has one copy in rows of a kind."""
    if kind in ("x", "y"):
        return male
    return np.full(male.shape, kind == "mt")


def simulate(
    folder: Path,
    *,
    people: int = 90,
    seed: int = 1,
    wrong: float = 0.05,
    missing: float = 0.05,
    unknown: int = 3,
    most_alts: int = 3,
    imputed: bool = False,
) -> SexContigs:
    """Simulate a cohort, write it as VCF and import it.

    `wrong` is the share of haploid calls with two alleles, `unknown` the people without a sex. If
    `imputed`, most calls have a dosage beside them.
    """
    rng = np.random.default_rng(seed)
    sex = rng.choice(["M", "F"], people)
    male = sex == "M"
    sex = np.where(np.isin(np.arange(people), rng.choice(people, unknown, False)), "unknown", sex)
    sites = pd.DataFrame(
        [
            (contig, first + 10 * place, kind, 1 + place % most_alts)
            for contig, first, kind, number in _RUNS
            for place in range(number)
        ],
        columns=["contig", "position", "kind", "alts"],
    )
    sites["kind"] = sites["kind"].astype(object).where(sites["kind"].notna(), None)
    alleles = np.concatenate(
        [
            haploid.alleles(
                [site.alts],
                # People without a sex have the calls of the one that they are.
                haploid_of(site.kind, male if site.kind != "x" else male & (sex == "M")),
                seed + 100 + place,
                missing=missing,
                wrong=wrong,
            )
            for place, site in enumerate(sites.itertuples())
        ]
    )
    age = rng.normal(50, 10, people).round(6)
    table = pd.DataFrame(
        {
            "sex": sex,
            "age": age,
            "trait": (0.05 * age + 0.8 * male + rng.normal(size=people)).round(6),
            "lacking": np.where(rng.random(people) < 0.15, np.nan, rng.normal(size=people)).round(
                6
            ),
        },
        index=pd.Index([f"p{number}" for number in range(people)], name="sample_id"),
    )
    table["case"] = (0.8 * male + rng.normal(size=people) > 0.5).astype(float)
    folder.mkdir(parents=True, exist_ok=True)
    records = [
        (site.contig, site.position, f"s{place}", "A", ",".join(_ALTS[: site.alts]), *calls)
        for place, (site, calls) in enumerate(
            zip(
                sites.itertuples(),
                _with_dosages(alleles, sites["alts"], rng) if imputed else map(_as_text, alleles),
                strict=True,
            )
        )
    ]
    vcf = write_vcf(folder / "sim.vcf.gz", list(table.index), records, header=HEADER)
    table.to_csv(folder / "sim.tsv", sep="\t", na_rep="NA")
    path = ge.import_genotypes(vcf, folder / "sim.vcz", samples=folder / "sim.tsv").path
    return SexContigs(alleles, sites, table, open_store(path), vcf)


def _with_dosages(alleles: np.ndarray, alts: pd.Series, rng: np.random.Generator) -> list:
    """Calls with their dosages, of three decimals: 0 to 1 in who is written with one allele."""
    texts = []
    for calls, ends in zip(alleles, alts, strict=True):
        most = np.where(calls[:, 1] == -2, 1, 2)
        columns = []
        for alt in range(1, ends + 1):
            uncertain = rng.beta(0.3, 3.0, len(calls)) * most
            copies = (calls == alt).sum(axis=1)
            dosage = np.where(copies == most, copies - uncertain, copies + uncertain)
            columns.append([f"{value:.3f}" for value in np.clip(dosage, 0, most)])
        shown = (rng.random(len(calls)) < 0.9) & (calls[:, 0] >= 0)
        both = zip(_as_text(calls), map(",".join, zip(*columns, strict=True)), shown, strict=True)
        texts.append([f"{call}:{dosage if there else '.'}:." for call, dosage, there in both])
    return texts


def _as_text(calls: np.ndarray) -> list[str]:
    texts = []
    for first, second in calls.tolist():
        one = "." if first == -1 else str(first)
        other = "" if second == -2 else "/." if second == -1 else f"/{second}"
        texts.append("." if first == -2 else one + other)
    return texts
