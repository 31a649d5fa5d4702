"""`genome-eu gwas --model logistic`: its files, and what it says where it cannot."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.formats import read_logistic
from tests import simulate


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logistic")
    dosage = simulate.dosages(40, 200, 0.02, 3)
    people = simulate.people(dosage, 4)
    people["case_12"] = people["case"] + 1
    people["never"] = 0.0
    return simulate.write_store(folder, dosage, people)


def test_files_and_summary(cli, store, tmp_path):
    out = tmp_path / "out"
    asked = ["gwas", store, "--trait", "case", "--covariates", "age,sex", "--model", "logistic"]
    ran = cli(*asked, "--formats", "parquet,plink,regenie,ssf", "--out", out)
    assert ran.code == 0, ran.err
    record = json.loads((out / "result.json").read_text())
    assert record["question"]["model"] == "logistic"
    assert record["question"]["test"] == "firth"
    assert set(record["files"]) == {
        "gwas.parquet",
        "gwas.case.glm.logistic.hybrid",
        "gwas.case.regenie",
        "gwas.case.tsv.gz",
        "gwas.case.tsv.gz-meta.yaml",
    }
    found = read_logistic(out / "gwas.parquet")
    there = ge.open_cohort(store).gwas("case", covariates=("age", "sex"), model="logistic")
    np.testing.assert_array_equal(
        found["variant_logreg_z_value"], there["variant_logreg_z_value"].values
    )
    cases = int(ge.open_cohort(store).samples["case"].sum())
    assert record["left_out"]["cases"] == {"case": cases}


def test_the_coding_of_cases(cli, store, tmp_path):
    asked = ["gwas", store, "--trait", "case_12", "--model", "logistic", "--formats", "regenie"]
    ran = cli(*asked, "--out", tmp_path / "no")
    assert ran.code == 3
    assert "trait case_12 has a value other than 0 (control) and 1 (case)" in ran.err
    assert cli(*asked, "--case-control-12", "--out", tmp_path / "yes").code == 0
    table = pd.read_csv(tmp_path / "yes" / "gwas.case_12.regenie", sep=" ")
    assert table["N_CASES"].max() == ge.open_cohort(store).samples["case"].sum()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--test", "lrt"], "choose one of score, spa, firth"),
        (["--cutoff", "-1"], "give a |z| of 0 or more"),
        (["--transform", "rint"], "a binary trait has no other scale"),
        (["--missing", "drop"], "missing='drop' is for fits of every row"),
    ],
)
def test_questions_that_contradict_themselves(cli, store, tmp_path, more, said):
    asked = ["gwas", store, "--trait", "case", "--model", "logistic", *more]
    ran = cli(*asked, "--out", tmp_path)
    assert ran.code == 2
    assert said in ran.err


def test_options_of_another_model(cli, store, tmp_path):
    ran = cli("gwas", store, "--trait", "complete", "--test", "spa", "--out", tmp_path)
    assert ran.code == 2
    assert "go with model='logistic'" in ran.err


def test_a_trait_without_cases(cli, store, tmp_path):
    ran = cli("gwas", store, "--trait", "never", "--model", "logistic", "--out", tmp_path)
    assert ran.code == 3
    assert "trait never has the same value for everybody" in ran.err
