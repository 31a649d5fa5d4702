"""The exact test of Hardy–Weinberg proportions on X by listing all outcomes, in whole numbers."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import mpmath


def p_value(het: int, hom_a: int, hom_b: int, male_a: int, male_b: int) -> Fraction:
    """Probability of all outcomes that are no more likely than the observed one."""
    females, males = het + hom_a + hom_b, male_a + male_b
    alleles_a = 2 * hom_a + het + male_a

    def ways(in_males: int, hets: int) -> int:
        """Arrangements of the alleles with so many A in males and so many females heterozygous."""
        in_females = alleles_a - in_males
        homs = (in_females - hets) // 2
        if (in_females - hets) % 2 or homs < 0 or hets < 0 or homs + hets > females:
            return 0
        return comb(males, in_males) * comb(females, homs) * comb(females - homs, hets) * 2**hets

    observed = ways(male_a, het)
    total = as_unlikely = 0
    for in_males in range(min(males, alleles_a) + 1):
        for hets in range(females + 1):
            one = ways(in_males, hets)
            total += one
            as_unlikely += one * (one <= observed)
    return Fraction(as_unlikely, total)


def neg_log10_p(*counts: int) -> float:
    """The same as −log10 p."""
    p = p_value(*counts)
    with mpmath.workdps(40):
        return float(-mpmath.log10(mpmath.mpf(p.numerator) / p.denominator))
