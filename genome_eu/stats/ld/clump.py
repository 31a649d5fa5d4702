"""Clumps of associated rows: each index row with the rows in LD with it, as PLINK forms them.

Rows are taken by p-value; one of at most p₁ that is in no clump yet becomes the index of a new one
and takes in all rows near it, in no clump yet, whose r² with it is above the threshold. What lies
further from all candidates than the radius plays no part. r² is that of dosages; PLINK 1.9 clumps
by r² of estimated haplotypes, which differs a little.

References
----------
Purcell et al. (2007), Am J Hum Genet 81:559–575.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import BadInput, UsageError
from genome_eu.stats.ld.sums import PairRows
from genome_eu.stats.ld.windows import Window


@dataclass(frozen=True)
class ClumpRule:
    """Which rows form clumps; the defaults are PLINK's.

    `p1` is the largest p-value of an index row, `p2` of a member that is named, `r2` what r² must
    be above, `kb` how near a member must be: less than so many kilobases.
    """

    p1: float = 1e-4
    p2: float = 0.01
    r2: float = 0.5
    kb: float = 250.0

    def __post_init__(self) -> None:
        for name in ("p1", "p2"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name):g}; give more than 0, at most 1")
        if not 0 <= self.r2 < 1:
            raise UsageError(f"r2 is {self.r2:g}; give at least 0 and less than 1")
        if not 0.003 <= self.kb < 1e9:
            raise UsageError(f"kb is {self.kb:g}; give at least 0.003")

    @property
    def window(self) -> Window:
        """Rows that may be in one clump."""
        return Window(int(self.kb * 1000 * (1 + 2.0**-44)) - 1, in_bases=True)

    def index(self, neg_log10_p: NDArray) -> NDArray:
        """Rows that could be the index of a clump, bool (rows,)."""
        return _at_most(neg_log10_p, self.p1)

    def named(self, neg_log10_p: NDArray) -> NDArray:
        """Rows that are named as members, bool (rows,)."""
        return _at_most(neg_log10_p, self.p2)


def _at_most(neg_log10_p: NDArray, p: float) -> NDArray:
    # A p-value that was printed as the threshold is at the threshold.
    return np.nan_to_num(neg_log10_p, nan=-1.0) >= -np.log10(p) * (1 - 2.0**-44)


def near_an_index(
    rule: ClumpRule, contig: NDArray, position: NDArray, neg_log10_p: NDArray
) -> NDArray:
    """Rows with a p-value that may be in some clump, bool (rows,): all that need be asked for.

    Parameters
    ----------
    rule : ClumpRule
    contig, position : int arrays, shape (rows,)
        In genome order.
    neg_log10_p : float64 array, shape (rows,)
        NaN where there is no test.
    """
    near = np.zeros(len(contig), dtype=bool)
    candidates = rule.index(neg_log10_p)
    for one in np.unique(contig[candidates]):
        mine = np.flatnonzero(contig == one)
        places = position[mine]
        hits = np.sort(places[candidates[mine]])
        after = np.searchsorted(hits, places - rule.window.size)
        nearest = hits[np.minimum(after, hits.size - 1)]
        near[mine] = (after < hits.size) & (nearest <= places + rule.window.size)
    return near & ~np.isnan(neg_log10_p)


@dataclass(frozen=True, eq=False)
class Clumps:
    """Clumps by the p-value of their index rows, the smallest first.

    `clump` is the number of the clump of each row, −1 where it is in none, int64 (rows,);
    `index` the row that each clump is named by, int64 (clumps,).
    """

    clump: NDArray
    index: NDArray


class Clumper:
    """Forms clumps from rows that are given in order; holds the pairs of one stretch of rows.

    Parameters
    ----------
    rule : ClumpRule
    neg_log10_p : float64 array, shape (rows,)
        Of the rows that will be given.
    reach : int64 array, shape (rows,)
        One past the last row that each is paired with, in windows of the rule.
    """

    def __init__(self, rule: ClumpRule, neg_log10_p: NDArray, reach: NDArray) -> None:
        self._rule = rule
        self._neg_log10_p = neg_log10_p
        self._reach = reach
        self._index = np.full(len(reach), -1, dtype=np.int64)
        self._above: list[NDArray] = []
        self._begin = self._absorbed = 0

    def absorb(self, rows: PairRows) -> None:
        """Take the next rows."""
        above = rows.moments.above(self._rule.r2) & rows.shown
        self._above.append(above & rows.shown[:, :1])
        self._absorbed += len(above)
        if self._absorbed > len(self._reach):
            raise BadInput(f"there are {len(self._reach)} rows, but more were given")
        begun = self._begin
        farthest = np.maximum.accumulate(self._reach[begun : self._absorbed])
        # A stretch ends where no row reaches beyond it.
        ends = begun + 1 + np.flatnonzero(farthest == np.arange(begun + 1, self._absorbed + 1))
        if not ends.size:
            return
        width = max(part.shape[1] for part in self._above)
        held = np.concatenate(
            [np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in self._above]
        )
        for end in ends:
            self._form(self._begin, int(end), held[self._begin - begun : end - begun])
            self._begin = int(end)
        self._above = [held[self._begin - begun :]]

    def _form(self, begin: int, end: int, above: NDArray) -> None:
        """All clumps of one stretch, into `_index`: the index row of each row's clump."""
        p, width = self._neg_log10_p[begin:end], above.shape[1]
        index = self._index[begin:end]
        candidates = np.flatnonzero(self._rule.index(p))
        for row in candidates[np.argsort(-p[candidates], kind="stable")]:
            if index[row] >= 0:
                continue
            after = np.flatnonzero(above[row]) + row
            before = np.arange(max(row - width + 1, 0), row)
            before = before[above[before, row - before]]
            members = np.concatenate([before, after])
            members = members[(index[members] < 0) & ~np.isnan(p[members])]
            index[members] = begin + row
            index[row] = begin + row

    @property
    def clumps(self) -> Clumps:
        """The clumps.

        Raises
        ------
        BadInput
            Some rows have not been given yet.
        """
        if self._begin != len(self._reach):
            raise BadInput(f"{self._absorbed} of {len(self._reach)} rows have been given so far")
        found = np.unique(self._index[self._index >= 0])
        order = found[np.argsort(-self._neg_log10_p[found], kind="stable")]
        number = np.full(len(self._reach) + 1, -1, dtype=np.int64)
        number[order] = np.arange(order.size)
        return Clumps(clump=number[self._index], index=order)
