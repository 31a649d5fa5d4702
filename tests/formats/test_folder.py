"""Which files a folder gets."""

from __future__ import annotations

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
    assert names(tmp_path / "all") == table | text | {"gwas.ldl.glm.linear"}
    assert names(tmp_path / "some") == table | text
    with FrequencyFiles(tmp_path / "plink", ["plink"]) as files:
        files.append(fake.frequencies(groups=["FIN"]))
    assert len(files.paths) == len(names(tmp_path / "plink")) == 6
    assert "frequencies.FIN.hardy" in names(tmp_path / "plink")


@pytest.mark.parametrize("formats", [[], ["parquet", "vcf"]])
def test_formats_that_do_not_exist_are_refused_before_a_folder_is_made(tmp_path, formats):
    with pytest.raises(UsageError, match="parquet, plink, ssf"):
        GwasFiles(tmp_path / "x", formats)
    assert not (tmp_path / "x").exists()
