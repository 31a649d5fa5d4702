"""Readers and fits of our own for these comparisons: plain NumPy, nothing of genome_eu.

`dosage` is int8 (rows, people), copies of ALT, -1 where the call is missing.
"""

from __future__ import annotations

import gzip
from fractions import Fraction
from math import comb
from pathlib import Path

import mpmath
import numpy as np
from scipy import special

GENOTYPES = ("n_hom_ref", "n_het", "n_hom_alt", "n_missing")


def read_vcf(path: Path) -> tuple[list[str], list[tuple[str, int, str, str, str]], np.ndarray]:
    """People, variants (contig, position, id, ref, alt) and dosage of complete biallelic GT."""
    variants, rows = [], []
    with gzip.open(path, "rb") as lines:
        for line in lines:
            if line.startswith(b"##"):
                continue
            *fixed, calls = line.rstrip(b"\n").split(b"\t", 9)
            if line.startswith(b"#"):
                people = calls.decode().split("\t")
                continue
            contig, position, name, ref, alt = (field.decode() for field in fixed[:5])
            variants.append((contig.removeprefix("chr"), int(position), name, ref, alt))
            text = np.frombuffer(calls + b"\t", np.uint8).reshape(len(people), 4)
            rows.append(text[:, 0] + text[:, 2] - 2 * ord("0"))
    dosage = np.array(rows, np.int8)
    assert dosage.min() >= 0
    assert dosage.max() <= 2
    return people, variants, dosage


def read_bed(bed: Path) -> tuple[list[str], list[tuple[str, int, str, str, str]], np.ndarray]:
    """The same of a PLINK fileset, whose A1 is the ALT."""
    people = [line.split()[1] for line in bed.with_suffix(".fam").read_text().splitlines()]
    bim = [line.split() for line in bed.with_suffix(".bim").read_text().splitlines()]
    variants = [(contig, int(pos), name, a2, a1) for contig, name, _, pos, a1, a2 in bim]
    packed = np.frombuffer(bed.read_bytes()[3:], np.uint8).reshape(len(bim), -1)
    codes = np.stack([packed >> shift & 3 for shift in (0, 2, 4, 6)], axis=2)
    dosage = np.array([2, -1, 1, 0], np.int8)[codes.reshape(len(bim), -1)[:, : len(people)]]
    return people, variants, dosage


def genotype_counts(dosage: np.ndarray) -> np.ndarray:
    """People with 0, 1, 2 copies and without a call, (rows, 4)."""
    return np.stack([(dosage == code).sum(axis=1) for code in (0, 1, 2, -1)], axis=1)


def hardy_weinberg(hom_ref: int, het: int, hom_alt: int) -> Fraction:
    """Exact p of Hardy-Weinberg proportions: outcomes no more likely than the observed one.

    Of all ways to pair 2N alleles of which `rare` are alike, comb(N; genotypes) 2^het have this
    number of heterozygotes; whole numbers, so that ties are ties.
    """
    people = hom_ref + het + hom_alt
    rare = het + 2 * min(hom_ref, hom_alt)

    def ways(h: int) -> int:
        homozygous = (rare - h) // 2
        return comb(people, h) * comb(people - h, homozygous) << h

    every = [ways(h) for h in range(rare % 2, min(rare, 2 * people - rare) + 1, 2)]
    observed = ways(het)
    return Fraction(sum(one for one in every if one <= observed), sum(every))


def log10_fraction(value: Fraction) -> float:
    """log10 of a fraction of any size."""
    with mpmath.workdps(30):
        return float(mpmath.log10(mpmath.mpf(value.numerator) / value.denominator))


