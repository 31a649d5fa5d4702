"""Polygenic scores and conditional association beside PLINK 2's, digit by digit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.peers.plink import digits, needs_plink2, plink2, table, units_apart, write_columns

pytestmark = [pytest.mark.plink2, pytest.mark.slow, needs_plink2]


def weight_file(peer, path, lines=700):
    """Weights of REF or ALT at rows that somebody is called in, by id, as PLINK reads them."""
    rng = np.random.default_rng(9)
    called = np.flatnonzero((peer.dosage >= 0).any(axis=1))
    rows = np.sort(rng.choice(called, lines, replace=False))
    names = peer.cohort.rows.iloc[rows]
    allele = np.where(rng.random(lines) < 0.5, names["ref"], names["alt"])
    text = zip(names["id"], allele, rng.normal(size=(lines, 2)), strict=True)
    body = [f"{name}\t{a}\t{float(w[0])!r}\t{float(w[1])!r}" for name, a, w in text]
    path.write_text("\n".join(["ID\tA1\tone\ttwo", *body]) + "\n")
    return path


@pytest.mark.parametrize("name", ["kg_eur", "kg_eur_2pc_out"])
@pytest.mark.parametrize("missing", ["mean", "zero"])
def test_scores_agree_in_every_printed_digit(request, tmp_path, shown, name, missing):
    peer = request.getfixturevalue(name)
    weights = weight_file(peer, tmp_path / "weights.txt")
    plain = [] if missing == "mean" else ["no-mean-imputation"]
    out = plink2(
        *["--bfile", peer.source.with_suffix("")],
        *["--score", weights, "1", "2", "header-read", *plain, "cols=+denom,+scoresums"],
        *["--score-col-nums", "3-4"],
        out=tmp_path / "plink",
    )
    theirs = table(out.with_suffix(".sscore"))
    found = peer.cohort.score(weights, missing=missing, palindromic=True)
    folder = tmp_path / "ours"
    found.to_files(folder)
    ours = table(folder / "score.sscore")
    assert ours["#IID"].tolist() == theirs["IID" if "IID" in theirs else "#IID"].tolist()
    unlike = {}
    for column in ours.columns[1:]:
        pairs = zip(ours[column], theirs[column], strict=True)
        unlike[column] = max(units_apart(a, b) if float(a) or float(b) else 0 for a, b in pairs)
    shown(f"{name} scores, missing {missing}", most_units=max(unlike.values()))
    assert found.attrs["rows_used"] == 700
    # Sums of 700 products in another order: a tie between two sixth digits may fall either way.
    assert max(unlike.values()) <= 1.01
    same = {column: (ours[column] == theirs[column]).mean() for column in ours.columns[1:]}
    assert min(same.values()) >= 0.99
    assert (ours["ALLELE_CT"] == theirs["ALLELE_CT"]).all()


def test_conditional_association_is_plinks(kg_eur, tmp_path, shown):
    """PLINK's `--condition-list`: the dosages of named variants are covariates."""
    peer = kg_eur
    rows = peer.cohort.rows.iloc[[40, 5000]]
    listed = tmp_path / "condition.txt"
    listed.write_text("".join(f"{name}\n" for name in rows["id"]))
    fid = [line.split()[0] for line in peer.source.with_suffix(".fam").open()]
    covariates = pd.DataFrame(peer.x, peer.samples.index, [f"c_{n}" for n in peer.covariates])
    out = plink2(
        *["--bfile", peer.source.with_suffix("")],
        *["--pheno", write_columns(tmp_path / "trait.txt", fid, peer.samples[[peer.trait]])],
        *["--covar", write_columns(tmp_path / "covariates.txt", fid, covariates)],
        *["--covar-variance-standardize", "--condition-list", listed],
        *["--vif", "1e9", "--max-corr", "1", "--glm", "omit-ref", "hide-covar"],
        out=tmp_path / "plink",
    )
    theirs = table(out.with_name(f"plink.{peer.trait}.glm.linear"))
    found = peer.cohort.gwas(
        peer.trait,
        covariates="+".join(peer.covariates),
        condition_on=[f"{r.contig}:{r.position}:{r.ref}:{r.alt}" for r in rows.itertuples()],
    )
    ours = {
        name: found[f"variant_linreg_{name}"].values[:, 0] for name in ("beta", "se", "t_value")
    }
    both = (theirs["ERRCODE"] == ".").to_numpy() & np.isfinite(ours["beta"])
    assert both.sum() > 20_000
    worst = {}
    for name, column in (("beta", "BETA"), ("se", "SE"), ("t_value", "T_STAT")):
        pairs = zip(digits(ours[name][both]), theirs[column][both], strict=True)
        worst[name] = max(units_apart(a, b) for a, b in pairs if float(a) or float(b))
    shown("kg_eur conditional", rows=int(both.sum()), **{k: float(v) for k, v in worst.items()})
    assert max(worst.values()) <= 1.01
