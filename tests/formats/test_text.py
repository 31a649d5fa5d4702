"""Columns of numbers print as C's %g does."""

from __future__ import annotations

import numpy as np
import pytest

from genome_eu.errors import BadInput
from genome_eu.formats.text import integers, p_values, significant, strings, tab_separated


@pytest.mark.parametrize("digits", [6, 8])
def test_significant_prints_like_percent_g(digits):
    rng = np.random.default_rng(1)
    x = np.concatenate(
        [
            rng.normal(size=4000) * 10.0 ** rng.integers(-9, 9, 4000),
            [0, -0.0, 1, -1, 10, 1000, 999999, 999999.4, 999999.6, 1e6, 1e-4, 9.9999999e-5],
            np.arange(2000) / 2006,
        ]
    )
    expected = [f"{v + 0.0:.{digits}g}" for v in x]
    assert significant(x, digits).to_pylist() == expected


def test_missing_numbers_and_withheld_counts_are_named():
    assert significant(np.array([np.nan, 1.5, np.inf])).to_pylist() == ["NA", "1.5", "inf"]
    assert significant(np.array([np.nan]), missing="nan").to_pylist() == ["nan"]
    assert integers(np.array([3, -1, 0])).to_pylist() == ["3", "NA", "0"]


def test_p_values_below_the_smallest_double_come_from_the_logarithm():
    p = np.array([0.5, 0.0, 0.0, 1e-310, np.nan])
    exact = np.array([0.30103, 4090.604469, 400.0, 310.0, np.nan])
    text = p_values(p, exact).to_pylist()
    assert text == ["0.5", "2.48617e-4091", "1e-400", "1e-310", "NA"]
    assert p_values(p[:2], None).to_pylist() == ["0.5", "0"]


def test_a_mantissa_that_rounds_to_ten_carries_over():
    assert p_values(np.array([0.0]), np.array([400 + 1e-9])).to_pylist() == ["1e-400"]
    assert p_values(np.array([0.0]), np.array([399.0 + 1e-9])).to_pylist() == ["1e-399"]


def test_values_that_would_break_the_table_are_refused():
    with pytest.raises(BadInput, match="holds a tab, quotation mark or line break"):
        tab_separated([strings(np.array(["a\tb"]))], "x.afreq")
    good = tab_separated([strings(np.array(["<DEL>", "a,b"]))], "x.afreq")
    assert bytes(good) == b"<DEL>\na,b\n"
