"""Kinship of people within one site by KING-robust, and a largest set of unrelated people.

All of it is of single people: `Private`, so that none of it can leave the site. Relatives who are
at different sites are not found.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import UsageError
from genome_eu.stats.aggregate import Private
from genome_eu.stats.block import GenotypeBlock

#: Smallest kinship of each degree, the geometric means of neighbouring expected values.
DEGREES = {
    "duplicate or twin": 2.0**-1.5,
    "first": 2.0**-2.5,
    "second": 2.0**-3.5,
    "third": 2.0**-4.5,
}

# Bytes that the counts of one tile of pairs may take; a worker holds two such.
_TILE_BYTES = 128 * 2**20


@dataclass(frozen=True, eq=False)
class PairSums(Private):
    """Rows counted over pairs of one of `first` and one of `others`; int64 (first, others).

    All are of the rows called in both: how many, opposite homozygotes, both heterozygous, the one
    heterozygous, the other heterozygous.
    """

    first: range
    others: range
    observed: NDArray
    ibs0: NDArray
    het_het: NDArray
    het: NDArray
    het_other: NDArray


@dataclass(frozen=True, eq=False)
class Relatives(Private):
    """Pairs of people whose kinship exceeds `above`, in the order of `first`, then `second`.

    Attributes
    ----------
    people : int
        People of the site.
    above : float
        Pairs at or below it are not listed.
    first, second : int64 array, shape (pairs,)
        The two people, by position; ``first < second``.
    kinship : float64 array, shape (pairs,)
    observed, het_het, ibs0 : int64 array, shape (pairs,)
        Rows called in both; both heterozygous; opposite homozygotes.
    """

    people: int
    above: float
    first: NDArray
    second: NDArray
    kinship: NDArray
    observed: NDArray
    het_het: NDArray
    ibs0: NDArray


def tiles(people: int) -> Iterator[tuple[range, range]]:
    """Runs of people against runs of people that together cover every pair.

    Each is short enough that the counts of their pairs are of bounded size.
    """
    bytes_of_a_pair = 8 * (len(fields(PairSums)) - 2)
    largest = int((_TILE_BYTES / bytes_of_a_pair) ** 0.5)
    number = -(-people // largest)
    ends = [people * part // number for part in range(number + 1)] if number else [0]
    runs = [range(start, stop) for start, stop in pairwise(ends)]
    for place, first in enumerate(runs):
        for others in runs[place:]:
            yield first, others


def summarize(block: GenotypeBlock, first: range, others: range) -> PairSums:
    """Count the pairs of one of `first` and one of `others` over the rows of a block.

    Parameters
    ----------
    block : Block
        Rows of autosomes × people.
    first, others : range
        Runs of people (see `tiles`).
    """
    counts = block.pair_counts(first, others)
    return PairSums(
        first=first,
        others=others,
        observed=counts.observed,
        ibs0=counts.ibs0,
        het_het=counts.het_het,
        het=counts.het,
        het_other=counts.het_other,
    )


def add(one: PairSums, other: PairSums) -> PairSums:
    """Counts of the same pairs over more rows; `one` is changed and returned.

    A sum of a gigabyte is added to for every block, so it is not copied.
    """
    for name in ("observed", "ibs0", "het_het", "het", "het_other"):
        total = getattr(one, name)
        total += getattr(other, name)
    return one


def finalize(sums: PairSums) -> NDArray[np.float64]:
    """Kinship coefficients of the pairs, float64 (first, others).

    Returns
    -------
    kinship : float64 array
        0.5 of a person with themselves or a twin, 0.25 of parents with children and of full sibs,
        about 0 or less of unrelated people; NaN where one of the two has no heterozygous call among
        those shared, which tells nothing.

    References
    ----------
    Manichaikul et al. (2010), Bioinformatics 26:2867–2873, equation 11, the between-family
    estimator, as PLINK 2 computes it: pairwise-complete, whatever family the two are of.
    """
    apart = 4 * sums.ibs0 + sums.het + sums.het_other - 2 * sums.het_het
    fewer = np.minimum(sums.het, sums.het_other)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(fewer > 0, 0.5 - apart / (4 * fewer), np.nan)


def relatives(sums: PairSums, people: int, above: float, include: NDArray) -> Relatives:
    """The pairs of included people whose kinship exceeds `above`.

    Parameters
    ----------
    sums : PairSums
    people : int
        People of the site.
    above : float
        Kinship that a pair must exceed.
    include : bool array, shape (people,)
        People who count.
    """
    kinship = finalize(sums)
    start, other = sums.first.start, sums.others.start
    with np.errstate(invalid="ignore"):
        near = kinship > above
    near &= include[start : sums.first.stop, np.newaxis] & include[other : sums.others.stop]
    i, j = np.nonzero(near)
    once = i + start < j + other
    i, j = i[once], j[once]
    return Relatives(
        people=people,
        above=above,
        first=i + start,
        second=j + other,
        kinship=kinship[i, j],
        observed=sums.observed[i, j],
        het_het=sums.het_het[i, j],
        ibs0=sums.ibs0[i, j],
    )


def among(found: Relatives, include: NDArray, above: float) -> Relatives:
    """The pairs of included people whose kinship exceeds `above`, of pairs found already.

    Raises
    ------
    UsageError
        Pairs above that were not listed.
    """
    if above < found.above:
        raise UsageError(
            f"kinship was kept above {found.above:g} only; ask for pairs above that or more, not "
            f"above {above:g}."
        )
    chosen = (found.kinship > above) & include[found.first] & include[found.second]
    names = ("first", "second", "kinship", "observed", "het_het", "ibs0")
    return Relatives(found.people, above, **{name: getattr(found, name)[chosen] for name in names})


def no_relatives(people: int, above: float) -> Relatives:
    """Nobody is related to anybody."""
    none = np.empty(0, np.int64)
    return Relatives(people, above, none, none, np.empty(0), none, none, none)


def join(parts: Sequence[Relatives]) -> Relatives:
    """The pairs of all tiles of one site, in order."""
    whole = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("first", "second", "kinship", "observed", "het_het", "ibs0")
    }
    order = np.lexsort((whole["second"], whole["first"]))
    return Relatives(
        people=parts[0].people,
        above=parts[0].above,
        **{name: values[order] for name, values in whole.items()},
    )


def unrelated(kinship: Relatives, cutoff: float) -> NDArray[np.bool_]:
    """People to keep so that no two of them have a kinship above `cutoff`.

    Parameters
    ----------
    kinship : Relatives
        Of the site's people.
    cutoff : float
        0.0884 leaves no relatives of second degree or nearer (see `DEGREES`).

    Returns
    -------
    keep : bool array, shape (people,)

    Raises
    ------
    UsageError
        If pairs above the cutoff were not listed.

    Notes
    -----
    PLINK 2's ``--king-cutoff``: while related pairs remain, the relative of the first person who
    has only one is removed, or, where everybody has several, the first of those with most. That is
    no proof of the largest set, which nobody can find quickly, but gives it on forests.
    """
    near = among(kinship, np.ones(kinship.people, bool), cutoff)
    return _prune(near.people, near.first, near.second)


def _prune(people: int, first: NDArray, second: NDArray) -> NDArray[np.bool_]:
    keep = np.ones(people, bool)
    relatives_of: dict[int, set[int]] = {}
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        relatives_of.setdefault(i, set()).add(j)
        relatives_of.setdefault(j, set()).add(i)
    # People with one relative, and people by number of relatives. Entries go stale as people are
    # removed, and are passed over then.
    single = [one for one, some in relatives_of.items() if len(some) == 1]
    heapq.heapify(single)
    most = [(-len(some), one) for one, some in relatives_of.items()]
    heapq.heapify(most)

    def number(one: int) -> int:
        return len(relatives_of.get(one, ()))

    while relatives_of:
        while single and number(single[0]) != 1:
            heapq.heappop(single)
        if single:
            (removed,) = relatives_of[single[0]]
        else:
            while number(most[0][1]) != -most[0][0]:
                heapq.heappop(most)
            removed = most[0][1]
        keep[removed] = False
        for one in relatives_of.pop(removed):
            relatives_of[one].discard(removed)
            left = number(one)
            if not left:
                del relatives_of[one]
                continue
            heapq.heappush(most, (-left, one))
            if left == 1:
                heapq.heappush(single, one)
    return keep


def degree(kinship: NDArray) -> NDArray[np.str_]:
    """Degree of relationship that a kinship coefficient stands for: one of `DEGREES`, or none."""
    thresholds = list(DEGREES.values())
    places = np.searchsorted([-one for one in thresholds], -np.asarray(kinship), side="left")
    return np.array([*DEGREES, "none"])[places]
