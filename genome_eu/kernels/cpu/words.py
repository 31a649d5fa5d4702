"""Packed rows as 64-bit words, 32 people each."""

from __future__ import annotations

import numpy as np

from genome_eu.compiled import compiled
from genome_eu.kernels.packed import packed_width

Array = np.ndarray

#: The lower bit of each person.
LOW_BITS = np.uint64(0x5555555555555555)
ONE = np.uint64(1)


def hold(packed: Array) -> Array:
    """Compute where the rows are."""
    return packed


def word_buffer(packed: Array) -> tuple[Array, Array]:
    """64-bit words that hold one packed row and zeros, and the same memory as bytes."""
    words = np.zeros(word_count(packed.shape[1]), dtype=np.uint64)
    return words, words.view(np.uint8)


def word_count(width: int) -> int:
    """Words of a row of so many bytes."""
    return -(-width // 8)


def group_masks(groups: Array, n_groups: int) -> Array:
    """Both bits set at the people of each group; uint64, shape (n_groups, words)."""
    masks = np.zeros((n_groups, word_count(packed_width(len(groups)))), dtype=np.uint64)
    _fill_group_masks(groups, masks)
    return masks


@compiled
def _fill_group_masks(groups: Array, masks: Array) -> None:
    for person in range(len(groups)):
        if groups[person] >= 0:
            masks[groups[person], person // 32] |= np.uint64(3) << np.uint64(2 * (person % 32))
