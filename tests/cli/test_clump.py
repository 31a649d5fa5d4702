"""`genome-eu clump` of every table of an association that there is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genome_eu.formats import read_gwas, read_logistic
from tests.cli.running import Ran, federation
from tests.federation.small_sites import Made

Cli = Callable[..., Ran]
LIMITS = ("--p1", 0.05, "--p2", 0.5, "--r2", 0.01)
FORMATS = ("--formats", "parquet,plink,regenie,ssf")
# Six digits of −log10 p, or of p.
DIGITS = {"rtol": 5e-6, "atol": 2.2e-6}
EXACT = {"rtol": 0, "atol": 0}


@pytest.fixture(scope="module")
def linear(cli: Cli, made: dict[str, Made], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GWAS of one trait of one cohort, in every format."""
    out = tmp_path_factory.mktemp("linear") / "gwas"
    ran = cli("gwas", made["FI"].store, "--trait", "ldl", *FORMATS, "--out", out)
    assert ran.code == 0, ran.err
    return out


def clumps(cli: Cli, target: object, gwas: object, out: Path, *more: object) -> pd.DataFrame:
    """The rows in clumps, by id."""
    ran = cli("clump", target, "--gwas", gwas, *LIMITS, *more, "--out", out, "--json")
    assert ran.code == 0, ran.err
    found = pd.read_parquet(out / "clumps.parquet")
    assert len(found) == json.loads(ran.out)["rows_in_clumps"] > 0
    return found


def same(found: pd.DataFrame, expected: pd.DataFrame, digits: dict[str, float] = DIGITS) -> None:
    for column in ("contig", "position", "ref", "alt", "id", "clump", "clump_index", "clump_named"):
        assert found[column].tolist() == expected[column].tolist(), column
    np.testing.assert_allclose(found["neg_log10_p"], expected["neg_log10_p"], **digits)


@pytest.mark.parametrize("ending", ["glm.linear", "regenie", "tsv.gz"])
def test_a_table_of_text_says_the_same_as_the_folder(cli, made, linear, tmp_path, ending):
    expected = clumps(cli, made["FI"].store, linear, tmp_path / "folder")
    same(
        clumps(cli, made["FI"].store, linear / "gwas.parquet", tmp_path / "table"), expected, EXACT
    )
    (table,) = linear.glob(f"gwas.ldl.{ending}")
    same(clumps(cli, made["FI"].store, table, tmp_path / "text"), expected)


@pytest.mark.parametrize("test", ["score", "firth", "spa", "wald", "firth-full", "hybrid"])
def test_every_logistic_test(cli, made, tmp_path, test):
    store, gwas = made["FI"].store, tmp_path / "gwas"
    asked = ("--trait", "case", "--model", "logistic", "--test", test, *FORMATS)
    ran = cli("gwas", store, *asked, "--out", gwas)
    assert ran.code == 0, ran.err
    found = clumps(cli, store, gwas, tmp_path / "clumps")
    result = read_logistic(gwas / "gwas.parquet")
    p = dict(
        zip(
            result["variant_id"].values,
            result["variant_logreg_neg_log10_p"].values[:, 0],
            strict=True,
        )
    )
    assert found["neg_log10_p"].tolist() == [p[name] for name in found["id"]]
    text = clumps(cli, store, gwas / "gwas.case.glm.logistic.hybrid", tmp_path / "text")
    same(text, found)


def test_a_whole_genome_regression(cli, made, tmp_path):
    store, gwas = made["FI"].store, tmp_path / "gwas"
    asked = ("--trait", "ldl", "--model", "wgr", "--block", 20, "--folds", 2)
    ran = cli("gwas", store, *asked, "--out", gwas)
    assert ran.code == 0, ran.err
    found = clumps(cli, store, gwas, tmp_path / "clumps")
    p = read_gwas(gwas / "gwas.parquet")["variant_linreg_neg_log10_p"].values
    assert found["neg_log10_p"].max() == np.nanmax(p)


def test_a_meta_analysis(cli, made, tmp_path):
    """Effects of two countries together, by the LD of a third and of all."""
    tables = []
    for name in ("FI", "ES"):
        out = tmp_path / name
        ran = cli("gwas", made[name].store, "--trait", "ldl", "--formats", "plink", "--out", out)
        assert ran.code == 0, ran.err
        tables.append((out / "gwas.ldl.glm.linear").rename(tmp_path / f"{name}.glm.linear"))
    meta = tmp_path / "meta"
    assert cli("meta", *tables, "--out", meta).code == 0
    toml = federation(tmp_path / "eu", *made.values())
    combined = pd.read_parquet(meta / "meta.parquet")
    p = dict(zip(combined["position"], combined["neg_log10_p"], strict=True))
    for target in (made["IT"].store, toml):
        name = f"clumps-{Path(target).stem}"
        found = clumps(cli, target, meta, tmp_path / name)
        assert found["neg_log10_p"].tolist() == [p[place] for place in found["position"]]


