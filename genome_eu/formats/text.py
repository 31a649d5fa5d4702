"""Whole columns of numbers as text, in the way PLINK prints them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from genome_eu.errors import BadInput

# A table, because a power computed in floating point may miss the exact value.
_POWERS = np.array([float(f"1e{k}") for k in range(20)])

# Below this a double loses digits (denormals), so the text comes from the logarithm.
SMALLEST_P = 1e-300


def significant(values: np.ndarray, digits: int = 6, *, missing: str = "NA") -> pa.Array:
    """Text of `values` with C's ``%.<digits>g``.

    Parameters
    ----------
    values : float array, shape (rows,)
        NaN becomes `missing`.
    digits : int
        Significant digits, at most 12.
    missing : str
        What stands for NaN.

    Returns
    -------
    text : string array, shape (rows,)
    """
    x = np.asarray(values, dtype=np.float64) + 0.0  # -0.0 becomes 0.0
    size = np.abs(x)
    # Numbers that need no exponent are rounded as arrays and printed by Arrow; only the
    # others (usually few: small p-values) go through Python one by one.
    plain = (size >= 1e-4) & (size < 10.0**digits - 0.5)
    shown = np.where(plain, size, 1.0)
    places = digits - 1 - np.floor(np.log10(shown)).astype(np.int64)
    scale = _POWERS[np.clip(places, 0, None)]
    rounded = np.copysign(np.rint(shown * scale) / scale, x)
    text = pa.array(np.where(plain, rounded, 0.0)).cast(pa.string())
    special = ~plain & (x != 0)
    if special.any():
        written = [missing if isnan(v) else f"{v:.{digits}g}" for v in x[special].tolist()]
        text = pc.replace_with_mask(text, pa.array(special), pa.array(written, pa.string()))
    return text


def p_values(p: np.ndarray, neg_log10_p: np.ndarray | None, digits: int = 6) -> pa.Array:
    """Text of p-values; those too small for a double come from −log10 p, as 1.23e-400."""
    p = np.asarray(p, dtype=np.float64)
    text = significant(p, digits)
    if neg_log10_p is None:
        return text
    exact = np.asarray(neg_log10_p, dtype=np.float64)
    tiny = np.isfinite(exact) & (exact > -np.log10(SMALLEST_P)) & ~(p >= SMALLEST_P)
    if tiny.any():
        written = [_power_of_ten(v, digits) for v in exact[tiny].tolist()]
        text = pc.replace_with_mask(text, pa.array(tiny), pa.array(written, pa.string()))
    return text


def _power_of_ten(neg_log10: float, digits: int) -> str:
    exponent = int(np.ceil(neg_log10))
    mantissa = f"{10.0 ** (exponent - neg_log10):.{digits}g}"
    if float(mantissa) >= 10:
        mantissa, exponent = "1", exponent - 1
    return f"{mantissa}e-{exponent}"


def integers(values: np.ndarray, missing: str = "NA") -> pa.Array:
    """Text of counts; negative ones mean withheld and become `missing`."""
    counts = np.asarray(values)
    return pa.array(counts, mask=counts < 0).cast(pa.string()).fill_null(missing)


def strings(values: np.ndarray) -> pa.Array:
    """A string array from NumPy text of any kind (fixed width, object, variable width)."""
    return pa.array(np.asarray(values).astype(object), pa.string())


def constant(value: str, rows: int) -> pa.Array:
    """One text in every row."""
    return pa.repeat(pa.scalar(value, pa.string()), rows)


def masked(text: pa.Array, mask: np.ndarray, value: str = "NA") -> pa.Array:
    """`text` with `value` wherever `mask` is true."""
    return pc.if_else(pa.array(np.asarray(mask, dtype=bool)), value, text)


def tab_separated(columns: Sequence[pa.Array], where: str) -> memoryview:
    """Rows of text columns as tab-separated lines, without a header.

    Raises
    ------
    BadInput
        If a value holds a tab, a quotation mark or a line break, which no reader of these
        formats understands.
    """
    table = pa.table(list(columns), names=[f"c{i}" for i in range(len(columns))])
    sink = pa.BufferOutputStream()
    options = pa_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    try:
        pa_csv.write_csv(table, sink, options)
    except pa.ArrowInvalid as error:
        raise BadInput(
            f"a value for {where} holds a tab, quotation mark or line break. "
            "Rename the variant or trait."
        ) from error
    return memoryview(sink.getvalue())


def header(columns: Sequence[str]) -> bytes:
    """The first line of a tab-separated file."""
    return ("\t".join(columns) + "\n").encode()
