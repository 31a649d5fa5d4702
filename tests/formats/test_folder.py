"""Which files a folder gets."""

from __future__ import annotations

import resource

import pytest

from genome_eu.errors import UsageError
from genome_eu.formats.folder import FrequencyFiles, GwasFiles
from tests.formats import fake_results as fake


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_all_formats_unless_some_are_named(tmp_path):
    for place, formats in (("all", None), ("some", ["ssf", "parquet"])):
        with GwasFiles(tmp_path / place, formats) as files:
            files.append(fake.gwas(traits=("ldl",)))
    table, text = {"gwas.parquet"}, {"gwas.ldl.tsv.gz", "gwas.ldl.tsv.gz-meta.yaml"}
    assert names(tmp_path / "all") == table | text | {"gwas.ldl.glm.linear", "gwas.ldl.regenie"}
    assert names(tmp_path / "some") == table | text
    with FrequencyFiles(tmp_path / "plink", ["plink"]) as files:
        files.append(fake.frequencies(groups=["FIN"]))
    assert len(files.paths) == len(names(tmp_path / "plink")) == 6
    assert "frequencies.FIN.hardy" in names(tmp_path / "plink")


def test_more_files_than_may_be_open_are_refused_and_fewer_are_allowed(tmp_path, monkeypatch):
    allowed = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64, 600))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: allowed.append(limits))
    names = [f"t{number}" for number in range(50)]
    with pytest.raises(UsageError, match=r"100 open at once, .* may open 600.*ulimit -n.*parquet"):
        GwasFiles(tmp_path, ["plink", "ssf"]).append(fake.gwas(traits=names))
    assert not allowed
    with GwasFiles(tmp_path, ["plink", "parquet"]) as files:
        files.append(fake.gwas(traits=names))
    assert allowed == [(562, 600)]
    with GwasFiles(tmp_path, ["parquet"]) as files:
        files.append(fake.gwas(traits=[f"t{number}" for number in range(2000)]))
    assert len(allowed) == 1


@pytest.mark.parametrize("formats", [[], ["parquet", "vcf"]])
def test_formats_that_do_not_exist_are_refused_before_a_folder_is_made(tmp_path, formats):
    with pytest.raises(UsageError, match="parquet, plink, regenie, ssf"):
        GwasFiles(tmp_path / "x", formats)
    assert not (tmp_path / "x").exists()
