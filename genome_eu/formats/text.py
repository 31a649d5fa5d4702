"""Whole columns of numbers as text, in the way PLINK prints them, and lines of such columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from genome_eu.compiled import compiled
from genome_eu.errors import BadInput

# Powers of ten that a float64 holds exactly.
_POWERS = np.array([float(f"1e{k}") for k in range(23)])

_LOG10_2 = math.log10(2.0)

# Below this a double loses digits (denormals), so the text comes from the logarithm.
SMALLEST_P = 1e-300

_MINUS, _PLUS, _POINT, _ZERO, _E = (ord(mark) for mark in "-+.0e")
# Bytes that are copied at once, and lines that are made at once.
_WORD = 8
_LINES = 4096
_TAB, _NEWLINE, _RETURN, _QUOTE = (ord(mark) for mark in '\t\n\r"')


@compiled
def _scaled(size: float, exponent: int, digits: int, powers: NDArray) -> float:
    """`size` times the power of ten that leaves so many digits before the point."""
    k = digits - 1 - exponent
    while k > 22:
        size *= 1e22
        k -= 22
    while k < -22:
        size /= 1e22
        k += 22
    return size * powers[k] if k >= 0 else size / powers[-k]


@compiled
def _put_whole(out: NDArray, at: int, number: np.uint64, places: int) -> int:
    for place in range(at + places - 1, at - 1, -1):
        rest = number // np.uint64(10)
        out[place] = _ZERO + (number - rest * np.uint64(10))
        number = rest
    return at + places


@compiled
def _put_significant(
    out: NDArray, at: int, size: float, binary: int, digits: int, powers: NDArray
) -> int:
    """Write a positive number as ``%.<digits>g``; −1 where rounding is too close to call."""
    # 2**binary ≤ size, so this is the decimal exponent or one less.
    exponent = math.floor(binary * _LOG10_2)
    scaled = _scaled(size, exponent, digits, powers)
    if scaled >= powers[digits]:
        exponent += 1
        scaled = _scaled(size, exponent, digits, powers)
    whole = np.uint64(scaled)
    above = scaled - np.float64(whole) - 0.5
    # `scaled` has been rounded itself, once for each 22 powers of ten. Without an exponent, what
    # that makes a tie goes to the even digit, as PLINK rounds 0.4846875.
    close = abs(above) < 1e-6 + 4e-15 * scaled
    if (close and (exponent < -4 or exponent >= digits)) or scaled < powers[digits - 1]:
        return -1
    even = whole // np.uint64(2) * np.uint64(2) == whole
    number = whole + np.uint64(above > 0.0 or (above == 0.0 and not even))
    if np.float64(number) >= powers[digits]:
        number //= np.uint64(10)
        exponent += 1
    places = digits
    while places > 1:
        rest = number // np.uint64(10)
        if rest * np.uint64(10) != number:
            break
        number = rest
        places -= 1

    if exponent < -4 or exponent >= digits:
        end = _put_whole(out, at + 1, number, places)
        out[at] = out[at + 1]
        out[at + 1] = _POINT
        if places == 1:
            end = at + 1
        out[end] = _E
        out[end + 1] = _MINUS if exponent < 0 else _PLUS
        size_of_exponent = abs(exponent)
        longer = 3 if size_of_exponent >= 100 else 2
        return _put_whole(out, end + 2, np.uint64(size_of_exponent), longer)
    if exponent < 0:
        out[at] = _ZERO
        out[at + 1] = _POINT
        for place in range(-exponent - 1):
            out[at + 2 + place] = _ZERO
        return _put_whole(out, at + 1 - exponent, number, places)
    if places <= exponent + 1:
        at = _put_whole(out, at, number, places)
        for _ in range(exponent + 1 - places):
            out[at] = _ZERO
            at += 1
        return at
    end = _put_whole(out, at + 1, number, places)
    for place in range(exponent + 1):
        out[at + place] = out[at + place + 1]
    out[at + exponent + 1] = _POINT
    return end


@compiled
def _put_all(
    values: NDArray,
    bits: NDArray,
    digits: int,
    powers: NDArray,
    missing: NDArray,
    out: NDArray,
    offsets: NDArray,
    left: NDArray,
) -> int:
    """Text of all values, end to end; those that are `left` stay empty and are counted."""
    at = 0
    count = 0
    for row in range(values.size):
        offsets[row] = at
        value = values[row]
        if value == 0.0:
            out[at] = _ZERO
            at += 1
        elif math.isnan(value):
            for mark in missing:
                out[at] = mark
                at += 1
        else:
            begun = at
            if value < 0.0:
                out[at] = _MINUS
                at += 1
            binary = ((bits[row] >> 52) & 0x7FF) - 1023
            # Neither infinity nor a denormal has the form that is written here.
            ordinary = -1023 < binary < 1024
            at = _put_significant(out, at, abs(value), binary, digits, powers) if ordinary else -1
            if at < 0:
                left[row] = True
                count += 1
                at = begun
    offsets[values.size] = at
    return count


def significant(values: np.ndarray, digits: int = 6, *, missing: str = "NA") -> pa.Array:
    """Text of `values` with C's ``%.<digits>g``, ties of decimals to the even digit.

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
    x = np.ascontiguousarray(values, dtype=np.float64)
    name = np.frombuffer(missing.encode(), np.uint8)
    out = np.empty(x.size * max(digits + 8, name.size), np.uint8)
    offsets = np.empty(x.size + 1, np.int32)
    left = np.zeros(x.size, bool)
    # Infinity, denormals and numbers whose last digit is nearly a tie are printed by Python.
    count = _put_all(x, x.view(np.int64), digits, _POWERS, name, out, offsets, left)
    text = pa.Array.from_buffers(
        pa.string(), x.size, [None, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]])]
    )
    return _replaced(text, left, [f"{v:.{digits}g}" for v in x[left].tolist()]) if count else text


