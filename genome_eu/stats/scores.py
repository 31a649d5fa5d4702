"""Polygenic scores: Σ weight × copies of the effect allele, for people whose scores stay put.

What may leave a site is a distribution: people, moments, and a histogram of which small bins are
merged. Scores themselves are `Private`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import UsageError
from genome_eu.stats.aggregate import Aggregate, Private, count, every, total
from genome_eu.stats.block import Block

_OTHER_STRAND = str.maketrans("ACGT", "TGCA")
#: Bins of a histogram: half a standard deviation wide, as expected without linkage.
EDGES = np.arange(-4.0, 4.25, 0.5)


@dataclass(frozen=True, eq=False)
class MatchedWeights:
    """Which row each line of a weight file speaks of.

    `row` is −1 where there is none; `counts_ref` where the effect allele is the row's REF.
    `left_out` counts lines by why they have no row.
    """

    row: NDArray  # int64 (lines,)
    counts_ref: NDArray  # bool (lines,)
    left_out: dict[str, int]


def match_weights(
    weights: pd.DataFrame, rows: pd.DataFrame, *, palindromic: bool = False
) -> MatchedWeights:
    """Find the rows that a weight file speaks of.

    Parameters
    ----------
    weights : DataFrame
        Columns effect_allele and other_allele ("" where not known), and either contig and position
        or id.
    rows : DataFrame
        Columns contig, position, id, ref, alt.
    palindromic : bool
        Take A/T and C/G as they are written; by default they are left out, since both strands read
        the same.

    Notes
    -----
    Alleles are matched as they are written, then single bases on the other strand. An effect
    allele that is the REF of a position with several ALTs is left out: who lacks this ALT need not
    have that REF. So is a line without the other allele that could mean several rows, and all but
    the first line of a row.
    """
    by = ["contig", "position"] if "position" in weights else ["id"]
    lines = weights.assign(line=np.arange(len(weights)))
    effect = lines["effect_allele"].astype(str).str.upper()
    lines = lines.assign(effect=effect, other=lines["other_allele"].astype(str).str.upper())
    listed = rows.assign(row=np.arange(len(rows)))[[*by, "ref", "alt", "row"]]
    listed = listed.assign(alts=listed.groupby(by)["row"].transform("size"))
    pairs = lines[[*by, "effect", "other", "line"]].merge(listed, on=by)
    pairs = pairs.assign(ref=pairs["ref"].str.upper(), alt=pairs["alt"].str.upper())

    same_way = _orientation(pairs, pairs["effect"], pairs["other"])
    single = (pairs["ref"].str.len() == 1) & (pairs["alt"].str.len() == 1)
    reverse = _orientation(pairs, _complement(pairs["effect"]), _complement(pairs["other"]))
    both_ways = single & (pairs["ref"] == _complement(pairs["alt"]))
    flip = (same_way == 0) & single & ~both_ways & (pairs["other"] != "")
    way = np.where(flip, reverse, same_way)
    several = (way < 0) & (pairs["alts"] > 1).to_numpy()
    skipped = both_ways.to_numpy() & (not palindromic)
    usable = (way != 0) & ~several & ~skipped

    found = pd.DataFrame(
        {"line": pairs["line"], "row": pairs["row"], "ref": way < 0, "flip": flip & (way != 0)}
    )[usable]
    doubtful = found["line"].duplicated(keep=False)
    repeated = ~doubtful & found["row"].duplicated()
    kept = found[~doubtful & ~repeated]
    row, counts_ref = np.full(len(weights), -1, np.int64), np.zeros(len(weights), bool)
    row[kept["line"]], counts_ref[kept["line"]] = kept["row"], kept["ref"]

    def lines_of(mask: NDArray | pd.Series, table: pd.DataFrame) -> set[int]:
        return set(table["line"].to_numpy()[np.asarray(mask)].tolist())

    reasons = {
        "repeated": lines_of(repeated, found),
        "that could mean several rows": lines_of(doubtful, found),
        "palindromic": lines_of(skipped & (way != 0), pairs),
        "whose effect allele is the REF of several ALTs": lines_of(several, pairs),
        "of other alleles": lines_of(way == 0, pairs),
        "not in the genotypes": set(range(len(weights))),
    }
    left_out: dict[str, int] = {}
    explained = set(kept["line"].tolist())
    for reason, who in reasons.items():
        left_out[f"weights {reason}"] = len(who - explained)
        explained |= who
    left_out["weights taken on the other strand"] = int(kept["flip"].sum())
    return MatchedWeights(row, counts_ref, left_out)


def _complement(alleles: pd.Series) -> pd.Series:
    # Lines are many and alleles few.
    return alleles.map({one: one.translate(_OTHER_STRAND) for one in alleles.unique()})


def _orientation(pairs: pd.DataFrame, effect: pd.Series, other: pd.Series) -> NDArray:
    """1 where the effect allele is ALT, −1 where it is REF, 0 where the alleles do not fit."""
    unknown = other == ""
    alt = (effect == pairs["alt"]) & (unknown | (other == pairs["ref"]))
    ref = (effect == pairs["ref"]) & (unknown | (other == pairs["alt"]))
    return np.select([alt, ref], [1, -1], default=0)


@dataclass(frozen=True, eq=False)
class ScoreColumns:
    """A score as products with the two planes of a block, (rows, scores) each, and a constant.

    score = Gᵀ·dosage + Mᵀ·missing + constant, G with 0 where a call is missing.
    """

    dosage: NDArray
    missing: NDArray
    constant: NDArray  # (scores,)


def score_columns(weights: NDArray, counts_ref: NDArray, frequency: NDArray | None) -> ScoreColumns:
    """What to multiply genotypes by.

    Parameters
    ----------
    weights : float64 array, shape (rows, scores)
        Effect of each copy of the effect allele.
    counts_ref : bool array, shape (rows,)
        The effect allele is REF.
    frequency : float64 array, shape (rows,), or None
        Frequency of ALT by which missing calls are replaced (PLINK's `--score`); None counts no
        effect allele in them (`no-mean-imputation`).
    """
    ref = counts_ref[:, None]
    dosage = np.where(ref, -weights, weights)
    if frequency is None:
        missing = np.where(ref, -2.0 * weights, 0.0)
    else:
        missing = 2.0 * frequency[:, None] * dosage
    return ScoreColumns(dosage, missing, np.where(ref, 2.0 * weights, 0.0).sum(axis=0))


def summarize_people(block: Block, dosage: NDArray, missing: NDArray) -> NDArray:
    """One block's part of the scores, (people, scores); sums over blocks."""
    of_dosage, of_missing = block.rmatmul(dosage, missing)
    return of_dosage + of_missing


@dataclass(frozen=True, eq=False)
class PersonScores(Private):
    """Scores of the people of one site, (people, scores)."""

    values: NDArray


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and standard deviation that a score would have without linkage, (scores,) each."""

    mean: NDArray
    spread: NDArray


def expected_scale(weights: NDArray, counts_ref: NDArray, frequency: NDArray) -> Scale:
    """The agreed origin and scale of scores, from frequencies of ALT (rows,).

    Raises
    ------
    UsageError
        A score does not vary.
    """
    effect = np.where(counts_ref, 1.0 - frequency, frequency)
    variance = (weights**2 * (2.0 * effect * (1.0 - effect))[:, None]).sum(axis=0)
    if np.any(variance == 0.0):
        raise UsageError("a score is the same for everybody: no row with a weight varies")
    return Scale((2.0 * weights * effect[:, None]).sum(axis=0), np.sqrt(variance))


def effective_rows(weights: NDArray, frequency: NDArray) -> NDArray:
    """How many rows carry a score, (scores,): (Σv)²/Σv² of their variances v.

    1 where a single row decides, whatever its weight: the scores are then its genotypes.
    """
    variance = weights**2 * (2.0 * frequency * (1.0 - frequency))[:, None]
    whole = variance.sum(axis=0)
    return np.where(whole > 0, whole**2 / np.maximum((variance**2).sum(axis=0), 1e-300), 0.0)


@dataclass(frozen=True, eq=False)
class ScoreDistribution(Aggregate):
    """Scores of groups of people on the agreed scale. Group 0 is everybody.

    `opens` says which bins of the histogram stand by themselves; people of a bin that does not are
    counted in the one before that does. Sites join bins differently: a bin that one of them joined
    stands by itself in no sum, so that sums over what is left are exact. Where a site withholds a
    group, its numbers are 0 here and `shown` is false.
    """

    statistic = "score_distribution"

    people: NDArray = count("people", "groups", gate="people")
    polygenic_sum: NDArray = total("score", "groups", "scores", gate="moments")
    polygenic_square: NDArray = total("score²", "groups", "scores", gate="moments")
    polygenic_bins: NDArray = count("people", "groups", "scores", "bins", gate="bins")
    opens: NDArray = every("flag", "scores", "bins")
    shown: NDArray = every("flag", "groups")


def on_scale(scores: PersonScores, scale: Scale) -> NDArray[np.float64]:
    """Scores in expected standard deviations from the expected mean, (people, scores)."""
    return (scores.values - scale.mean) / scale.spread


def histogram(values: NDArray, edges: NDArray) -> NDArray[np.int64]:
    """People by bin, (scores, bins); an edge belongs to the bin above it, the outer are open."""
    place = np.searchsorted(edges, values, side="right")
    return np.stack([np.bincount(column, minlength=edges.size + 1) for column in place.T])


def summarize_distribution(
    scores: PersonScores, groups: NDArray, n_groups: int, scale: Scale, edges: NDArray
) -> ScoreDistribution:
    """The distribution at one site; nothing is joined yet.

    Parameters
    ----------
    scores : PersonScores
        Of all people of the site.
    groups : int array, shape (people,)
        1 … n_groups − 1 for the members of a group, 0 for people in none, −1 for people left out.
    scale : Scale
        Agreed over sites.
    edges : float64 array, shape (bins − 1,)
        Increasing, in expected standard deviations from the expected mean.
    """
    values = on_scale(scores, scale)
    members = [values[groups >= 0], *(values[groups == group] for group in range(1, n_groups))]
    bins = np.stack([histogram(some, edges) for some in members])
    return ScoreDistribution(
        people=np.array([len(some) for some in members]),
        polygenic_sum=np.stack([some.sum(axis=0) for some in members]),
        polygenic_square=np.stack([(some**2).sum(axis=0) for some in members]),
        polygenic_bins=bins,
        opens=np.ones(bins.shape[1:], bool),
        shown=np.ones(n_groups, bool),
    )


def standing_bins(bins: NDArray, floor: int) -> NDArray[np.bool_]:
    """Which bins stand by themselves when neighbours are joined until each has enough people.

    Groups are joined alike: were they not, subtracting one from another would undo it.

    Parameters
    ----------
    bins : int64 array, shape (groups, bins)
        People; groups without people do not count.
    floor : int
        People that each group has in each bin that is left. Below 2 nothing is joined.

    Returns
    -------
    opens : bool array, shape (bins,)
        The first is always true.
    """
    opens = np.ones(bins.shape[1], bool)
    if floor < 2:
        return opens
    bins = bins[bins.sum(axis=1) > 0]
    held = np.zeros(len(bins), np.int64)
    for place, people in enumerate(bins.T):
        opens[place] = place == 0 or bool((held >= floor).all())
        held = people.copy() if opens[place] else held + people
    # What is left at the end goes to the bin before it.
    if (held < floor).any():
        opens[max(np.flatnonzero(opens)[-1], 1) :] = False
    return opens


def join_bins(bins: NDArray, opens: NDArray) -> NDArray[np.int64]:
    """People of joined bins in the one that stands by itself, (groups, scores, bins)."""
    joined = np.zeros_like(bins)
    for score, own in enumerate(opens):
        starts = np.flatnonzero(own)
        joined[:, score, starts] = np.add.reduceat(bins[:, score], starts, axis=1)
    return joined


@dataclass(frozen=True, eq=False)
class Distribution:
    """A score in a group: on the scale of the weights, NaN where nobody or one person is.

    `places` are those of the bins that are left, among the bins that `all_edges` part.
    """

    people: int
    mean: float
    variance: float
    all_edges: NDArray
    places: NDArray
    bins: NDArray  # people of the bins that are left

    @property
    def edges(self) -> NDArray:
        """Between the bins that are left."""
        return self.all_edges[self.places[1:] - 1]


def finalize(
    sums: ScoreDistribution, scale: Scale, edges: NDArray
) -> list[list[Distribution | None]]:
    """The distribution of each score in each group, as [group][score]; None where withheld."""
    found: list[list[Distribution | None]] = []
    for group, people in enumerate(sums.people):
        line: list[Distribution | None] = []
        for score, own in enumerate(sums.opens):
            if not sums.shown[group]:
                line.append(None)
                continue
            n = int(people)
            first, second = sums.polygenic_sum[group, score], sums.polygenic_square[group, score]
            mean = first / n if n else np.nan
            variance = max(second - n * mean**2, 0.0) / (n - 1) if n > 1 else np.nan
            left = np.flatnonzero(own)
            spread = float(scale.spread[score])
            line.append(
                Distribution(
                    people=n,
                    mean=float(scale.mean[score] + spread * mean),
                    variance=float(variance * spread**2),
                    all_edges=scale.mean[score] + spread * edges,
                    places=left,
                    bins=np.add.reduceat(sums.polygenic_bins[group, score], left),
                )
            )
        found.append(line)
    return found
