"""Imputed genotypes from the shell: a BGEN comes in, its dosages are asked about."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.formats import read_dosages, read_gwas, read_logistic
from tests import simulate


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A BGEN file and the table of its people."""
    folder = tmp_path_factory.mktemp("imputed")
    simulate.imputed(folder, rows=40, people_number=80, missing=0.02, seed=3)
    return folder


@pytest.fixture(scope="module")
def store(folder, cli) -> Path:
    ran = cli(
        "import", folder / "imputed.bgen", folder / "fi.vcz", "--samples", folder / "imputed.tsv"
    )
    assert ran.code == 0, ran.err
    assert "dosages" in ran.out
    return folder / "fi.vcz"


def test_import_with_a_sample_file(folder, tmp_path, cli):
    people = pd.read_csv(folder / "imputed.tsv", sep="\t")["sample_id"]
    lines = "".join(f"{one} Q{one} 0\n" for one in people)
    (tmp_path / "named.sample").write_text("ID_1 ID_2 missing\n0 0 0\n" + lines)
    ran = cli(
        *["import", folder / "imputed.bgen", tmp_path / "x.vcz", "--ref-last", "--json"],
        *["--sample-file", tmp_path / "named.sample"],
    )
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["dosages"] is True
    cohort = ge.open_cohort(tmp_path / "x.vcz")
    assert cohort.samples.index[0] == f"Q{people[0]}"
    assert (cohort.rows["ref"] == "G").all()


def test_dosages(store, tmp_path, cli):
    ran = cli("dosages", store, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "rows: 40" in ran.out
    expected = ge.open_cohort(store).dosage_frequencies()
    found = read_dosages(tmp_path / "out" / "dosages.parquet")
    for name, variable in expected.data_vars.items():
        np.testing.assert_array_equal(found[name].values, variable.values, err_msg=name)
    header = (tmp_path / "out" / "dosages.afreq").read_text().splitlines()[0]
    assert header.split("\t") == ["#CHROM", "ID", "REF", "ALT", "ALT_FREQS", "MACH_R2", "OBS_CT"]
    assert json.loads((tmp_path / "out" / "result.json").read_text())["question"] == {
        "ask": "dosage_frequencies"
    }


def test_gwas(store, tmp_path, cli):
    ran = cli(
        *["gwas", store, "--trait", "complete", "--covariates", "age,sex", "--dosages"],
        *["--min-info", "0.3", "--min-maf", "0.1", "--out", tmp_path / "out"],
    )
    assert ran.code == 0, ran.err
    assert "rows with a minor allele frequency below 0.1" in ran.out
    expected = ge.open_cohort(store).gwas(
        "complete", covariates=["age", "sex"], dosages=True, min_info=0.3, min_maf=0.1
    )
    found = read_gwas(tmp_path / "out" / "gwas.parquet")
    np.testing.assert_array_equal(
        found["variant_linreg_beta"].values, expected["variant_linreg_beta"].values
    )
    asked = json.loads((tmp_path / "out" / "result.json").read_text())["question"]
    assert (asked["dosages"], asked["min_info"], asked["min_maf"]) == (True, 0.3, 0.1)


def test_logistic_gwas(store, tmp_path, cli):
    ran = cli(
        *["gwas", store, "--trait", "case", "--covariates", "age", "--model", "logistic"],
        *["--dosages", "--min-maf", "0.1", "--cutoff", "1", "--out", tmp_path / "out"],
    )
    assert ran.code == 0, ran.err
    expected = ge.open_cohort(store).gwas(
        "case", covariates="age", model="logistic", dosages=True, min_maf=0.1, cutoff=1
    )
    found = read_logistic(tmp_path / "out" / "gwas.parquet")
    np.testing.assert_array_equal(
        found["variant_logreg_beta"].values, expected["variant_logreg_beta"].values
    )
    assert (expected["variant_logreg_method"] == "firth").any()
    asked = json.loads((tmp_path / "out" / "result.json").read_text())["question"]
    assert (asked["dosages"], asked["min_maf"], asked["model"]) == (True, 0.1, "logistic")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--min-info", "0.3"], "min_info and min_maf are limits on dosages"),
        (["--dosages", "--min-maf", "2"], "min_maf=2: give a frequency"),
        (["--dosages", "--min-maf", "0.5", "--min-info", "1"], "no row has an INFO of 1"),
    ],
)
def test_wrong_questions(store, tmp_path, cli, options, message):
    ran = cli("gwas", store, "--trait", "complete", "--out", tmp_path / "out", *options)
    assert ran.code in (2, 3)
    assert message in ran.err


def test_report(store, tmp_path):
    from genome_eu.report.html import write_report

    found = ge.open_cohort(store).dosage_frequencies()
    write_report(tmp_path / "x.html", "a run", {"dosages": found})
    assert "Imputed dosages" in (tmp_path / "x.html").read_text()
