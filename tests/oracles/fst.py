"""Hudson's F_ST in fractions, from allele counts of two groups."""

from __future__ import annotations

from fractions import Fraction


def parts(ac_1, an_1, ac_2, an_2):
    """(numerator, denominator) of one row; None where a group has fewer than two alleles."""
    if an_1 < 2 or an_2 < 2:
        return None
    p, q = Fraction(ac_1, an_1), Fraction(ac_2, an_2)
    numerator = (p - q) ** 2 - p * (1 - p) / (an_1 - 1) - q * (1 - q) / (an_2 - 1)
    return numerator, p * (1 - q) + q * (1 - p)


def over_rows(counts):
    """Ratio of the sums over rows (ac_1, an_1, ac_2, an_2)."""
    known = [found for row in counts if (found := parts(*row)) is not None]
    return float(sum(n for n, _ in known) / sum(d for _, d in known))
