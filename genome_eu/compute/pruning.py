"""LD pruning by those who hold the genotypes: rows that are gone are compared with nothing.

What is compared next depends on what was removed before, so a contig is one task; contigs are
pruned side by side on threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore
from genome_eu.cohort.threads import cores, in_order
from genome_eu.compute.progress import Progress
from genome_eu.stats.ld import Pruner, Window, windows


def prune(
    store: CohortStore,
    rows: NDArray,
    contig: NDArray,
    position: NDArray,
    window: Window,
    r2: float,
    included: NDArray,
    *,
    size: int,
    progress: Progress | None = None,
) -> NDArray[np.bool_]:
    """Which rows stay, as `genome_eu.stats.ld.Pruner` prunes them.

    Parameters
    ----------
    store : CohortStore
    rows : int64 array
        Packed rows in genome order.
    contig, position : int arrays with one entry per row
        Contigs in whatever numbers, and bases.
    window : Window
    r2 : float
        The threshold.
    included : bool array, shape (people,)
        Who counts.
    size : int
        Rows that are read at a time; memory grows with it and with the rows of a window.
    progress : Progress, optional
        Is told of rows as contigs finish.

    Returns
    -------
    kept : bool array with one entry per row

    Raises
    ------
    BadInput
        The rows are not in genome order.
    """
    # The whole at once, to find rows out of order before any work.
    windows(contig, position, window)

    def contig_kept(start: int, stop: int) -> NDArray[np.bool_]:
        mine = slice(start, stop)
        pruner = Pruner(windows(contig[mine], position[mine], window), stop - start, r2)
        for begin in range(start, stop, size):
            block = store.read(rows[begin : min(begin + size, stop)])
            pruner.absorb_planes(block.row_planes(included))
        return pruner.kept

    ends = [*np.flatnonzero(np.diff(contig) != 0) + 1, len(contig)]
    spans = [(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    kept = np.zeros(len(contig), dtype=bool)
    with in_order(contig_kept, spans, min(cores(), len(spans))) as results:
        for (start, stop), one in zip(spans, results, strict=True):
            kept[start:stop] = one
            if progress is not None:
                progress.advance(stop - start)
    return kept
