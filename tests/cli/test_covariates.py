"""`genome-eu gwas` with formulas, transforms and conditioned rows, and what it says of inflation."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from tests.cli.running import federation


def table(out):
    return pd.read_parquet(out / "gwas.parquet")


@pytest.fixture
def store(made):
    return made["FI"].store


def test_a_formula_of_a_cohort(cli, store, tmp_path):
    ran = cli(
        *["gwas", store, "--trait", "ldl", "--out", tmp_path / "out", "--formats", "parquet"],
        *["--covariates", "age + C(population) + age:sex"],
    )
    assert ran.code == 0, ran.err
    expected = ge.open_cohort(store).gwas("ldl", covariates="age + C(population) + age:sex")
    np.testing.assert_array_equal(
        table(tmp_path / "out")["beta"], expected["variant_linreg_beta"].values[:, 0]
    )
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["question"]["terms"] == ["age", "C(population)", "age:sex"]


def test_the_comma_list_keeps_working_and_may_hold_formulas(cli, store, tmp_path):
    found = []
    for number, covariates in enumerate(("age,sex", "age+sex", "age,C(sex)")):
        out = tmp_path / str(number)
        ran = cli(
            *["gwas", store, "--trait", "ldl", "--out", out, "--formats", "parquet"],
            *["--covariates", covariates],
        )
        assert ran.code == 0, ran.err
        found.append(table(out)["t_value"] if "t_value" in table(out) else table(out)["t"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    np.testing.assert_allclose(found[0], found[2], rtol=1e-9)


def test_transform_and_condition_of_a_federation(cli, made, tmp_path):
    toml = federation(tmp_path, made["ES"], made["FI"])
    ran = cli(
        *["gwas", toml, "--trait", "ldl", "--out", tmp_path / "out", "--formats", "parquet"],
        *["--covariates", "age+C(sex)", "--transform", "rint", "--condition-on", "chr2:12000:T:C"],
        "--json",
    )
    assert ran.code == 0, ran.err
    codes = table(tmp_path / "out").set_index("position")["errcode"]
    assert codes[12_000] == "VIF_INFINITE"
    question = json.loads((tmp_path / "out" / "result.json").read_text())["question"]
    assert question["condition"] == ["2:12000:T:C"]
    assert question["transform"] == "rint"


def test_inflation_is_in_the_summary_and_in_the_result(cli, store, tmp_path):
    arguments = ["gwas", store, "--trait", "ldl", "--trait", "crp", "--formats", "parquet"]
    ran = cli(*arguments, "--out", tmp_path / "out", "--json")
    summary = json.loads(ran.out)
    found = ge.open_cohort(store).gwas(["ldl", "crp"])
    expected = found.inflation()
    assert summary["largest lambda_gc"] == pytest.approx(
        max(one["lambda_gc"] for one in expected.values()), abs=1e-4
    )
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["inflation"] == expected
    assert record["inflation"]["ldl"]["exact"]
    expected_p, observed = record["inflation"]["ldl"]["qq"][0]
    tested = found["variant_linreg_neg_log10_p"].values[:, 0]
    assert expected_p == 0.5
    assert observed in tested


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--covariates", "age + exp(age"], 2, "is not a formula"),
        (["--covariates", "age + sin(age)"], 2, "no function sin"),
        (["--covariates", "age - 1 + C(sex)"], 2, "intercept is part of the model"),
        (["--covariates", "C(age)"], 3, "has fractions"),
        (["--transform", "cube"], 2, "choose rint, log, standardize"),
        (["--condition-on", "rs7"], 2, "does not name a row"),
        (["--condition-on", "1:5:A:C"], 3, "not a row that this site lists"),
        (["--condition-on", "2:12000:T:C,2:12000:T:C"], 2, "named twice"),
    ],
)
def test_one_line_errors(cli, store, tmp_path, options, code, message):
    ran = cli("gwas", store, "--trait", "ldl", "--out", tmp_path / "out", *options)
    assert ran.code == code
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_one_round_of_rows_that_are_given(cli, made, tmp_path):
    toml = federation(tmp_path, made["ES"], made["FI"])
    rows = tmp_path / "rows.tsv"
    table_of_rows = ge.open_cohort(made["FI"].store).rows.iloc[30:60]
    table_of_rows[["contig", "position", "ref", "alt"]].to_csv(rows, sep="\t", index=False)
    asked = ["--trait", "ldl", "--rows", rows, "--formats", "parquet", "--missing", "drop"]
    once, twice = tmp_path / "once", tmp_path / "twice"
    ran = cli(
        *["gwas", toml, *asked, "--covariates", "age+sex", "--one-round", "--out", once],
        *["--origin", "age=50,20"],
    )
    assert ran.code == 0, ran.err
    assert cli("gwas", toml, *asked, "--covariates", "age+sex", "--out", twice).code == 0
    np.testing.assert_allclose(table(once)["beta"], table(twice)["beta"], rtol=1e-9)
    assert json.loads((once / "result.json").read_text())["rounds"] == 1
    ran = cli("freq", toml, "--rows", rows, "--one-round", "--out", tmp_path / "freq")
    assert ran.code == 0, ran.err
    assert json.loads((tmp_path / "freq" / "result.json").read_text())["rounds"] == 1
    ran = cli("gwas", toml, *asked, "--one-round", "--origin", "age", "--out", tmp_path / "bad")
    assert ran.code == 2
    assert "write COLUMN=MEAN,SD" in ran.err
