"""The probabilities of a BGEN variant, bit by bit, made dosages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import compiled

#: What may be wrong with them, by the number that `fill_dosages` gives.
WRONG = ("", "have people of a ploidy above 2", "have a sum above 1 of probabilities")


@compiled
def fill_dosages(
    ploidy: NDArray,
    probabilities: NDArray,
    bits: int,
    phased: bool,
    first_is_ref: bool,
    codes: NDArray,
) -> int:
    """Fill in the dosages of one variant; what is wrong with it, as a place in `WRONG`.

    Every person has two numbers, or one if haploid, of `bits` bits each, lowest bit first; those of
    the missing are there too. Unphased they are the probabilities of two copies of the first allele
    and of one, phased those of the first allele on each haplotype. Who has no copy, as PLINK writes
    females on Y, has no number and is missing.
    """
    denominator = (np.int64(1) << bits) - 1
    half = (denominator + 1) // 2 if bits > 1 else 0
    at = np.int64(0)
    for person in range(ploidy.size):
        copies = ploidy[person] & 0x3F
        if copies > 2:
            return 1
        if copies == 0:
            codes[person] = 65535
            continue
        first = _number(probabilities, at, bits)
        at += bits
        second = first
        if copies == 2:
            second = _number(probabilities, at, bits)
            at += bits
        if ploidy[person] & 0x80:
            codes[person] = 65535
            continue
        # Copies of the first allele, over the denominator; a haploid counts twice.
        if copies == 2 and not phased:
            if first + second > denominator:
                return 2
            expected = 2 * first + second
        else:
            expected = first + second
        # PLINK rounds copies of the first allele, and not by one half but by a little more.
        steps = (16384 * expected + half) // denominator
        codes[person] = 32768 - steps if first_is_ref else steps
    return 0


@compiled
def _number(content: NDArray, at: int, bits: int) -> int:
    """The number in `bits` bits of the content that begin at bit `at`."""
    value, shift, byte = np.int64(0), -(at & 7), at >> 3
    while shift < bits:
        part = np.int64(content[byte])
        value |= part << shift if shift >= 0 else part >> -shift
        shift += 8
        byte += 1
    return int(value & ((np.int64(1) << bits) - 1))
