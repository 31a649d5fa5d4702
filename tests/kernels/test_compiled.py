"""Kernels compile where nothing may be written, and count bits."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from genome_eu import compiled as module
from genome_eu.compiled import compiled, popcount


def test_a_machine_without_a_writable_cache_still_compiles(monkeypatch):
    def njit(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        return numba.njit(**options)

    monkeypatch.setattr(module, "njit", njit)

    @compiled
    def double(x):
        return 2 * x

    assert double(21) == 42


@numba.njit
def _count(word):
    return popcount(word)


@pytest.mark.parametrize("word", [0, 1, 3, 1 << 63, 0x5555555555555555, 2**64 - 1])
def test_popcount_counts_bits(word):
    assert _count(np.uint64(word)) == word.bit_count()
