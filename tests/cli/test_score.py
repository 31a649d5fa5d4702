"""`genome-eu score`: scores of a cohort's people, and the distribution over sites."""

from __future__ import annotations

import json
import stat

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from tests.cli.running import federation


@pytest.fixture
def weights(made, tmp_path):
    rows = ge.open_cohort(made["FI"].store).rows.iloc[30:70]
    values = np.random.default_rng(3).normal(size=len(rows)).round(4)
    lines = [f"{r.id}\t{r.alt}\t{w}" for r, w in zip(rows.itertuples(), values, strict=True)]
    path = tmp_path / "ldl.score"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_cohort_has_a_private_table_of_its_people(cli, made, weights, tmp_path):
    out = tmp_path / "out"
    ran = cli("score", made["FI"].store, "--weights", weights, "--out", out, "--json")
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    assert (summary["weights"], summary["rows_used"], summary["people"]) == (40, 40, 37)
    people = pd.read_csv(out / "score.sscore", sep="\t")
    assert stat.S_IMODE((out / "score.sscore").stat().st_mode) == 0o600
    assert people.columns.tolist() == [
        "#IID", "ALLELE_CT", "DENOM", "NAMED_ALLELE_DOSAGE_SUM", "ldl_AVG", "ldl_SUM",
    ]  # fmt: skip
    assert people["ldl_SUM"].mean() == pytest.approx(summary["mean"]["ldl"], rel=1e-4)
    assert people["ldl_SUM"].std() == pytest.approx(summary["sd"]["ldl"], rel=1e-4)
    told = pd.read_csv(out / "score.summary.tsv", sep="\t")
    assert told["people"].tolist() == [37]
    bins = pd.read_csv(out / "score.histogram.tsv", sep="\t")
    assert bins["people"].sum() == 37
    assert bins["low"].iloc[0] == -np.inf


def test_a_federation_has_the_distribution_only(cli, made, weights, tmp_path):
    toml = federation(tmp_path, made["ES"], made["FI"])
    out = tmp_path / "out"
    ran = cli("score", toml, "--weights", weights, "--out", out, "--by", "sex", "--json")
    assert ran.code == 0, ran.err
    assert not (out / "score.sscore").exists()
    told = pd.read_csv(out / "score.summary.tsv", sep="\t")
    assert told["group"].tolist() == ["Total", "F", "M"]
    assert told["people"].tolist() == [78, 38, 40]
    names = {str(path) for path in out.rglob("*") if path.is_file()}
    assert not [name for name in names if "sscore" in name]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("rs1 A\n", 3, "has no column"),
        ("nowhere C 1\n", 3, "no weight speaks of a row"),
        ("#genome_build=GRCh37\nrsID\teffect_allele\teffect_weight\nrs30\tC\t1\n", 3, "GRCh37"),
    ],
)
def test_one_line_errors(cli, made, tmp_path, text, code, message):
    path = tmp_path / "w.txt"
    path.write_text(text)
    ran = cli("score", made["FI"].store, "--weights", path, "--out", tmp_path / "out")
    assert ran.code == code
    assert message in ran.err
    assert ran.err.count("\n") == 1
