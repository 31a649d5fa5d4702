"""Dosages on X, Y and MT beside PLINK 2, from a VCF's field DS and from the BGEN that PLINK makes.

Frequencies, numbers of alleles and, where PLINK gives it, MACH_R2 agree in every printed digit: on
Y it is that of one copy. On X and MT PLINK 2.00a3.5 has none. What a BGEN of PLINK says of people
of unknown sex on Y is none of their dosages.
"""

from __future__ import annotations

import pandas as pd
import pytest

import genome_eu as ge
from tests import sex_contigs
from tests.peers.plink import needs_plink2, plink2, table
from tests.peers.test_plink_ploidy import as_pgen, assert_linear, assert_logistic

pytestmark = [needs_plink2, pytest.mark.plink2]
FIELD = "dosage=DS"


@pytest.fixture(scope="module")
def imputed(tmp_path_factory) -> sex_contigs.SexContigs:
    """One ALT a site, no call that could not be, and people without a sex."""
    folder = tmp_path_factory.mktemp("imputed")
    return sex_contigs.simulate(
        folder, people=120, seed=14, unknown=3, wrong=0.0, most_alts=1, imputed=True
    )


def assert_frequencies(cohort: ge.Cohort, peer: pd.DataFrame, folder) -> None:
    paths = cohort.dosage_frequencies().to_files(folder, ["plink"])
    ours = table(paths[0])
    assert len(ours) > 30
    assert (ours.loc[ours["#CHROM"] == "Y", "MACH_R2"] != "NA").all()
    columns = ["ID", "ALT_FREQS", "MACH_R2", "OBS_CT"]
    pd.testing.assert_frame_equal(ours[columns], peer[columns])


def test_frequencies(imputed, tmp_path):
    data = as_pgen(imputed, tmp_path, FIELD)
    peer = plink2("--pfile", data, "--freq", "cols=+machr2", out=data).with_suffix(".afreq")
    assert_frequencies(ge.open_cohort(imputed.store.path), table(peer), tmp_path / "ours")


def test_frequencies_of_a_bgen(imputed, tmp_path):
    data = as_pgen(imputed, tmp_path, FIELD)
    known = tmp_path / "known.txt"
    chosen = imputed.people.index[imputed.people["sex"] != "unknown"]
    known.write_text("\n".join(chosen) + "\n")
    # To a BGEN, PLINK exports the regions of X as X.
    plink2(
        *("--pfile", data, "--keep", known, "--merge-par"),
        *("--export", "bgen-1.2", "bits=16", "ref-first"),
        out=data,
    )
    bgen, sample = (data.with_suffix(f".{ending}") for ending in ("bgen", "sample"))
    people = imputed.people.loc[chosen]
    people.to_csv(tmp_path / "people.tsv", sep="\t", na_rep="NA")
    store = ge.import_genotypes(
        bgen,
        tmp_path / "x.vcz",
        sample_file=sample,
        samples=tmp_path / "people.tsv",
        build="GRCh38",
    )
    peer = plink2(
        *("--bgen", bgen, "ref-first", "--sample", sample, "--split-par", "hg38"),
        *("--freq", "cols=+machr2"),
        out=tmp_path / "again",
    )
    assert_frequencies(
        ge.open_cohort(store.path), table(peer.with_suffix(".afreq")), tmp_path / "ours"
    )


@pytest.mark.parametrize(("x_males", "xchr_model"), [("0/2", "2"), ("0/1", "1")])
def test_linear_regression(imputed, tmp_path, x_males, xchr_model):
    assert_linear(imputed, tmp_path, x_males, xchr_model, ["age"], FIELD)


@pytest.mark.parametrize(("x_males", "xchr_model"), [("0/2", "2"), ("0/1", "1")])
def test_logistic_regression(imputed, tmp_path, x_males, xchr_model):
    # A law (tests/laws/test_dosage_ploidy.py) has fits that are iterated to their end.
    assert_logistic(imputed, tmp_path, x_males, xchr_model, FIELD, rtol=5e-5)
