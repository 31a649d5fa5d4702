"""Pairs of rows, counted on bit planes.

A call is written as h = g - 1, that is -1, 0 or 1: the sum of products of two rows is then the
homozygotes of both, less twice those of opposite alleles. A heterozygote and a missing call both
add nothing, so that two population counts a word are enough, and sums of g follow from those of h.
"""

from __future__ import annotations

import numpy as np

from genome_eu.compiled import compiled, popcount
from genome_eu.kernels.block import BandedGram, RowPlanes
from genome_eu.kernels.cpu.words import LOW_BITS, ONE, group_masks, word_buffer

Array = np.ndarray

# Words of a plane come in whole registers of the widest vectors.
_WORDS_AT_ONCE = 8


def gram(packed: Array, people: int, window: int, include: Array, first: int) -> BandedGram:
    """Sums over the included people called in both rows of each pair (j, j + d)."""
    planes = row_planes(packed, people, include)
    result = np.zeros((6, first, window), dtype=np.int64)
    _fill_gram(planes.hom, planes.alt, planes.called, planes.totals, planes.people, result)
    return BandedGram(*result)


def row_planes(packed: Array, people: int, include: Array) -> RowPlanes:
    """Bit planes of rows; see `PackedBlock.row_planes`."""
    mask = group_masks(np.where(include, 0, -1), 1)[0]
    words, word_bytes = word_buffer(packed)
    # A plane word takes 64 people from two words; an odd number of words has a neighbour of zeros.
    width = -(-len(words) // (2 * _WORDS_AT_ONCE)) * _WORDS_AT_ONCE
    words = np.concatenate([words, np.zeros(2 * width - len(words), dtype=np.uint64)])
    mask = np.concatenate([mask, np.zeros(2 * width - len(mask), dtype=np.uint64)])
    word_bytes = words.view(np.uint8)
    planes = np.empty((3, len(packed), width), dtype=np.uint64)
    totals = np.empty((3, len(packed)), dtype=np.int64)
    _fill_planes(packed, mask, words, word_bytes, planes, totals)
    hom, alt, called = planes
    return RowPlanes(hom, alt, called, totals, int(include.sum()))


@compiled
def _side_by_side(even: np.uint64, odd: np.uint64) -> np.uint64:
    """The lower bits of the people of two words in one: in whatever order, but in every row so."""
    return (even & LOW_BITS) | ((odd & LOW_BITS) << ONE)


@compiled
def _fill_planes(
    packed: Array, mask: Array, words: Array, word_bytes: Array, planes: Array, totals: Array
) -> None:
    for row in range(packed.shape[0]):
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        homs = np.uint64(0)
        alts = np.uint64(0)
        calls = np.uint64(0)
        for index in range(planes.shape[2]):
            even, odd = words[2 * index], words[2 * index + 1]
            low = _side_by_side(even, odd)
            high = _side_by_side(even >> ONE, odd >> ONE)
            counted = _side_by_side(mask[2 * index], mask[2 * index + 1])
            hom = ~low & counted
            alt = hom & high
            called = ~(low & high) & counted
            planes[0, row, index] = hom
            planes[1, row, index] = alt
            planes[2, row, index] = called
            homs += popcount(hom)
            alts += popcount(alt)
            calls += popcount(called)
        totals[0, row] = calls
        totals[1, row] = np.int64(2 * alts) - np.int64(homs)
        totals[2, row] = homs


@compiled
def _dot(hom_a: Array, alt_a: Array, hom_b: Array, alt_b: Array) -> np.int64:
    """Sum of h·h over the people called in both."""
    both = np.uint64(0)
    opposite = np.uint64(0)
    for index in range(len(hom_a)):
        hom = hom_a[index] & hom_b[index]
        both += popcount(hom)
        opposite += popcount(hom & (alt_a[index] ^ alt_b[index]))
    return np.int64(both) - 2 * np.int64(opposite)


@compiled
def _among(called: Array, hom: Array, alt: Array) -> tuple[np.int64, np.int64]:
    """Sums of h and of its square over the people called in another row."""
    homs = np.uint64(0)
    alts = np.uint64(0)
    for index in range(len(called)):
        homs += popcount(called[index] & hom[index])
        alts += popcount(called[index] & alt[index])
    return 2 * np.int64(alts) - np.int64(homs), np.int64(homs)


@compiled
def _overlap(a: Array, b: Array) -> np.int64:
    total = np.uint64(0)
    for index in range(len(a)):
        total += popcount(a[index] & b[index])
    return np.int64(total)


@compiled
def _fill_gram(
    hom: Array, alt: Array, called: Array, totals: Array, people: int, result: Array
) -> None:
    """Fill the fields of `BandedGram`, one after the other; shape (6, rows, window)."""
    _, first, window = result.shape
    for a in range(first):
        for b in range(a, min(a + window, len(hom))):
            n, sum_a, square_a = totals[0, a], totals[1, a], totals[2, a]
            sum_b, square_b = totals[1, b], totals[2, b]
            # A row without missing calls leaves the other's people as they are.
            if totals[0, a] < people:
                sum_b, square_b = _among(called[a], hom[b], alt[b])
            if totals[0, b] < people:
                sum_a, square_a = _among(called[b], hom[a], alt[a])
                n = totals[0, b]
                if totals[0, a] < people:
                    n = _overlap(called[a], called[b])
            dot = _dot(hom[a], alt[a], hom[b], alt[b])
            result[0, a, b - a] = n
            result[1, a, b - a] = n + sum_a
            result[2, a, b - a] = n + sum_b
            result[3, a, b - a] = n + 2 * sum_a + square_a
            result[4, a, b - a] = n + 2 * sum_b + square_b
            result[5, a, b - a] = n + sum_a + sum_b + dot
