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


def summary(dosage, haploid=None):
    """Allele frequency and imputation r² of each row (−1 is missing); NaN where not defined.

    The squared distances of people from what is expected, over those that perfectly known
    genotypes would have: 2p(1 − p) of who has two copies (Li, Willer, Ding, Scheet & Abecasis 2010,
    Genet Epidemiol 34:816) and p(1 − p) of who has one, each in units of its own. Dosages of the
    `haploid` are 0 to 2 as well.
    """
    haploid = np.zeros(dosage.shape[1], bool) if haploid is None else haploid
    frequency, r2 = np.full((2, len(dosage)), np.nan)
    for row, values in enumerate(dosage):
        # Whole numbers, of which an allele has 2 * ONE: exact, and faster than fractions.
        called = [
            (round(float(value) * ONE) * (1 if single else 2), 1 if single else 2)
            for value, single in zip(values, haploid, strict=True)
            if value >= 0
        ]
        if not called:
            continue
        alleles = sum(ploidy for _, ploidy in called)
        first, every = sum(value for value, _ in called), 2 * ONE * alleles
        frequency[row] = first / every
        if 0 < first < every:
            # (value − ploidy p)² / (ploidy p(1 − p)), p = first / every, times p(1 − p) every² · 2.
            shares = [
                (value * alleles - ploidy * first) ** 2 * 2 // ploidy for value, ploidy in called
            ]
            r2[row] = sum(shares) / (2 * first * (every - first) * len(called))
    return frequency, r2
