"""Sums over people for pairs of rows near each other, from which r² follows.

All sums are integers, so that sites add exactly and any order of summing gives the same r². With
missing calls there are two answers. *Pairwise*: each pair over the people called in both of its
rows (PLINK's r²), six sums a pair. *Filled*: each site first puts its own most common genotype in
place of a missing call, so that every pair has all people and needs one sum; where nothing is
missing, both are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, count, every
from genome_eu.stats.block import Block
from genome_eu.stats.ld.prune import RowFacts, threshold


class Gram(Protocol):
    """Banded sums over the people called in both rows; see `genome_eu.kernels.BandedGram`."""

    n: NDArray
    sum_a: NDArray
    sum_b: NDArray
    square_a: NDArray
    square_b: NDArray
    product: NDArray


class PairBlock(Block, Protocol):
    """A block whose rows can be multiplied with each other."""

    def gram(self, window: int, include: NDArray | None = None, first: int | None = None) -> Gram:
        """Sums of each of the first rows with itself and the ``window - 1`` rows after it."""
        ...


@dataclass(frozen=True, eq=False)
class PairwiseSums(Aggregate):
    """Pairs (j, j + d) over the people called in both rows; entry ``[j, 0]`` is row j itself.

    Beyond the reach of a row, and where a pair is withheld, entries are 0.
    """

    statistic = "ld_pairwise"

    people: NDArray = count("people", gate="people")
    called: NDArray = count("people", "rows", "band", gate="pairs")
    dosage_a: NDArray = count("alleles", "rows", "band", gate="pairs")
    dosage_b: NDArray = count("alleles", "rows", "band", gate="pairs")
    square_a: NDArray = count("alleles²", "rows", "band", gate="pairs")
    square_b: NDArray = count("alleles²", "rows", "band", gate="pairs")
    dosage_product: NDArray = count("alleles²", "rows", "band", gate="pairs")
    shown: NDArray = every("flag", "rows", "band")


@dataclass(frozen=True, eq=False)
class FilledSums(Aggregate):
    """Pairs (j, j + d) over everybody, each site's missing calls filled; see `PairwiseSums`."""

    statistic = "ld_filled"

    people: NDArray = count("people", gate="people")
    dosage_b: NDArray = count("alleles", "rows", "band", gate="pairs")
    dosage_product: NDArray = count("alleles²", "rows", "band", gate="pairs")
    shown: NDArray = every("flag", "rows", "band")


PairSums = PairwiseSums | FilledSums

# Fields of the sums by those of a gram.
_GRAM_FIELDS = {
    "called": "n",
    "dosage_a": "sum_a",
    "dosage_b": "sum_b",
    "square_a": "square_a",
    "square_b": "square_b",
    "dosage_product": "product",
}


def summarize_pairwise(
    block: PairBlock, lengths: NDArray, include: NDArray, band: int
) -> PairwiseSums:
    """Sums of the first rows of a block with those after them.

    Parameters
    ----------
    block : PairBlock
        The rows that are summarized, and after them those that they reach.
    lengths : int64 array, shape (rows,)
        Rows that each summarized row is paired with, itself first; at least 1.
    include : bool array, shape (people,)
        Who takes part.
    band : int
        Width of the result, at least the largest length.
    """
    gram, reached = _reached(block, lengths, include, band)
    fields = {
        name: np.where(reached, _widened(getattr(gram, of), band), 0)
        for name, of in _GRAM_FIELDS.items()
    }
    return PairwiseSums(people=np.array(include.sum()), shown=np.ones_like(reached), **fields)


def summarize_filled(block: PairBlock, lengths: NDArray, include: NDArray, band: int) -> FilledSums:
    """The same with missing calls filled by the most common genotype; see `summarize_pairwise`."""
    gram, reached = _reached(block, lengths, include, band)
    people, rows = int(include.sum()), len(lengths)
    tallies = block.counts(np.where(include, 0, -1), 1)[:, 0]
    called, dosage = tallies[:, :3].sum(axis=1), tallies[:, 1] + 2 * tallies[:, 2]
    fill = np.argmax(tallies[:, :3], axis=1)
    # Row j + d of entry [j, d]; past the last row the entry is not reached.
    own = np.arange(rows)[:, np.newaxis]
    other = np.minimum(own + np.arange(gram.n.shape[1]), block.rows - 1)
    product = (
        gram.product
        + fill[other] * (dosage[own] - gram.sum_a)
        + fill[own] * (dosage[other] - gram.sum_b)
        + fill[own] * fill[other] * (people - called[own] - called[other] + gram.n)
    )
    filled = dosage + fill * (people - called)
    return FilledSums(
        people=np.array(people),
        dosage_b=np.where(reached, _widened(filled[other], band), 0),
        dosage_product=np.where(reached, _widened(product, band), 0),
        shown=np.ones_like(reached),
    )


