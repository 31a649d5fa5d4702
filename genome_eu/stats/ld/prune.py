"""Pruning of correlated rows as PLINK 2 does it (`--indep-pairwise`), streaming.

Within a window, each row in turn is compared with the rows after it; of the first pair above the
threshold, the row whose more common allele is the more common of the two goes (the later one, if
they are equally so), and the turn passes on; so again, until a round removes nothing. No pair is
compared twice. Rows that do not vary go as soon as they are met.

What goes depends on the order of comparisons, so there is one loop for both ways: of sums of
several sites, pairs above the threshold are marked beforehand; whoever holds the genotypes compares
bits as the loop asks, and never the pairs of a row that is gone.

References
----------
Purcell et al. (2007), Am J Hum Genet 81:559–575; Chang et al. (2015), GigaScience 4:7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import BadInput, UsageError
from genome_eu.stats.ld.comparisons import prune_windows
from genome_eu.stats.ld.windows import Windows

# PLINK takes a pair that lies this near above the threshold as one that lies on it.
_SLACK = 1 + 2.0**-44

# Words of bit planes that a near cache holds.
_NEAR_WORDS = 2**14

_NO_MARKS = np.empty((0, 0), dtype=np.uint8)
_NO_PLANES = np.empty((0, 0), dtype=np.uint64)
_NO_TOTALS = np.empty((3, 0), dtype=np.int64)


class Planes(Protocol):
    """Bits of the calls of some rows; see `genome_eu.kernels.block.RowPlanes`."""

    @property
    def hom(self) -> NDArray:
        """Homozygous for either allele."""
        ...

    @property
    def alt(self) -> NDArray:
        """Homozygous for the ALT."""
        ...

    @property
    def called(self) -> NDArray:
        """Called."""
        ...

    @property
    def totals(self) -> NDArray:
        """People called, and their sums of h and of its square, (3, rows)."""
        ...

    @property
    def people(self) -> int:
        """People included."""
        ...


def threshold(r2: float) -> float:
    """The r² above which a pair is pruned.

    Raises
    ------
    UsageError
        `r2` is not from 0 to below 1.
    """
    if not 0 <= r2 < 1:
        raise UsageError(f"r2 is {r2:g}; give at least 0 and less than 1")
    return r2 * _SLACK


@dataclass(frozen=True, eq=False)
class RowFacts:
    """What pruning must know of some rows besides their pairs; each of shape (rows,).

    `major` are copies of the more common allele, of `alleles` called. A row that does not vary
    among those called, or of which nothing may be known, is not `usable`.
    """

    major: NDArray
    alleles: NDArray
    usable: NDArray

    @classmethod
    def of(cls, called: NDArray, dosage: NDArray, square: NDArray) -> RowFacts:
        """From people called and the sums of their dosages and of the squares; int64, (rows,)."""
        return cls(
            major=np.maximum(dosage, 2 * called - dosage),
            alleles=2 * called,
            usable=called * square > dosage * dosage,
        )


class Pruner:
    """Prunes rows that are given in order, a block at a time; holds those of the last window.

    Give all blocks to `absorb_marked`, or all to `absorb_planes`; then `kept` says which stay.

    Parameters
    ----------
    windows : Windows
        Over all rows.
    rows : int
        How many there are.
    r2 : float
        The threshold; at least 0, less than 1.
    near_words : int
        Where the bits of a window have more words than this, rows are compared with several that
        follow at a time.
    """

    def __init__(
        self, windows: Windows, rows: int, r2: float, *, near_words: int = _NEAR_WORDS
    ) -> None:
        self._near_words = near_words
        self.rows = rows
        self.compared = 0
        self._windows = windows
        self._threshold = threshold(r2)
        self._removed = np.zeros(rows, dtype=np.bool_)
        self._unchecked = np.zeros(rows, dtype=np.int64)
        self._facts = RowFacts(
            np.zeros(rows, dtype=np.int64),
            np.zeros(rows, dtype=np.int64),
            np.zeros(rows, dtype=np.bool_),
        )
        # Where the bits or marks of a row lie in what is held.
        self._place = np.zeros(rows, dtype=np.int64)
        self._held = np.empty(0, dtype=np.int64)
        self._live = np.zeros(0, dtype=np.int64)
        self._absorbed = self._window = self._entered = 0
        self._marks = _NO_MARKS
        self._planes: tuple[NDArray, ...] = (_NO_PLANES, _NO_PLANES, _NO_PLANES, _NO_TOTALS)

    @property
    def kept(self) -> NDArray:
        """Rows that stay, bool (rows,).

        Raises
        ------
        BadInput
            Some rows have not been given yet.
        """
        if self._absorbed != self.rows:
            raise BadInput(f"{self._absorbed} of {self.rows} rows have been pruned so far")
        return ~self._removed

    def absorb_marked(self, facts: RowFacts, above: NDArray) -> None:
        """Take the next rows: entry ``[j, d]`` is whether rows j and j + d are above the threshold.

        Parameters
        ----------
        above : bool array, shape (rows, width)
            At least as wide as the rows reach; entry 0 is the row itself and is not looked at.
        """
        held = self._keep(facts)
        marks = np.asarray(above).astype(np.uint8)
        width = max(self._marks.shape[1], marks.shape[1])
        old = _widened(self._marks[held], width)
        self._marks = np.concatenate([old, _widened(marks, width)])
        self._advance(len(marks), 0)

    def absorb_planes(self, planes: Planes) -> None:
        """Take the next rows as bits; pairs are compared only where both rows are still there."""
        called, sums, squares = planes.totals
        # With h = g - 1: the sum of g is n + Σh, of g² it is n + 2Σh + Σh².
        facts = RowFacts.of(called, called + sums, called + 2 * sums + squares)
        held = self._keep(facts)
        new = (planes.hom, planes.alt, planes.called, planes.totals.T)
        old = (*self._planes[:3], self._planes[3].T)
        joined = [
            np.concatenate([one[held], another]) if one.size else another
            for one, another in zip(old, new, strict=True)
        ]
        self._planes = (*joined[:3], np.ascontiguousarray(joined[3].T))
        self._advance(len(planes.hom), planes.people)

    def _keep(self, facts: RowFacts) -> NDArray:
        """Note the facts of the next rows; places of the rows that are still wanted."""
        new = slice(self._absorbed, self._absorbed + facts.usable.size)
        if new.stop > self.rows:
            raise BadInput(f"there are {self.rows} rows to prune, but more were given")
        self._facts.major[new] = facts.major
        self._facts.alleles[new] = facts.alleles
        self._facts.usable[new] = facts.usable
        self._live = self._live[~self._removed[self._live]]
        # Rows that no window has taken in yet are wanted too.
        waiting = np.arange(self._entered, self._absorbed)
        wanted = np.concatenate([self._live, waiting])
        held = self._place[wanted]
        self._held = np.concatenate([wanted, np.arange(new.start, new.stop)])
        return held

    def _advance(self, rows: int, people: int) -> None:
        """Work through the windows that are complete with the rows just given."""
        self._place[self._held] = np.arange(self._held.size)
        self._absorbed += rows
        windows = self._windows
        ready = int(np.searchsorted(windows.stop, self._absorbed, side="right"))
        live = np.empty(self._held.size, dtype=np.int64)
        before = self._live
        live[: before.size] = before
        size, compared = prune_windows(
            windows.start[self._window : ready],
            windows.stop[self._window : ready],
            self._entered,
            live,
            before.size,
            self._removed,
            self._unchecked,
            self._facts.major,
            self._facts.alleles,
            self._facts.usable,
            self._place,
            self._threshold,
            self._marks,
            *self._planes,
            people,
            self._absorbed,
            self._near_words,
        )
        if ready > self._window:
            self._entered = int(windows.stop[ready - 1])
        self._window = ready
        self._live = live[:size].copy()
        self.compared += compared


def _widened(marks: NDArray, width: int) -> NDArray:
    return np.pad(marks, ((0, 0), (0, width - marks.shape[1])))
