"""Exact test of Hardy–Weinberg proportions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genome_eu.compiled import compiled

# Relative probabilities are kept below this and counted in powers of it, so that p-values far
# below the smallest float64 keep their logarithm.
_RESCALE = 1e200
# Terms this much smaller than their sum cannot change a float64.
_NEGLIGIBLE = 1e-18
# Two outcomes whose probabilities differ by less are equally likely (rounding of the recurrence).
_TIE = 1.0 + 1e-11


@compiled
def _beyond(h: float, r: float, c: float, fewer: bool) -> float:
    """Probability of all outcomes with fewer (or with more) heterozygotes than `h`, over that of h.

    Four outcomes at a time: one division, and one product from each four to the next. Counts that
    are used up are factors of 0, which end the sum.
    """
    total = 0.0
    weight = 1.0
    while True:
        if fewer:
            n0, d0 = h * (h - 1.0), 4.0 * (r + 1.0) * (c + 1.0)
            n1, d1 = (h - 2.0) * (h - 3.0), 4.0 * (r + 2.0) * (c + 2.0)
            n2, d2 = (h - 4.0) * (h - 5.0), 4.0 * (r + 3.0) * (c + 3.0)
            n3, d3 = (h - 6.0) * (h - 7.0), 4.0 * (r + 4.0) * (c + 4.0)
            h, r, c = h - 8.0, r + 4.0, c + 4.0
        else:
            n0, d0 = 4.0 * r * c, (h + 2.0) * (h + 1.0)
            n1, d1 = 4.0 * (r - 1.0) * (c - 1.0), (h + 4.0) * (h + 3.0)
            n2, d2 = 4.0 * (r - 2.0) * (c - 2.0), (h + 6.0) * (h + 5.0)
            n3, d3 = 4.0 * (r - 3.0) * (c - 3.0), (h + 8.0) * (h + 7.0)
            h, r, c = h + 8.0, r - 4.0, c - 4.0
        d23 = d2 * d3
        d123 = d1 * d23
        ratio = n0 / (d0 * d123)
        total += weight * (ratio * (d123 + n1 * (d23 + n2 * (d3 + n3))))
        weight *= ratio * (n1 * n2 * n3)
        if weight <= _NEGLIGIBLE * total:
            return total


@compiled
def _neg_log10_p(het: int, hom_a: int, hom_b: int) -> float:
    """−log10 p of one row; walks outward from the observed count of heterozygotes."""
    h, r, c = float(het), float(min(hom_a, hom_b)), float(max(hom_a, hom_b))
    most_likely_up = 4.0 * r * c > (h + 2.0) * (h + 1.0)
    # Tail on the observed side of the mode, relative to the observed probability.
    tail = 1.0 + _beyond(h, r, c, most_likely_up)

    # Over the mode and down the other side. `centre` is in units of _RESCALE**power.
    centre = 0.0
    power = 0
    level = 0
    weight = 1.0
    while True:
        if most_likely_up:
            if r < 1:
                break
            weight *= 4.0 * r * c / ((h + 2.0) * (h + 1.0))
            h, r, c = h + 2.0, r - 1.0, c - 1.0
        else:
            if h < 2:
                break
            weight *= h * (h - 1.0) / (4.0 * (r + 1.0) * (c + 1.0))
            h, r, c = h - 2.0, r + 1.0, c + 1.0
        if weight > _RESCALE:
            weight /= _RESCALE
            level += 1
            if level > power:
                centre /= _RESCALE
                power = level
        elif level > 0 and weight < 1.0:
            weight *= _RESCALE
            level -= 1
        if level == 0 and weight <= _TIE:
            tail += weight * (1.0 + _beyond(h, r, c, not most_likely_up))
            break
        if level == power:
            centre += weight
        elif level == power - 1:
            centre += weight / _RESCALE
    if power == 0:
        return -math.log10(tail / (tail + centre)) if centre > 0.0 else 0.0
    everything = centre + (tail / _RESCALE if power == 1 else 0.0)
    return math.log10(everything) + power * math.log10(_RESCALE) - math.log10(tail)


@compiled
def _exact(het: NDArray, hom_a: NDArray, hom_b: NDArray, out: NDArray) -> None:
    for i in range(het.size):
        if het[i] + hom_a[i] + hom_b[i] == 0:
            out[i] = np.nan
        else:
            out[i] = _neg_log10_p(het[i], hom_a[i], hom_b[i])


def hardy_weinberg_neg_log10_p(
    n_het: ArrayLike, n_hom_ref: ArrayLike, n_hom_alt: ArrayLike
) -> NDArray[np.float64]:
    """−log10 p of the exact test of Hardy–Weinberg proportions; exact below 1e-308 as well.

    Parameters
    ----------
    n_het, n_hom_ref, n_hom_alt : int64 array, any one shape
        People with each genotype, diploid and biallelic (for a multi-allelic site, this ALT
        against all other alleles).

    Returns
    -------
    neg_log10_p : float64 array, the same shape
        Two-sided; NaN where nobody is called.

    Notes
    -----
    The sum runs from the observed count of heterozygotes over the mode and stops where terms
    vanish: O(√N) work for counts near the mode, and never more than the number of minor alleles.

    References
    ----------
    Wigginton, Cutler & Abecasis (2005), Am J Hum Genet 76:887–893.
    """
    het, ref, alt = np.broadcast_arrays(
        np.asarray(n_het, np.int64),
        np.asarray(n_hom_ref, np.int64),
        np.asarray(n_hom_alt, np.int64),
    )
    out = np.empty(het.shape)
    flat = np.empty(het.size)
    _exact(het.ravel(), ref.ravel(), alt.ravel(), flat)
    out[...] = flat.reshape(het.shape)
    # A p-value of 1 may come out as −0.0 or a rounding below it.
    return np.maximum(out, 0.0)


def hardy_weinberg_exact(
    n_het: ArrayLike, n_hom_ref: ArrayLike, n_hom_alt: ArrayLike
) -> NDArray[np.float64]:
    """Exact test of Hardy–Weinberg proportions for biallelic diploid genotypes.

    Parameters
    ----------
    n_het, n_hom_ref, n_hom_alt : int64 array, any one shape
        People with each genotype.

    Returns
    -------
    p : float64 array, the same shape
        Two-sided p-value; NaN where nobody is called; 0 where p is below the smallest float64
        (`hardy_weinberg_neg_log10_p` keeps those).

    References
    ----------
    Wigginton, Cutler & Abecasis (2005), Am J Hum Genet 76:887–893.
    """
    return np.power(10.0, -hardy_weinberg_neg_log10_p(n_het, n_hom_ref, n_hom_alt))
