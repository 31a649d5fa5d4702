"""Dosages over all sites: allele frequencies, imputation quality, and the rows that pass filters.

One round for each kind of rows. Of each row leave the sums of dosages and of their squares, and
counts of hard calls, by which the floors of a policy are judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import PanelError, UsageError
from genome_eu.federation.protocols.frequencies import by_kind
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.federation.protocols.ploidy import in_row_order
from genome_eu.stats import dosages


def frequencies(panel: Panel, by: tuple[str, ...] = (), labels: Sequence[str] = ()) -> Rounds:
    """Finished shards, lazily, in row order; a round for each kind of rows."""
    answers = yield from by_kind(panel, by, list(labels), dosages=True)
    shards = {kind: map(dosages.finalize, answer.shards()) for kind, answer in answers.items()}
    return in_row_order(panel, shards)


def check_limits(min_info: float, min_maf: float, *, of_dosages: bool) -> None:
    """Raise where a filter makes no sense."""
    if (min_info or min_maf) and not of_dosages:
        raise UsageError("min_info and min_maf are limits on dosages; ask for dosages too")
    if not 0 <= min_info <= 1:
        raise UsageError(f"min_info={min_info:g}: give a number from 0 to 1")
    if not 0 <= min_maf <= 0.5:
        raise UsageError(f"min_maf={min_maf:g}: give a frequency from 0 to 0.5")


def filtered(panel: Panel, min_info: float, min_maf: float) -> Rounds:
    """The rows of a panel that pass, and how many fail by the reason: (panel, counts).

    Raises
    ------
    PanelError
        No row passes.
    """
    if not min_info and not min_maf:
        return panel, {}
    finished = yield from frequencies(panel)
    failed: dict[str, int] = {}
    kept: list[NDArray] = []
    for part in finished:
        passes = np.ones(len(part.n_called), bool)
        for reason, rows in dosages.failing(part, min_info, min_maf).items():
            failed[reason] = failed.get(reason, 0) + int(rows.sum())
            passes &= ~rows
        kept.append(passes)
    places = np.flatnonzero(np.concatenate([np.empty(0, bool), *kept]))
    if not places.size:
        raise PanelError(f"no row has an INFO of {min_info:g} and a frequency of {min_maf:g}")
    return panel.take(places), {reason: rows for reason, rows in failed.items() if rows}