def _replaced(text: pa.Array, where: np.ndarray, written: list[str]) -> pa.Array:
    return pc.replace_with_mask(text, pa.array(where), pa.array(written, pa.string()))


def p_values(p: np.ndarray, neg_log10_p: np.ndarray | None, digits: int = 6) -> pa.Array:
    """Text of p-values; those too small for a double come from −log10 p, as 1.23e-400."""
    p = np.asarray(p, dtype=np.float64)
    text = significant(p, digits)
    if neg_log10_p is None:
        return text
    exact = np.asarray(neg_log10_p, dtype=np.float64)
    tiny = np.isfinite(exact) & (exact > -np.log10(SMALLEST_P)) & ~(p >= SMALLEST_P)
    if tiny.any():
        text = _replaced(text, tiny, [_power_of_ten(v, digits) for v in exact[tiny].tolist()])
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


def words(places: np.ndarray, distinct: Sequence[str]) -> pa.DictionaryArray:
    """Text that repeats itself, as places in a list of words."""
    indices = np.ascontiguousarray(places, dtype=np.int32)
    return pa.DictionaryArray.from_arrays(indices, pa.array(distinct, pa.string()))


def constant(value: str, rows: int) -> pa.Array:
    """One text in every row."""
    return pa.repeat(pa.scalar(value, pa.string()), rows)


def masked(text: pa.Array, mask: np.ndarray, value: str = "NA") -> pa.Array:
    """`text` with `value` wherever `mask` is true."""
    hidden = np.asarray(mask, dtype=bool)
    return pc.if_else(pa.array(hidden), value, text) if hidden.any() else text


@intrinsic
def _copy_word(typing_context: Any, target: Any, at: Any, source: Any, place: Any) -> Any:
    """Eight bytes from `source[place:]` to `target[at:]`, both uint8, at any address."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        word = ir.IntType(64).as_pointer()

        def address(array: int) -> Any:
            made = context.make_array(signature.args[array])(context, builder, arguments[array])
            return builder.bitcast(builder.gep(made.data, [arguments[array + 1]]), word)

        loaded = builder.load(address(2))
        loaded.align = 1
        builder.store(loaded, address(0)).align = 1

    return types.void(target, types.int64, source, types.int64), emit


# As compiled code sees it; numba's own calling convention stays out of the callers' types.
copy_word = cast(Callable[[NDArray, int, NDArray, int], None], _copy_word)


@compiled
def _put_lines(
    marks: NDArray, starts: NDArray, ends: NDArray, last: int, out: NDArray, offsets: NDArray
) -> None:
    """Columns side by side with tabs between, each line followed by the mark `last` (0: none).

    Both `marks` and `out` have a word to spare at their end.
    """
    columns, rows = starts.shape
    at = 0
    for row in range(rows):
        offsets[row] = at
        for column in range(columns):
            if column:
                out[at] = _TAB
                at += 1
            begun, ended = starts[column, row], ends[column, row]
            # Most cells are one or two words; what is copied beyond an end is written over.
            for place in range(0, ended - begun, _WORD):
                copy_word(out, at + place, marks, begun + place)
            at += ended - begun
        if last:
            out[at] = last
            at += 1
    offsets[rows] = at


def _bytes(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """A text column's offsets, shape (rows + 1,), and the bytes they point into."""
    if not len(column):
        return np.zeros(1, np.int32), np.empty(0, np.uint8)
    _, offsets, content = column.buffers()
    kind: type = np.int64 if pa.types.is_large_string(column.type) else np.int32
    places: np.ndarray = np.frombuffer(offsets, kind)[column.offset :][: len(column) + 1]
    marks = np.frombuffer(content, np.uint8) if content else np.empty(0, np.uint8)
    # Of a slice, only what it shows.
    return places - places[0], marks[places[0] : places[-1]]


