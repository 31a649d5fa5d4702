"""Exact Hardy–Weinberg test by listing every outcome, in whole numbers and fractions."""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import mpmath


def p_value(het: int, hom_a: int, hom_b: int) -> Fraction:
    """Probability of all outcomes with these alleles that are no likelier than the one observed.

    Given the counts of both alleles, N!/(het! hom_a! hom_b!) · 2^het of the ways to pair them
    give `het` heterozygotes.
    """
    people = het + hom_a + hom_b
    rare = het + 2 * min(hom_a, hom_b)
    ways = {}
    for other in range(rare % 2, rare + 1, 2):
        a = (rare - other) // 2
        b = people - other - a
        ways[other] = factorial(people) * 2**other // (factorial(other) * factorial(a))
        ways[other] //= factorial(b)
    return Fraction(sum(w for w in ways.values() if w <= ways[het]), sum(ways.values()))


def neg_log10_p(het: int, hom_a: int, hom_b: int) -> float:
    """−log10 of the p-value, to every digit of a float64."""
    p = p_value(het, hom_a, hom_b)
    with mpmath.workdps(60):
        return float(-mpmath.log10(mpmath.mpf(p.numerator) / p.denominator))
