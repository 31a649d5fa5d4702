"""Filtering allele frequency by its definition, as a search over Poisson counts."""

from __future__ import annotations

import mpmath


def faf(allele_count: int, allele_number: int, level: float) -> float:
    """Largest f at which the one-sided upper count, qpois(level, AN·f), stays below AC."""
    if allele_count <= 1 or allele_number == 0:
        return 0.0
    with mpmath.workdps(40):

        def below(mean):
            terms = [mean**k / mpmath.factorial(k) for k in range(allele_count)]
            return mpmath.exp(-mean) * mpmath.fsum(terms)

        low, high = mpmath.mpf(0), mpmath.mpf(allele_count) * 2 + 10
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if below(middle) >= level else (low, middle)
        return float(low / allele_number)
