"""Counts, Hardy-Weinberg and linear regression beside PLINK 2's, number by number.

PLINK prints six significant digits. Where ours round to others, numbers with more digits than
either program carries say who is right, and it has to be ours:

- genotype counts, Hardy-Weinberg p, beta, SE and t agree in every printed digit;
- PLINK's regression p-values are within one unit of the sixth digit, and where they differ from
  ours they are the ones off (an incomplete beta function of about seven digits).

PLINK declines rows with a variance inflation factor above 50 (`VIF_TOO_HIGH`), a limit of taste;
ours declines only what has no unique answer. With PLINK's limits lifted the digits agree.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.peers import oracle
from tests.peers.plink import digits, needs_plink2, table, units_apart

pytestmark = [pytest.mark.plink2, pytest.mark.slow, needs_plink2]

TOLERANCE = 1e-9


def glm(peer, prefix):
    """PLINK's regression table, oriented to ALT."""
    found = table(prefix.with_name(f"{prefix.name}.{peer.trait}.glm.linear"))
    assert found["ID"].tolist() == peer.cohort.rows["id"].tolist()
    alt = (found["A1"] == found["ALT"]).to_numpy()
    assert (alt | (found["A1"] == found["REF"])).all()
    return found, alt


def fitted(found):
    names = ("beta", "se", "t_value", "p_value", "neg_log10_p", "n", "df", "errcode")
    return {name: found[f"variant_linreg_{name}"].values[:, 0] for name in names}


def complete(peer):
    """People with a trait: dosage, covariates and trait of the fit."""
    y = peer.samples[peer.trait].to_numpy(float)
    known = ~np.isnan(y)
    return peer.dosage[:, known], peer.x[known], y[known]


def turned(values, alt):
    """Text of signed numbers of the A1 allele as numbers of ALT."""
    flipped = [text.removeprefix("-") if text.startswith("-") else f"-{text}" for text in values]
    flipped = ["0" if text == "-0" else text for text in flipped]
    return np.where(alt, values, flipped)


def test_the_genotypes_are_the_same_ones(peer, shown):
    """Counts of our store, of PLINK, and of an array read by these tests."""
    exact = oracle.genotype_counts(peer.dosage)
    theirs = table(peer.plink.with_suffix(".gcount"))
    names = ("HOM_REF_CT", "HET_REF_ALT_CTS", "TWO_ALT_GENO_CTS", "MISSING_CT")
    different = 0
    for column, (ours, name) in enumerate(zip(oracle.GENOTYPES, names, strict=True)):
        mine = peer.frequencies[f"variant_{ours}"].values
        plink = theirs[name].to_numpy().astype(np.int64)
        different += int((mine != plink).sum()) + int((mine != exact[:, column]).sum())
    shown(f"B {peer.name} genotype counts", rows=f"{len(exact):,}", different=different)
    assert different == 0


def test_hardy_weinberg_has_plinks_digits(peer, shown):
    theirs = table(peer.plink.with_suffix(".hardy"))
    counts = oracle.genotype_counts(peer.dosage)
    ours = peer.frequencies["variant_hwe_p_value"].values
    nobody = counts[:, :3].sum(axis=1) == 0
    # PLINK prints 1 where nobody is called; there is no p-value there.
    assert (np.isnan(ours) == nobody).all()
    assert (theirs["P"][nobody] == "1").all()
    different = np.flatnonzero((digits(ours) != theirs["P"]).to_numpy() & ~nobody)
    for row in different:
        hom_ref, het, hom_alt, _ = counts[row].tolist()
        exact = float(oracle.hardy_weinberg(hom_ref, het, hom_alt))
        assert f"{ours[row]:.6g}" == f"{exact:.6g}", "PLINK is right"
        assert units_apart(f"{ours[row]:.6g}", theirs["P"][row]) <= 1.01
    shown(
        f"B {peer.name} HWE p as text",
        rows=f"{len(ours):,}",
        different=len(different),
        smallest=float(np.nanmin(ours)),
    )
    assert len(different) == 0


def test_hardy_weinberg_is_the_exact_fraction(peer, shown):
    counts = oracle.genotype_counts(peer.dosage)[:, :3]
    log_p = peer.frequencies["variant_hwe_neg_log10_p"].values
    order = np.argsort(np.where(np.isnan(log_p), 0, log_p))
    chosen = np.r_[order[-100:], np.random.default_rng(0).choice(order, 500, replace=False)]
    worst = 0.0
    for row in chosen:
        if counts[row].any():
            exact = -oracle.log10_fraction(oracle.hardy_weinberg(*counts[row].tolist()))
            worst = max(worst, abs(log_p[row] - exact) / max(1.0, exact))
    shown(f"B {peer.name} HWE -log10 p vs fractions", rows=len(chosen), worst=worst)
    assert worst <= TOLERANCE


