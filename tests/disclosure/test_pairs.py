"""Sums over pairs of rows, judged as an attacker would: by the people behind every number."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.disclosure import Facts, load_policy
from genome_eu.disclosure.publisher import published
from genome_eu.disclosure.rules import RULES
from genome_eu.errors import Refused
from tests.disclosure.test_checks import policies, small
from tests.oracles.ld import filled
from tests.stats.test_ld import correlated, sums_of

KINDS = ("pairwise", "filled")
LENGTHS = np.array([4, 4, 4, 3, 2, 1])
DEFAULT = load_policy("default")


def judged(part, policy):
    facts = Facts(people=int(part.people), apart=np.zeros(part.shown.shape, bool))
    found, evidence = RULES[type(part)](part, policy, facts)
    for item in fields(part):
        if item.metadata["gate"] == "pairs":
            assert not getattr(found, item.name)[~found.shown].any()
    return found, {item.check: item for item in evidence}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(12, 90),
    st.sampled_from((0.0, 0.02, 0.3)),
    st.integers(0, 2**32 - 1),
    policies(),
    st.sampled_from(KINDS),
)
def test_nobody_stands_alone_behind_a_pair_that_is_shown(people, missing, seed, policy, kind):
    dosage = correlated(6, people, missing, seed)
    found, _ = judged(sums_of(dosage, LENGTHS, kind, 6), policy)
    plain = filled(dosage) if kind == "filled" else dosage
    floor = max(policy.allele_floor, policy.association_floor)
    for a, length in enumerate(LENGTHS):
        for d in range(length):
            both = (plain[a] >= 0) & (plain[a + d] >= 0)
            g, h = plain[a][both].astype(int), plain[a + d][both].astype(int)
            sums = [(x * y).sum() for x in (g, 2 - g) for y in (h, 2 - h)]
            sums += [g.sum(), (2 - g).sum(), h.sum(), (2 - h).sum()]
            risky = any(small(int(value), floor, policy) for value in sums)
            incomplete = kind == "pairwise" and policy.missing_floor > 1 and not both.all()
            if risky or incomplete:
                assert not found.shown[a, d]
            elif found.shown[a, 0]:
                assert found.shown[a, d]
        assert found.shown[a, 0] or not found.shown[a].any()


def test_who_lacks_a_call_could_be_read_from_a_row_beside_it():
    """Without the rule: what one partner's sums lack of another's is one person's genotype."""
    dosage = correlated(2, 80, 0.0, seed=8)
    dosage = np.stack([dosage[0], dosage[1], dosage[1]])
    dosage[2, 17] = -1
    part = sums_of(dosage, np.array([3, 2, 1]), "pairwise", 3)
    assert part.dosage_a[0, 1] - part.dosage_a[0, 2] == dosage[0, 17]
    found, evidence = judged(part, DEFAULT)
    assert evidence["missing calls in a pair"].withheld == 3
    assert found.shown.tolist()[0][:2] == [True, True]
    assert not found.shown[0, 2]
    assert not found.shown[2, 0]
    filled_in, _ = judged(sums_of(dosage, np.array([3, 2, 1]), "filled", 3), DEFAULT)
    assert filled_in.shown[0, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_publisher_judges_the_total_by_the_same_rule(kind):
    parts = sums_of(correlated(6, 40, 0.1, seed=4), LENGTHS, kind, 6)
    found, _ = judged(parts, DEFAULT)
    total = published(parts, DEFAULT)
    for item in fields(parts):
        np.testing.assert_array_equal(getattr(total, item.name), getattr(found, item.name))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_must_have_been_looked_at_together(kind):
    part = sums_of(correlated(6, 90, 0.0, seed=4), LENGTHS, kind, 6)
    with pytest.raises(Refused, match="were not looked at together"):
        RULES[type(part)](part, DEFAULT, Facts(people=90))
    apart = np.zeros(part.shown.shape, bool)
    apart[1] = apart[0, 1] = True
    found, evidence = RULES[type(part)](part, DEFAULT, Facts(people=90, apart=apart))
    assert not found.shown[apart].any()
    assert {item.check: item.withheld for item in evidence}["people set apart by a pair"] == 5


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_than_ten_people_are_never_described(kind):
    part = sums_of(correlated(6, 9, 0.0, seed=1), LENGTHS, kind, 6)
    for judge in (judged, published):
        with pytest.raises(Refused, match="fewer than 10 people would be described"):
            judge(part, DEFAULT)
