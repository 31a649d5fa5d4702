from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.errors import BadInput, UsageError
from genome_eu.stats import ld
from genome_eu.stats.aggregate import merge
from tests.oracles import ld as oracle
from tests.stats.test_ld import correlated, places, split_rows, sums_of

RULE = ld.ClumpRule(p1=0.02, p2=0.1, r2=0.3, kb=1.0)


def clumped(dosage, position, contig, p, rule, sites, shard):
    """Clumps of the rows near an index row, from sums over sites."""
    near = ld.near_an_index(rule, contig, position, -np.log10(p))
    chosen = np.flatnonzero(near)
    reach = ld.windows(contig[near], position[near], rule.window).reach(chosen.size)
    clumper = ld.Clumper(rule, -np.log10(p[near]), reach)
    if chosen.size:
        lengths = reach - np.arange(chosen.size)
        owner = np.random.default_rng(0).integers(0, sites, dosage.shape[1])
        merged = merge(
            [sums_of(dosage[near][:, owner == k], lengths, "pairwise", 9) for k in range(sites)]
        )
        for rows in ld.finalize(split_rows(merged, shard), lengths):
            clumper.absorb(rows)
    found = clumper.clumps
    return [
        (
            chosen[index],
            [int(chosen[row]) for row in np.flatnonzero(found.clump == number) if row != index],
        )
        for number, index in enumerate(found.index)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(2, 60),
    st.sampled_from((0.0, 0.1)),
    st.sampled_from((1, 2, 7)),
    st.integers(1, 70),
    st.integers(0, 2**32 - 1),
)
def test_they_are_the_definition(rows, people, missing, sites, shard, seed):
    dosage = correlated(rows, people, missing, seed)
    contig, position = places(rows, seed)
    rng = np.random.default_rng(seed)
    p = np.round(10 ** -rng.exponential(1.0, rows), 3)
    p = np.where(rng.random(rows) < 0.1, np.nan, np.maximum(p, 1e-3))
    by_hand = oracle.clump(dosage, contig, position, p, RULE.p1, RULE.r2, RULE.kb)
    assert clumped(dosage, position, contig, p, RULE, sites, shard) == by_hand


def test_a_row_without_a_test_is_in_no_clump():
    dosage = np.repeat(correlated(1, 50, 0, seed=1), 3, axis=0)
    p = np.array([1e-6, np.nan, 1e-3])
    assert clumped(dosage, np.arange(3), np.zeros(3, int), p, RULE, 1, 3) == [(0, [2])]


def test_rows_withheld_join_nothing():
    dosage = np.repeat(correlated(1, 50, 0, seed=1), 3, axis=0)
    lengths = np.array([3, 2, 1])
    (rows,) = ld.finalize([sums_of(dosage, lengths, "pairwise", 3)], lengths)
    rows.shown[0, 1] = False
    clumper = ld.Clumper(RULE, np.array([6.0, 5.0, 1.0]), np.array([3, 3, 3]))
    clumper.absorb(rows)
    np.testing.assert_array_equal(clumper.clumps.clump, [0, 1, 0])


def test_all_rows_must_be_given():
    with pytest.raises(BadInput, match="0 of 3 rows have been given so far"):
        _ = ld.Clumper(RULE, np.zeros(3), np.full(3, 3)).clumps


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"p1": 0}, "p1 is 0; give more than 0, at most 1"),
        ({"p2": 1.5}, "p2 is 1.5"),
        ({"r2": 1}, "r2 is 1; give at least 0 and less than 1"),
        ({"kb": 0}, "kb is 0; give at least 0.003"),
    ],
)
def test_rules_that_cannot_be(rule, message):
    with pytest.raises(UsageError, match=message):
        ld.ClumpRule(**rule)
