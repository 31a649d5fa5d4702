"""Logistic association against PLINK 2 and REGENIE's published example, number by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from tests.oracles import logistic as naive
from tests.peers import oracle
from tests.peers.conftest import REPOSITORY, Peer
from tests.peers.plink import needs_plink2, plink2, table, write_columns
from tests.stats.logistic_rounds import Study

# PLINK stops when a step is small. Relative to the odds ratio and its error this is what it leaves:
# of nearly all rows, and of the rest, where cases hardly overlap controls or an allele is rare.
USUAL = {"wald": 2e-5, "firth": 2e-4}
LARGEST = {"wald": 2e-4, "firth": 2e-3}
REGENIE = REPOSITORY.parent / "shared" / "data" / "regenie_example"


def binary_trait(peer: Peer) -> np.ndarray:
    """Simulated cases, a few of whom two rows and the first covariates explain."""
    rng = np.random.default_rng(31)
    x = (peer.x - peer.x.mean(axis=0)) / peer.x.std(axis=0)
    common = np.flatnonzero((peer.dosage.clip(0).mean(axis=1) > 0.4).ravel())[[3, 90]]
    eta = -0.4 + 0.5 * x[:, 0] + 0.3 * x[:, 1] + 0.6 * peer.dosage[common].clip(0).sum(axis=0)
    y = (rng.random(len(eta)) < 1 / (1 + np.exp(-(eta - eta.mean())))).astype(float)
    y[rng.choice(len(y), 5, replace=False)] = np.nan
    return y


def asked(peer: Peer, folder: Path, *how: str) -> pd.DataFrame:
    """PLINK's table of the simulated trait, ALT as A1 everywhere."""
    vcf = peer.source.suffix == ".gz"
    fam = peer.source.with_suffix(".fam")
    fid = ["0"] * len(peer.samples) if vcf else [line.split()[0] for line in fam.open()]
    cases = peer.samples.assign(case=binary_trait(peer))[["case"]]
    covariates = pd.DataFrame(peer.x, peer.samples.index, [f"c_{n}" for n in peer.covariates])
    out = plink2(
        *(["--vcf", peer.source] if vcf else ["--bfile", peer.source.with_suffix("")]),
        *["--pheno", write_columns(folder / "trait.txt", fid, cases), "--1"],
        *["--covar", write_columns(folder / "covariates.txt", fid, covariates)],
        *["--covar-variance-standardize", "--vif", "1e9", "--max-corr", "1"],
        *["--glm", "omit-ref", "hide-covar", "cols=+a1freq", *how],
        out=folder / "plink",
    )
    (path,) = out.parent.glob("plink.case.glm.*")
    return table(path)


def ours(peer: Peer, folder: Path, test: str) -> ge.GwasResult:
    samples = peer.samples.assign(case=binary_trait(peer))
    samples.to_csv(folder / "samples.tsv", sep="\t", index_label="sample_id", na_rep="NA")
    ge.import_genotypes(peer.source, folder / "cases.vcz", samples=folder / "samples.tsv")
    return ge.open_cohort(folder / "cases.vcz").gwas(
        "case", covariates=peer.covariates, model="logistic", test=test, missing="drop"
    )


def converged(peer: Peer, row: int, *, firth: bool) -> tuple[float, float]:
    y, dosage = binary_trait(peer), peer.dosage[row]
    here = (dosage >= 0) & ~np.isnan(y)
    x = (peer.x - peer.x.mean(axis=0)) / peer.x.std(axis=0)
    columns = np.column_stack([np.ones(here.sum()), x[here]])
    return naive.wald(dosage[here].astype(float), columns, y[here], np.zeros(here.sum()), firth)


