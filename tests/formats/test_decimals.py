"""Columns of decimals are what Python prints, number by number."""

from __future__ import annotations

import numpy as np
import pytest

from genome_eu.formats.decimals import fixed

SPECIAL = [0.0, -0.0, 0.5, 1.5, 2.5, -1e-9, 0.99995, 9.99995, 999999999.99999, np.nan, np.inf]


@pytest.mark.parametrize("decimals", range(5))
def test_every_number_as_python_prints_it(decimals):
    rng = np.random.default_rng(3)
    sizes = [rng.normal(0.0, size, 3000) for size in (1e-6, 1e-3, 1.0, 1e3, 1e7, 1e12)]
    ties = np.round(rng.normal(0.0, 1.0, 5000), 5)
    values = np.concatenate([*sizes, ties, SPECIAL, [-np.inf]])
    assert fixed(values, decimals).to_pylist() == [f"{one:.{decimals}f}" for one in values]


def test_no_numbers():
    assert fixed(np.empty(0), 3).to_pylist() == []
