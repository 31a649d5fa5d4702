"""Hudson's F_ST between groups of people, from their allele counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class PairFst:
    """Hudson's F_ST of one pair of groups at each row, all (rows,).

    `numerator` and `denominator` are NaN where a group is withheld or has fewer than two alleles
    called; `fst` also where all alleles of both groups are the same (0/0).
    """

    numerator: NDArray
    denominator: NDArray
    fst: NDArray


def hudson_rows(ac_1: ArrayLike, an_1: ArrayLike, ac_2: ArrayLike, an_2: ArrayLike) -> PairFst:
    """Hudson's F_ST of two groups at each row.

    Parameters
    ----------
    ac_1, an_1, ac_2, an_2 : int64 array, shape (rows,)
        AC and AN of both groups; a number below 0 is withheld.

    Notes
    -----
    With p = AC/AN, the numerator is (p₁ − p₂)² − p₁(1 − p₁)/(AN₁ − 1) − p₂(1 − p₂)/(AN₂ − 1), the
    denominator p₁(1 − p₂) + p₂(1 − p₁). Several rows are summed up before dividing, see
    `FstMatrix`: means of ratios are biased by rare variants.

    References
    ----------
    Bhatia, Patterson, Sankararaman & Price (2013), Genome Res 23:1514–1521, equation 10.
    """
    ac_1, an_1, ac_2, an_2 = (np.asarray(one, float) for one in (ac_1, an_1, ac_2, an_2))
    known = (ac_1 >= 0) & (ac_2 >= 0) & (an_1 >= 2) & (an_2 >= 2)
    n_1, n_2 = np.where(known, an_1, 2.0), np.where(known, an_2, 2.0)
    a_1, a_2 = np.where(known, ac_1, 0.0), np.where(known, ac_2, 0.0)
    # Times (AN₁·AN₂)², in whole numbers: one copy in one group gives 0 and not a residue.
    apart = (a_1 * n_2 - a_2 * n_1) ** 2
    within = a_1 * (n_1 - a_1) / (n_1 - 1.0) * n_2**2 + a_2 * (n_2 - a_2) / (n_2 - 1.0) * n_1**2
    between = a_1 * (n_2 - a_2) + a_2 * (n_1 - a_1)
    numerator = np.where(known, (apart - within) / (n_1 * n_2) ** 2, np.nan)
    denominator = np.where(known, between / (n_1 * n_2), np.nan)
    varies = known & (denominator > 0.0)
    fst = np.where(varies, numerator / np.where(varies, denominator, 1.0), np.nan)
    return PairFst(numerator, denominator, fst)


@dataclass(frozen=True, eq=False)
class FstMatrix:
    """Sums of numerators and denominators over rows, for every pair; all (groups, groups).

    `rows` counts the rows of a pair that are not withheld and called in both, and `varying` those
    of them in which not all alleles are the same.
    """

    numerator: NDArray
    denominator: NDArray
    rows: NDArray
    varying: NDArray

    @property
    def fst(self) -> NDArray:
        """F_ST as the ratio of sums; 0 on the diagonal, NaN where no row varies."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(self.denominator > 0.0, self.numerator / self.denominator, np.nan)
        np.fill_diagonal(ratio, 0.0)
        return ratio


def hudson(allele_count: NDArray, allele_number: NDArray) -> FstMatrix:
    """Sums of Hudson's F_ST over rows, for every pair of groups.

    Parameters
    ----------
    allele_count, allele_number : int64 array, shape (rows, groups)
        A number below 0 is withheld.
    """
    groups = allele_count.shape[1]
    numerator, denominator = np.zeros((groups, groups)), np.zeros((groups, groups))
    rows = np.zeros((groups, groups), np.int64)
    varying = np.zeros((groups, groups), np.int64)
    for a in range(groups):
        for b in range(a + 1, groups):
            pair = hudson_rows(
                allele_count[:, a], allele_number[:, a], allele_count[:, b], allele_number[:, b]
            )
            known = ~np.isnan(pair.numerator)
            numerator[a, b] = numerator[b, a] = pair.numerator[known].sum()
            denominator[a, b] = denominator[b, a] = pair.denominator[known].sum()
            rows[a, b] = rows[b, a] = known.sum()
            varying[a, b] = varying[b, a] = (~np.isnan(pair.fst)).sum()
    return FstMatrix(numerator, denominator, rows, varying)


def add(shards: Iterable[FstMatrix]) -> FstMatrix:
    """The sums of consecutive shards of rows, in their order."""
    first, *others = shards
    numerator, denominator = first.numerator.copy(), first.denominator.copy()
    rows, varying = first.rows.copy(), first.varying.copy()
    for one in others:
        numerator += one.numerator
        denominator += one.denominator
        rows += one.rows
        varying += one.varying
    return FstMatrix(numerator, denominator, rows, varying)
