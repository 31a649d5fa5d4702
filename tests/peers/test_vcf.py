"""A VCF of real genotypes is imported as it reads."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import genome_eu as ge
from tests.cohort.genotype_files import write_vcf
from tests.peers import oracle
from tests.peers.conftest import GEUVADIS

EVERY = 40


@pytest.mark.slow
def test_rows_of_a_vcf_are_imported_as_they_read(tmp_path):
    source = GEUVADIS / "genotypes.chr22.vcf.gz"
    if not source.exists():
        pytest.skip(f"needs the geuvadis_chr22 data set at ../shared/data/{GEUVADIS.name}")
    header, records = "", []
    with gzip.open(source, "rt") as lines:
        for number, line in enumerate(lines):
            if line.startswith("##"):
                header += line
            elif line.startswith("#"):
                people = line.rstrip("\n").split("\t")[9:]
            elif number % EVERY == 0:
                contig, position, name, ref, alt, _, _, _, _, *calls = line.rstrip().split("\t")
                records.append((contig, int(position), name, ref, alt, *calls))
    vcf = write_vcf(tmp_path / "some.vcf.gz", people, records, header=header, block=2**15)
    store = tmp_path / "some.vcz"
    ge.import_genotypes(vcf, store)
    cohort = ge.open_cohort(store)
    found = cohort.dataset()["call_genotype"].values.sum(axis=2)
    _, variants, dosage = oracle.read_vcf(vcf)
    np.testing.assert_array_equal(found, dosage)
    names = cohort.rows[["contig", "position", "id", "ref", "alt"]]
    assert list(names.itertuples(index=False, name=None)) == variants
    assert cohort.samples.index.tolist() == people
