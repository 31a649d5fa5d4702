"""Regions of a genome, such as those in which a site could have called a variant."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import BadInput

_HEADERS = re.compile(rb"(?:#[^\n]*|(?:track|browser)\b[^\n]*|[ \t]*)\r?(?:\n|\Z)")
_WHOLE = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of a genome, 0-based and half open, sorted and apart from each other.

    `contig` (object), `start` and `stop` (int64) are all (regions,).
    """

    contig: NDArray
    start: NDArray
    stop: NDArray

    @property
    def digest(self) -> str:
        """SHA-256 of the regions as a BED file."""
        lines = zip(self.contig, self.start.tolist(), self.stop.tolist(), strict=True)
        text = "".join(f"{contig}\t{start}\t{stop}\n" for contig, start, stop in lines)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def bases(self) -> int:
        """Bases covered."""
        return int((self.stop - self.start).sum())

    def covers(self, rows: pd.DataFrame) -> NDArray:
        """Whether all bases of REF lie within one region, bool (rows,).

        Parameters
        ----------
        rows : DataFrame
            Columns contig, position (1-based) and ref.
        """
        covered = np.zeros(len(rows), bool)
        first = rows["position"].to_numpy(np.int64) - 1
        last = first + rows["ref"].str.len().to_numpy(np.int64)
        contigs, names = pd.factorize(rows["contig"].to_numpy(object))
        for number, name in enumerate(names):
            here = np.flatnonzero(contigs == number)
            mine = self.contig == name
            start, stop = self.start[mine], self.stop[mine]
            region = np.searchsorted(start, first[here], side="right") - 1
            inside = region >= 0
            covered[here[inside]] = last[here[inside]] <= stop[region[inside]]
        return covered


def regions(contig: NDArray, start: NDArray, stop: NDArray) -> Regions:
    """Regions in any order, joined where they touch or overlap."""
    contig = np.asarray(contig, object)
    codes, names = pd.factorize(contig)
    order = np.lexsort([np.asarray(start), codes])
    codes, start, stop = codes[order], np.asarray(start)[order], np.asarray(stop)[order]
    # The furthest end so far; on a new contig it starts anew.
    reach = pd.Series(stop).groupby(codes).cummax().to_numpy()
    opens = np.ones(codes.size, bool)
    opens[1:] = (codes[1:] != codes[:-1]) | (start[1:] > reach[:-1])
    closes = np.append(opens[1:], True)[: codes.size]
    return Regions(
        np.asarray(names, object)[codes[opens]],
        start[opens].astype(np.int64),
        reach[closes].astype(np.int64),
    )


def parse_bed(
    content: bytes, source: str = "the BED file", rename: Callable[[str], str] | None = None
) -> Regions:
    """Regions of a BED file: contig, start, end; further columns are not read.

    Parameters
    ----------
    content : bytes
        0-based, half open, separated by tabs or spaces; header lines are skipped.
    source : str
        What to call it in a message.
    rename : callable, optional
        Gives the cohort's name of a contig (`chr1` is `1`).

    Raises
    ------
    BadInput
        A line is not a region, or there is none.
    """
    skipped = 0
    while (header := _HEADERS.match(content)) and header.end():
        content, skipped = content[header.end() :], skipped + 1
    if not content:
        raise BadInput(f"{source} has no regions; give contig, start and end on each line")
    try:
        table = pd.read_csv(
            io.BytesIO(content),
            sep=r"\s+",
            header=None,
            usecols=[0, 1, 2],
            names=["contig", "start", "stop"],
            index_col=False,
            dtype=str,
            comment="#",
            keep_default_na=False,
        )
    except ValueError:
        raise BadInput(
            f"{source} is not a table of contig, start and end; export it as BED"
        ) from None
    whole = table["start"].str.fullmatch(_WHOLE.pattern) & table["stop"].str.fullmatch(
        _WHOLE.pattern
    )
    start = table["start"].where(whole, "0").astype(np.int64).to_numpy()
    stop = table["stop"].where(whole, "0").astype(np.int64).to_numpy()
    wrong = np.flatnonzero(~whole.to_numpy() | (stop <= start))
    if wrong.size:
        raise BadInput(
            f"{source}: region {wrong[0] + 1} (below {skipped} header lines) is not contig, start "
            f"and a larger end; coordinates are 0-based and half open"
        )
    names = {name: rename(name) if rename else name for name in table["contig"].unique()}
    return regions(table["contig"].map(names).to_numpy(object), start, stop)
