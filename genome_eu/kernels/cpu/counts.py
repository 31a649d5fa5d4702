"""Genotype counts by population counts on words."""

from __future__ import annotations

import numpy as np

from genome_eu.compiled import compiled, popcount
from genome_eu.kernels.cpu.words import LOW_BITS, ONE, group_masks, word_buffer

Array = np.ndarray


def counts(packed: Array, people: int, groups: Array, n_groups: int) -> Array:
    """Genotype counts per row and group; int64, shape (rows, n_groups, 4)."""
    result = np.zeros((len(packed), n_groups, 4), dtype=np.int64)
    size = np.bincount(groups + 1, minlength=n_groups + 1)[1:]
    if people and (size == people).any():
        result[:, int(np.argmax(size)), 1:] = count_everybody(packed)
    else:
        masks = group_masks(groups, n_groups)
        # People of a group often stand together in a file, so a group visits only its own words.
        used = masks != 0
        start = used.argmax(axis=1) if used.size else size
        stop = masks.shape[1] - used[:, ::-1].argmax(axis=1) if used.size else size
        stop = np.where(size > 0, stop, 0)
        _count_groups(packed, masks, start, stop, *word_buffer(packed), result)
    result[:, :, 0] = size - result[:, :, 1:].sum(axis=2)
    return result


def count_everybody(packed: Array) -> Array:
    """People with code 1, 2 and missing; int64, shape (rows, 3)."""
    result = np.empty((len(packed), 3), dtype=np.int64)
    _fill_counts(packed, *word_buffer(packed), result)
    return result


@compiled
def _fill_counts(packed: Array, words: Array, word_bytes: Array, result: Array) -> None:
    for row in range(packed.shape[0]):
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        low = np.uint64(0)
        high = np.uint64(0)
        both = np.uint64(0)
        for index in range(len(words)):
            word = words[index]
            low += popcount(word & LOW_BITS)
            high += popcount(word & ~LOW_BITS)
            both += popcount(word & (word >> ONE) & LOW_BITS)
        result[row, 0] = low - both
        result[row, 1] = high - both
        result[row, 2] = both


@compiled
def _count_groups(
    packed: Array,
    masks: Array,
    start: Array,
    stop: Array,
    words: Array,
    word_bytes: Array,
    result: Array,
) -> None:
    """Fill ``result[:, :, 1:]`` with the people of each group with code 1, 2 and missing."""
    for row in range(packed.shape[0]):
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        for group in range(masks.shape[0]):
            low = np.uint64(0)
            high = np.uint64(0)
            both = np.uint64(0)
            for index in range(start[group], stop[group]):
                word = words[index] & masks[group, index]
                low += popcount(word & LOW_BITS)
                high += popcount(word & ~LOW_BITS)
                both += popcount(word & (word >> ONE) & LOW_BITS)
            result[row, group, 1] = low - both
            result[row, group, 2] = high - both
            result[row, group, 3] = both