def _reached(
    block: PairBlock, lengths: NDArray, include: NDArray, band: int
) -> tuple[Gram, NDArray]:
    """The gram of a block, no wider than its rows reach, and which entries of the band count."""
    width = int(np.max(lengths, initial=1))
    gram = block.gram(width, include, first=len(lengths))
    return gram, np.arange(band) < np.asarray(lengths)[:, np.newaxis]


def _widened(entries: NDArray, band: int) -> NDArray:
    return np.pad(entries, ((0, 0), (0, band - entries.shape[1])))


@dataclass(frozen=True, eq=False)
class Moments:
    """The sums of pairs as r² needs them, times the people of the pair; float64 (rows, band)."""

    covariance: NDArray
    variance_a: NDArray
    variance_b: NDArray

    def above(self, limit: float) -> NDArray:
        """Where r² is above a limit, bool (rows, band); not where a row does not vary."""
        square = self.covariance * self.covariance
        return square > limit * self.variance_a * self.variance_b

    @property
    def r2(self) -> NDArray:
        """r², float64 (rows, band); NaN where a row does not vary or nobody is called in both."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.covariance * self.covariance / (self.variance_a * self.variance_b)


@dataclass(frozen=True, eq=False)
class PairRows:
    """Some rows with all that is known of their pairs: `facts` of the rows, `moments` of pairs.

    `reached` is which pairs were asked for, `shown` which of them were given.
    """

    facts: RowFacts
    moments: Moments
    reached: NDArray
    shown: NDArray

    @property
    def hidden(self) -> int:
        """Pairs asked for that were not shown, but those of rows that were not."""
        return int((self.reached & ~self.shown)[self.shown[:, 0]].sum())

    def above(self, r2: float) -> NDArray:
        """Pairs shown whose r² is above `r2` as PLINK compares them, bool (rows, band)."""
        return self.moments.above(threshold(r2)) & self.shown


def finalize(shards: Iterable[PairSums], lengths: NDArray) -> Iterator[PairRows]:
    """Rows with their pairs, in order, from consecutive merged shards; lazily.

    A shard of filled sums waits for the rows that it reaches.

    Parameters
    ----------
    shards : iterable of PairwiseSums or FilledSums
    lengths : int64 array, shape (rows,)
        Rows that each row is paired with, itself first, over all shards.
    """
    rows = len(lengths)
    dosage, square = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    pending: list[tuple[int, FilledSums]] = []
    start = 0
    for shard in shards:
        stop = start + len(shard.dosage_product)
        if isinstance(shard, PairwiseSums):
            yield _pairwise(shard, lengths[start:stop])
        else:
            dosage[start:stop] = shard.dosage_b[:, 0]
            square[start:stop] = shard.dosage_product[:, 0]
            pending.append((start, shard))
            while pending and _last(pending[0], lengths) <= stop:
                yield _filled(*pending.pop(0), lengths, dosage, square)
        start = stop


def _last(pending: tuple[int, FilledSums], lengths: NDArray) -> int:
    """One past the last row that a shard reaches."""
    start, shard = pending
    own = np.arange(start, start + len(shard.dosage_product))
    return int((own + lengths[own]).max(initial=start))


def _pairwise(sums: PairwiseSums, lengths: NDArray) -> PairRows:
    n = sums.called
    moments = Moments(
        covariance=(sums.dosage_product * n - sums.dosage_a * sums.dosage_b).astype(np.float64),
        variance_a=(sums.square_a * n - sums.dosage_a * sums.dosage_a).astype(np.float64),
        variance_b=(sums.square_b * n - sums.dosage_b * sums.dosage_b).astype(np.float64),
    )
    own = RowFacts.of(n[:, 0], sums.dosage_a[:, 0], sums.square_a[:, 0])
    return _with_shown(own, moments, sums.shown, lengths)


def _filled(
    start: int, sums: FilledSums, lengths: NDArray, dosage: NDArray, square: NDArray
) -> PairRows:
    rows, band = sums.dosage_product.shape
    n = int(sums.people)
    own = np.arange(start, start + rows)
    other = np.minimum(own[:, np.newaxis] + np.arange(band), len(lengths) - 1)
    variance = (square * n - dosage * dosage).astype(np.float64)
    moments = Moments(
        covariance=(sums.dosage_product * n - sums.dosage_b[:, :1] * sums.dosage_b).astype(
            np.float64
        ),
        variance_a=np.broadcast_to(variance[own][:, np.newaxis], (rows, band)),
        variance_b=variance[other],
    )
    facts = RowFacts.of(np.full(rows, n), dosage[own], square[own])
    return _with_shown(facts, moments, sums.shown, lengths[own])


def _with_shown(facts: RowFacts, moments: Moments, shown: Any, lengths: NDArray) -> PairRows:
    reached = np.arange(shown.shape[1]) < lengths[:, np.newaxis]
    # A row that is not shown itself is as good as absent.
    known = RowFacts(facts.major, facts.alleles, facts.usable & shown[:, 0])
    return PairRows(known, moments, reached, shown & reached)
