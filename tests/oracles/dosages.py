"""Imputed genotypes as they are defined: hard calls, frequencies and MaCH's r², one by one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

ONE, MISSING = 16384, 65535


def of_codes(codes):
    """Copies of the ALT of each code, -1 where missing."""
    return np.array(
        [[-1.0 if int(code) == MISSING else int(code) / ONE for code in row] for row in codes]
    ).reshape(codes.shape)


def hard_calls(dosage):
    """The call within 0.1 of each dosage (in whole steps of 1/16384), or -1."""
    calls = np.full(dosage.shape, -1, np.int8)
    for place, value in np.ndenumerate(dosage):
        for copies in (0, 1, 2):
            if abs(round(value * ONE) - copies * ONE) <= ONE // 10:
                calls[place] = copies
    return calls


def code_of_probabilities(first, second, bits, *, phased):
    """The code of the first allele's expected copies, from the numerators that a BGEN file holds.

    Unphased: of two copies of the first allele, and of one of each. Phased: of the first allele on
    each haplotype. PLINK 2 adds 2^(bits − 1) to the numerator before it divides by 2^bits − 1.
    """
    most = 2**bits - 1
    copies = Fraction(first + second if phased else 2 * first + second, most)
    return int(copies * ONE + (Fraction(2 ** (bits - 1), most) if bits > 1 else 0))


def summary(dosage):
    """Allele frequency and MaCH's r² of each row (−1 is missing); NaN where not defined.

    The variance of the dosages over the 2p(1 − p) of perfectly known genotypes (Li, Willer, Ding,
    Scheet & Abecasis 2010, Genet Epidemiol 34:816).
    """
    frequency, r2 = np.full((2, len(dosage)), np.nan)
    for row, values in enumerate(dosage):
        called = [Fraction(float(value)) for value in values if value >= 0]
        if not called:
            continue
        n = len(called)
        mean = sum(called) / n
        p = mean / 2
        frequency[row] = float(p)
        if 0 < p < 1:
            variance = sum(value**2 for value in called) / n - mean**2
            r2[row] = float(variance / (2 * p * (1 - p)))
    return frequency, r2
