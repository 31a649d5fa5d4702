"""Tables of a logistic association: PLINK's, REGENIE's, GWAS-SSF and our own."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from genome_eu.errors import BadInput
from genome_eu.formats import (
    GlmLogisticWriter,
    GwasSsfWriter,
    ParquetWriter,
    RegenieWriter,
    read_gwas,
    read_logistic,
)
from genome_eu.report.points import association_tests
from tests.formats import fake_results as fake


def written(writer, path, *shards):
    with writer(path) as file:
        for shard in shards:
            file.append(shard)
    return file.targets


def test_plinks_hybrid_table(tmp_path):
    result = fake.logistic()
    paths = written(
        GlmLogisticWriter,
        tmp_path / "gwas",
        result.isel(variants=slice(0, 20)),
        result.isel(variants=slice(20, None)),
    )
    assert [path.name for path in paths] == [
        "gwas.t2d.glm.logistic.hybrid",
        "gwas.ibd.glm.logistic.hybrid",
    ]
    table = pd.read_csv(paths[0], sep="\t", dtype=str, na_filter=False)
    assert " ".join(table.columns) == (
        "#CHROM POS ID REF ALT A1 A1_FREQ FIRTH? TEST OBS_CT OR LOG(OR)_SE Z_STAT P ERRCODE"
    )
    assert len(table) == result.sizes["variants"]
    assert (table["A1"] == table["ALT"]).all()
    beta = result["variant_logreg_beta"].values[:, 0]
    np.testing.assert_allclose(pd.to_numeric(table["OR"], errors="coerce"), np.exp(beta), rtol=1e-5)
    firth = result["variant_logreg_method"].values[:, 0] == "firth"
    np.testing.assert_array_equal(table["FIRTH?"] == "Y", firth)
    assert table.loc[2, ["OR", "P", "ERRCODE"]].tolist() == ["NA", "NA", "CONST_ALLELE"]
    assert table.loc[4, ["A1_FREQ", "OBS_CT", "ERRCODE"]].tolist() == ["NA", "NA", "WITHHELD"]
    assert table.loc[6, "P"].endswith("e-401")


@pytest.mark.parametrize("kind", ["logistic", "gwas"])
def test_regenies_table(tmp_path, kind):
    result = getattr(fake, kind)()
    (path, _) = written(RegenieWriter, tmp_path / "gwas", result)
    table = pd.read_csv(path, sep=" ", dtype=str, na_filter=False)
    columns = "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ A1FREQ_CASES A1FREQ_CONTROLS N N_CASES "
    columns += "N_CONTROLS TEST BETA SE CHISQ LOG10P EXTRA"
    binary = kind == "logistic"
    expected = [name for name in columns.split() if binary or "_C" not in name]
    assert table.columns.tolist() == expected
    model = "variant_logreg" if binary else "variant_linreg"
    exact = result[f"{model}_neg_log10_p"].values[:, 0]
    np.testing.assert_allclose(pd.to_numeric(table["LOG10P"], errors="coerce"), exact, rtol=1e-5)
    assert table.loc[2, ["BETA", "EXTRA"]].tolist() == ["NA", "CONST_ALLELE"]
    assert table.loc[4, ["N", "A1FREQ", "EXTRA"]].tolist() == ["NA", "NA", "WITHHELD"]
    assert table.loc[7, "EXTRA"] == "NA"
    if binary:
        assert table.loc[7, "N_CASES"] == str(result["variant_logreg_n_cases"].values[7, 0])


def test_gwas_ssf_has_log_odds_ratios(tmp_path):
    result = fake.logistic(traits=("t2d",))
    written(GwasSsfWriter, tmp_path / "t2d.tsv.gz", result)
    with gzip.open(tmp_path / "t2d.tsv.gz", "rt") as file:
        table = pd.read_csv(file, sep="\t")
    fit = result["variant_logreg_errcode"].values[:, 0] == "."
    beta = result["variant_logreg_beta"].values[fit, 0]
    assert 0 < len(table) <= len(beta)
    nearest = np.abs(table["beta"].to_numpy()[:, None] - beta).min(axis=1)
    assert (nearest <= 1e-7).all()


def test_a_round_trip_through_parquet_changes_nothing(tmp_path):
    result = fake.logistic()
    path = tmp_path / "gwas.parquet"
    written(ParquetWriter, path, result)
    again = read_logistic(path)
    for name in result.variables:
        one, other = result[name].values, again[name].values
        if one.dtype.kind == "f":
            hidden = result["variant_logreg_errcode"].values == "WITHHELD"
            one = np.where(hidden, np.nan, one) if one.shape == hidden.shape else one
        np.testing.assert_array_equal(other, one, err_msg=str(name))
    with pytest.raises(BadInput, match=r"holds logistic, not gwas. Read it with read_logistic\(\)"):
        read_gwas(path)


def test_plots_find_the_tests():
    result = fake.logistic()
    tests = association_tests(result, "ibd")
    fit = np.flatnonzero(result["variant_logreg_errcode"].values[:, 1] == ".")
    np.testing.assert_array_equal(tests.rows, fit)


def test_a_linear_result_is_no_logistic_table(tmp_path):
    with pytest.raises(BadInput, match="the result has no variant_logreg_beta"):
        written(GlmLogisticWriter, tmp_path / "gwas", fake.gwas())
