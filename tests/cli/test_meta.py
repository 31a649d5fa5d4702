"""`genome-eu meta`: files, summary, and one-line errors."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.meta import study_of
from tests import simulate

HEADING = "chromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta\tstandard_error\tn\n"


def study(path, lines):
    path.write_text(HEADING + "".join("\t".join(map(str, line)) + "\n" for line in lines))
    return path


@pytest.fixture
def two(tmp_path):
    one = study(
        tmp_path / "one.tsv",
        [
            (1, 100, "A", "G", 0.5, 0.1, 90),
            (1, 100, "A", "C", 0.2, 0.1, 90),
            (2, 7, "T", "C", 1, 1, 9),
        ],
    )
    other = study(
        tmp_path / "two.tsv",
        [(1, 100, "G", "A", -0.3, 0.2, 50), ("chr1", 100, "C", "A", 0.1, 0.2, 50)],
    )
    return one, other


def test_files_and_summary(cli, tmp_path, two):
    ran = cli("meta", *two, "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    assert summary["studies"] == 2
    assert summary["variants"] == 3
    assert summary["variants in one study only"] == 1
    assert summary["joined_by"] == "position"
    assert summary["left_out"]["two"]["effects turned"] == 2
    table = pd.read_parquet(tmp_path / "out" / "meta.parquet")
    assert table["id"].tolist() == ["1:100:A/G", "1:100:A/C", "2:7:A/G"]
    assert table["direction"].tolist() == ["++", "+-", "+?"]
    weights = 1 / np.array([0.1, 0.2]) ** 2
    expected = (weights * [0.5, 0.3]).sum() / weights.sum()
    assert table["beta"][0] == pytest.approx(expected, rel=1e-14)
    assert table["errcode"].tolist() == [".", ".", "ONE_STUDY"]
    text = pd.read_csv(tmp_path / "out" / "meta.tbl", sep="\t")
    assert text["Direction"].tolist() == ["++", "+-", "+?"]
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["question"]["studies"] == ["one", "two"]


def test_studies_listed_in_a_file(cli, tmp_path, two):
    listed = tmp_path / "studies.toml"
    listed.write_text(
        '[[study]]\nfile = "one.tsv"\nname = "north"\n'
        '[[study]]\nfile = "two.tsv"\nn = 400\ncolumns = {beta = "beta"}\n'
    )
    ran = cli("meta", listed, "--out", tmp_path / "out", "--scheme", "ivw", "--json")
    assert ran.code == 0, ran.err
    table = pd.read_parquet(tmp_path / "out" / "meta.parquet")
    assert table["n"].tolist() == [490, 490, 9]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["one.tsv"], 2, "at least two studies"),
        (["one.tsv", "two.tsv", "--scheme", "best"], 2, "choose ivw or samplesize"),
        (["one.tsv", "two.tsv", "--scheme", "samplesize"], 3, "no row with an effect, a p-value"),
        (["one.tsv", "none.tsv"], 3, "cannot be read"),
        (["one.tsv", "one.tsv"], 2, "same name"),
        (["bad.toml", "two.tsv"], 3, "does not list studies"),
    ],
)
def test_one_line_errors(cli, tmp_path, two, arguments, code, message):
    (tmp_path / "bad.toml").write_text("study = 3\n")
    paths = [tmp_path / one if one.endswith((".tsv", ".toml")) else one for one in arguments]
    ran = cli("meta", *paths, "--out", tmp_path / "out")
    assert ran.code == code
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_another_question_is_not_written_over(cli, tmp_path, two):
    assert cli("meta", *two, "--out", tmp_path / "out").code == 0
    ran = cli("meta", *two, "--out", tmp_path / "out", "--genomic-control")
    assert ran.code == 3
    assert "another question" in ran.err


def test_sites_that_send_results_come_near_to_sites_that_send_sums(tmp_path):
    """With the same model at every site, weighting by variance is nearly the pooled fit."""
    cohort = simulate.cohort(tmp_path, rows=40, people_number=400, missing=0.0, seed=9)
    sex = cohort.people["sex"].to_numpy()
    pooled = simulate.split(cohort, sex).gwas("complete", covariates="age")
    whole = ge.open_cohort(cohort.store.path)
    parts = [
        study_of(whole.where(sex=name).gwas("complete", covariates="age"), name) for name in "FM"
    ]
    found = ge.meta_analysis(parts)
    ours = dict(zip(found["variant_position"].values, found["variant_meta_z"].values, strict=True))
    fit = pooled["variant_linreg_errcode"].values[:, 0] == "."
    z = np.array([ours[p] for p in pooled["variant_position"].values[fit]])
    assert np.corrcoef(z, pooled["variant_linreg_t_value"].values[fit, 0])[0, 1] > 0.99
