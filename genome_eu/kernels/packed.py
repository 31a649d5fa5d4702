"""The packed format: one row per (variant, ALT), two bits per person, four people to a byte.

Person ``i`` sits in byte ``i // 4`` at bits ``2 * (i % 4)`` and above. The code is the number
of copies of the ALT, 0, 1 or 2, and 3 where the call is missing. Padding after the last person
is 0, which `check_packed` verifies because the bit kernels rely on it.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from genome_eu.compiled import compiled
from genome_eu.errors import BadInput

Array = np.ndarray

MISSING = 3
PEOPLE_PER_BYTE = 4

_SHIFTS = np.arange(0, 8, 2, dtype=np.uint8)
_BYTE_TO_DOSAGE = ((np.arange(256)[:, np.newaxis] >> _SHIFTS) & 3).astype(np.int8)
_BYTE_TO_DOSAGE[_BYTE_TO_DOSAGE == MISSING] = -1
# The four of a byte as one number, which is looked up faster.
_BYTE_TO_DOSAGES = _BYTE_TO_DOSAGE.view(np.int32).ravel()


def packed_width(people: int) -> int:
    """Bytes of a packed row."""
    return -(-people // PEOPLE_PER_BYTE)


def pack(dosage: Array) -> Array:
    """Pack copies of the ALT into two bits per person.

    Parameters
    ----------
    dosage : signed integer array, shape (rows, people)
        0, 1 or 2 copies; any negative value is a missing call.

    Returns
    -------
    packed : uint8 array, shape (rows, ceil(people / 4))

    Raises
    ------
    BadInput
        If `dosage` does not have that shape and type, or a value exceeds 2.
    """
    dosage = np.asarray(dosage)
    if dosage.ndim != 2 or dosage.dtype.kind != "i":
        raise BadInput(
            f"dosage must be a signed integer array (rows, people), not {dosage.dtype} of shape "
            f"{dosage.shape}."
        )
    if dosage.size and dosage.max() > 2:
        row, person = np.argwhere(dosage > 2)[0]
        raise BadInput(
            f"dosage is {dosage[row, person]} in row {row}, person {person}; packed genotypes "
            "hold 0, 1 or 2 copies."
        )
    rows, people = dosage.shape
    codes = np.zeros((rows, packed_width(people), PEOPLE_PER_BYTE), dtype=np.uint8)
    codes.reshape(rows, codes.shape[1] * PEOPLE_PER_BYTE)[:, :people] = np.where(
        dosage < 0, MISSING, dosage
    )
    shifted = codes << _SHIFTS
    return shifted[..., 0] | shifted[..., 1] | shifted[..., 2] | shifted[..., 3]


def exchange(packed: Array, people: int) -> Array:
    """Packed rows with their alleles exchanged: copies of the other allele, 2 − g.

    Parameters
    ----------
    packed : uint8 array, shape (rows, ceil(people / 4))
        As `pack` gives it; not changed.
    people : int
        People per row; what follows the last stays 0.
    """
    # 0 and 2 differ in the upper bit of a code whose lower bit is 0; 1 and 3 have it set.
    exchanged = packed ^ (~(packed << 1) & np.uint8(0b10101010))
    if rest := people % PEOPLE_PER_BYTE:
        exchanged[:, -1] &= np.uint8(4**rest - 1)
    return exchanged


def unpack(packed: Array, people: int) -> Array:
    """Undo `pack`: copies of the ALT, int8 of shape (rows, people), -1 where missing.

    Raises
    ------
    BadInput
        If `packed` is not what `pack` gives for so many people.
    """
    packed = np.asarray(packed)
    check_packed(packed, people)
    dosages = np.empty(packed.shape, dtype=np.int32)
    _look_up(packed, _BYTE_TO_DOSAGES, dosages)
    return np.ascontiguousarray(dosages.view(np.int8)[:, :people])


@compiled
def _look_up(packed: Array, table: Array, found: Array) -> None:
    """Each byte's entry; NumPy would first make an index of eight bytes of each."""
    for row in range(packed.shape[0]):
        for byte in range(packed.shape[1]):
            found[row, byte] = table[packed[row, byte]]


