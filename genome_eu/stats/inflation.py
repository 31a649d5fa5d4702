"""Genomic inflation and the quantiles of many p-values, in memory that does not grow with them.

Nothing here needs linkage: λ compares the median statistic with its expectation, and the quantiles
are those of a quantile-quantile plot at a few expected p-values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.tails import normal_from_neg_log10_p

#: Median of χ² with one degree of freedom.
CHI2_MEDIAN = 0.45493642311957283
#: Expected −log10 p at which quantiles are given.
EXPECTED = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0)

# Values of a trait that are kept as they are: as many as take the room of its cells. Beyond that
# they are counted in cells.
_MOST_KEPT = 2**15
# Cells are those of a float with 11 digits after its first: an octave has 2,048 of them, so that a
# quantile is known to 1 part in 2,048 at worst, and λ to 1 in 300 (in practice far better).
_DIGITS = 11
_SHIFT = 52 - _DIGITS
_SMALLEST, _LARGEST = 2.0**-16, 2.0**14


def genomic_inflation(neg_log10_p: NDArray) -> float:
    """Genomic control's λ: the median χ² (1 df) over its expectation under no effect.

    Parameters
    ----------
    neg_log10_p : float64 array
        NaN (a row without a test) is left out.

    Returns
    -------
    float
        NaN where there is no test.

    References
    ----------
    Devlin & Roeder (1999), Biometrics 55:997–1004.
    """
    tested = neg_log10_p[~np.isnan(neg_log10_p)]
    return inflation_at(float(np.median(tested)), 0.5) if tested.size else float("nan")


def inflation_at(neg_log10_p: float, tail: float) -> float:
    """χ² of an observed p-value over that of the expected one, `tail`."""
    expected = float(normal_from_neg_log10_p(-np.log10(tail))) ** 2
    return float(normal_from_neg_log10_p(neg_log10_p)) ** 2 / expected


def lambda_1000(inflation: float, cases: int, controls: int) -> float:
    """λ as it would be in a study of 1,000 cases and 1,000 controls.

    References
    ----------
    Freedman et al. (2004), Nat Genet 36:388–393.
    """
    return 1.0 + (inflation - 1.0) * (1.0 / cases + 1.0 / controls) * 500.0


@dataclass(frozen=True)
class InflationSummary:
    """What is said of the p-values of one trait.

    `quantiles` are pairs of expected and observed −log10 p. `exact` says whether they come from
    the values themselves, or from cells 1/2,048 of their size wide.
    """

    tests: int
    inflation: float
    inflation_tail: float  # at the expected p-value 0.01
    quantiles: tuple[tuple[float, float], ...]
    largest: float
    exact: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what is not known is left out."""
        said: dict[str, Any] = {"tests": self.tests}
        if self.tests:
            said |= {
                "lambda_gc": self.inflation,
                "lambda_at_0.01": self.inflation_tail,
                "largest_neg_log10_p": self.largest,
                "qq": [list(pair) for pair in self.quantiles],
                "exact": self.exact,
            }
        return said


class Inflation:
    """p-values of traits as they come, shard by shard.

    Parameters
    ----------
    traits : int
        Columns of what will be added.
    most_kept : int
        Values of a trait that are kept as they are.
    """

    def __init__(self, traits: int, most_kept: int = _MOST_KEPT) -> None:
        self._kept = np.empty((most_kept, traits))
        self._rows = 0
        self._cells: NDArray | None = None
        self._largest = np.full(traits, -np.inf)

    def add(self, neg_log10_p: NDArray) -> None:
        """Take a shard, float64 (rows, traits); NaN where there is no test."""
        if not neg_log10_p.size:
            return
        self._largest = np.fmax(self._largest, np.fmax.reduce(neg_log10_p, axis=0))
        rows = self._rows + len(neg_log10_p)
        if self._cells is None and rows <= len(self._kept):
            self._kept[self._rows : rows] = neg_log10_p
            self._rows = rows
            return
        if self._cells is None:
            self._cells = np.zeros((self._largest.size, _cell(_LARGEST) + 1), np.uint32)
            self._count(self._kept[: self._rows])
            self._kept, self._rows = np.empty((0, self._largest.size)), 0
        self._count(neg_log10_p)

    def _count(self, part: NDArray) -> None:
        assert self._cells is not None  # noqa: S101 - only called once there are cells
        for cells, column in zip(self._cells, part.T, strict=True):
            tested = column[~np.isnan(column)]
            cells += np.bincount(_cell(tested), minlength=cells.size).astype(np.uint32)

    def summaries(self) -> list[InflationSummary]:
        """The summary of each trait."""
        if self._cells is not None:
            return [
                _summary(int(cells.sum()), _Cells(cells), float(largest), False)
                for cells, largest in zip(self._cells, self._largest, strict=True)
            ]
        found = []
        for column, largest in zip(self._kept[: self._rows].T, self._largest, strict=True):
            tested = np.sort(column[~np.isnan(column)])
            found.append(_summary(tested.size, _Sorted(tested), float(largest), True))
        return found


@dataclass(frozen=True)
class _Sorted:
    """Order statistics of values that are at hand."""

    values: NDArray

    def at(self, place: int) -> float:
        return float(self.values[place])


class _Cells:
    """Order statistics of values that were counted, evenly spread over each cell."""

    def __init__(self, counts: NDArray) -> None:
        self._counts = counts
        self._ends = np.cumsum(counts, dtype=np.int64)

    def at(self, place: int) -> float:
        cell = int(np.searchsorted(self._ends, place, side="right"))
        held = int(self._counts[cell])
        low, high = _edge(cell), _edge(cell + 1)
        return low + (high - low) * (place - int(self._ends[cell]) + held + 0.5) / held


def _summary(
    tests: int, ordered: _Sorted | _Cells, largest: float, exact: bool
) -> InflationSummary:
    if not tests:
        return InflationSummary(0, float("nan"), float("nan"), (), float("nan"), exact)

    def observed(expected: float) -> float:
        # The share 10^−expected of the tests has smaller p-values.
        return ordered.at(int((1.0 - 10.0**-expected) * (tests - 1)))

    median = (ordered.at((tests - 1) // 2) + ordered.at(tests // 2)) / 2.0
    quantiles = tuple(
        (expected, observed(expected)) for expected in EXPECTED if 10.0**-expected * tests >= 1.0
    )
    return InflationSummary(
        tests=tests,
        inflation=inflation_at(median, 0.5),
        inflation_tail=inflation_at(observed(2.0), 0.01),
        quantiles=quantiles,
        largest=largest,
        exact=exact,
    )


def _cell(values: NDArray | float) -> Any:
    """The cell of a value: its exponent and first digits, as one number."""
    bounded = np.clip(np.asarray(values, float), _SMALLEST, _LARGEST)
    first = np.float64(_SMALLEST).view(np.int64) >> _SHIFT
    return (bounded.view(np.int64) >> _SHIFT) - first


def _edge(cell: int) -> float:
    """The smallest value of a cell; 0 for the first, which holds everything smaller too."""
    if cell == 0:
        return 0.0
    first = int(np.float64(_SMALLEST).view(np.int64)) >> _SHIFT
    return float(np.int64((first + cell) << _SHIFT).view(np.float64))
