"""Kinship: the definition, tiles that add up, pruning by PLINK's rule, and simulated relatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.errors import UsageError
from genome_eu.stats import kinship
from tests import simulate
from tests.oracles import kinship as oracle


def family(rows: int, founders: int, missing: float, seed: int) -> np.ndarray:
    """Dosages (rows, people): founders, then two full sibs, a half sib of theirs, and a twin.

    The sibs are children of founders 0 and 1, the half sib of 0 and 2, the twin is founder 3's.
    """
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.1, 0.9, (rows, 1))
    haplotypes = rng.random((2, rows, founders)) < frequency

    def gamete(parent: int) -> np.ndarray:
        return haplotypes[rng.integers(0, 2, rows), np.arange(rows), parent]

    children = [gamete(dad).astype(int) + gamete(mum) for dad, mum in ((0, 1), (0, 1), (0, 2))]
    people = haplotypes.sum(axis=0)
    dosage = np.column_stack([people, *children, people[:, 3]]).astype(np.int8)
    dosage[rng.random(dosage.shape) < missing] = -1
    return dosage


def every_pair(dosage: np.ndarray, above: float = -np.inf, blocks: int = 3) -> kinship.Relatives:
    """All pairs, over blocks of rows and two tiles of people."""
    people = dosage.shape[1]
    parts = [simulate.block(part) for part in np.array_split(dosage, blocks)]
    cut = people // 3
    runs = [range(cut), range(cut, people)]
    found = []
    for place, first in enumerate(runs):
        for others in runs[place:]:
            sums = kinship.summarize(parts[0], first, others)
            for block in parts[1:]:
                sums = kinship.add(sums, kinship.summarize(block, first, others))
            found.append(kinship.relatives(sums, people, above, np.ones(people, bool)))
    return kinship.join(found)


@pytest.mark.parametrize("missing", [0.0, 0.02, 0.5])
def test_kinship_is_the_definition(missing):
    dosage = family(211, 9, missing, seed=1)
    dosage[:, 4] = np.where(dosage[:, 4] == 1, 0, dosage[:, 4])
    dosage[:, 5] = -1
    found = every_pair(dosage)
    expected = {
        (i, j): value
        for i in range(dosage.shape[1])
        for j in range(i + 1, dosage.shape[1])
        if not np.isnan(value := oracle.king(dosage, i, j))
    }
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == sorted(expected)
    # Quotients of whole numbers, rounded once.
    assert found.kinship.tolist() == list(expected.values())
    assert not set(found.first) & {4, 5}


def test_counts_of_a_pair_are_kept():
    dosage = family(60, 6, 0.1, seed=2)
    found = every_pair(dosage)
    for place in (0, 7, 20):
        a, b = dosage[:, found.first[place]], dosage[:, found.second[place]]
        both = (a >= 0) & (b >= 0)
        assert found.observed[place] == both.sum()
        assert found.het_het[place] == ((a == 1) & (b == 1)).sum()
        assert found.ibs0[place] == (np.abs(a - b)[both] == 2).sum()


def test_relatives_show_their_degree():
    found = every_pair(family(40_000, 10, 0.01, seed=3))
    by_pair = {
        (i, j): value for i, j, value in zip(found.first, found.second, found.kinship, strict=True)
    }
    expected = {(0, 10): 0.25, (1, 11): 0.25, (10, 11): 0.25, (2, 12): 0.25, (10, 12): 0.125}
    expected |= {(3, 13): 0.5, (1, 12): 0.0, (7, 8): 0.0}
    # Sibs share by chance at each row, of which there are many.
    for pair, value in expected.items():
        assert by_pair[pair] == pytest.approx(value, abs=0.02), pair
    degrees = kinship.degree(np.array([by_pair[3, 13], by_pair[10, 11], by_pair[10, 12], 0.05, 0]))
    assert degrees.tolist() == ["duplicate or twin", "first", "second", "third", "none"]
    assert kinship.degree(np.array([np.nan])).tolist() == ["none"]


def test_only_included_people_above_the_threshold_are_listed():
    dosage = family(4000, 10, 0.01, seed=4)
    include = np.ones(14, bool)
    include[10] = False
    sums = kinship.summarize(simulate.block(dosage), range(14), range(14))
    found = kinship.relatives(sums, 14, 0.0884, include)
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == {(0, 11), (1, 11), (0, 12), (2, 12), (11, 12), (3, 13)}
    keep = kinship.unrelated(found, 0.0884)
    assert np.flatnonzero(~keep).tolist() == [3, 11, 12] or keep.sum() == 11
    assert keep.tolist() == oracle.prune(14, pairs)
    some = kinship.among(found, np.arange(14) != 12, 0.2)
    pairs = set(zip(some.first.tolist(), some.second.tolist(), strict=True))
    assert pairs == {(0, 11), (1, 11), (3, 13)}
    assert (some.kinship > 0.2).all()
    with pytest.raises(UsageError, match=r"kept above 0\.0884 only; ask for .* not above 0\.05"):
        kinship.unrelated(found, 0.05)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 14), st.data())
def test_pruning_is_plinks(people, data):
    one = st.integers(0, people - 1)
    pairs = data.draw(st.sets(st.tuples(one, one).filter(lambda pair: pair[0] < pair[1])))
    first, second = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
    whole = kinship.Relatives(
        people, 0.1, first, second, np.full(len(pairs), 0.3), *np.zeros((3, len(pairs)), np.int64)
    )
    keep = kinship.unrelated(whole, 0.2)
    assert keep.tolist() == oracle.prune(people, pairs)
    assert not (keep[first] & keep[second]).any()
    assert kinship.unrelated(whole, 0.3).all()


@pytest.mark.parametrize("people", [0, 1, 2, 1829, 1830, 10_000])
def test_tiles_cover_every_pair_once(people):
    tiles = list(kinship.tiles(people))
    assert (
        sum(len(a) * (len(a) + 1) // 2 if a == b else len(a) * len(b) for a, b in tiles)
        == people * (people + 1) // 2
    )
    assert all(len(a) * len(b) * 5 * 8 <= 2**27 for a, b in tiles)
    starts = [a.start for a, b in tiles if a == b]
    assert starts == sorted(set(starts))
