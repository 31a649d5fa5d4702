"""What sums over the people called in each row say of the model itself, where nothing else does."""

from __future__ import annotations

import numpy as np

from genome_eu.stats.linear.model import DesignSums
from genome_eu.stats.linear.sums import CompleteSums


def design_of_rows(sums: CompleteSums) -> DesignSums:
    """The size of covariates and traits over all people, from rows that have sums of their own.

    The row with the most people called says how many there are, and how large what is left of a
    covariate or trait is to be compared with. Products of two columns are not known, and not
    needed: every row has its own.
    """
    groups, columns = sums.xx.shape[1], sums.xx.shape[-1]
    square = np.diagonal(sums.xx, axis1=2, axis2=3).max(axis=0, initial=0.0)
    xx = np.zeros((groups, columns, columns))
    xx[:, np.arange(columns), np.arange(columns)] = square
    return DesignSums(
        people=sums.called.max(axis=0, initial=0),
        intercepts=sums.intercepts.max(axis=0, initial=0),
        xx=xx,
        xy=np.zeros(sums.xy.shape[1:]),
        yy=sums.yy.max(axis=0, initial=0.0),
        trait_group=sums.trait_group,
    )
