"""Pruning, projection and clumping from the command line, and how one takes what another wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.running import Ran, contents, federation, half_made
from tests.federation.policies import floors_file
from tests.federation.small_sites import ROWS, Made

Cli = Callable[..., Ran]


def said(ran: Ran) -> dict:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@pytest.fixture
def toml(made: dict[str, Made], tmp_path: Path) -> Path:
    return federation(tmp_path / "eu", *made.values())


def test_a_pruned_folder_is_what_other_questions_are_asked_of(cli: Cli, made, toml, tmp_path):
    out = tmp_path / "pruned"
    found = said(cli("prune", toml, "--out", out, "--window", "20", "--r2", "0.02", "--json"))
    assert 0 < found["rows_kept"] < found["rows_total"] == ROWS
    kept = (out / "kept.prune.in").read_text().split()
    gone = (out / "kept.prune.out").read_text().split()
    assert sorted(kept + gone) == sorted(f"rs{row}" for row in range(ROWS))
    assert pd.read_csv(out / "rows.tsv", sep="\t")["id"].tolist() == kept
    assert pd.read_parquet(out / "kept.parquet")["id"].tolist() == kept
    assert len(kept) == found["rows_kept"]
    for target in (toml, made["FI"].store):
        pca = tmp_path / f"pca-{target.stem}"
        asked = said(cli("pca", target, "--rows", out, "--components", 2, "--out", pca, "--json"))
        assert asked["rows_used"] == len(kept)


@pytest.mark.parametrize("missing", ["pairwise", "fill"])
def test_one_store_is_pruned_as_its_people_apart(cli: Cli, made, tmp_path, missing):
    """A federation of one: the same rows, by sums and by bits."""
    options = ("--window", "0.5kb", "--r2", "0.05", "--missing", missing, "--json")
    toml = federation(tmp_path / "eu", made["ES"])
    one = said(cli("prune", toml, *options, "--out", tmp_path / "a"))
    two = said(cli("prune", made["ES"].store, *options, "--out", tmp_path / "b"))
    assert one["rows_kept"] == two["rows_kept"] < ROWS
    names = ("kept.prune.in", "kept.prune.out", "rows.tsv")
    assert [(tmp_path / "a" / name).read_bytes() for name in names] == [
        (tmp_path / "b" / name).read_bytes() for name in names
    ]


def test_a_policy_with_floors_withholds_rows_that_lack_calls(cli: Cli, made, tmp_path):
    policy = str(floors_file(tmp_path))
    toml = federation(tmp_path / "eu", *made.values(), policy=policy)
    options = ("--window", "5", "--r2", "0.05", "--json")
    found = said(cli("prune", toml, *options, "--out", tmp_path / "a"))
    # One or six calls are missing in 16 rows; others have few carriers of a pair of alleles.
    assert found["left_out"]["rows withheld by policy"] >= 16
    filled = said(cli("prune", toml, *options, "--missing", "fill", "--out", tmp_path / "b"))
    assert (
        filled["left_out"].get("rows withheld by policy", 0)
        < found["left_out"]["rows withheld by policy"] - 8
    )


def test_a_window_of_more_rows_than_people_allow_is_refused(cli: Cli, made, tmp_path):
    toml = federation(tmp_path / "eu", *made.values(), policy="default")
    ran = cli("prune", toml, "--window", "100", "--out", tmp_path / "out")
    assert ran.code == 4
    assert "per person" in ran.err
    assert not (tmp_path / "out" / "result.json").exists()


def test_pca_prunes_first(cli: Cli, toml, tmp_path):
    out = tmp_path / "pca"
    arguments = ("pca", toml, "--components", 2, "--prune", "--out", out, "--json")
    found = said(cli(*arguments))
    pruned = json.loads((out / "prune" / "result.json").read_text())
    assert pruned["question"]["window"] == "500kb"
    assert found["rows_used"] == pruned["summary"]["rows_kept"]
    again = said(cli(*arguments))
    assert again["pca_id"] == found["pca_id"]
    assert not half_made(tmp_path)


def test_regions_of_long_range_ld_need_a_build(cli: Cli, made, tmp_path):
    ran = cli("prune", made["FI"].store, "--out", tmp_path / "a", "--keep-long-range")
    assert ran.code == 0, ran.err
    record = json.loads((tmp_path / "a" / "result.json").read_text())
    assert record["question"]["keep_long_range"] is True


def test_a_cohort_is_projected_on_the_pca_of_others(cli: Cli, made, toml, tmp_path):
    pca, out = tmp_path / "pca", tmp_path / "projected"
    asked = said(cli("pca", toml, "--components", 2, "--out", pca, "--json"))
    store = made["IT"].store
    found = said(cli("project", store, "--pca", pca, "--out", out, "--json"))
    assert found["pca_id"] == asked["pca_id"]
    assert found["rows_absent"] == 0
    assert sorted(contents(out)) == ["pca.eigenvec", "pca.scores.npz", "result.json"]
    with np.load(out / "pca.scores.npz") as kept:
        assert kept["sample_id"].tolist() == made["IT"].table.index.tolist()
        assert np.isfinite(kept["scores"]).all()
    ran = cli("gwas", store, "--trait", "ldl", "--pcs", out, "--out", tmp_path / "gwas")
    assert ran.code == 0, ran.err


def test_a_site_keeps_scores_for_a_gwas_that_names_the_pca(cli: Cli, made, tmp_path):
    """A country that joins later adjusts with the components of those before it."""
    base, eu = tmp_path / "base", tmp_path / "eu"
    older = federation(base, made["ES"], made["FI"])
    pca_id = said(cli("pca", older, "--components", 2, "--out", tmp_path / "pca", "--json"))[
        "pca_id"
    ]
    toml = federation(eu, made["ES"], made["FI"], made["IT"])
    # The sites of a federation in one process keep their state beside its file.
    (base / "state").rename(eu / "state")
    asked = ("gwas", toml, "--trait", "ldl", "--pcs", pca_id, "--out", tmp_path / "gwas")
    ran = cli(*asked)
    assert ran.code == 3
    assert f"no scores of PCA {pca_id}" in ran.err
    site = tmp_path / "site.toml"
    site.write_text(
        f'name = "IT"\ncohort = "{made["IT"].store}"\npolicy = "open-data"\n'
        f'state = "{eu / "state" / "IT"}"\n'
    )
    ran = cli("project", site, "--pca", tmp_path / "pca", "--out", tmp_path / "projected")
    assert ran.code == 0, ran.err
    ran = cli(*asked)
    assert ran.code == 0, ran.err


def test_scores_on_rare_rows_are_not_kept_for_others(cli: Cli, made, tmp_path):
    """Loadings on one row would make a covariate of its genotypes."""
    toml = federation(tmp_path / "eu", made["FI"])
    said(cli("pca", toml, "--components", 2, "--out", tmp_path / "pca", "--json"))
    site = tmp_path / "site.toml"
    site.write_text(f'name = "FI"\ncohort = "{made["FI"].store}"\n')
    ran = cli("project", site, "--pca", tmp_path / "pca", "--out", tmp_path / "out")
    assert ran.code == 4
    assert "rows below the allele floor of 10 at site FI" in ran.err


def test_clumps_of_a_gwas(cli: Cli, made, toml, tmp_path):
    gwas, out = tmp_path / "gwas", tmp_path / "clumps"
    for trait in ("ldl", "crp"):
        assert trait in made["FI"].table
    ran = cli("gwas", toml, "--trait", "ldl", "--trait", "crp", "--out", gwas)
    assert ran.code == 0, ran.err
    options = ("--gwas", gwas, "--p1", 0.05, "--p2", 0.5, "--r2", 0.01, "--out", out)
    assert cli("clump", toml, *options).code == 2
    found = said(cli("clump", toml, *options, "--trait", "ldl", "--json"))
    table = pd.read_csv(out / "clumps.clumps", sep="\t")
    assert len(table) == found["clumps"] > 0
    assert table["ID"].iloc[0] == "rs40"
    assert (np.diff(table["P"]) >= 0).all()
    assert table["P"].max() <= 0.05
    bins = table[["NONSIG", "S0.05", "S0.01", "S0.001", "S0.0001"]].sum(axis=1)
    assert (bins == table["TOTAL"]).all()
    rows = pd.read_parquet(out / "clumps.parquet")
    assert len(rows) == found["rows_in_clumps"] == table["TOTAL"].sum() + len(table)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("prune", "--window", "wide"), 2, "window 'wide': give a number of rows, or bases"),
        (("prune", "--r2", "1.5"), 2, "r2 is 1.5; give at least 0 and less than 1"),
        (("prune", "--missing", "no"), 2, "missing='no': choose pairwise or fill"),
        (("clump", "--gwas", "."), 3, "no gwas.parquet or meta.parquet there"),
        (("clump", "--gwas", ".", "--p1", "2"), 2, "p1 is 2; give more than 0, at most 1"),
        (("project", "--pca", "."), 3, "no pca.parquet there"),
    ],
)
def test_what_cannot_be_asked(cli: Cli, made, tmp_path, arguments, code, says):
    command, *options = arguments
    ran = cli(command, made["FI"].store, *options, "--out", tmp_path / "out")
    assert (ran.code, ran.err.count("\n")) == (code, 1)
    assert says in ran.err
