"""Site-frequency spectra in fractions, row by row."""

from __future__ import annotations

from fractions import Fraction
from math import comb


def spectrum(counts, alleles):
    """Expected rows with each count among `alleles`, from rows of (AC, AN)."""
    rows = [Fraction(0)] * (alleles + 1)
    for ac, an in counts:
        if an >= alleles:
            for k, chance in enumerate(projected(ac, an, alleles)):
                rows[k] += chance
    return rows


def projected(ac, an, alleles):
    """Chance of 0, 1, … of the AC among `alleles` drawn from AN."""
    return [
        Fraction(comb(ac, k) * comb(an - ac, alleles - k), comb(an, alleles))
        for k in range(alleles + 1)
    ]


def folded(rows):
    """Counts of the rarer allele: k and n − k are the same."""
    result = [Fraction(0)] * len(rows)
    for k, number in enumerate(rows):
        result[min(k, len(rows) - 1 - k)] += number
    return result
