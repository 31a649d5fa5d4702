"""Filtering allele frequencies: the largest frequency that a count makes implausible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainccinv

from genome_eu.errors import UsageError

#: Confidence levels that gnomAD publishes.
LEVELS = (0.95, 0.99)


def filtering_allele_frequency(
    allele_count: ArrayLike, allele_number: ArrayLike, level: float
) -> NDArray[np.float64]:
    """Filtering allele frequency (FAF): a lower bound of the allele frequency.

    A variant whose FAF exceeds the largest frequency that a disease allows cannot cause it.

    Parameters
    ----------
    allele_count, allele_number : int64 array, any one shape
        AC and AN; a number below 0 is withheld.
    level : float
        One-sided confidence, 0.95 or 0.99.

    Returns
    -------
    faf : float64 array, the same shape
        The largest frequency f with P(Poisson(AN·f) < AC) ≥ `level`: the 1 − level quantile of
        Gamma(AC), over AN. 0 where AC ≤ 1 or AN = 0; NaN where a count is withheld.

    Raises
    ------
    UsageError
        The level is not between 0 and 1.

    References
    ----------
    Whiffin et al. (2017), Genet Med 19:1151–1158.
    """
    if not 0.0 < level < 1.0:
        raise UsageError(f"a confidence level of {level} is not between 0 and 1; use 0.95 or 0.99")
    alleles, number = np.broadcast_arrays(np.asarray(allele_count), np.asarray(allele_number))
    bounded = (alleles > 1) & (number > 0)
    # A quantile for each count that there is: counts repeat, and quantiles are slow.
    place, different = pd.factorize(np.where(bounded, alleles, 2).ravel())
    # gammainccinv, since 1 − level would lose digits of the level.
    quantile = gammainccinv(different, level)[place].reshape(alleles.shape)
    bound = quantile / np.where(bounded, number, 1)
    withheld = (alleles < 0) | (number < 0)
    return np.where(withheld, np.nan, np.where(bounded, bound, 0.0))


@dataclass(frozen=True, eq=False)
class GroupMax:
    """The group with the highest FAF of each row, and the groups it was chosen from.

    `faf` is float64 (rows,): NaN where a group is withheld. `group` is int64 (rows,): a place in
    `groups`, −1 where no group has a FAF above 0 or one is withheld.
    """

    groups: tuple[str, ...]
    faf: NDArray
    group: NDArray


def group_max(faf: NDArray, groups: Sequence[str]) -> GroupMax:
    """The highest FAF over groups (gnomAD's grpmax).

    Parameters
    ----------
    faf : float64 array, shape (rows, groups)
        From `filtering_allele_frequency`; NaN where withheld.
    groups : sequence of str
        Names of the groups, in order: of equal ones the first counts. gnomAD leaves bottlenecked
        and small groups out (Finnish, Ashkenazi, Amish, "remaining"); which are given is reported.

    Raises
    ------
    UsageError
        There is no group, or not one name for each.
    """
    if faf.ndim != 2 or faf.shape[1] != len(groups) or not groups:
        raise UsageError(f"grpmax of {len(groups)} groups: name each group, at least one")
    # A group that is withheld may be the highest, so there is no answer then.
    known = ~np.isnan(faf).any(axis=1)
    highest = np.argmax(np.where(np.isnan(faf), 0.0, faf), axis=1)
    value = np.take_along_axis(faf, highest[:, None], axis=1)[:, 0]
    return GroupMax(
        groups=tuple(groups),
        faf=np.where(known, value, np.nan),
        group=np.where(known & (value > 0.0), highest, -1),
    )
