"""Site-frequency spectra of groups, and the variants that groups have alone or share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from genome_eu.errors import UsageError

# Cells of the largest table of rows × projected counts made at once.
_CELLS = 2**22


@dataclass(frozen=True, eq=False)
class Spectrum:
    """How many rows have each allele count.

    `rows` is (alleles + 1,): the rows with 0, 1, … alleles; float64, since a projected row is
    spread over several counts. Of a folded spectrum only the first half is used, and the rest is
    0. `left_out` counts rows that are withheld or have too few alleles called.
    """

    rows: NDArray
    left_out: int
    folded: bool

    @property
    def alleles(self) -> int:
        """The number of alleles that counts are of."""
        return self.rows.size - 1

    def fold(self) -> Spectrum:
        """The spectrum of the rarer allele."""
        return self if self.folded else Spectrum(_fold(self.rows), self.left_out, True)

    def __add__(self, other: Spectrum) -> Spectrum:
        """The spectrum of both sets of rows, projected to the same number of alleles."""
        return Spectrum(self.rows + other.rows, self.left_out + other.left_out, self.folded)


def spectrum(
    allele_count: NDArray, allele_number: NDArray, alleles: int, *, folded: bool = False
) -> Spectrum:
    """Site-frequency spectrum of one group.

    Parameters
    ----------
    allele_count, allele_number : int64 array, shape (rows,)
        AC and AN; a number below 0 is withheld.
    alleles : int
        The number of alleles that every row is projected to: the expected spectrum of a sample of
        so many of the alleles called. Rows with just as many are counted as they are, rows with
        fewer are left out. Twice the people of the group projects nothing.
    folded : bool
        Count the rarer allele. Unfolded spectra count ALT, which is the derived allele only where
        REF is the ancestral one: that is not known here.

    Raises
    ------
    UsageError
        Fewer than two alleles.

    References
    ----------
    Marth, Czabarka, Murvai & Sherry (2004), Genetics 166:351–372, on the projection.
    """
    _require_alleles(alleles)
    used = _usable(allele_count, allele_number, alleles)
    ac, an = allele_count[used], allele_number[used]
    rows = np.zeros(alleles + 1)
    whole = an == alleles
    rows += np.bincount(ac[whole], minlength=alleles + 1)
    many = max(1, _CELLS // (alleles + 1))
    others = np.flatnonzero(~whole)
    for start in range(0, others.size, many):
        some = others[start : start + many]
        rows += project(ac[some], an[some], alleles).sum(axis=0)
    found = Spectrum(rows, int((~used).sum()), False)
    return found.fold() if folded else found


def joint_spectrum(
    allele_count: NDArray, allele_number: NDArray, alleles: tuple[int, int]
) -> tuple[NDArray, int]:
    """Joint site-frequency spectrum of two groups, unfolded.

    Parameters
    ----------
    allele_count, allele_number : int64 array, shape (rows, 2)
        A number below 0 is withheld.
    alleles : (int, int)
        The number of alleles that either group is projected to (see `spectrum`).

    Returns
    -------
    rows : float64 array, shape (alleles[0] + 1, alleles[1] + 1)
        Rows with each pair of ALT counts.
    left_out : int
        Rows that are withheld, or have too few alleles called, in either group.
    """
    first, second = alleles
    _require_alleles(min(alleles))
    used = _usable(allele_count[:, 0], allele_number[:, 0], first)
    used &= _usable(allele_count[:, 1], allele_number[:, 1], second)
    rows = np.zeros((first + 1, second + 1))
    chosen = np.flatnonzero(used)
    many = max(1, _CELLS // (first + second + 2))
    for start in range(0, chosen.size, many):
        some = chosen[start : start + many]
        sides = (
            project(allele_count[some, side], allele_number[some, side], alleles[side])
            for side in (0, 1)
        )
        rows += next(sides).T @ next(sides)
    return rows, int((~used).sum())


def project(allele_count: NDArray, allele_number: NDArray, alleles: int) -> NDArray:
    """Chance of each count among `alleles` drawn from those called, float64 (rows, alleles + 1).

    Drawn without putting back: the hypergeometric distribution.
    """
    k = np.arange(alleles + 1)[None, :]
    ac, an = allele_count[:, None], allele_number[:, None]
    possible = (k <= ac) & (alleles - k <= an - ac)
    k = np.where(possible, k, np.minimum(ac, alleles))
    ways = _log_choose(ac, k) + _log_choose(an - ac, np.minimum(alleles - k, an - ac))
    return np.where(possible, np.exp(ways - _log_choose(an, alleles)), 0.0)


def _log_choose(n: NDArray, k: NDArray | int) -> NDArray:
    return gammaln(n + 1.0) - gammaln(np.asarray(k) + 1.0) - gammaln(n - k + 1.0)


def _fold(rows: NDArray) -> NDArray:
    folded = np.zeros_like(rows)
    half = (rows.size + 1) // 2
    folded[:half] = rows[:half]
    folded[: rows.size // 2] += rows[::-1][: rows.size // 2]
    return folded


def _usable(allele_count: NDArray, allele_number: NDArray, alleles: int) -> NDArray:
    return (allele_count >= 0) & (allele_number >= alleles)


def _require_alleles(alleles: int) -> None:
    if alleles < 2:
        raise UsageError(f"a spectrum of {alleles} alleles has no counts; ask for at least 2")


@dataclass(frozen=True, eq=False)
class Sharing:
    """Variants that groups have, alone or together; only rows that are known in every group.

    `present` (groups,) counts rows that a group has, `private` (groups,) those that no other group
    has, `shared` (groups, groups) those that both of a pair have, `everywhere` those that all
    have, `nowhere` those that none has, and `unknown` rows that are withheld, or not called, in
    some group and count nowhere else.
    """

    present: NDArray
    private: NDArray
    shared: NDArray
    everywhere: int
    nowhere: int
    unknown: int

    def __add__(self, other: Sharing) -> Sharing:
        """The counts of both sets of rows."""
        return Sharing(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )


def sharing(allele_count: NDArray, allele_number: NDArray) -> Sharing:
    """Private and shared variants of groups.

    Parameters
    ----------
    allele_count, allele_number : int64 array, shape (rows, groups)
        A number below 0 is withheld. A group has a variant where AC > 0.
    """
    known = ((allele_count >= 0) & (allele_number > 0)).all(axis=1)
    has = allele_count[known] > 0
    carriers = has.sum(axis=1)
    return Sharing(
        present=has.sum(axis=0),
        private=has[carriers == 1].sum(axis=0),
        shared=has.astype(np.int64).T @ has.astype(np.int64),
        everywhere=int((carriers == has.shape[1]).sum()),
        nowhere=int((carriers == 0).sum()),
        unknown=int((~known).sum()),
    )
