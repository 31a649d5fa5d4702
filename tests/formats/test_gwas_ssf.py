"""GWAS-SSF: mandatory columns in order, complete rows only, and a truthful sidecar."""

from __future__ import annotations

import gzip
import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from genome_eu.errors import UsageError
from genome_eu.formats import GwasSsfWriter
from tests.formats import fake_results as fake

MANDATORY = [
    "chromosome",
    "base_pair_location",
    "effect_allele",
    "other_allele",
    "beta",
    "standard_error",
    "effect_allele_frequency",
    "neg_log_10_p_value",
]


def write(stem, result, **options):
    with GwasSsfWriter(stem, **options) as out:
        for shard in fake.shards(result):
            out.append(shard)
        return out.close()


def read(path):
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def test_rows_are_complete_and_in_the_standards_terms(tmp_path):
    result = fake.gwas()
    result["variant_contig"][57:] = [22, 23, 24]
    summary = write(tmp_path / "eu", result)
    table = read(tmp_path / "eu.ldl.tsv.gz")
    assert list(table)[:8] == MANDATORY
    assert list(table)[8:] == ["variant_id", "rsid", "n", "ref_allele"]
    assert len(table) == summary["ldl"].rows == 58
    assert summary["ldl"].left_out == {"CONST_ALLELE": 1, "WITHHELD": 1}
    assert list(table["chromosome"])[-3:] == ["23", "24", "25"]
    assert set(table["ref_allele"]) == {"OA"}
    first = table.iloc[0]
    ref, alt = result.variant_allele.values[0]
    assert (first["other_allele"], first["effect_allele"]) == (ref, alt)
    position = int(result.variant_position[0])
    assert first["variant_id"] == f"{first['chromosome']}_{position}_{ref}_{alt}"
    assert first["rsid"] == "#NA"
    assert re.fullmatch("rs[0-9]+", table["rsid"][1])
    assert table["neg_log_10_p_value"][4] == "400.25"
    kept = result.variant_linreg_errcode.values[:, 0] == "."
    beta = result.variant_linreg_beta.values[kept, 0]
    np.testing.assert_allclose(table["beta"].astype(float), beta, rtol=5e-8)


def test_the_sidecar_describes_its_file(tmp_path):
    metadata = {"genotyping_technology": ["Genome-wide sequencing"], "sex": "combined"}
    summary = write(tmp_path / "eu", fake.gwas(), metadata=metadata)["bmi"]
    assert summary.sidecar.name == "eu.bmi.tsv.gz-meta.yaml"
    sidecar = yaml.safe_load(summary.sidecar.read_text())
    digest = hashlib.md5(summary.path.read_bytes(), usedforsecurity=False).hexdigest()
    assert sidecar["data_file_md5sum"] == summary.md5 == digest
    assert sidecar["data_file_name"] == "eu.bmi.tsv.gz"
    assert sidecar["file_type"] == "GWAS-SSF v1.0"
    assert sidecar["genome_assembly"] == "GRCh38"
    assert sidecar["trait_description"] == ["bmi"]
    assert sidecar["genotyping_technology"] == ["Genome-wide sequencing"]
    assert sidecar["samples"] == [{"sample_ancestry_category": ["NR"], "sample_size": 480}]
    assert sidecar["is_sorted"] is True
    assert sidecar["is_harmonised"] is False
    assert "CONST_ALLELE 1, WITHHELD 1" in sidecar["author_notes"]
    assert "minor_allele_freq_lower_limit" not in sidecar


def test_strings_of_others_stay_strings(tmp_path):
    notes = "no: [yaml] #here\n- 'x'"
    summary = write(tmp_path / "eu", fake.gwas(), metadata={"author_notes": notes})["ldl"]
    assert yaml.safe_load(summary.sidecar.read_text())["author_notes"].startswith(notes)


def test_a_simulated_trait_says_so(tmp_path):
    result = fake.gwas()
    result.attrs["simulated"] = ["ldl"]
    summary = write(tmp_path / "eu", result)
    text = summary["ldl"].sidecar.read_text()
    assert "ldl (simulated trait)" in text
    assert "no association here is real" in text
    assert "simulated" not in summary["bmi"].sidecar.read_text()


def test_rows_that_the_standard_cannot_name_are_left_out(tmp_path):
    result = fake.gwas(traits=("ldl",))
    result["variant_allele"][0, 1] = "<DEL>"
    result["variant_linreg_se"][1, 0] = np.inf
    result["contig_id"][int(result.variant_contig[-1])] = "GL000220.1"
    summary = write(tmp_path / "ldl.tsv.gz", result)["ldl"]
    assert summary.path.name == "ldl.tsv.gz"
    assert summary.left_out.pop("chromosome") >= 1
    assert summary.left_out == {"CONST_ALLELE": 1, "WITHHELD": 1, "alleles": 1, "not_finite": 1}


def test_a_frequency_floor_moves_rare_alleles_and_is_declared(tmp_path):
    summary = write(tmp_path / "eu", fake.gwas(), frequency_floor=0.1)["ldl"]
    shown = read(summary.path)["effect_allele_frequency"].astype(float)
    assert (shown.min(), shown.max()) == (0.1, 0.9)
    assert yaml.safe_load(summary.sidecar.read_text())["minor_allele_freq_lower_limit"] == 0.1


def test_unsorted_rows_are_declared(tmp_path):
    result = fake.gwas().isel(variants=slice(None, None, -1))
    summary = write(tmp_path / "eu", result)["ldl"]
    assert yaml.safe_load(summary.sidecar.read_text())["is_sorted"] is False


def test_the_same_result_gives_the_same_bytes(tmp_path):
    one = write(tmp_path / "a", fake.gwas())["ldl"]
    two = write(tmp_path / "b", fake.gwas())["ldl"]
    assert one.path.read_bytes() == two.path.read_bytes()
    assert gzip.decompress(one.path.read_bytes()).count(b"\n") == 59


def test_mistakes_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(UsageError, match="is_sorted, password cannot be set"):
        GwasSsfWriter(tmp_path / "x", metadata={"is_sorted": True, "password": "x"})
    with pytest.raises(UsageError, match="must be in"):
        GwasSsfWriter(tmp_path / "x", frequency_floor=0.7)
    with pytest.raises(UsageError, match="names one file, but the result has 2 traits"):
        write(tmp_path / "x.tsv.gz", fake.gwas())
    assert list(tmp_path.iterdir()) == []


def test_the_sidecar_says_what_was_adjusted_for(tmp_path):
    result = fake.gwas()
    question = {"covariates": ["age", "sex"], "components": 4, "transform": "rint"}
    result.attrs["question"] = json.dumps(question)
    sidecar = yaml.safe_load(write(tmp_path / "eu", result)["bmi"].sidecar.read_text())
    assert sidecar["adjusted_covariates"] == ["age", "sex", "4 principal components"]
    assert "Trait transform: rint, within each site." in sidecar["author_notes"]