def test_regression_has_plinks_digits(peer, shown):
    theirs, alt = glm(peer, peer.plink)
    ours = fitted(peer.gwas)
    fit = (theirs["ERRCODE"] == ".").to_numpy()
    assert (ours["errcode"][fit] == ".").all()
    assert (theirs["OBS_CT"].to_numpy().astype(int) == ours["n"]).all()

    different = {}
    for name, column, signed in (
        ("beta", "BETA", True),
        ("se", "SE", False),
        ("t_value", "T_STAT", True),
    ):
        text = theirs[column].to_numpy(str)
        text = turned(text, alt) if signed else text
        different[column] = int((digits(ours[name]) != text)[fit].sum())

    text = digits(ours["p_value"])
    off = np.flatnonzero((text != theirs["P"].to_numpy(str)) & fit)
    different["P"] = len(off)
    apart = max((units_apart(text[row], theirs["P"][row]) for row in off), default=0.0)
    exact = oracle.fit_called(*_rows(complete(peer), off)) if len(off) else {"beta": [], "se": []}
    wrong = 0
    for row, beta, se in zip(off, exact["beta"], exact["se"], strict=True):
        p = oracle.exact_p(beta / se, int(ours["df"][row]))
        wrong += f"{float(p):.6g}" != text[row]
    shown(
        f"B {peer.name} regression as text",
        rows=f"{int(fit.sum()):,}",
        **different,
        units_apart=f"{apart:.2f}",
        plink_right=f"{wrong} of {len(off)}",
    )
    assert different | {"P": 0} == {"BETA": 0, "SE": 0, "T_STAT": 0, "P": 0}
    # One unit as printed; 0.01 is the rounding of the subtraction.
    assert apart <= 1.01
    assert wrong == 0


def test_regression_is_the_least_squares_fit(peer, shown):
    ours = fitted(peer.gwas)
    fit = np.flatnonzero(ours["errcode"] == ".")
    strongest = fit[np.argsort(ours["neg_log10_p"][fit])[-300:]]
    chosen = np.unique(np.r_[strongest, np.random.default_rng(0).choice(fit, 3000, replace=False)])
    exact = oracle.fit_called(*_rows(complete(peer), chosen))
    assert (ours["df"][chosen] == exact["df"]).all()
    found = oracle.distances(ours, exact, chosen)
    log_p = [-oracle.log10_mpf(oracle.exact_p(b / s, d)) for b, s, d in _few(exact)]
    tail = np.abs(np.array(log_p) - exact["neg_log10_p"][: len(log_p)]).max()
    shown(
        f"B {peer.name} regression vs oracle",
        rows=len(chosen),
        **found,
        oracle_p=float(tail),
        strongest=f"{ours['neg_log10_p'][fit].max():.1f}",
    )
    assert max(found.values()) <= TOLERANCE
    assert tail <= TOLERANCE


def test_no_row_that_plink_declines_has_an_answer(peer, shown):
    """With PLINK's limits on collinearity lifted, so that only impossible rows are left."""
    theirs, alt = glm(peer, peer.plink_alt)
    assert alt.all()
    ours = fitted(peer.gwas)
    declined = (theirs["ERRCODE"] != ".").to_numpy()
    pairs = sorted(set(zip(theirs["ERRCODE"][declined], ours["errcode"][declined], strict=True)))
    shown(
        f"B {peer.name} rows without a fit",
        plink=int(declined.sum()),
        ours=int((ours["errcode"] != ".").sum()),
        codes=" ".join(f"{a}={b}" for a, b in pairs) or "none",
    )
    assert (theirs["P"][declined] == "NA").all()
    assert (ours["errcode"][declined] != ".").all()
    assert np.isnan(ours["beta"][declined]).all()
    assert (declined == (ours["errcode"] != ".")).all()


def test_rows_made_by_hand_are_declined_where_plink_declines_them(kg_eur_2pc_out):
    peer = kg_eur_2pc_out
    ours = fitted(peer.gwas)["errcode"]
    strict, lifted = (glm(peer, prefix)[0]["ERRCODE"] for prefix in (peer.plink, peer.plink_alt))
    found = {name: (strict[row], lifted[row], ours[row]) for name, row in peer.special.items()}
    assert found == {
        "nobody": ("SAMPLE_CT<=PREDICTOR_CT", "SAMPLE_CT<=PREDICTOR_CT", "TOO_FEW"),
        "too_few": ("SAMPLE_CT<=PREDICTOR_CT", "SAMPLE_CT<=PREDICTOR_CT", "TOO_FEW"),
        "all_het": ("CONST_OMITTED_ALLELE", "CONST_OMITTED_ALLELE", "CONST_ALLELE"),
        "all_alt": ("CONST_OMITTED_ALLELE", "CONST_OMITTED_ALLELE", "CONST_ALLELE"),
        "is_sex": ("CORR_TOO_HIGH", "CORR_TOO_HIGH", "VIF_INFINITE"),
        "nearly_sex": ("VIF_TOO_HIGH", ".", "."),
    }


def test_a_nearly_collinear_row_has_plinks_digits_without_its_limit(kg_eur_2pc_out):
    peer, row = kg_eur_2pc_out, kg_eur_2pc_out.special["nearly_sex"]
    theirs, _ = glm(peer, peer.plink_alt)
    ours = fitted(peer.gwas)
    for name, column in (("beta", "BETA"), ("se", "SE"), ("t_value", "T_STAT"), ("p_value", "P")):
        assert f"{ours[name][row]:.6g}" == theirs[column][row]


def _rows(people, rows):
    dosage, x, y = people
    return dosage[rows], x, y


def _few(exact):
    take = slice(0, 60)
    return zip(exact["beta"][take], exact["se"][take], exact["df"][take].astype(int), strict=True)
