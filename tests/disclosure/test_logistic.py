"""What leaves of a logistic model: cases and controls are small groups, and so are their alleles."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.disclosure import Facts, load_policy
from genome_eu.disclosure.publisher import published
from genome_eu.disclosure.rules import RULES
from genome_eu.errors import Refused
from genome_eu.stats import logistic
from tests import simulate
from tests.disclosure.test_checks import policies, small

DEFAULT = load_policy("default")
ROWS = 6


def facts(cases=60, controls=90, **more) -> Facts:
    classes = (Facts(people=cases), Facts(people=controls))
    people = cases + controls
    trait = Facts(
        people=people, smallest_class=min(cases, controls), groups=classes, weighing=people
    )
    return Facts(people=cases + controls, groups=(trait,), **more)


def score_sums(people, cases, missing, seed, *, site_effects):
    rng = np.random.default_rng(seed)
    dosage = rng.binomial(2, rng.uniform(0, 1, (ROWS, 1)), (ROWS, people)).astype(np.int8)
    dosage[rng.random(dosage.shape) < missing] = -1
    y = (np.arange(people) < cases).astype(float)[:, None]
    design = logistic.design(rng.normal(size=(people, 1)), y, site_effects=site_effects)
    fitted = logistic.fit_people(design, np.zeros((1, design.width)))
    summarize = logistic.summarize_score if site_effects else logistic.summarize_score_raw
    return dosage, y[:, 0], summarize(simulate.block(dosage), fitted)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(30, 90),
    st.floats(0.1, 0.9),
    st.sampled_from((0.0, 0.02, 0.3)),
    st.integers(0, 2**32 - 1),
    policies(),
    st.booleans(),
)
def test_few_alleles_of_cases_or_controls_are_not_shown(
    people, share, missing, seed, policy, effects
):
    policy = policy.model_copy(update={"min_people": 1})
    cases = int(people * share)
    dosage, y, part = score_sums(people, cases, missing, seed, site_effects=effects)
    known = facts(cases, people - cases)
    known = replace(known, groups=(replace(known.groups[0], smallest_class=None),))
    found, _ = RULES[type(part)](part, policy, known)
    for row in range(ROWS):
        alleles = []
        for status in (0, 1):
            g = dosage[row, (y == status) & (dosage[row] >= 0)].astype(int)
            alleles += [g.sum(), (2 - g).sum()]
        risky = any(small(int(value), policy.association_floor, policy) for value in alleles)
        lacking = int((dosage[row] < 0).sum())
        few = not effects and 0 < lacking < policy.missing_floor
        assert found.shown[row, 0] == (not risky and not few)
    for item in fields(part):
        if item.metadata["gate"] in ("association", "missing"):
            assert not getattr(found, item.name)[~found.shown[:, 0]].any(), item.name


class Parts:
    """One answer of every kind, of one row."""

    one = np.ones(1)
    NULL = logistic.NullSums(
        cases=np.array([60]),
        controls=np.array([90]),
        sites=np.array([1]),
        xx=np.ones((1, 1, 1)),
        score=np.ones((1, 1)),
        information=np.ones((1, 1, 1)),
        curvature=np.ones((1, 1, 1)),
        loglik=one,
        log_weight=one,
    )
    PRODUCTS = logistic.ProductSums(gx=np.ones((1, 2)))
    SPA = logistic.SpaSums(
        cumulant=np.ones((1, 2)), slope=np.ones((1, 2)), spread=np.ones((1, 2)), least=one, most=one
    )
    FIRTH = logistic.FirthSums(loglik=one, score=one, square=one, cube=one, fourth=one)
    FIT = logistic.FitSums(
        cases=np.array([60]),
        controls=np.array([90]),
        intercepts=np.array([1]),
        score=np.ones((1, 2)),
        information=np.ones((1, 2, 2)),
        curvature=np.ones((1, 2, 2)),
        loglik=one,
        log_weight=one,
    )
    SCORE = score_sums(80, 40, 0.0, 1, site_effects=True)[2]
    TESTS = (PRODUCTS, SPA, FIRTH, FIT)
    ALL = (NULL, SCORE, *TESTS)


def named(value):
    return type(value).__name__


def enough(**more) -> Facts:
    of_row = {"missing": np.zeros(1), "row_weighing": np.full(1, 90.0), "row_sides": np.full(1, 40)}
    return facts(minor_alleles=np.array([40.0]), **of_row, **more)


@pytest.mark.parametrize("part", Parts.ALL, ids=named)
@pytest.mark.parametrize(("cases", "controls"), [(9, 90), (90, 9), (9, 0)])
def test_cases_and_controls_are_groups_of_people(part, cases, controls):
    RULES[type(part)](part, DEFAULT, enough())
    with pytest.raises(Refused, match="fewer than 10 people would be described"):
        RULES[type(part)](part, DEFAULT, enough(cases=cases, controls=controls))


@pytest.mark.parametrize("part", Parts.ALL, ids=named)
def test_what_was_not_counted_does_not_leave(part):
    with pytest.raises(Refused, match="were not counted"):
        RULES[type(part)](part, DEFAULT, replace(enough(), groups=()))
    with pytest.raises(Refused, match="were not counted"):
        trait = replace(enough().groups[0], groups=())
        RULES[type(part)](part, DEFAULT, replace(enough(), groups=(trait,)))


@pytest.mark.parametrize("part", Parts.ALL, ids=named)
def test_a_model_that_sets_people_apart_does_not_leave(part):
    for change, said in (
        ({"smallest_class": 4}, "a class of fewer than 5 people"),
        ({"leverage": 0.6}, "a leverage of more than 0.5"),
        ({"people": 5}, "fewer than 10|parameters are more than"),
    ):
        trait = replace(enough().groups[0], **change)
        with pytest.raises(Refused, match=said):
            RULES[type(part)](part, DEFAULT, replace(enough(), groups=(trait,)))


@pytest.mark.parametrize("part", Parts.TESTS, ids=named)
@pytest.mark.parametrize(("minor", "leaves"), [(0, True), (1, False), (9, False), (10, True)])
def test_a_rare_row_is_not_followed_up(part, minor, leaves):
    known = replace(enough(), minor_alleles=np.array([minor]))
    if leaves:
        RULES[type(part)](part, DEFAULT, known)
    else:
        with pytest.raises(Refused, match="fewer than 10 minor alleles in cases or in controls"):
            RULES[type(part)](part, DEFAULT, known)
    with pytest.raises(Refused, match="were not counted"):
        RULES[type(part)](part, DEFAULT, replace(known, minor_alleles=None))


@pytest.mark.parametrize("part", Parts.TESTS, ids=named)
@pytest.mark.parametrize(("missing", "leaves"), [(0, True), (1, False), (4, False), (5, True)])
def test_a_few_people_are_not_left_out_of_a_row(part, missing, leaves):
    known = replace(enough(), missing=np.array([missing]))
    if leaves:
        RULES[type(part)](part, DEFAULT, known)
    else:
        with pytest.raises(Refused, match="a row that 1 to 4 people lack a call of"):
            RULES[type(part)](part, DEFAULT, known)


@pytest.mark.parametrize("part", Parts.ALL, ids=named)
@pytest.mark.parametrize(("people", "leaves"), [(1.0, False), (9.9, False), (10.0, True)])
def test_people_count_by_how_much_they_weigh(part, people, leaves):
    trait = replace(enough().groups[0], weighing=people)
    known = replace(enough(), groups=(trait,))
    if leaves:
        RULES[type(part)](part, DEFAULT, known)
    else:
        with pytest.raises(Refused, match="fewer than 10 people make the sums"):
            RULES[type(part)](part, DEFAULT, known)
    with pytest.raises(Refused, match="were not counted"):
        trait = replace(trait, weighing=None)
        RULES[type(part)](part, DEFAULT, replace(known, groups=(trait,)))


@pytest.mark.parametrize("part", Parts.TESTS, ids=named)
def test_people_count_by_how_much_they_weigh_in_a_row(part):
    for few, said in (
        ({"row_weighing": np.array([9.0])}, "fewer than 10 people make the sums"),
        ({"row_sides": np.array([9.0])}, "sum over one side of 0 would be of fewer than 10"),
        ({"row_weighing": None}, "were not counted"),
        ({"row_sides": None}, "were not counted"),
        ({"missing": None}, "were not counted"),
    ):
        with pytest.raises(Refused, match=said):
            RULES[type(part)](part, DEFAULT, replace(enough(), **few))


@pytest.mark.parametrize("zeros_shown", [True, False])
def test_the_alleles_of_a_row_to_be_tested_are_judged_as_those_of_its_score(zeros_shown):
    """Nobody of the cases carries it and three of the controls do: few do, with zeros shown or not."""
    policy = DEFAULT.model_copy(update={"show_zero": zeros_shown})
    dosage = np.ones((3, 100), np.int8)
    dosage[1, :40] = 0
    dosage[2] = 0
    dosage[2, 50:53] = 1
    y = (np.arange(100) < 40).astype(float)[:, None]
    design = logistic.design(np.empty((100, 0)), y, site_effects=True)
    block, trait = simulate.block(dosage), np.zeros(3, np.int64)
    fitted = logistic.fit_people(design, np.zeros((1, 0)))
    shown, _ = RULES[logistic.ScoreSums](
        logistic.summarize_score(block, fitted), policy, facts(40, 60)
    )
    assert shown.shown[:, 0].tolist() == [True, zeros_shown, False]
    fewest = logistic.fewest_alleles(block, trait, design)[:, :4]
    for row in range(3):
        known = replace(enough(), minor_alleles=fewest[row])
        if shown.shown[row, 0]:
            RULES[logistic.FirthSums](Parts.FIRTH, policy, known)
        else:
            with pytest.raises(Refused, match="minor alleles in cases or in controls"):
                RULES[logistic.FirthSums](Parts.FIRTH, policy, known)


def test_a_publisher_withholds_rows_of_the_total():
    part = Parts.SCORE
    shown = published(part, DEFAULT, None)
    assert shown.shown.any()
    few = replace(part, alleles_cases=np.full(part.alleles_cases.shape, 3.0))
    assert not published(few, DEFAULT, None).shown.any()
    with pytest.raises(Refused, match="fewer than 10 people"):
        published(replace(Parts.NULL, cases=np.array([3])), DEFAULT, None)
    for part in Parts.TESTS:
        assert published(part, DEFAULT, None) is part