@pytest.mark.slow
@needs_plink2
@pytest.mark.parametrize("name", ["kg_eur", "kg_eur_2pc_out"])
@pytest.mark.parametrize(
    ("test", "how"), [("wald", "no-firth"), ("hybrid", "firth-fallback"), ("firth-full", "firth")]
)
def test_plink_logistic(request, tmp_path, shown, name, test, how):
    peer = request.getfixturevalue(name)
    theirs, found = asked(peer, tmp_path, how), ours(peer, tmp_path, test)

    def column(label: str) -> np.ndarray:
        return found[f"variant_logreg_{label}"].values[:, 0]

    fit = (theirs["ERRCODE"] == ".").to_numpy()
    both = fit & (column("errcode") == ".")
    numbers = {
        label: pd.to_numeric(theirs[label].where(fit), errors="coerce").to_numpy(float)
        for label in ("OR", "LOG(OR)_SE", "Z_STAT", "OBS_CT")
    }
    firth = np.full(len(theirs), test == "firth-full")
    if "FIRTH?" in theirs:
        firth = (theirs["FIRTH?"] == "Y").to_numpy()
        # PLINK gives up where its own steps fail; a maximum that exists is found here.
        same = both & (firth == (column("method") == "firth-full"))
        assert (both & ~same).sum() <= 1e-3 * both.sum()
        both = same
    np.testing.assert_array_equal(column("n")[both], numbers["OBS_CT"][both])
    se, beta = column("se"), column("beta")
    errors = {
        "OR": np.abs(numbers["OR"] / np.exp(beta) - 1),
        "SE": np.abs(numbers["LOG(OR)_SE"] / se - 1),
    }
    for kind, rows in (("wald", both & ~firth), ("firth", both & firth)):
        for label, error in errors.items():
            if not rows.any():
                continue
            usual = float((error[rows] <= USUAL[kind]).mean())
            worst = np.flatnonzero(rows)[np.argsort(-error[rows])[:3]]
            shown(
                f"{name} {test} {label} of {kind}, {rows.sum()} rows",
                usual=usual,
                largest=float(error[worst[0]]),
            )
            assert error[worst[0]] <= LARGEST[kind]
            # The penalized fits of `hybrid` are all of alleles that cases or controls lack.
            assert usual >= {"wald": 0.995, "hybrid": 0.7}.get(
                test if kind == "firth" else kind, 0.95
            )
            # Where they differ most, a fit iterated to its end says who is right.
            for row in worst:
                its_beta, its_se = converged(peer, row, firth=kind == "firth")
                assert abs(beta[row] - its_beta) <= 1e-8 * its_se
                assert abs(se[row] / its_se - 1) <= 1e-8
    # What PLINK does not fit has no fit here, or one that PLINK's limits keep it from.
    other = (fit != (column("errcode") == ".")).sum()
    shown(f"{name} {test}: rows fitted by one only", rows=int(other))
    assert other <= 2e-3 * len(theirs)


# -- REGENIE -----------------------------------------------------------------------------------


def regenie_example():
    """Dosages of ALLELE1, covariates, cases, and the offset that step 1 left to chromosome 1."""
    if not REGENIE.exists():
        pytest.skip(f"needs the regenie_example data set at {REGENIE}")
    people, _, dosage = oracle.read_bed(REGENIE / "example.bed")

    def column_of(name: str) -> pd.DataFrame:
        read = pd.read_csv(REGENIE / name, sep=" ", dtype={"IID": str})
        return read.set_index("IID").loc[people].drop(columns="FID")

    loco = pd.read_csv(REGENIE / "fit_bin_out_1.loco", sep=" ", index_col=0)
    loco = loco.loc[:, loco.columns.str.contains("_")]
    loco.columns = [name.split("_")[1] for name in loco.columns]
    offset = loco.loc[1, people].to_numpy(float)
    return (
        dosage,
        column_of("covariates.txt").to_numpy(float),
        column_of("phenotype_bin.txt").to_numpy(float),
        offset,
    )


def test_regenie_step_2(shown):
    """REGENIE stops early too: all but a few effects have its six digits, and all errors do."""
    dosage, x, y, offset = regenie_example()
    theirs = pd.read_csv(REGENIE / "test_bin_out_firth_Y1.regenie", sep=" ")
    frequency = np.where(dosage >= 0, dosage, 0).sum(axis=1) / (2 * (dosage >= 0).sum(axis=1))
    if np.abs(frequency - theirs["A1FREQ"]).max() > 1e-3:
        dosage = np.where(dosage < 0, -1, 2 - dosage).astype(np.int8)
    study = Study(dosage, x, y, np.zeros(len(y)), offset[:, None], site_effects=False)
    found = study.test("firth")
    assert (found.method_words == "firth").all()
    columns = {
        "BETA": found.beta,
        "SE": found.se,
        "CHISQ": found.z**2,
        "LOG10P": found.neg_log10_p,
    }
    for name, values in columns.items():
        printed = np.array([float(f"{value:.6g}") for value in values[:, 0]])
        same = float((printed == theirs[name]).mean())
        largest = float(np.abs(values[:, 0] - theirs[name]).max())
        shown(f"REGENIE {name}", same_digits=same, largest_difference=largest)
        assert same >= (1.0 if name == "SE" else 0.99)
        assert largest <= 1e-4
