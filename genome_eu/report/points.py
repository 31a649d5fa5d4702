"""From results to the points that a plot needs: places on the genome, quantiles, thinning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import xarray as xr

from genome_eu.errors import UsageError
from genome_eu.formats.rows import (
    TOTAL,
    association,
    group_names,
    of_group,
    require,
    trait_label,
    trait_names,
)

GENOME_WIDE = 5e-8


@dataclass(frozen=True, eq=False)
class Genome:
    """Rows laid end to end along the chromosomes.

    Attributes
    ----------
    x : float array, shape (rows,)
        Place in megabases from the first chromosome's start.
    contig : int array, shape (rows,)
        Index of the chromosome among those that have rows.
    names : list of str
    centres : float array, shape (chromosomes,)
        Where a tick for each chromosome goes.
    """

    x: np.ndarray
    contig: np.ndarray
    names: list[str]
    centres: np.ndarray


def genome(dataset: xr.Dataset) -> Genome:
    """Lay the rows of a result end to end."""
    require(dataset, ["variant_contig", "contig_id", "variant_position"])
    position = np.asarray(dataset["variant_position"].values, dtype=np.float64)
    present, contig = np.unique(dataset["variant_contig"].values, return_inverse=True)
    names = [str(name) for name in dataset["contig_id"].values[present]]
    longest = np.zeros(len(present))
    np.maximum.at(longest, contig, position)
    gap = 0.004 * longest.sum()
    starts = np.concatenate([[0.0], np.cumsum(longest + gap)])[:-1]
    x = (starts[contig] + position) / 1e6
    return Genome(x, contig, names, (starts + longest / 2) / 1e6)


def thin(
    x: np.ndarray, height: np.ndarray, limit: int, *, keep: np.ndarray | None = None
) -> np.ndarray:
    """Choose at most `limit` points that look like all of them.

    A quarter of the limit goes to the highest points, all of them; of the rest, one point of
    each cell of a fine grid is kept. The same points give the same choice.

    Parameters
    ----------
    x, height : float array, shape (points,)
    limit : int
    keep : float array, shape (points,), optional
        What makes a point worth keeping, if it is not its height.

    Returns
    -------
    index : int array
        Ascending; every row when there are no more than `limit`.
    """
    if len(x) <= limit:
        return np.arange(len(x))
    worth = height if keep is None else keep
    top = np.argpartition(worth, len(x) - limit // 4)[-(limit // 4) :]
    rest = np.ones(len(x), dtype=bool)
    rest[top] = False
    # In a fixed random order, so that a cell's point is not always its leftmost: that would
    # draw the grid.
    rest = np.random.default_rng(0).permutation(np.flatnonzero(rest))
    cells = limit - len(top)
    down = max(int(np.sqrt(cells / 6)), 1)
    across = cells // down
    cell = _cell(x[rest], across) * down + _cell(height[rest], down)
    _, first = np.unique(cell, return_index=True)
    return np.sort(np.concatenate([top, rest[first]]))


def _cell(values: np.ndarray, cells: int) -> np.ndarray:
    low, high = values.min(), values.max()
    if high == low:
        return np.zeros(len(values), dtype=np.int64)
    return np.minimum(((values - low) / (high - low) * cells).astype(np.int64), cells - 1)


@dataclass(frozen=True, eq=False)
class AssociationTests:
    """The finished tests of one trait.

    Attributes
    ----------
    trait : str
    label : str
        The trait's name for titles; says so when the trait is simulated.
    rows : int array
        Which rows of the Dataset were tested.
    neg_log10_p : float array, shape (rows,)
    """

    trait: str
    label: str
    rows: np.ndarray
    neg_log10_p: np.ndarray


def association_tests(dataset: xr.Dataset, trait: str | None = None) -> AssociationTests:
    """AssociationTests of one trait; the first one when none is named."""
    model = association(dataset)
    traits = trait_names(dataset)
    trait = traits[0] if trait is None else trait
    if trait not in traits:
        raise UsageError(f"the result has no trait {trait!r}. It has: {', '.join(traits)}.")
    column = traits.index(trait)
    height = np.asarray(dataset[f"{model}_neg_log10_p"].values, dtype=np.float64)[:, column]
    tested = np.isfinite(height)
    if f"{model}_errcode" in dataset:
        tested &= np.asarray(dataset[f"{model}_errcode"].values)[:, column].astype(str) == "."
    rows = np.flatnonzero(tested)
    return AssociationTests(trait, trait_label(dataset, trait), rows, height[rows])


def strongest_traits(dataset: xr.Dataset, traits: list[str], most: int) -> list[str]:
    """The traits with the strongest tests, in the result's order."""
    strongest = {}
    for trait in traits:
        strongest[trait] = float(association_tests(dataset, trait).neg_log10_p.max(initial=0.0))
    kept = sorted(traits, key=strongest.__getitem__, reverse=True)[:most]
    return [trait for trait in traits if trait in kept]


@dataclass(frozen=True, eq=False)
class Quantiles:
    """A quantile-quantile plot; all arrays are −log10 p and have shape (points,)."""

    expected: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


def quantiles(neg_log10_p: np.ndarray, limit: int = 2000) -> Quantiles:
    """Observed against expected p-values, with a pointwise 95 % band for independent tests.

    The i-th smallest of n uniform p-values is nearly Gamma(i)/n; its quantiles are those of
    Wilson and Hilferty, and exact for the smallest.
    """
    n = len(neg_log10_p)
    # Ranks spread evenly on the log scale, which is how the plot is seen.
    steps = np.geomspace(1, n, min(n, limit)).round() if n else np.empty(0)
    rank = np.unique(steps).astype(np.int64)
    observed = np.sort(neg_log10_p)[::-1][rank - 1]
    z = NormalDist().inv_cdf(0.975)

    def band(sign: float) -> np.ndarray:
        spread = 1 / (9 * rank)
        p = rank * np.clip(1 - spread + sign * z * np.sqrt(spread), 0, None) ** 3 / max(n, 1)
        tail = 0.975 if sign > 0 else 0.025
        p[rank == 1] = 1 - (1 - tail) ** (1 / max(n, 1))
        return -np.log10(np.clip(p, 1e-300, 1))

    expected = -np.log10((rank - 0.5) / max(n, 1))
    return Quantiles(expected, observed, band(1), band(-1))


def shown_groups(dataset: xr.Dataset, groups: list[str] | None = None) -> list[str]:
    """Groups to compare: those named, or all that are not split by sex if there are such."""
    names = group_names(dataset)
    if groups is None:
        whole = [name for name in names if not re.fullmatch(r"(.+_)?[MF]", name)]
        return whole or names
    unknown = [name for name in groups if name not in [TOTAL, *names]]
    if unknown:
        raise UsageError(
            f"the result has no group {unknown[0]!r}. It has: {', '.join([TOTAL, *names])}."
        )
    return list(groups)


def alt_frequency(dataset: xr.Dataset, group: str = TOTAL) -> np.ndarray:
    """Frequency of the ALT allele of each row; NaN where withheld or nobody is called."""
    values = of_group(dataset, "allele_frequency", group)
    if values is None:
        require(dataset, ["variant_allele_frequency", "cohort_allele_frequency"])
    return np.asarray(values, dtype=np.float64)[:, 1]
