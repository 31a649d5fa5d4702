"""Exact test of Hardy–Weinberg proportions on X, males included."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genome_eu.compiled import compiled

# Weights relative to the observed outcome are kept below this and counted in powers of it, so that
# p-values far below the smallest float64 keep their logarithm.
_RESCALE = 2.0**512
_LOG10_RESCALE = 512.0 * math.log10(2.0)
# Terms this much smaller than their sum cannot change a float64.
_NEGLIGIBLE = 1e-18
# Two outcomes whose probabilities differ by less are equally likely (rounding of the recurrences).
_TIE = 1.0 + 1e-11
_EARLY = 4.0


@compiled
def _up(h: float, a: float, b: float) -> float:
    """Weight of two more heterozygotes among the females, relative to that of `h`."""
    return 4.0 * a * b / ((h + 2.0) * (h + 1.0))


@compiled
def _down(h: float, a: float, b: float) -> float:
    """Weight of two heterozygotes less."""
    return h * (h - 1.0) / (4.0 * (a + 1.0) * (b + 1.0))


@compiled
def _add(total: float, power: int, weight: float, level: int) -> tuple[float, int]:
    """`total` in units of _RESCALE**power, plus a weight in units of _RESCALE**level."""
    if level > power:
        # Further below, nothing is left of it.
        total = total / _RESCALE if level == power + 1 else 0.0
        power = level
    if level == power:
        total += weight
    elif level == power - 1:
        total += weight / _RESCALE
    return total, power


@compiled
def _outcomes(
    h: float, a: float, b: float, weight: float, level: int, total: float, power: int
) -> tuple[float, float, int, float]:
    """Sum over the females' genotypes, given how many alleles are in males.

    Starts at the most likely `h` and walks to both sides. Returns the sum of weights no greater
    than the observed outcome's, the running total of all with its power, and the column's own sum
    relative to its start.
    """
    tail = 0.0
    column = 0.0
    for side in range(2):
        x, y, z, w, at, relative = h, a, b, weight, level, 1.0
        while True:
            if side == 0 or x != h:
                column += relative
                total, power = _add(total, power, w, at)
                if at < 0 or (at == 0 and w <= _TIE):
                    tail += w if at == 0 else (w / _RESCALE if at == -1 else 0.0)
            ratio = _up(x, y, z) if side == 0 else _down(x, y, z)
            if ratio == 0.0:
                break
            if side == 0:
                x, y, z = x + 2.0, y - 1.0, z - 1.0
            else:
                x, y, z = x - 2.0, y + 1.0, z + 1.0
            w *= ratio
            relative *= ratio
            # A little early, so that what may be a tie with the observed outcome is at level 0.
            if w < _EARLY / _RESCALE:
                w *= _RESCALE
                at -= 1
            # Neither of what may still count: the tail is 1 at least, of which all that follows
            # here is a share.
            if at < 0 and w / _RESCALE * (at == -1) <= _NEGLIGIBLE:
                break
    return tail, total, power, column


@compiled
def _neg_log10_p(het: int, hom_a: int, hom_b: int, male_a: int, male_b: int) -> float:
    """−log10 p of one row.

    An outcome is (alleles A in males, heterozygous females) at the observed numbers of A and B, of
    males and of females; its weight is 2^h / (m! (M − m)! a! h! b!). Every weight is reached by
    products of ratios from the observed outcome, whose weight is 1.
    """
    tail = 0.0
    total = 0.0
    power = 0
    for side in range(2):
        m, n = float(male_a), float(male_b)
        h, a, b = float(het), float(hom_a), float(hom_b)
        weight = 1.0
        level = 0
        first = True
        while True:
            # To the most likely genotypes of the females for so many A in males.
            while True:
                ratio = _up(h, a, b)
                if ratio > 1.0:
                    h, a, b = h + 2.0, a - 1.0, b - 1.0
                else:
                    ratio = _down(h, a, b)
                    if ratio <= 1.0:
                        break
                    h, a, b = h - 2.0, a + 1.0, b + 1.0
                weight *= ratio
                if weight > _RESCALE:
                    weight /= _RESCALE
                    level += 1
            if side == 0 or not first:
                some, total, power, column = _outcomes(h, a, b, weight, level, total, power)
                tail += some
                whole = column * weight
                gone = level < -1 or (
                    level <= 0 and (whole if level == 0 else whole / _RESCALE) <= _NEGLIGIBLE
                )
                if gone:
                    break
            first = False
            # One A more in males (side 0), or one less: it comes from a heterozygous female, or
            # from one with two.
            if side == 0:
                if n < 1.0 or h + a < 1.0:
                    break
                step = n / (m + 1.0)
                if a >= 1.0:
                    weight *= step * 2.0 * a / (h + 1.0)
                    h, a = h + 1.0, a - 1.0
                else:
                    weight *= step * h / (2.0 * (b + 1.0))
                    h, b = h - 1.0, b + 1.0
                m, n = m + 1.0, n - 1.0
            else:
                if m < 1.0 or h + b < 1.0:
                    break
                step = m / (n + 1.0)
                if b >= 1.0:
                    weight *= step * 2.0 * b / (h + 1.0)
                    h, b = h + 1.0, b - 1.0
                else:
                    weight *= step * h / (2.0 * (a + 1.0))
                    h, a = h - 1.0, a + 1.0
                m, n = m - 1.0, n + 1.0
            if weight > _RESCALE:
                weight /= _RESCALE
                level += 1
            elif weight < _EARLY / _RESCALE:
                weight *= _RESCALE
                level -= 1
    return math.log10(total) + power * _LOG10_RESCALE - math.log10(tail)


@compiled
def _exact(
    het: NDArray, hom_a: NDArray, hom_b: NDArray, male_a: NDArray, male_b: NDArray, out: NDArray
) -> None:
    for i in range(het.size):
        if het[i] + hom_a[i] + hom_b[i] + male_a[i] + male_b[i] == 0:
            out[i] = np.nan
        else:
            out[i] = _neg_log10_p(het[i], hom_a[i], hom_b[i], male_a[i], male_b[i])


def hardy_weinberg_x_neg_log10_p(
    n_het: ArrayLike,
    n_hom_ref: ArrayLike,
    n_hom_alt: ArrayLike,
    n_male_ref: ArrayLike,
    n_male_alt: ArrayLike,
) -> NDArray[np.float64]:
    """−log10 p of the exact test of Hardy–Weinberg proportions on X, exact below 1e-308 as well.

    Females' genotypes and the allele frequencies of the sexes are tested together: p is the
    probability of all outcomes no more likely than the observed one, given the numbers of alleles,
    of males and of females. PLINK 2's `.hardy.x`.

    Parameters
    ----------
    n_het, n_hom_ref, n_hom_alt : int64 array, any one shape
        Females with each genotype.
    n_male_ref, n_male_alt : int64 array, the same shape
        Males with each allele.

    Returns
    -------
    neg_log10_p : float64 array, the same shape
        NaN where nobody is called. Without males, the exact test of `hwe`; without females, 0.

    Notes
    -----
    O(√(males · females)) work for counts near the mode; up to their product where p is very small.

    References
    ----------
    Graffelman & Weir (2016), Heredity 116:558–568.
    """
    given = (n_het, n_hom_ref, n_hom_alt, n_male_ref, n_male_alt)
    arrays = np.broadcast_arrays(*(np.asarray(one, np.int64) for one in given))
    flat = np.empty(arrays[0].size)
    _exact(*(np.ascontiguousarray(one).ravel() for one in arrays), flat)
    # A p-value of 1 may come out as −0.0 or a rounding below it.
    return np.maximum(flat.reshape(arrays[0].shape), 0.0)
