"""Scores of other people on components that exist already: frequencies and loadings are frozen.

Scores are scaled as those of the PCA's own people: whoever took part in it gets exactly the scores
that they have. Those of others are drawn towards 0 where components hold noise, more so the fewer
people the PCA had.

References
----------
Lee, Zou & Wright (2010), Ann Stat 38:3605–3629, for that shrinkage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import PanelError
from genome_eu.stats.block import Block
from genome_eu.stats.pca import project_people
from genome_eu.stats.variants import keys

_PALINDROMIC = ("AT", "TA", "CG", "GC")
_BASES = ("A", "C", "G", "T")


@dataclass(frozen=True, eq=False)
class FrozenRows:
    """Where the rows of a PCA are in another cohort.

    Attributes
    ----------
    own : int64 array, shape (found,)
        Rows of the cohort.
    theirs : int64 array, shape (found,)
        The PCA's row of each.
    swapped : bool array, shape (found,)
        Where REF and ALT are the other way round.
    absent : int
        Rows of the PCA that the cohort does not have; they count as missing calls, at the mean.
    """

    own: NDArray
    theirs: NDArray
    swapped: NDArray
    absent: int


def find_rows(theirs: pd.DataFrame, own: pd.DataFrame) -> FrozenRows:
    """Match the rows of a PCA with those of a cohort.

    Single bases whose REF and ALT are the other way round match too, but for A/T and C/G, which
    read the same on both strands. Rows that a cohort lists twice match none.

    Parameters
    ----------
    theirs, own : DataFrame
        Columns contig, position, ref, alt.

    Raises
    ------
    PanelError
        No row is in both.
    """
    listed = keys(own)
    once = np.flatnonzero(~listed.duplicated(keep=False))
    index = pd.Index(listed[once])
    place = index.get_indexer(keys(theirs))
    turned = theirs.rename(columns={"ref": "alt", "alt": "ref"})
    alleles = theirs["ref"].astype(str) + theirs["alt"].astype(str)
    single = theirs["ref"].isin(_BASES) & theirs["alt"].isin(_BASES)
    unambiguous = (single & ~alleles.isin(_PALINDROMIC)).to_numpy()
    other = np.where(unambiguous & (place < 0), index.get_indexer(keys(turned)), -1)
    swapped = other >= 0
    place = np.where(swapped, other, place)
    found = np.flatnonzero(place >= 0)
    if not found.size:
        raise PanelError("the cohort has none of the PCA's rows; compare contigs, builds, alleles")
    in_order = found[np.argsort(once[place[found]], kind="stable")]
    return FrozenRows(
        own=once[place[in_order]],
        theirs=in_order,
        swapped=swapped[in_order],
        absent=len(theirs) - found.size,
    )


def frozen(
    rows: FrozenRows, frequency: NDArray, loadings: NDArray, eigenvalues: NDArray
) -> tuple[NDArray, NDArray]:
    """Frequencies and scaled loadings of the cohort's own rows, for `summarize`.

    Parameters
    ----------
    rows : FrozenRows
    frequency : float64 array, shape (rows,)
        Of the PCA; NaN or 0 where a row took no part.
    loadings : float64 array, shape (rows, components)
        Of unit norm.
    eigenvalues : float64 array, shape (components,)
        Of ZᵀZ, not divided by the number of rows.
    """
    p = np.nan_to_num(frequency)[rows.theirs]
    weights = np.asarray(loadings)[rows.theirs] / np.sqrt(eigenvalues)
    # The score of the other allele is that of this one with its sign changed.
    sign = np.where(rows.swapped, -1.0, 1.0)[:, np.newaxis]
    return np.where(rows.swapped, 1.0 - p, p), weights * sign


def summarize(block: Block, frequency: NDArray, weights: NDArray) -> NDArray:
    """Scores from the rows of a block, (people, components); they add over blocks."""
    return project_people(block, frequency, weights)