def _require_lines(columns: Sequence[pa.Array], where: str) -> None:
    """Raise `BadInput` where a value would break the table."""
    for column in columns:
        coded = pa.types.is_dictionary(column.type)
        marks = _bytes(column.dictionary if coded else column)[1]
        # What `joined` made holds tabs that were meant.
        if not pa.types.is_large_string(column.type) and any(
            bool((marks == mark).any()) for mark in (_TAB, _NEWLINE, _RETURN, _QUOTE)
        ):
            raise BadInput(
                f"a value for {where} holds a tab, quotation mark or line break. "
                "Rename the variant or trait."
            )


def _side_by_side(
    columns: Sequence[pa.Array], last: int, rows: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Bytes of some lines, and where each of them begins, until all lines are made."""
    count = len(columns[0]) if rows is None else len(rows)
    # Arrays of one size, small enough that memory is not asked for anew each time.
    for begun in range(0, count, _LINES):
        if rows is None:
            size = min(_LINES, count - begun)
            yield _few_lines([column.slice(begun, size) for column in columns], last, None)
        else:
            chosen = rows[begun : begun + _LINES]
            low, high = int(chosen.min()), int(chosen.max()) + 1
            part = [column.slice(low, high - low) for column in columns]
            yield _few_lines(part, last, chosen - low)


def _few_lines(
    columns: Sequence[pa.Array], last: int, rows: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    count = len(columns[0]) if rows is None else len(rows)
    starts = np.empty((len(columns), count), np.int64)
    ends = np.empty((len(columns), count), np.int64)
    parts, size = [], 0
    for column, start, end in zip(columns, starts, ends, strict=True):
        place: Any = slice(None) if rows is None else rows
        coded = pa.types.is_dictionary(column.type)
        if coded:
            place = column.indices.to_numpy()[place]
        offsets, marks = _bytes(column.dictionary if coded else column)
        np.add(offsets[:-1][place], size, out=start)
        np.add(offsets[1:][place], size, out=end)
        parts.append(marks)
        size += len(marks)
    length = int(ends.sum() - starts.sum()) + count * (len(columns) - (0 if last else 1))
    out, offsets = np.empty(length + _WORD, np.uint8), np.empty(count + 1, np.int64)
    marks = np.concatenate([*parts, np.empty(_WORD, np.uint8)])
    _put_lines(marks, starts, ends, last, out, offsets)
    return out[:length], offsets


def joined(columns: Sequence[pa.Array], where: str) -> pa.Array:
    """Columns that many tables share, as one: with tabs between them.

    Raises
    ------
    BadInput
        As `tab_separated`.
    """
    _require_lines(columns, where)
    marks, starts, size = [np.empty(0, np.uint8)], [np.zeros(1, np.int64)], 0
    for part, offsets in _side_by_side(columns, 0, None):
        marks.append(part)
        starts.append(offsets[1:] + size)
        size += len(part)
    buffers = [None, pa.py_buffer(np.concatenate(starts)), pa.py_buffer(np.concatenate(marks))]
    return pa.Array.from_buffers(pa.large_string(), len(columns[0]), buffers)


def tab_separated(
    columns: Sequence[pa.Array], where: str, rows: np.ndarray | None = None
) -> Iterator[memoryview]:
    """Rows of text columns as tab-separated lines, without a header; some lines at a time.

    Parameters
    ----------
    columns : string arrays, shape (rows,)
        Plain, dictionary-encoded, or from `joined`.
    where : str
        What an error names.
    rows : int array, optional
        Only these rows.

    Raises
    ------
    BadInput
        If a value holds a tab, a quotation mark or a line break, which no reader of these
        formats understands.
    """
    _require_lines(columns, where)
    return (part.data for part, _ in _side_by_side(columns, _NEWLINE, rows))


def header(columns: Sequence[str]) -> bytes:
    """The first line of a tab-separated file."""
    return ("\t".join(columns) + "\n").encode()
