"""Windows that slide along rows, and how far each row must be compared.

They are PLINK's (`--indep-pairwise`): of so many rows, moved on by a step; or of so many bases,
moved on until they hold one row more. None crosses the end of a contig. In bases, rows further
apart than a window begin a stretch of their own; a row alone in its stretch is in no window.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import compiled
from genome_eu.errors import BadInput, UsageError

_SPELLED = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(kb)?", re.IGNORECASE)
# Double precision makes 0.1 kb a hair less than 100 bases.
_SLACK = 1 + 2.0**-44


@dataclass(frozen=True)
class Window:
    """A window of `size` rows that moves on by `step`, or of `size` bases.

    Raises
    ------
    UsageError
        There is no such window.
    """

    size: int
    in_bases: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        if self.size < 2:
            raise UsageError(f"a window of {self} is too small; give at least 2 rows or bases")
        if self.in_bases and self.step != 1:
            raise UsageError("a window in kb moves on by one row; leave the step out")
        if not 1 <= self.step <= self.size:
            raise UsageError(f"a step of {self.step} rows does not fit a window of {self}")

    def __str__(self) -> str:
        return f"{self.size / 1000:g}kb" if self.in_bases else f"{self.size} rows"

    @classmethod
    def parse(cls, text: str, step: int = 1) -> Window:
        """A window as it is written: "500kb", or "50" for rows.

        Raises
        ------
        UsageError
            It is neither.
        """
        found = _SPELLED.fullmatch(text.strip())
        if not found or (not found[2] and "." in found[1]):
            raise UsageError(f"window {text!r}: give a number of rows, or bases as in 500kb")
        if found[2]:
            return cls(int(float(found[1]) * 1000 * _SLACK), True, step)
        return cls(int(found[1]), False, step)


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows over some rows, in order: rows `start` to `stop` - 1 of each."""

    start: NDArray
    stop: NDArray

    def reach(self, rows: int) -> NDArray:
        """One past the last row that each row shares a window with; int64, shape (rows,).

        A row in no window reaches one past itself.
        """
        own = np.arange(1, rows + 1)
        if not self.start.size:
            return own
        last = np.searchsorted(self.start, np.arange(rows), side="right") - 1
        return np.where(last < 0, own, np.maximum(self.stop[last], own))

    def width(self, rows: int) -> int:
        """The most rows that a row is compared with, itself included; at least 1."""
        return int((self.reach(rows) - np.arange(rows)).max(initial=1))


def windows(contig: NDArray, position: NDArray, window: Window) -> Windows:
    """The windows over rows in genome order.

    Parameters
    ----------
    contig : int array, shape (rows,)
        Contig of each row, in whatever numbers; the rows of a contig follow each other.
    position : int64 array, shape (rows,)
        Bases; never falling within a contig.

    Raises
    ------
    BadInput
        The rows are not in that order.
    """
    contig = np.asarray(contig)
    position = np.asarray(position, dtype=np.int64)
    begins = np.flatnonzero(np.diff(contig) != 0) + 1
    if np.unique(contig).size != begins.size + (contig.size > 0):
        raise BadInput("rows of a contig do not follow each other; import sorted genotypes")
    falls = np.diff(position) < 0
    falls[begins - 1] = False
    if falls.any():
        row = int(np.flatnonzero(falls)[0]) + 1
        raise BadInput(f"row {row + 1} lies before the row above it; import sorted genotypes")
    if window.in_bases:
        gaps = np.flatnonzero(np.diff(position) > window.size) + 1
        begins = np.union1d(begins, gaps)
    ends = np.append(begins, contig.size).astype(np.int64)
    start = np.empty(contig.size, dtype=np.int64)
    stop = np.empty(contig.size, dtype=np.int64)
    count = _fill_windows(ends, position, window.size, window.in_bases, window.step, start, stop)
    return Windows(start[:count].copy(), stop[:count].copy())


@compiled
def _fill_windows(
    ends: NDArray,
    position: NDArray,
    size: int,
    in_bases: bool,
    step: int,
    start: NDArray,
    stop: NDArray,
) -> int:
    count = 0
    begin = 0
    for end in ends:
        if end - begin > 1:
            first = begin
            last = begin
            while True:
                if in_bases:
                    while last < end and position[last] <= position[first] + size:
                        last += 1
                else:
                    last = min(first + size, end)
                start[count] = first
                stop[count] = last
                count += 1
                if last == end:
                    break
                if in_bases:
                    first += 1
                    while position[first] < position[last] - size:
                        first += 1
                else:
                    first += step
        begin = end
    return count