def pack_genotypes(call_genotype: Array, n_alts: Array) -> Array:
    """Pack called alleles, one row per ALT of every variant.

    Rows are variant-major, then ALT 1, 2, ... A call counts as missing if any of its alleles is
    -1, or all are -2. An allele of -2 alone is the ploidy fill of a haploid call, which is stored
    as 2 copies of the ALT it carries and 0 of any other, so that it weighs as a homozygote.

    Parameters
    ----------
    call_genotype : int8 or int16 array, shape (variants, people, ploidy)
        Allele indices with ploidy 1 or 2; -1 is missing, -2 is fill.
    n_alts : int array, shape (variants,)
        ALT alleles of each variant; a variant with 0 gives no row.

    Returns
    -------
    packed : uint8 array, shape (sum(n_alts), ceil(people / 4))

    Raises
    ------
    BadInput
        If the shapes or types differ from these, or an allele index is not one of its variant.
    """
    genotypes = np.asarray(call_genotype)
    if genotypes.ndim != 3 or genotypes.dtype not in (np.int8, np.int16):
        raise BadInput(
            "call_genotype must be int8 or int16 of shape (variants, people, ploidy), not "
            f"{genotypes.dtype} of shape {genotypes.shape}."
        )
    variants, people, ploidy = genotypes.shape
    if ploidy not in (1, 2):
        raise BadInput(f"call_genotype has ploidy {ploidy}; only haploid and diploid calls pack.")
    n_alts = np.asarray(n_alts)
    if n_alts.shape != (variants,) or n_alts.dtype.kind not in "iu":
        raise BadInput(
            f"n_alts must hold one integer for each of {variants} variants, not {n_alts.dtype} of "
            f"shape {n_alts.shape}."
        )
    n_alts = n_alts.astype(np.int64)
    if variants and n_alts.min() < 0:
        raise BadInput(f"n_alts is {n_alts.min()} for variant {np.argmin(n_alts)}; it cannot be.")
    calls = genotypes.reshape(variants, people * ploidy)
    highest = calls.max(axis=1, initial=0)
    bad = np.flatnonzero((highest > n_alts) | (calls.min(axis=1, initial=0) < -2))
    if bad.size:
        variant = bad[0]
        allele = calls[variant][(calls[variant] > n_alts[variant]) | (calls[variant] < -2)][0]
        raise BadInput(
            f"call_genotype of variant {variant} has allele {allele}, but the variant has "
            f"{n_alts[variant]} ALT alleles; check the alleles of the source."
        )

    variant_of_row = np.repeat(np.arange(variants), n_alts)
    alt_of_row = np.arange(len(variant_of_row)) - np.repeat(n_alts.cumsum() - n_alts, n_alts) + 1
    packed = np.zeros((len(variant_of_row), packed_width(people)), dtype=np.uint8)
    wide = n_alts[variant_of_row] > _INT8_ALLELES
    narrow = np.flatnonzero(~wide)
    if narrow.size:
        tables = np.stack([_pair_codes(alt) for alt in range(1, alt_of_row[narrow].max() + 1)])
        pairs = _allele_pairs(genotypes)
        _pack_pairs(pairs, narrow, variant_of_row[narrow], alt_of_row[narrow] - 1, tables, packed)
    for row in np.flatnonzero(wide):
        alleles = genotypes[variant_of_row[row]]
        biallelic = np.where(alleles > 0, alleles == alt_of_row[row], alleles)
        pairs = _allele_pairs(biallelic[np.newaxis])
        first = np.zeros(1, dtype=np.int64)
        _pack_pairs(pairs, first + row, first, first, _pair_codes(1)[np.newaxis], packed)
    return packed


_INT8_ALLELES = 127


def _allele_pairs(genotypes: Array) -> Array:
    """The two int8 alleles of each call as one uint16; shape (variants, people).

    A haploid array gets the fill that a haploid call has in a diploid one.
    """
    variants, people, ploidy = genotypes.shape
    if ploidy == 1:
        fill = np.full_like(genotypes, -2)
        genotypes = np.concatenate([genotypes, fill], axis=2)
    alleles = np.ascontiguousarray(genotypes, dtype=np.int8)
    return alleles.reshape(variants, 2 * people).view(np.uint16)


@cache
def _pair_codes(alt: int) -> Array:
    """The packed code of every pair of int8 alleles; uint8, shape (65536,).

    One look-up per call is several times faster than comparing its alleles, whose bytes lie
    interleaved. The code does not depend on the order of the alleles, nor on byte order.
    """
    pairs = np.arange(1 << 16, dtype=np.uint16).view(np.int8).reshape(-1, 2)
    copies = (pairs == alt).sum(axis=1, dtype=np.uint8)
    fills = (pairs == -2).sum(axis=1)
    codes = np.where(fills == 1, 2 * copies, copies)
    codes[(pairs == -1).any(axis=1) | (fills == 2)] = MISSING
    return codes


@compiled
def _pack_pairs(
    pairs: Array,
    rows: Array,
    variant_of_row: Array,
    table_of_row: Array,
    tables: Array,
    packed: Array,
) -> None:
    """Fill ``packed[rows[n]]`` with the codes of variant n by table n."""
    people = pairs.shape[1]
    whole = people // PEOPLE_PER_BYTE
    for n in range(len(rows)):
        row = rows[n]
        variant = variant_of_row[n]
        table = tables[table_of_row[n]]
        for byte in range(whole):
            person = PEOPLE_PER_BYTE * byte
            packed[row, byte] = (
                table[pairs[variant, person]]
                | (table[pairs[variant, person + 1]] << 2)
                | (table[pairs[variant, person + 2]] << 4)
                | (table[pairs[variant, person + 3]] << 6)
            )
        for person in range(PEOPLE_PER_BYTE * whole, people):
            slot = person - PEOPLE_PER_BYTE * whole
            packed[row, whole] |= table[pairs[variant, person]] << (2 * slot)


def check_packed(packed: Array, people: int) -> None:
    """Raise `BadInput` unless `packed` is what `pack` gives for so many people."""
    width = packed_width(people)
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != width:
        raise BadInput(
            f"packed genotypes of {people} people must be uint8 of shape (rows, {width}), not "
            f"{packed.dtype} of shape {packed.shape}."
        )
    in_last_byte = people % PEOPLE_PER_BYTE
    if in_last_byte:
        stray = np.flatnonzero(packed[:, -1] >> np.uint8(2 * in_last_byte))
        if stray.size:
            raise BadInput(
                f"packed row {stray[0]} holds codes after its last person ({people} people); "
                "the padding must be 0. Pack the genotypes again."
            )
