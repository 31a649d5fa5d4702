"""Genotypes as bit planes, in the order of the people."""

from __future__ import annotations

import numpy as np

from genome_eu.compiled import compiled
from genome_eu.kernels.cpu.words import LOW_BITS, ONE, group_masks, word_buffer

Array = np.ndarray


def bit_planes(packed: Array, include: Array) -> tuple[Array, Array, Array]:
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
