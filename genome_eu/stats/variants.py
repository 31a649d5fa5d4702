"""Variant lists as data: the rows that a site can speak of, and the panel that sites share.

A row is named by contig, position, REF and ALT. Lists travel as UTF-8 text, one tab-separated line
a row, in one byte array: no fixed string width, and a person can read it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import BundleError, PanelError, UsageError
from genome_eu.stats.aggregate import Aggregate, count, same

KEY = ["contig", "position", "ref", "alt"]
COLUMNS = [*KEY, "id"]

# An id may name a variant and nothing else; anything longer or stranger becomes ".".
_PUBLIC_ID = re.compile(r"[A-Za-z0-9_:.;>-]{1,80}")
_ALLELE = re.compile(r"[A-Za-z0-9*<>:.\[\]_-]+")
_SHAPES = {
    "contig": re.compile(r"[A-Za-z0-9_.]{1,64}"),
    "position": re.compile(r"[0-9]{1,10}"),
    "ref": _ALLELE,
    "alt": _ALLELE,
    "id": _PUBLIC_ID,
}


@dataclass(frozen=True, eq=False)
class VariantList(Aggregate):
    """Rows of one site that its policy lets it name. Never merged: the coordinator joins them."""

    statistic = "variant_list"

    text: NDArray = same("byte", "bytes", gate="variants", dtype=np.uint8)
    rows_listed: NDArray = count("rows", gate="label")
    rows_withheld: NDArray = count("rows", gate="label")
    rows_total: NDArray = count("rows", gate="label")
    build: NDArray = same("number", gate="label")  # 37, 38, or 0 where it is not known


def encode(rows: pd.DataFrame) -> NDArray[np.uint8]:
    """Rows (columns contig, position, ref, alt, id) as a byte array."""
    ids = rows["id"].astype(str)
    table = rows[KEY].assign(id=ids.where(ids.str.fullmatch(_PUBLIC_ID), "."))
    text = table.to_csv(sep="\t", header=False, index=False, lineterminator="\n")
    return np.frombuffer(text.encode(), np.uint8)


def decode(text: NDArray[np.uint8]) -> pd.DataFrame:
    """The inverse of `encode`.

    Raises
    ------
    BundleError
        A line is not a variant.
    """
    content = np.ascontiguousarray(text).tobytes()
    if not content:
        rows = pd.DataFrame({name: [] for name in COLUMNS}, dtype=str)
        return rows.assign(position=rows["position"].astype(np.int64))
    try:
        rows = pd.read_csv(
            io.BytesIO(content),
            sep="\t",
            names=COLUMNS,
            dtype=str,
            header=None,
            index_col=False,
            keep_default_na=False,
            skip_blank_lines=False,
            quoting=csv.QUOTE_NONE,
        )
    except ValueError:
        raise _malformed(content) from None
    for column, pattern in _SHAPES.items():
        if not rows[column].str.fullmatch(pattern, na=False).all():
            raise _malformed(content)
    return rows.assign(position=rows["position"].astype(np.int64))


def named(names: Sequence[str]) -> pd.DataFrame:
    """Rows (columns contig, position, ref, alt, id) from names such as 22:16051249:A:G.

    Raises
    ------
    UsageError
        A name is not of this kind.
    """
    parts = [name.split(":") for name in names]
    for name, part in zip(names, parts, strict=True):
        shapes = [_SHAPES[column] for column in KEY]
        if len(part) != len(KEY) or not all(map(re.fullmatch, shapes, part)):
            raise UsageError(f"{name} does not name a row; write contig:position:REF:ALT")
    rows = pd.DataFrame(parts, columns=KEY, dtype=str)
    contig = rows["contig"].str.removeprefix("chr")
    return rows.assign(contig=contig, position=rows["position"].astype(np.int64), id=".")


def given(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that somebody gives as a panel: contig, position, ref, alt, and id if they have it.

    Contigs are named as in cohorts: chr1 is 1, chrM is MT.

    Raises
    ------
    PanelError
        A column is missing, or a row is no variant.
    """
    lacking = [column for column in KEY if column not in rows]
    if lacking:
        raise PanelError(f"the rows have no column {lacking[0]}; they need {', '.join(KEY)}")
    if rows.empty:
        raise PanelError("no rows are given; name at least one")
    bare = rows["contig"].astype(str).str.replace(r"(?i)^chr", "", regex=True)
    table = rows[KEY].assign(contig=bare.where(bare != "M", "MT"), id=rows.get("id", "."))
    try:
        return decode(encode(table))
    except BundleError as error:
        raise PanelError(f"the rows cannot be a panel: {error}") from None


def _malformed(content: bytes) -> BundleError:
    """Which line is not a variant; looked for only where one is not."""
    line_shape = re.compile("\t".join(pattern.pattern for pattern in _SHAPES.values()))
    lines = content.decode("utf-8", errors="replace").splitlines()
    number = next((n for n, line in enumerate(lines, 1) if not line_shape.fullmatch(line)), 1)
    return BundleError(f"line {number} of a variant list is not contig, position, REF, ALT, id")


def digest(text: NDArray[np.uint8]) -> str:
    """SHA-256 of an encoded list."""
    return hashlib.sha256(np.ascontiguousarray(text).tobytes()).hexdigest()


def keys(rows: pd.DataFrame) -> pd.MultiIndex:
    """Rows as an index of (contig, position, ref, alt)."""
    return pd.MultiIndex.from_frame(rows[KEY])