@pytest.mark.parametrize("ending", ["glm.logistic.hybrid", "glm.firth", "glm.logistic"])
def test_a_table_of_plink(cli, made, linear, tmp_path, ending):
    """PLINK's A1 is the rarer allele, and each covariate has a line."""
    expected = clumps(cli, made["FI"].store, linear, tmp_path / "folder")
    table = pd.read_csv(linear / "gwas.ldl.glm.linear", sep="\t", dtype=str)
    turned = np.arange(len(table)) % 2 == 0
    lines = table[["#CHROM", "POS", "ID", "REF", "ALT"]].assign(
        A1=np.where(turned, table["REF"], table["ALT"]),
        **{"FIRTH?": "N", "TEST": "ADD", "OBS_CT": "9", "OR": "1.5", "LOG(OR)_SE": "0.1"},
        Z_STAT="1",
        P=table["P"],
    )
    covariates = lines.assign(TEST="AGE", P="1e-30")
    path = tmp_path / f"plink2.ldl.{ending}"
    both = pd.concat([lines, covariates]).sort_index(kind="stable").fillna("NA")
    both.to_csv(path, sep="\t", index=False)
    same(clumps(cli, made["FI"].store, path, tmp_path / "plink"), expected)


def test_a_table_of_regenie_in_another_order(cli, made, linear, tmp_path):
    """Contigs called 23 or chr1, alleles the other way round, rows that are not here."""
    expected = clumps(cli, made["FI"].store, linear, tmp_path / "folder")
    table = pd.read_csv(linear / "gwas.ldl.glm.linear", sep="\t").dropna(subset="P")
    turned = ~(table["REF"] + table["ALT"]).isin(["AT", "TA", "CG", "GC"])
    lines = pd.DataFrame(
        {
            "CHROM": "chr" + table["#CHROM"].astype(str),
            "GENPOS": table["POS"],
            "ID": ".",
            "ALLELE0": np.where(turned, table["ALT"], table["REF"]),
            "ALLELE1": np.where(turned, table["REF"], table["ALT"]),
            "LOG10P": -np.log10(table["P"]),
        }
    )
    absent = lines.iloc[:1].assign(GENPOS=lines["GENPOS"].max() + 7, LOG10P=300.0)
    path = tmp_path / "step2.regenie.gz"
    text = pd.concat([absent, lines.sample(frac=1, random_state=3)]).to_csv(sep=" ", index=False)
    path.write_bytes(gzip.compress(text.encode()))
    same(clumps(cli, made["FI"].store, path, tmp_path / "regenie"), expected)
    record = json.loads((tmp_path / "regenie" / "result.json").read_text())
    assert record["left_out"]["rows of the GWAS that are not at every site"] >= 1


def test_a_p_value_of_zero_comes_first(cli, made, linear, tmp_path):
    table = pd.read_csv(linear / "gwas.ldl.glm.linear", sep="\t", dtype=str)
    table.loc[table["ID"] == "rs7", "P"] = "0"
    path = tmp_path / "zero.glm.linear"
    table.to_csv(path, sep="\t", index=False, na_rep="NA")
    found = clumps(cli, made["FI"].store, path, tmp_path / "clumps")
    first = found[(found["clump"] == 0) & found["clump_index"]]
    assert first["id"].tolist() == ["rs7"]
    assert first["neg_log10_p"].to_numpy() == pytest.approx(323.306, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "options", "code", "says"),
    [
        ("a b c\n1 2 3\n", (), 3, "do not say which column is contig"),
        ("CHROM GENPOS ALLELE0 ALLELE1\n1 2 A G\n", (), 3, "which column is p or neg_log10_p"),
        ("CHROM GENPOS ALLELE0 ALLELE1 LOG10P\n1 2 A G NA\n", (), 3, "has no p-value"),
        ("CHROM GENPOS ALLELE0 ALLELE1 LOG10P\n1 2 A G 1\n", (), 3, "nothing to clump"),
        ("CHROM GENPOS ALLELE0 ALLELE1 LOG10P\n1 2 A G 9\n", (), 3, "none of the rows"),
        ("CHROM GENPOS ALLELE0 ALLELE1 LOG10P\n1 2 A G 9\n", ("--trait", "x"), 2, "one trait"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(cli, made, tmp_path, text, options, code, says):
    path = tmp_path / "table.txt"
    path.write_text(text)
    asked = ("--gwas", path, "--p1", 1e-8, *options, "--out", tmp_path / "out")
    ran = cli("clump", made["FI"].store, *asked)
    assert (ran.code, ran.err.count("\n")) == (code, 1), ran.err
    assert says in ran.err


def test_a_row_that_is_named_twice(cli, made, linear, tmp_path):
    lines = (linear / "gwas.ldl.glm.linear").read_text().splitlines(keepends=True)
    path = tmp_path / "twice.glm.linear"
    path.write_text("".join([*lines, *lines[1:]]))
    for target in (made["FI"].store, federation(tmp_path / "eu", *made.values())):
        ran = cli("clump", target, "--gwas", path, *LIMITS, "--out", tmp_path / "out")
        assert (ran.code, ran.err.count("\n")) == (3, 1), ran.err
        assert "more than once" in ran.err


def test_parquet_of_something_else(cli, made, tmp_path):
    ran = cli("freq", made["FI"].store, "--out", tmp_path / "freq")
    assert ran.code == 0, ran.err
    table = tmp_path / "freq" / "frequencies.parquet"
    ran = cli("clump", made["FI"].store, "--gwas", table, "--out", tmp_path / "out")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert "is no association" in ran.err
