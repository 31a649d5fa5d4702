"""The table of people: read, validated, and matched to the genotypes.

Columns are numbers (float64, missing NaN) or text (missing None); ``sex`` is M, F or unknown.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import SampleError

SAMPLE_ID = "sample_id"
_PARQUET = (".parquet", ".pq")
_MISSING = frozenset({"", "NA", "NaN", "nan", "."})
# Labels, even where they are written as numbers.
_ALWAYS_TEXT = frozenset({"population"})
_SEX = {
    **dict.fromkeys(("m", "male", "1", "1.0"), "M"),
    **dict.fromkeys(("f", "female", "2", "2.0"), "F"),
    **dict.fromkeys(("unknown", "0", "0.0"), "unknown"),
}


@dataclass(frozen=True, eq=False)
class Matched:
    """People of a cohort: which of the source's are kept, and what is known of them."""

    keep: NDArray  # int64, positions among the source's people
    table: pd.DataFrame  # index sample_id, in the order of `keep`
    left_out: int  # people of the source that the table does not list
    without_genotypes: int  # people of the table that the source does not have


def read_sample_table(path: str | Path) -> pd.DataFrame:
    """Read and validate a table of people.

    Parameters
    ----------
    path : path
        Tab-separated text with one header line, or Parquet (``.parquet``, ``.pq``).
        It needs a column ``sample_id``; every other column is kept. In text, an empty field,
        NA, NaN, nan and . are missing; a column whose other fields are all numbers is a number,
        except ``population``, which stays text.

    Returns
    -------
    table : DataFrame
        Index ``sample_id`` in file order; float64 and text columns.

    Raises
    ------
    SampleError
        If the file cannot be parsed, a column is unnamed or named twice, ``sample_id`` is
        missing, empty for somebody or repeated, or ``sex`` holds something unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise SampleError(f"{path}: no such sample table.")
    columns = _parquet_columns(path) if path.suffix.lower() in _PARQUET else _text_columns(path)
    ids = [one or "" for one in columns.pop(SAMPLE_ID)]
    empty = [line for line, one in enumerate(ids, start=1) if not one.strip()]
    if empty:
        raise SampleError(
            f"{path.name} has {_people(len(empty))} with an empty sample_id (first: person "
            f"{empty[0]}); give everybody an id."
        )
    check_unique(path.name, ids)
    if not ids:
        raise SampleError(f"{path.name} lists nobody; give it one line for each person.")
    typed = {
        name: _sexes(path.name, ids, values) if name == "sex" else _typed(name, values)
        for name, values in columns.items()
    }
    return pd.DataFrame(typed, index=pd.Index(ids, name=SAMPLE_ID))


def check_unique(where: str, ids: Sequence[str]) -> None:
    """Raise `SampleError` if an id is repeated."""
    repeated = [one for one, count in Counter(ids).items() if count > 1]
    if repeated:
        shown = ", ".join(repeated[:3])
        raise SampleError(
            f"{where} has {_ids(len(repeated))} more than once (first: {shown}); "
            "give each person one id of their own."
        )


def match_samples(
    cohort: str,
    sample_id: Sequence[str],
    table: pd.DataFrame | None,
    table_name: str,
    *,
    allow_unlisted: bool,
) -> Matched:
    """Match the people of the genotypes to those of the table, in the genotypes' order.

    Parameters
    ----------
    cohort : str
        Name for error messages.
    sample_id : sequence of str
        People of the genotypes.
    table : DataFrame, optional
        As `read_sample_table` gives it; None keeps everybody, with no columns.
    table_name : str
        Name for error messages.
    allow_unlisted : bool
        Keep only the people that both have, instead of raising.

    Raises
    ------
    SampleError
        If ids of the genotypes are repeated; if, without `allow_unlisted`, either side has people
        that the other has not; or if no person is left.
    """
    check_unique(f"cohort {cohort}", sample_id)
    if table is None:
        everybody = pd.DataFrame(index=pd.Index(list(sample_id), name=SAMPLE_ID))
        return Matched(np.arange(len(sample_id)), everybody, 0, 0)
    listed = set(table.index)
    unlisted = [one for one in sample_id if one not in listed]
    present = set(sample_id)
    absent = [one for one in table.index if one not in present]
    if unlisted and not allow_unlisted:
        raise SampleError(
            f"cohort {cohort} has {_samples(len(unlisted))} that {table_name} does not list "
            f"(first: {unlisted[0]}). Add them, or pass --allow-unlisted to leave them out."
        )
    if absent and not allow_unlisted:
        raise SampleError(
            f"{table_name} lists {_samples(len(absent))} that cohort {cohort} does not have "
            f"(first: {absent[0]}). Remove them, or pass --allow-unlisted to ignore them."
        )
    keep = np.array([j for j, one in enumerate(sample_id) if one in listed], dtype=np.int64)
    if keep.size == 0:
        raise SampleError(
            f"cohort {cohort} and {table_name} have nobody in common (first ids: {sample_id[0]} "
            f"and {table.index[0]}); check that both use the same ids."
        )
    kept = table.loc[[sample_id[j] for j in keep]]
    return Matched(keep, kept, len(unlisted), len(absent))


def to_parquet_bytes(table: pd.DataFrame) -> bytes:
    """The table as one Parquet file in memory."""
    buffer = io.BytesIO()
    table.reset_index().to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def from_parquet_bytes(stored: bytes) -> pd.DataFrame:
    """The table that `to_parquet_bytes` wrote."""
    table = pd.read_parquet(io.BytesIO(stored), engine="pyarrow")
    return table.set_index(SAMPLE_ID)


def table_digest(table: pd.DataFrame) -> str:
    """SHA-256 of ids, column names, types and values, whatever file format they were stored in."""
    digest = hashlib.sha256()

    def add(kind: str, name: str, content: bytes) -> None:
        digest.update(f"{kind}\0{name}\0{len(content)}\0".encode())
        digest.update(content)

    add("text", SAMPLE_ID, _text_bytes(table.index))
    for name in table.columns:
        column = table[name]
        if column.dtype == np.float64:
            numbers = column.to_numpy(dtype="<f8", copy=True)
            numbers[np.isnan(numbers)] = np.nan
            add("number", name, numbers.tobytes())
        else:
            add("text", name, _text_bytes(column))
    return digest.hexdigest()


def _text_bytes(values: pd.Series | pd.Index) -> bytes:
    return "\0".join(
        "\1" if missing else str(one) for one, missing in zip(values, values.isna(), strict=True)
    ).encode()


def _text_columns(path: Path) -> dict[str, list[str | None]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as lines:
            records = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SampleError(f"{path.name} is not tab-separated UTF-8 text: {error}.") from error
    if not records:
        raise SampleError(f"{path.name} is empty; give it a header line with sample_id.")
    names = records[0]
    _check_names(path.name, names)
    for line, fields in enumerate(records[1:], start=2):
        if fields and len(fields) != len(names):
            raise SampleError(
                f"{path.name} line {line} has {len(fields)} fields, but its header has "
                f"{len(names)}; separate fields by single tabs."
            )
    columns = zip(*(fields for fields in records if fields), strict=True)
    return {name: list(values) for name, *values in columns}


def _parquet_columns(path: Path) -> dict[str, list[str | None]]:
    try:
        table = pd.read_parquet(path, engine="pyarrow")
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise SampleError(f"{path.name} cannot be read as Parquet: {_first_line(error)}") from error
    if table.index.name == SAMPLE_ID:
        table = table.reset_index()
    names = [str(name) for name in table.columns]
    _check_names(path.name, names)
    table.columns = pd.Index(names)
    columns = {}
    for name in names:
        column = table[name]
        simple = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_string_dtype(column)
        if isinstance(column.dtype, pd.CategoricalDtype):
            simple = pd.api.types.is_string_dtype(column.cat.categories)
        if not simple:
            raise SampleError(
                f"{path.name} column {name} holds {column.dtype}; give numbers or text."
            )
        columns[name] = column.astype(object).where(column.notna(), None).tolist()
    columns[SAMPLE_ID] = [None if one is None else str(one) for one in columns[SAMPLE_ID]]
    return columns


def _check_names(where: str, names: Sequence[str]) -> None:
    if SAMPLE_ID not in names:
        hint = "; is it tab-separated?" if len(names) == 1 else "."
        raise SampleError(f"{where} has no column sample_id; it has {', '.join(names)[:80]}{hint}")
    for name, count in Counter(names).items():
        if not name.strip():
            raise SampleError(f"{where} has a column without a name; name it or remove it.")
        if count > 1:
            raise SampleError(f"{where} has {count} columns {name}; keep one of them.")


def _typed(name: str, values: list) -> NDArray:
    values = [None if one in _MISSING else one for one in values]
    if name not in _ALWAYS_TEXT and (numbers := _numbers(values)) is not None:
        return numbers
    return np.array([None if one is None else str(one) for one in values], dtype=object)


def _numbers(values: list) -> NDArray | None:
    """The values as numbers, None being NaN; None if one of them is no number."""
    try:
        numbers = np.array(values, dtype=object).astype(np.float64)
    except (TypeError, ValueError):
        return None
    # Python reads 1_2 as twelve; in a table it is a label.
    text = "".join([one for one in values if isinstance(one, str)])
    return None if "_" in text else numbers


def _sexes(where: str, ids: Sequence[str], values: list) -> NDArray:
    sexes = []
    for person, value in zip(ids, values, strict=True):
        if value is None or value in _MISSING:
            sexes.append("unknown")
            continue
        sex = _SEX.get(str(value).lower())
        if sex is None:
            raise SampleError(
                f"{where} gives {person} the sex {value!r}; use M, F, male, female, 1, 2 or "
                "unknown."
            )
        sexes.append(sex)
    return np.array(sexes, dtype=object)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count} samples"


def _ids(count: int) -> str:
    return "1 sample id" if count == 1 else f"{count} sample ids"
