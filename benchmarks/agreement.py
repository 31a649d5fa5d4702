"""Numbers of two programs, compared before any time of theirs is reported."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = dict[str, NDArray]


class Disagreement(ValueError):
    """Two programs did not find the same."""


def same_counts(own: Numbers, other: Numbers) -> str:
    """Genotype counts must be identical; p-values, where both have them, equal in six digits."""
    for name in ("n_hom_ref", "n_het", "n_hom_alt", "n_missing"):
        if name in other and not np.array_equal(own[name], other[name]):
            rows = int((own[name] != other[name]).sum())
            raise Disagreement(f"{name} differs in {rows} of {own[name].size} rows")
    if "hwe_p" not in other:
        return "counts identical"
    worst = _relative("hwe_p", own["hwe_p"], other["hwe_p"], 1e-5)
    return f"counts identical, HWE p within {worst:.0e}"


def same_numbers(own: Numbers, other: Numbers) -> str:
    """Counts and names must be identical, everything else equal in six digits."""
    worst = {}
    for name, theirs in other.items():
        if theirs.dtype.kind != "f":
            if not np.array_equal(own[name], theirs):
                raise Disagreement(f"{name} differ")
        else:
            smallest = _SMALLEST.get(name, 1e-9)
            worst[name] = _relative(name, own[name], theirs, 1e-5, smallest)
    same = [name for name in other if name not in worst]
    told = [f"{', '.join(same)} identical"] if same else []
    if worst:
        told.append(f"{', '.join(worst)} within {max(worst.values()):.0e}")
    return "; ".join(told)


# Sizes below which six digits are of more than the number itself: it is 1 less another that has
# them, or a sum of terms that nearly cancel.
_SMALLEST = {"MAF": 0.1}


def near_clumps(own: Numbers, other: Numbers) -> str:
    """Rows, each with the one that its clump is named after: nine tenths are in both.

    PLINK 1.9 forms clumps by r² of estimated haplotypes, this project by r² of dosages.
    """
    mine, theirs = (set(found["pairs"].tolist()) for found in (own, other))
    part = len(mine & theirs) / max(len(mine | theirs), 1)
    if part < 0.9:
        raise Disagreement(f"only {part:.1%} of the rows in clumps are in the same")
    return f"{part:.1%} of {len(mine | theirs)} rows in the same clumps"


def same_effects(own: Numbers, other: Numbers) -> str:
    """Effects and whatever else both report, within 1e-5 of each other: PLINK prints six digits."""
    worst = {
        name: _relative(name, own[name], other[name], 1e-5)
        for name in ("beta", "se", "t")
        if name in other
    }
    # Digits of p become differences of its logarithm.
    worst["log10 p"] = _relative("log10 p", own["neg_log10_p"], other["neg_log10_p"], 1e-5, 1.0)
    return f"{', '.join(worst)} within {max(worst.values()):.0e}"


def same_fits(own: Numbers, other: Numbers) -> str:
    """Fits by iteration, of which PLINK ends some early, those of Firth's penalty by 1e-3."""
    worst = {name: _relative(name, own[name], other[name], 5e-3, 1e-3) for name in ("beta", "se")}
    return f"{', '.join(worst)} within {max(worst.values()):.0e}"


def near_tests(own: Numbers, other: Numbers) -> str:
    """Two tests of one hypothesis: statistics correlate to more than 0.99."""
    return _correlated(own, other, 0.99)


def _correlated(own: Numbers, other: Numbers, least: float) -> str:
    z = own["t"].ravel(), other["t"].ravel()
    both = ~np.isnan(z[0]) & ~np.isnan(z[1])
    found = float(np.corrcoef(z[0][both], z[1][both])[0, 1])
    if found < least:
        raise Disagreement(f"test statistics correlate only to {found:.5f}")
    return f"z correlates to {found:.6f}"


def same_combined(own: Numbers, other: Numbers) -> str:
    """PLINK 1.9 prints four digits of p-values, and four decimals of everything else."""
    worst = {True: 0.0, False: 0.0}
    for name, theirs in other.items():
        digits = name.endswith("p")
        limits = (1e-3, 1e-300) if digits else (1e-4, 1.0)
        worst[digits] = max(worst[digits], _relative(name, own[name], theirs, *limits))
    return f"{', '.join(other)}: p within {worst[True]:.0e}, the others within {worst[False]:.0e}"


def same_scores(own: Numbers, other: Numbers) -> str:
    """Scores of people within 1e-5 of the largest of their component; their signs are given."""
    size = np.abs(own["scores"]).max(axis=0)
    worst = _relative("scores", own["scores"] / size, other["scores"] / size, 1e-5, 1.0)
    return f"scores within {worst:.0e}"


def same_hypothesis(own: Numbers, other: Numbers) -> str:
    """Two models of the same traits: statistics correlate to more than 0.8."""
    return _correlated(own, other, 0.8)


def same_components(own: Numbers, other: Numbers) -> str:
    """Eigenvalues within 1e-4, and scores of every component correlated to more than 0.999."""
    worst = _relative("eigenvalues", own["eigenvalues"], other["eigenvalues"], 1e-4)
    least = _correlations(own, other).min()
    if least < 0.999:
        raise Disagreement(f"scores of a component correlate only to {least:.4f}")
    return f"eigenvalues within {worst:.0e}"


def near_components(own: Numbers, other: Numbers) -> str:
    """For methods that stop unconverged: the first three must agree, the rest is told."""
    first = _relative("eigenvalues", own["eigenvalues"][:3], other["eigenvalues"][:3], 1e-3)
    least = _correlations(own, other)[:3].min()
    if least < 0.999:
        raise Disagreement(f"scores of the first three components correlate only to {least:.4f}")
    worst = _relative("eigenvalues", own["eigenvalues"], other["eigenvalues"], np.inf)
    return f"eigenvalues 1 to 3 within {first:.0e}, all within {worst:.0e}"


def near_components_to_scale(own: Numbers, other: Numbers) -> str:
    """The same for a program whose eigenvalues are those of a multiple of the matrix."""
    scale = own["eigenvalues"].sum() / other["eigenvalues"].sum()
    return near_components(own, {**other, "eigenvalues": scale * other["eigenvalues"]})


def same_kept(own: Numbers, other: Numbers) -> str:
    """The same people, or rows, are kept."""
    if not np.array_equal(own["kept"], other["kept"]):
        raise Disagreement("others are kept")
    return "the same are kept"


def same_arrays(own: Numbers, other: Numbers) -> str:
    """Every array that the other has is the same."""
    for name, values in other.items():
        if not np.array_equal(own[name], values):
            raise Disagreement(f"{name} differs")
    return "genotypes identical"


def _relative(
    name: str, own: NDArray, other: NDArray, tolerance: float, smallest: float = 1e-9
) -> float:
    """The largest difference relative to the larger value; both lack the same entries."""
    if own.shape != other.shape:
        raise Disagreement(f"{name} has shape {own.shape} here and {other.shape} there")
    if not np.array_equal(np.isnan(own), np.isnan(other)):
        raise Disagreement(f"{name} is absent from different rows")
    size = np.maximum(np.maximum(np.abs(own), np.abs(other)), smallest)
    worst = float(np.nanmax(np.abs(own - other) / size, initial=0.0))
    if worst > tolerance:
        raise Disagreement(f"{name} differs by {worst:.1e} of its size (at most {tolerance:g})")
    return worst


def _correlations(own: Numbers, other: Numbers) -> NDArray:
    pairs = zip(own["scores"].T, other["scores"].T, strict=True)
    return np.array([abs(np.corrcoef(a, b)[0, 1]) for a, b in pairs])
