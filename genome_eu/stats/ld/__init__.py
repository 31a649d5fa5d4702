"""Linkage disequilibrium: sums over pairs of rows, pruning, clumping, long-range regions."""

from genome_eu.stats.ld.apart import Leverage, block_size, filled_dosage
from genome_eu.stats.ld.clump import Clumper, ClumpRule, Clumps, near_an_index
from genome_eu.stats.ld.long_range import LONG_RANGE, in_long_range
from genome_eu.stats.ld.prune import Pruner, RowFacts, threshold
from genome_eu.stats.ld.sums import (
    FilledSums,
    Moments,
    PairRows,
    PairSums,
    PairwiseSums,
    finalize,
    summarize_filled,
    summarize_pairwise,
)
from genome_eu.stats.ld.windows import Window, Windows, windows

__all__ = [
    "LONG_RANGE",
    "ClumpRule",
    "Clumper",
    "Clumps",
    "FilledSums",
    "Leverage",
    "Moments",
    "PairRows",
    "PairSums",
    "PairwiseSums",
    "Pruner",
    "RowFacts",
    "Window",
    "Windows",
    "block_size",
    "filled_dosage",
    "finalize",
    "in_long_range",
    "near_an_index",
    "summarize_filled",
    "summarize_pairwise",
    "threshold",
    "windows",
]
