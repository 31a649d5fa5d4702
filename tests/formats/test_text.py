"""Columns of numbers print as C's %g does."""

from __future__ import annotations

import numpy as np
import pytest

from genome_eu.errors import BadInput
from genome_eu.formats import text
from genome_eu.formats.text import (
    constant,
    integers,
    joined,
    p_values,
    significant,
    strings,
    tab_separated,
    words,
)


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


@pytest.mark.parametrize("digits", [1, 3, 6, 8])
def test_every_size_of_number(digits):
    rng = np.random.default_rng(2)
    powers = 10.0 ** np.arange(-308, 309)
    x = np.concatenate(
        [
            rng.normal(size=20_000) * 10.0 ** rng.integers(-307, 305, 20_000),
            10 ** -rng.exponential(2, 5000),
            np.round(rng.uniform(1e5, 1e7, 5000) * 2) / 2,
            np.round(rng.uniform(-9, 9, 5000), digits - 1),
            *(powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf)),
            [5e-324, 1e-310, 2.2250738585072014e-308, 1.7976931348623157e308, np.inf, -np.inf],
        ]
    )
    assert significant(x, digits).to_pylist() == [f"{v + 0.0:.{digits}g}" for v in x]


def test_decimal_ties_go_to_the_even_digit_as_plink_has_them():
    """C's %g looks at the float64, which is a little below or above the decimal."""
    x = np.array([0.4846875, 0.4621875, 0.4846865, 100000.5, 100001.5, 0.5])
    written = ["0.484688", "0.462188", "0.484686", "100000", "100002", "0.5"]
    assert significant(x).to_pylist() == written
    quotients = np.arange(1, 6401) / 6400
    scale = 10.0 ** (5 - np.floor(np.log10(quotients)))
    rounded = np.rint(quotients * scale) / scale
    assert significant(quotients).to_pylist() == [f"{v:.6g}" for v in rounded]


def test_missing_numbers_and_withheld_counts_are_named():
    assert significant(np.array([np.nan, 1.5, np.inf])).to_pylist() == ["NA", "1.5", "inf"]
    assert significant(np.array([np.nan]), missing="nan").to_pylist() == ["nan"]
    assert integers(np.array([3, -1, 0])).to_pylist() == ["3", "NA", "0"]


def test_p_values_below_the_smallest_double_come_from_the_logarithm():
    p = np.array([0.5, 0.0, 0.0, 1e-310, np.nan])
    exact = np.array([0.30103, 4090.604469, 400.0, 310.0, np.nan])
    written = p_values(p, exact).to_pylist()
    assert written == ["0.5", "2.48617e-4091", "1e-400", "1e-310", "NA"]
    assert p_values(p[:2], None).to_pylist() == ["0.5", "0"]


def test_a_mantissa_that_rounds_to_ten_carries_over():
    assert p_values(np.array([0.0]), np.array([400 + 1e-9])).to_pylist() == ["1e-400"]
    assert p_values(np.array([0.0]), np.array([399.0 + 1e-9])).to_pylist() == ["1e-399"]


def test_values_that_would_break_the_table_are_refused():
    with pytest.raises(BadInput, match="holds a tab, quotation mark or line break"):
        tab_separated([strings(np.array(["a\tb"]))], "x.afreq")
    with pytest.raises(BadInput, match="a value for x.afreq holds a tab"):
        joined([strings(np.array(["a", 'b"c']))], "x.afreq")
    good = tab_separated([strings(np.array(["<DEL>", "a,b"]))], "x.afreq")
    assert b"".join(good) == b"<DEL>\na,b\n"


def test_columns_that_tables_share_are_joined_once(monkeypatch):
    names = joined([words(np.array([1, 0, 1]), ["x", "y"]), strings(np.array(["a", "", "c"]))], "")
    assert names.to_pylist() == ["y\ta", "x\t", "y\tc"]
    columns = [names, significant(np.array([0.5, np.nan, 2])), constant("ADD", 3)]
    assert b"".join(tab_separated(columns, "")) == b"y\ta\t0.5\tADD\nx\t\tNA\tADD\ny\tc\t2\tADD\n"
    assert b"".join(tab_separated(columns, "", np.array([2, 0]))) == (
        b"y\tc\t2\tADD\ny\ta\t0.5\tADD\n"
    )
    monkeypatch.setattr(text, "_LINES", 2)
    assert joined(columns[::-1][:2], "").to_pylist() == ["ADD\t0.5", "ADD\tNA", "ADD\t2"]
    assert [bytes(some) for some in tab_separated(columns[1:], "", np.array([0, 2, 0]))] == [
        b"0.5\tADD\n2\tADD\n",
        b"0.5\tADD\n",
    ]
    nothing = [column[3:] for column in columns]
    assert b"".join(tab_separated(nothing, "")) == b""
    assert b"".join(tab_separated([column[1:2] for column in columns], "")) == b"x\t\tNA\tADD\n"
