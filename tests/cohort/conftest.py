from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genome_eu.cohort import CohortStore, import_genotypes
from tests.cohort.genotype_files import write_plink, write_vcf

PEOPLE = [f"P{number}" for number in range(7)]


def vcf_records() -> list[tuple]:
    """Biallelic, multi-allelic, haploid, half-missing, without ALT, and a repeated key."""
    rng = np.random.default_rng(7)
    records = []
    for j in range(40):
        calls = [f"{a}/{b}:{a + b}:1,2" for a, b in rng.integers(0, 2, (len(PEOPLE), 2))]
        records.append(("chr21", 9_500_000 + 500 * j, f"rs{j}", "A", "C", *calls))
    some = ("0/1:.:.", "1/2:.:.", "2/3:.:.", "./.:.:.", "./1:.:.", "1:.:.", "3/3:.:.")
    records.append(("chr22", 20_000_000, ".", "AT", "A,ATT,G", *some))
    records.append(("chr22", 20_000_001, "none", "G", ".", *["0/0:.:."] * len(PEOPLE)))
    records.append(("chr22", 20_000_002, "twice", "G", "T", *["0|1:1:1,1"] * len(PEOPLE)))
    records.append(("chr22", 20_000_002, "again", "G", "T", *["1|1:2:0,2"] * len(PEOPLE)))
    return records


# Rows of the multi-allelic variant above, copied out by hand; -1 is missing.
MULTI_ALLELIC = [[1, 1, 0, -1, -1, 2, 0], [0, 1, 1, -1, -1, 0, 0], [0, 0, 1, -1, -1, 0, 2]]


@pytest.fixture(scope="session")
def vcf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vcf") / "small.vcf.gz"
    return write_vcf(path, PEOPLE, vcf_records())


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody, in another order than the genotypes."""
    path = tmp_path_factory.mktemp("table") / "samples.tsv"
    lines = ["sample_id\tsex\tpopulation\tage\tnote"]
    for number in reversed(range(len(PEOPLE))):
        sex, age = ("male", "f", "2")[number % 3], ("NA" if number == 3 else 40.5 + number)
        lines.append(f"P{number}\t{sex}\t{number % 2}\t{age}\t{'a_b' if number else ''}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def made(vcf: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> CohortStore:
    """A store for tests that only read."""
    return import_genotypes(vcf, tmp_path_factory.mktemp("store") / "fi.vcz", samples=table)


@pytest.fixture
def bed(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    variants = [(str(1 + j % 3), f"v{j}", 1000 + j, "C", "A") for j in range(29)]
    variants.append(("23", "NA", 5000, "0", "G"))
    dosage = rng.integers(-1, 3, (len(variants), 6))
    dosage[-1] = [0, 0, -1, 0, 0, 0]
    people = [(f"F{j}", f"I{j}", j % 3) for j in range(6)]
    return write_plink(tmp_path / "set", people, variants, dosage)
