"""Where the rows of a panel lie in a site's store, and what is said of those that do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.stats.harmonize import match


@dataclass(frozen=True, eq=False)
class Located:
    """The rows of a panel at a site; all (rows,).

    Attributes
    ----------
    rows : int64 array
        Rows of the store; 0 where not `here`.
    flipped : bool array
        Rows whose alleles the panel has the other way round.
    listed : bool array
        Rows that the site's policy lets it list.
    here : bool array
        Rows that the site has, listed or not.
    absent : bool array
        Rows of which the site's list says nothing: they are not here, or below the floor.
    """

    rows: NDArray
    flipped: NDArray
    listed: NDArray
    here: NDArray
    absent: NDArray


def locate(asked: pd.DataFrame, names: pd.DataFrame, rows: NDArray, listed: NDArray) -> Located:
    """Find a panel among a site's rows.

    Parameters
    ----------
    asked : DataFrame
        The panel: contig, position, ref, alt.
    names : DataFrame
        The same of the site's own rows.
    rows : int64 array
        Their places in the store.
    listed : bool array
        Which of them the site lists.
    """
    known = np.flatnonzero(listed)
    found = match(asked, names.iloc[known])
    here, places, flipped = found.found, np.append(known, -1)[found.rows], found.flipped
    # What the list says is what the coordinator knows; only where it says nothing are rows below
    # the floor looked at.
    rest = np.flatnonzero(found.absent)
    if rest.size and known.size < rows.size:
        hidden = match(asked.iloc[rest], names)
        here[rest], flipped[rest], places[rest] = hidden.found, hidden.flipped, hidden.rows
    return Located(
        rows=np.append(rows, 0)[places],
        flipped=flipped,
        listed=found.found,
        here=here,
        absent=found.absent,
    )
