"""Frequencies and associations of rows on X, Y and MT from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genome_eu.formats import read_frequencies
from tests import sex_contigs
from tests.peers.plink import table


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> sex_contigs.SexContigs:
    return sex_contigs.simulate(tmp_path_factory.mktemp("cli"), people=60, seed=31, most_alts=2)


def test_frequencies_of_every_kind_of_rows(cli, simulated, tmp_path):
    done = cli("freq", simulated.store.path, "--out", tmp_path / "freq", "--by", "sex")
    assert done.code == 0, done.err
    counts = table(tmp_path / "freq" / "frequencies.gcount")
    on_y = counts[counts["#CHROM"] == "Y"]
    assert (on_y[["HOM_REF_CT", "HET_REF_ALT_CTS", "TWO_ALT_GENO_CTS"]] == "0").all(axis=None)
    assert on_y["HAP_ALT_CTS"].astype(int).sum() > 0
    of_x = table(tmp_path / "freq" / "frequencies.hardy.x")
    kinds = [kind for _, _, kind in simulated.rows]
    assert len(of_x) == kinds.count("x")
    assert len(table(tmp_path / "freq" / "frequencies.hardy")) == kinds.count("diploid")
    read = read_frequencies(tmp_path / "freq" / "frequencies.parquet")
    haploid = np.isin(kinds, ["y", "mt"])
    assert not read["variant_n_het"].values[haploid].any()
    alleles = read["variant_n_hap_alt"].values[haploid]
    np.testing.assert_array_equal(alleles, read["variant_allele_count"].values[haploid, 1])
    left_out = json.loads((tmp_path / "freq" / "result.json").read_text())["left_out"]
    assert left_out["rows of unknown ploidy"] == 2
    assert left_out["heterozygous haploid calls"] > 0


def test_dosages_of_males_on_x(cli, simulated, tmp_path):
    tables = {}
    for x_males in ("0/2", "0/1"):
        out = tmp_path / x_males.replace("/", "")
        done = cli(
            *("gwas", simulated.store.path, "--trait", "trait", "--out", out),
            *("--x-males", x_males, "--formats", "plink"),
        )
        assert done.code == 0, done.err
        tables[x_males] = table(out / "gwas.trait.glm.linear")
    same = (tables["0/2"]["BETA"] == tables["0/1"]["BETA"]).to_numpy()
    on_x = np.array([kind == "x" for _, _, kind in simulated.rows])
    assert same[~on_x].all()
    assert not same[on_x & (tables["0/2"]["ERRCODE"] == ".").to_numpy()].any()


def test_imputed_dosages_of_every_kind_of_rows(cli, tmp_path):
    imputed = sex_contigs.simulate(tmp_path, people=60, seed=32, most_alts=1, imputed=True)
    done = cli("dosages", imputed.store.path, "--out", tmp_path / "dosages", "--by", "sex")
    assert done.code == 0, done.err
    kinds = np.array([kind for _, _, kind in imputed.rows])
    of_all, of_males = (
        table(tmp_path / "dosages" / f"dosages{group}.afreq") for group in ("", ".M")
    )
    assert (of_all["MACH_R2"] == "NA").tolist() == np.isin(kinds, ["x", "mt"]).tolist()
    same = (of_all["OBS_CT"] == of_males["OBS_CT"]).to_numpy()
    assert same.tolist() == (kinds == "y").tolist()
    done = cli(
        *("gwas", imputed.store.path, "--trait", "trait", "--out", tmp_path / "gwas"),
        *("--dosages", "--min-info", "0.1", "--x-males", "0/1", "--formats", "plink"),
    )
    assert done.code == 0, done.err
    tested = table(tmp_path / "gwas" / "gwas.trait.glm.linear")
    assert {"1", "X", "Y", "MT"} <= set(tested.loc[tested["ERRCODE"] == ".", "#CHROM"])
    done = cli("dosages", imputed.store.path, "--one-round", "--out", tmp_path / "once")
    assert done.code == 0, done.err
    assert len(table(tmp_path / "once" / "dosages.afreq")) == 6


def test_other_dosages_are_refused(cli, simulated, tmp_path):
    done = cli(
        *("gwas", simulated.store.path, "--trait", "trait", "--out", tmp_path / "out"),
        *("--x-males", "1"),
    )
    assert done.code == 2
    assert "--x-males 1: choose 0/2 or 0/1" in done.err
