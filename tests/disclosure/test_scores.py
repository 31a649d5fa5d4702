"""What leaves of polygenic scores: distributions of many people, carried by many rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genome_eu.disclosure import Facts, load_policy
from genome_eu.disclosure.rules import PUBLISHED, RULES
from genome_eu.errors import Refused
from genome_eu.stats.scores import ScoreDistribution

DEFAULT = load_policy("default")
FACTS = Facts(people=60, carried_by=40.0, leverage=0.1, minor_alleles=np.full(40, 30))


def distribution(*groups: list[int]) -> ScoreDistribution:
    """One score of everybody and of some groups, given their bins."""
    bins = np.array([np.sum(groups, axis=0), *groups]) if len(groups) > 1 else np.array(groups)
    people = bins.sum(axis=1)
    return ScoreDistribution(
        people=people,
        polygenic_sum=people[:, None] * 0.5,
        polygenic_square=people[:, None] * 2.0,
        polygenic_bins=bins[:, None],
        opens=np.ones((1, bins.shape[1]), bool),
        shown=np.ones(len(bins), bool),
    )


LARGE = distribution([10, 20, 20, 10])


def judged(part, facts=FACTS):
    return RULES[ScoreDistribution](part, DEFAULT, facts)


def test_a_distribution_of_enough_people_leaves_as_it_is():
    part, evidence = judged(LARGE)
    np.testing.assert_array_equal(part.polygenic_bins, LARGE.polygenic_bins)
    assert {item.verdict for item in evidence} == {"pass"}


@pytest.mark.parametrize(
    ("facts", "match"),
    [
        ({"carried_by": 9.0}, "carried by fewer than 10 rows"),
        ({"leverage": 0.6}, "one person makes more than 0.5 of the variance"),
        ({"minor_alleles": np.array([40, 9])}, "below the allele floor of 10"),
        ({"minor_alleles": None}, "were not counted"),
    ],
)
def test_a_score_that_shows_rows_or_a_person_is_refused(facts, match):
    with pytest.raises(Refused, match=match):
        judged(LARGE, replace(FACTS, **facts))


def test_few_people_are_refused():
    with pytest.raises(Refused, match="fewer than 10 people"):
        judged(distribution([2, 3, 2, 2]))


@pytest.mark.parametrize("bins", [[1, 29, 29, 1], [30, 0, 29, 1], [1, 1, 57, 1], [60, 0, 0, 0]])
def test_bins_are_joined_until_each_has_enough_people(bins):
    part, evidence = judged(distribution(bins))
    kept = part.polygenic_bins[0, 0][part.opens[0]]
    assert kept.sum() == 60
    assert np.all((kept >= DEFAULT.genotype_floor) | (kept == 0))
    assert "withheld" in {item.verdict for item in evidence}


def test_groups_fall_together_and_with_the_people_in_none():
    part, _ = judged(distribution([10, 20, 15, 6], [2, 2, 2, 1]))
    assert part.people.tolist() == [58, 0, 0]
    assert part.shown.tolist() == [True, False, False]
    assert not part.polygenic_sum[1:].any()
    assert not part.polygenic_bins[1:].any()
    hidden = replace(FACTS, hidden_people=3, hidden_bins=np.array([[1, 1, 1, 0]]))
    part, _ = judged(distribution([10, 20, 15, 6], [12, 12, 12, 11]), hidden)
    assert part.people.tolist()[1:] == [0, 0]


def test_subtracting_groups_from_everybody_shows_no_bin_of_few():
    """Bins are joined alike in all groups, and in the people of none."""
    groups = [10, 20, 15, 6], [12, 1, 12, 11]
    hidden = replace(FACTS, hidden_people=30, hidden_bins=np.array([[10, 9, 2, 9]]))
    part, _ = judged(distribution(*groups), hidden)
    bins = part.polygenic_bins[:, 0][:, part.opens[0]]
    rest = bins[0] - bins[1:].sum(axis=0)
    for kept in (*bins[1:], rest + np.add.reduceat([10, 9, 2, 9], np.flatnonzero(part.opens[0]))):
        assert np.all((kept >= DEFAULT.genotype_floor) | (kept == 0))


def test_under_masks_the_floors_are_those_of_the_total():
    total = PUBLISHED[ScoreDistribution](distribution([1, 29, 29, 1]), DEFAULT, None)
    kept = total.polygenic_bins[0, 0][total.opens[0]]
    assert np.all(kept >= DEFAULT.genotype_floor)
    with pytest.raises(Refused, match="fewer than 10 people"):
        PUBLISHED[ScoreDistribution](distribution([2, 3, 2, 2]), DEFAULT, None)