def neg_log10_p(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Two-sided, from SciPy's distribution function of Student's t (no underflow expected)."""
    return -np.log10(2.0 * special.stdtr(df, -np.abs(t)))


def exact_p(t: float, df: int) -> mpmath.mpf:
    """Two-sided p of Student's t with 30 digits."""
    with mpmath.workdps(30):
        x = mpmath.mpf(int(df)) / (int(df) + mpmath.mpf(t) ** 2)
        return mpmath.betainc(mpmath.mpf(int(df)) / 2, mpmath.mpf(1) / 2, 0, x, regularized=True)


def log10_mpf(value: mpmath.mpf) -> float:
    """log10 of a number of any size."""
    with mpmath.workdps(30):
        return float(mpmath.log10(value))


def impute_within(dosage: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Missing calls replaced by the mean of the called people of the same group."""
    full = dosage.astype(float)
    for one in np.unique(group):
        mine = full[:, group == one]
        called = mine >= 0
        mean = np.where(called, mine, 0).sum(axis=1) / np.maximum(called.sum(axis=1), 1)
        full[:, group == one] = np.where(called, mine, mean[:, None])
    return full


def fit_imputed(
    dosage: np.ndarray, x: np.ndarray, y: np.ndarray, group: np.ndarray
) -> dict[str, np.ndarray]:
    """Ordinary least squares y ~ dosage + one intercept per group + x, everybody pooled.

    Frisch-Waugh-Lovell: dosage and trait less what an orthonormal basis of the other columns
    explains. Arrays are (rows, traits).
    """
    intercepts = (group[:, None] == np.unique(group)).astype(float)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    basis = np.linalg.qr(np.hstack([intercepts, standard]))[0]
    df = len(y) - basis.shape[1] - 1
    trait = y - basis @ (basis.T @ y)
    parts = []
    for start in range(0, len(dosage), 8192):
        g = impute_within(dosage[start : start + 8192], group)
        g -= (g @ basis) @ basis.T
        gg = (g * g).sum(axis=1)[:, None]
        beta = (g @ trait) / gg
        rest = (trait * trait).sum(axis=0) - beta**2 * gg
        parts.append((beta, np.sqrt(rest / df / gg)))
    beta, se = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return {"beta": beta, "se": se, "neg_log10_p": neg_log10_p(beta / se, np.float64(df)), "df": df}


def fit_called(dosage: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """y ~ 1 + x + dosage over the people called in each row; arrays are (rows,).

    One QR decomposition per row of [1, x, dosage, y]: its last corner holds the fit. People
    without a call are rows of zeros, which change no sum.
    """
    columns = x.shape[1] + 1
    standard = np.column_stack([np.ones(len(y)), (x - x.mean(axis=0)) / x.std(axis=0)])
    parts = []
    for start in range(0, len(dosage), 512):
        g = dosage[start : start + 512]
        called = (g >= 0).astype(float)
        left = np.broadcast_to(standard, (len(g), *standard.shape))
        trait = np.broadcast_to(y - y.mean(), g.shape)
        design = np.concatenate([left, g[:, :, None], trait[:, :, None]], axis=2)
        corner = np.linalg.qr(design * called[:, :, None], mode="r")[:, -2:, -2:]
        n = called.sum(axis=1)
        df = n - columns - 1
        beta = corner[:, 0, 1] / corner[:, 0, 0]
        se = np.abs(corner[:, 1, 1] / corner[:, 0, 0]) / np.sqrt(df)
        parts.append((beta, se, df, n))
    beta, se, df, n = (np.concatenate(column) for column in zip(*parts, strict=True))
    return {"beta": beta, "se": se, "neg_log10_p": neg_log10_p(beta / se, df), "df": df, "n": n}


def distances(
    ours: dict[str, np.ndarray],
    exact: dict[str, np.ndarray],
    where: np.ndarray | slice = slice(None),
) -> dict[str, float]:
    """Largest |Δbeta|/SE, relative ΔSE, and |Δ(−log10 p)| / max(1, −log10 p)."""
    beta, se, log_p = (ours[name][where] for name in ("beta", "se", "neg_log10_p"))
    return {
        "beta": float(np.abs((beta - exact["beta"]) / exact["se"]).max()),
        "se": float(np.abs(se / exact["se"] - 1.0).max()),
        "p": float(
            (np.abs(log_p - exact["neg_log10_p"]) / np.maximum(1.0, exact["neg_log10_p"])).max()
        ),
    }


def principal_components(dosage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All eigenvalues, largest first, and eigenvectors of ZᵀZ/M over people."""
    kinship = np.zeros((dosage.shape[1], dosage.shape[1]))
    for start in range(0, len(dosage), 8192):
        g = dosage[start : start + 8192].astype(float)
        called = g >= 0
        p = np.where(called, g, 0).sum(axis=1) / np.maximum(2 * called.sum(axis=1), 1)
        spread = np.sqrt(2 * p * (1 - p))
        z = (g - 2 * p[:, None]) / np.where(spread > 0, spread, np.inf)[:, None]
        z[~called] = 0
        kinship += z.T @ z
    values, vectors = np.linalg.eigh(kinship / len(dosage))
    return values[::-1], vectors[:, ::-1]
