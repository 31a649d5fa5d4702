"""Pairs of rows and pairs of people, counted on bit planes."""

from __future__ import annotations

import numpy as np

from genome_eu.compiled import compiled, popcount
from genome_eu.kernels.block import BandedGram, PairCounts
from genome_eu.kernels.cpu.products import transpose
from genome_eu.kernels.cpu.words import LOW_BITS, ONE, group_masks, word_buffer

Array = np.ndarray

# People by their bit planes that stay in a near cache.
_PAIR_TILE = 32


def gram(packed: Array, people: int, window: int, include: Array) -> BandedGram:
    """Sums over the included people called in both rows of each pair (j, j + d)."""
    planes = _bit_planes(packed, include)
    totals = np.stack([np.bitwise_count(plane).sum(axis=1, dtype=np.int64) for plane in planes])
    result = np.zeros((6, len(packed), window), dtype=np.int64)
    _fill_gram(*planes, totals, int(include.sum()), result)
    return BandedGram(*result)


def pair_counts(packed: Array, people: int) -> PairCounts:
    """Counts over the rows called in both people of each pair."""
    every_row = np.ones(len(packed), dtype=bool)
    het, hom_alt, called = _bit_planes(transpose(packed, people), every_row)
    result = np.empty((4, people, people), dtype=np.int64)
    _fill_pair_counts(called & ~het & ~hom_alt, het, hom_alt, called, result)
    return PairCounts(*result)


def _bit_planes(packed: Array, include: Array) -> tuple[Array, Array, Array]:
    """One bit per included person: heterozygous, homozygous for the ALT, called.

    Half the words of the packed layout, each of 64 people; bits of other people are 0.
    """
    mask = group_masks(np.where(include, 0, -1), 1)[0]
    words, word_bytes = word_buffer(packed)
    planes = np.zeros((3, len(packed), -(-len(words) // 2)), dtype=np.uint64)
    het, hom_alt, called = planes
    _fill_bit_planes(packed, mask, words, word_bytes, het, hom_alt, called)
    return het, hom_alt, called


@compiled
def _even_bits(word: np.uint64) -> np.uint64:
    """The 32 bits at even places, moved together."""
    word &= LOW_BITS
    word = (word | (word >> np.uint64(1))) & np.uint64(0x3333333333333333)
    word = (word | (word >> np.uint64(2))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    word = (word | (word >> np.uint64(4))) & np.uint64(0x00FF00FF00FF00FF)
    word = (word | (word >> np.uint64(8))) & np.uint64(0x0000FFFF0000FFFF)
    return (word | (word >> np.uint64(16))) & np.uint64(0x00000000FFFFFFFF)


@compiled
def _fill_bit_planes(
    packed: Array,
    mask: Array,
    words: Array,
    word_bytes: Array,
    het: Array,
    hom_alt: Array,
    called: Array,
) -> None:
    for row in range(packed.shape[0]):
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        for index in range(len(words)):
            low = words[index]
            high = words[index] >> ONE
            place = np.uint64(32 * (index % 2))
            het[row, index // 2] |= _even_bits(low & ~high & mask[index]) << place
            hom_alt[row, index // 2] |= _even_bits(~low & high & mask[index]) << place
            called[row, index // 2] |= _even_bits(~(low & high) & mask[index]) << place


@compiled
def _overlap(a: Array, b: Array) -> np.int64:
    total = np.uint64(0)
    for index in range(len(a)):
        total += popcount(a[index] & b[index])
    return np.int64(total)


@compiled
def _product(het_a: Array, hom_a: Array, het_b: Array, hom_b: Array) -> np.int64:
    """Sum of the products of two rows' dosages."""
    one = np.uint64(0)
    two = np.uint64(0)
    four = np.uint64(0)
    for index in range(len(het_a)):
        one += popcount(het_a[index] & het_b[index])
        # A person has one genotype per row, so the two mixed cases never share a bit.
        two += popcount((het_a[index] & hom_b[index]) | (hom_a[index] & het_b[index]))
        four += popcount(hom_a[index] & hom_b[index])
    return np.int64(one + (two << ONE) + (four << np.uint64(2)))


@compiled
def _fill_gram(
    het: Array, hom_alt: Array, called: Array, totals: Array, people: int, result: Array
) -> None:
    """Fill the fields of `BandedGram`, one after the other; shape (6, rows, window)."""
    n_het, n_hom, n_called = totals
    _, rows, window = result.shape
    for a in range(rows):
        for b in range(a, min(a + window, rows)):
            # A row without missing calls leaves the other's people as they are.
            if n_called[a] == people:
                n = n_called[b]
                het_b, hom_b = n_het[b], n_hom[b]
            else:
                n = _overlap(called[a], called[b])
                het_b, hom_b = _overlap(het[b], called[a]), _overlap(hom_alt[b], called[a])
            if n_called[b] == people:
                n = n_called[a]
                het_a, hom_a = n_het[a], n_hom[a]
            else:
                het_a, hom_a = _overlap(het[a], called[b]), _overlap(hom_alt[a], called[b])
            result[0, a, b - a] = n
            result[1, a, b - a] = het_a + 2 * hom_a
            result[2, a, b - a] = het_b + 2 * hom_b
            result[3, a, b - a] = het_a + 4 * hom_a
            result[4, a, b - a] = het_b + 4 * hom_b
            result[5, a, b - a] = _product(het[a], hom_alt[a], het[b], hom_alt[b])


@compiled
def _fill_pair_counts(
    hom_ref: Array, het: Array, hom_alt: Array, called: Array, result: Array
) -> None:
    """Fill the fields of `PairCounts`, one after the other; shape (4, people, people)."""
    people, n_words = het.shape
    for tile in range(0, people, _PAIR_TILE):
        for i in range(min(tile + _PAIR_TILE, people)):
            for j in range(max(i, tile), min(tile + _PAIR_TILE, people)):
                observed = np.uint64(0)
                ibs0 = np.uint64(0)
                het_het = np.uint64(0)
                het_i = np.uint64(0)
                het_j = np.uint64(0)
                for index in range(n_words):
                    observed += popcount(called[i, index] & called[j, index])
                    ibs0 += popcount(
                        (hom_ref[i, index] & hom_alt[j, index])
                        | (hom_alt[i, index] & hom_ref[j, index])
                    )
                    het_het += popcount(het[i, index] & het[j, index])
                    het_i += popcount(het[i, index] & called[j, index])
                    het_j += popcount(called[i, index] & het[j, index])
                result[0, i, j] = observed
                result[1, i, j] = ibs0
                result[2, i, j] = het_het
                result[3, i, j] = het_i
                result[0, j, i] = observed
                result[1, j, i] = ibs0
                result[2, j, i] = het_het
                result[3, j, i] = het_j
