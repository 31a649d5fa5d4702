"""Regions in which a site could call: how they are declared."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import genome_eu as ge
from genome_eu.errors import BadInput, UsageError
from genome_eu.federation.daemon.settings import read_settings
from genome_eu.federation.site import Site, read_callable

BED = b"track name=callable\nchr1\t0\t100\nchrM\t5\t9\n"


def test_contigs_are_named_as_in_cohorts(tmp_path: Path):
    (tmp_path / "a.bed").write_bytes(BED)
    (tmp_path / "a.bed.gz").write_bytes(gzip.compress(BED))
    for name in ("a.bed", "a.bed.gz"):
        found = read_callable(tmp_path / name)
        assert found.contig.tolist() == ["1", "MT"]
        assert found.bases == 104


@pytest.mark.parametrize("name", ["none.bed", "text.bed.gz"])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str):
    (tmp_path / "text.bed.gz").write_bytes(BED)
    with pytest.raises(BadInput, match=rf"callable regions .*{name} cannot be read; give a BED"):
        read_callable(tmp_path / name)


def test_site_toml_names_them(tmp_path: Path):
    path = tmp_path / "site.toml"
    path.write_text('name = "FI"\ncohort = "fi.vcz"\ncallable = "callable.bed.gz"\n')
    assert read_settings(path).callable == "callable.bed.gz"
    path.write_text('name = "FI"\ncohort = "fi.vcz"\n')
    assert read_settings(path).callable is None


def test_they_are_part_of_what_a_site_answers_from(made, tmp_path: Path):
    """A study whose site declares others must not go on as if nothing had changed."""
    (tmp_path / "a.bed").write_bytes(BED)
    (tmp_path / "b.bed").write_bytes(BED.replace(b"100", b"101"))
    store = made["FI"].store
    plain = Site.open("FI", store)
    declared = [
        Site.open("FI", store, callable_regions=read_callable(tmp_path / name))
        for name in ("a.bed", "b.bed", "a.bed")
    ]
    digests = [plain.cohort_digest, *(site.cohort_digest for site in declared)]
    assert len(set(digests)) == 3
    assert digests[1] == digests[3]


def test_a_site_that_is_not_asked_declares_nothing(made, tmp_path: Path):
    (tmp_path / "a.bed").write_bytes(BED)
    cohorts = {"FI": ge.open_cohort(made["FI"].store)}
    with pytest.raises(UsageError, match="callable_regions names ES, which is not a site"):
        ge.federate(cohorts, callable_regions={"ES": tmp_path / "a.bed"})
