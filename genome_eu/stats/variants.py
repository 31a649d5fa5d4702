"""Variant lists as data: the rows that a site can speak of, and the panel that sites share.

A row is named by contig, position, REF and ALT. Lists travel as UTF-8 text, one tab-separated line
a row, in one byte array: no fixed string width, and a person can read it.
"""

from __future__ import annotations

import hashlib
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
_LINE = re.compile(
    r"[A-Za-z0-9_.]{1,64}\t[0-9]{1,10}\t[A-Z*<>:0-9a-z.\[\]_-]+\t[A-Z*<>:0-9a-z.\[\]_-]+\t\S+"
)


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
    lines = bytes(text).decode("utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not _LINE.fullmatch(line):
            raise BundleError(
                f"line {number} of a variant list is not contig, position, REF, ALT, id"
            )
    columns = list(zip(*(line.split("\t") for line in lines), strict=True)) or [()] * len(COLUMNS)
    rows = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)), dtype=str)
    return rows.assign(position=rows["position"].astype(np.int64))


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
