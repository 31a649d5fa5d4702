"""Variant lists as data: the rows that a site can speak of, and the panel that sites share.

A row is named by contig, position, REF and ALT. Lists travel as UTF-8 text, one tab-separated line
a row, in one byte array: no fixed string width, and a person can read it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import BundleError, PanelError
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
    """Rows of one site that its policy lets it name. Never merged: the coordinator intersects."""

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


def intersect(lists: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows listed by every site, in the order of the first site by name.

    A key that a site lists twice names no single row, so it is left out.

    Raises
    ------
    PanelError
        No row is common to all sites; names the site that shares none with the others.
    """
    names = sorted(lists)
    first = lists[names[0]]
    index = {name: keys(lists[name]) for name in names}
    common = np.ones(len(first), bool)
    for name in names:
        common &= index[names[0]].isin(index[name][~index[name].duplicated(keep=False)])
    if not common.any():
        for name in names:
            others = [other for other in names if other != name]
            if others and not any(index[name].isin(index[other]).any() for other in others):
                raise PanelError(
                    f"site {name} lists no variant that another site lists (contig, position, REF "
                    f"and ALT must agree); compare `genome-eu info` of their cohorts"
                )
        raise PanelError("no variant is listed by every site; ask fewer sites, or agree on a panel")
    return first[common].reset_index(drop=True)
