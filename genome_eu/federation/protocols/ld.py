"""Linkage disequilibrium over all sites: pruning and clumping. One round after the panel's.

Each site sends, for every row and the rows in a window with it, integer sums over its people
(`stats.ld.PairwiseSums`, or `FilledSums` with missing calls filled); r² follows from their totals
and rows are pruned here, in one stream: a window of pairs is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import UsageError
from genome_eu.federation.parameters.ld import NUMBERS, WIDEST, PairParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import ld

#: What becomes of people who lack a call in one row of a pair.
Missing = Literal["pairwise", "fill"]

_KINDS: dict[Missing, type[ld.PairwiseSums] | type[ld.FilledSums]] = {
    "pairwise": ld.PairwiseSums,
    "fill": ld.FilledSums,
}


@dataclass(frozen=True, eq=False)
class Pruned:
    """Which rows of a panel stay, and what the sites' policies kept back."""

    kept: NDArray  # bool (rows,)
    withheld: NDArray  # bool (rows,): nothing of the row was shown
    pairs_withheld: int


def windows_of(panel: Panel, window: ld.Window) -> ld.Windows:
    """The windows over a panel."""
    rows = panel.rows
    contig = rows["contig"].to_numpy(object)
    codes = np.unique(contig.astype(str), return_inverse=True)[1]
    return ld.windows(codes, rows["position"].to_numpy(np.int64), window)


def ask_pairs(panel: Panel, windows: ld.Windows, missing: Missing) -> tuple[Ask, NDArray]:
    """The question after the pairs of all windows, and how many rows each row is paired with.

    Raises
    ------
    UsageError
        A window holds more rows than can be asked for.
    """
    if missing not in _KINDS:
        raise UsageError(f"missing={missing!r}: choose {' or '.join(_KINDS)}")
    band = windows.width(panel.size)
    if band > WIDEST:
        raise UsageError(
            f"a window holds {band:,} rows, more than {WIDEST:,}; choose a smaller window, or ask "
            f"of fewer rows"
        )
    kind = _KINDS[missing]
    lengths = windows.reach(panel.size) - np.arange(panel.size)
    inputs = panel.inputs | {"lengths": lengths}
    width = NUMBERS[kind.statistic] * band
    return Ask(kind, PairParameters(band=band), inputs, panel.size, width), lengths


def prune(panel: Panel, windows: ld.Windows, r2: float, missing: Missing) -> Rounds:
    """Prune a panel as PLINK 2's `--indep-pairwise` prunes people pooled from all sites.

    A row that a policy withholds is not kept; a pair that it withholds counts as uncorrelated.
    """
    pruner = ld.Pruner(windows, panel.size, r2)
    withheld, pairs = np.zeros(panel.size, dtype=bool), 0

    def take(start: int, rows: ld.PairRows) -> None:
        nonlocal pairs
        stop = start + rows.shown.shape[0]
        withheld[start:stop] = ~rows.shown[:, 0]
        pairs += rows.hidden
        pruner.absorb_marked(rows.facts, rows.above(r2))

    yield from _each(panel, windows, missing, take)
    return Pruned(pruner.kept & ~withheld, withheld, pairs)


def clump(
    panel: Panel, windows: ld.Windows, rule: ld.ClumpRule, neg_log10_p: NDArray, missing: Missing
) -> Rounds:
    """Clumps of a panel of rows near associated ones: `stats.ld.Clumps`, and pairs withheld."""
    clumper = ld.Clumper(rule, neg_log10_p, windows.reach(panel.size))
    pairs = 0

    def take(start: int, rows: ld.PairRows) -> None:
        nonlocal pairs
        pairs += rows.hidden
        clumper.absorb(rows)

    yield from _each(panel, windows, missing, take)
    return clumper.clumps, pairs


def _each(
    panel: Panel,
    windows: ld.Windows,
    missing: Missing,
    take: Callable[[int, ld.PairRows], None],
) -> Rounds:
    """Ask for all pairs and give them on, shard by shard, as they can be finished."""
    ask, lengths = ask_pairs(panel, windows, missing)
    answer = yield ask
    start = 0
    for rows in ld.finalize(answer.shards(), lengths):
        take(start, rows)
        start += rows.shown.shape[0]
