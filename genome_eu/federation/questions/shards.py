"""Results of an association as they stream: room for them, their shards, and what has no test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu import results
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.questions.run import Run
from genome_eu.results import GwasResult
from genome_eu.stats.linear import ERRCODES, LinearResult

#: Bytes in memory of one test of a linear model.
BYTES_PER_TEST = 80
#: What the record of a run says of rows that have no test.
UNTESTED = "rows without a test, by trait"


def require_memory(tests: int, bytes_per_test: int) -> None:
    """Raise `UsageError` where a table of so many tests does not fit in memory, twice."""
    results.require_memory(
        2 * tests * bytes_per_test,
        f"a table of {tests:,} tests",
        "stream it to files with `genome-eu gwas --out`, or take gwas_shards()",
    )


def linear_shards(
    run: Run,
    panel: Panel,
    parts: Iterable[LinearResult],
    names: tuple[str, ...],
    people: Iterable[int],
    attrs: dict[str, Any],
) -> Iterator[GwasResult]:
    """Shards of a linear association; after the last, the run says what was left out."""
    start = 0
    tallies = np.zeros((len(names), len(ERRCODES)), np.int64)
    for part in parts:
        stop = start + part.beta.shape[0]
        tally(tallies, part.errcode)
        yield results.gwas_shard(panel.names(start, stop), panel.contigs, part, names, attrs)
        start = stop
    run.left_out[UNTESTED] = without_test(names, ERRCODES, tallies)
    run.left_out["people analysed"] = dict(zip(names, map(int, people), strict=True))


def tally(tallies: NDArray[np.int64], errcode: NDArray) -> None:
    """Add the errcodes of some rows, (rows, traits), to those of each trait, (traits, codes)."""
    for counts, column in zip(tallies, errcode.T, strict=True):
        counts += np.bincount(column, minlength=counts.size)


def without_test(
    names: Sequence[str], codes: Sequence[str], tallies: NDArray[np.int64]
) -> dict[str, dict[str, int]]:
    """How many rows have no test, by trait and by errcode."""
    return {
        name: {
            code: int(rows)
            for code, rows in zip(codes, counts, strict=True)
            if code != "." and rows
        }
        for name, counts in zip(names, tallies, strict=True)
    }
