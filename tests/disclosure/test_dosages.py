"""What leaves of dosages: sums of few certain carriers do not, however many others are uncertain."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.disclosure import Facts, load_policy
from genome_eu.disclosure.checks import below
from genome_eu.disclosure.publisher import published
from genome_eu.disclosure.rules import RULES
from genome_eu.errors import Refused
from genome_eu.stats import dosages, linear, logistic
from tests import simulate
from tests.disclosure.test_checks import policies, small
from tests.kernels.test_dense import draw_codes
from tests.oracles import dosages as oracle

DEFAULT = load_policy("default")
PEOPLE, ROWS = 60, 6
SUMMARIZE = {
    linear.DosageMeanSums: linear.summarize_mean,
    linear.DosageRawSums: linear.summarize_raw,
    linear.DosageCompleteSums: linear.summarize_complete,
}


def drawn(missing: float, seed: int) -> np.ndarray:
    """Dosages (rows, people), −1 where missing: rare and common, certain and uncertain."""
    rng = np.random.default_rng(seed)
    dosage = oracle.of_codes(draw_codes(ROWS, PEOPLE, 0.0, seed))
    certain = rng.binomial(2, rng.beta(0.3, 1.0, (ROWS, 1)), dosage.shape)
    dosage = np.where(rng.random(dosage.shape) < rng.choice([0.9, 1.0]), certain, dosage)
    dosage[rng.random(dosage.shape) < missing] = -1
    return dosage


def row_sums(kind: type, dosage: np.ndarray) -> linear.RowSums:
    rng = np.random.default_rng(1)
    people = dosage.shape[1]
    effects = kind is not linear.DosageRawSums
    design = linear.design(
        rng.normal(size=(people, 1)), rng.normal(size=(people, 1)), site_effects=effects
    )
    return SUMMARIZE[kind](simulate.dense(dosage), design, kind)


def facts(people: int = PEOPLE) -> Facts:
    return Facts(people=people, groups=(Facts(people=people, leverage=0.1),))


def few_carry(dosage: np.ndarray, floor: int, policy) -> bool:
    """Whether either allele may be that of few people, by dosages or by hard calls."""
    known = dosage[dosage >= 0]
    calls = oracle.hard_calls(known)
    calls = calls[calls >= 0]
    for copies, certain in ((known.sum(), calls.sum()), ((2 - known).sum(), (2 - calls).sum())):
        if small(copies, floor, policy) or (copies > 0 and certain < floor):
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from((0.0, 0.05, 0.3)),
    st.integers(0, 2**32 - 1),
    policies(),
    st.sampled_from(list(SUMMARIZE)),
)
def test_rows_of_an_association(missing, seed, policy, kind):
    dosage = drawn(missing, seed)
    found, _ = RULES[kind](row_sums(kind, dosage), policy, facts())
    for row in range(ROWS):
        lacking = int((dosage[row] < 0).sum())
        few = kind is not linear.DosageMeanSums and 0 < lacking < policy.missing_floor
        hidden = few or few_carry(dosage[row], policy.association_floor, policy)
        assert found.shown[row, 0] == (not hidden)
    for item in fields(found):
        if item.metadata["gate"] in ("association", "missing"):
            assert not getattr(found, item.name)[~found.shown[:, 0]].any(), item.name


@settings(max_examples=60, deadline=None)
@given(st.sampled_from((0.0, 0.05, 0.3)), st.integers(0, 2**32 - 1), policies())
def test_sums_of_dosages(missing, seed, policy):
    dosage = drawn(missing, seed)
    part = dosages.summarize(simulate.dense(dosage), np.zeros(PEOPLE, int), 1)
    for found in (
        RULES[dosages.DosageCounts](part, policy, Facts(people=PEOPLE))[0],
        published(part, policy, None),
    ):
        for row in range(ROWS):
            alleles = not few_carry(dosage[row], policy.allele_floor, policy)
            known = dosage[row][dosage[row] >= 0]
            calls = oracle.hard_calls(known)
            classes = [int((calls == copies).sum()) for copies in range(3)]
            uncertain = bool((calls < 0).any())
            genotypes = alleles and not any(
                small(size, policy.genotype_floor, policy)
                or (uncertain and size < policy.genotype_floor)
                for size in classes
            )
            shown = found.alleles_shown[row, 0], found.genotypes_shown[row, 0]
            assert shown == (alleles, genotypes)
        for item in fields(found):
            hidden = {"alleles": ~found.alleles_shown, "genotypes": ~found.genotypes_shown}
            if item.metadata["gate"] in hidden:
                assert not getattr(found, item.name)[hidden[item.metadata["gate"]]].any(), item.name


def test_one_carrier_among_many_who_hardly_are():
    """Ten alleles by dosages; but all that is multiplied by the trait is one person's."""
    dosage = np.full((1, 2000), 0.005)
    dosage[0, 0] = 2.0
    assert dosage.sum() > DEFAULT.association_floor
    for kind in SUMMARIZE:
        people = facts(2000)
        assert not RULES[kind](row_sums(kind, dosage), DEFAULT, people)[0].shown.any()
    # Nor is the carrier found by being uncertain, where zeros are shown.
    dosage[0, 0] = 1.5
    shown = DEFAULT.model_copy(update={"show_zero": True})
    assert not RULES[kind](row_sums(kind, dosage), shown, facts(2000))[0].shown.any()


def score_of(dosage: np.ndarray, cases: int, *, effects: bool):
    """Score sums of dosages of which the first people are cases, and the facts of the model."""
    people = dosage.shape[1]
    y = (np.arange(people) < cases).astype(float)[:, None]
    design = logistic.design(np.empty((people, 0)), y, site_effects=effects)
    fitted = logistic.fit_people(design, np.zeros((1, design.width)))
    kinds = (logistic.summarize_score, logistic.DosageScoreSums)
    if not effects:
        kinds = (logistic.summarize_score_raw, logistic.DosageRawScoreSums)
    classes = (Facts(people=cases), Facts(people=people - cases))
    trait = Facts(people=people, leverage=0.1, groups=classes, weighing=people)
    return (
        design,
        kinds[0](simulate.dense(dosage), fitted, kinds[1]),
        Facts(people=people, groups=(trait,)),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from((0.0, 0.05, 0.3)),
    st.integers(0, 2**32 - 1),
    policies(),
    st.booleans(),
    st.integers(20, 40),
)
def test_rows_of_score_tests(missing, seed, policy, effects, cases):
    dosage = drawn(missing, seed)
    policy = policy.model_copy(update={"min_people": 10})
    design, part, known = score_of(dosage, cases, effects=effects)
    found, _ = RULES[type(part)](part, policy, known)
    alleles = logistic.fewest_alleles(
        simulate.dense(dosage), np.zeros(ROWS, np.int64), design, dosages=True
    )
    for row in range(ROWS):
        carried = any(
            few_carry(some, policy.association_floor, policy)
            for some in (dosage[row, :cases], dosage[row, cases:])
        )
        lacking = int((dosage[row] < 0).sum())
        few = not effects and 0 < lacking < policy.missing_floor
        assert found.shown[row, 0] == (not carried and not few)
        # What follows a score test is judged alike.
        judged = below(alleles[row, :4], policy.association_floor, policy).any()
        assert (judged, alleles[row, 4]) == (carried, lacking)
    for item in fields(found):
        if item.metadata["gate"] in ("association", "missing"):
            assert not getattr(found, item.name)[~found.shown[:, 0]].any(), item.name
    total = published(part, policy, None)
    np.testing.assert_array_equal(total.shown, found.shown)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from((0.0, 0.05, 0.3)), st.integers(0, 2**32 - 1), policies())
def test_sums_of_dosages_where_some_are_haploid(missing, seed, policy):
    """Floors count alleles of both, and people of each ploidy."""
    policy = policy.model_copy(update={"min_people": min(policy.min_people, 25)})
    dosage = drawn(missing, seed)
    haploid = np.arange(PEOPLE) % 2 == 0
    part = dosages.summarize_haploid(
        simulate.haploid_dense(dosage, haploid), np.zeros(PEOPLE, int), 1, haploid
    )
    for found in (
        RULES[dosages.HaploidDosageCounts](part, policy, Facts(people=PEOPLE))[0],
        published(part, policy, None),
    ):
        for row in range(ROWS):
            tails, people, classes = np.zeros((2, 2)), [], []
            for single in (True, False):
                known = dosage[row][(haploid == single) & (dosage[row] >= 0)]
                calls = oracle.hard_calls(known)
                calls = calls[(calls >= 0) & ~(single & (calls == 1))]
                for place, values in enumerate((known, calls)):
                    alleles = np.array([values.sum(), (2 - values).sum()])
                    tails[:, place] += alleles / 2 if single else alleles
                people += [known.size, calls.size]
                possible = (0, 2) if single else (0, 1, 2)
                classes += [int((calls == copies).sum()) for copies in possible if known.size]
            few = any(0 < size < policy.min_people for size in people)
            for copies, certain in tails:
                few |= small(copies, policy.allele_floor, policy)
                few |= copies > 0 and certain < policy.allele_floor
            uncertain = sum(people[::2]) > sum(people[1::2])
            rare = any(
                small(size, policy.genotype_floor, policy)
                or (uncertain and size < policy.genotype_floor)
                for size in classes
            )
            shown = found.alleles_shown[row, 0], found.genotypes_shown[row, 0]
            assert shown == (not few, not few and not rare)
        for item in fields(found):
            hidden = {"alleles": ~found.alleles_shown, "genotypes": ~found.genotypes_shown}
            if item.metadata["gate"] in hidden and item.name != "lost":
                assert not getattr(found, item.name)[hidden[item.metadata["gate"]]].any(), item.name


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("carriers", [9, 10, 19, 20])
@pytest.mark.parametrize("exchanged", [False, True])
def test_few_males_who_carry_an_allele_are_not_told_by_counting_twice(halved, carriers, exchanged):
    """Whichever allele, and however their dosages count: as hard calls on X are judged."""
    people = 200
    haploid = np.arange(people) < 100
    dosage = np.zeros((1, people))
    dosage[0, :carriers] = 2.0
    dosage = 2 - dosage if exchanged else dosage
    block = simulate.haploid_dense(dosage, haploid, halved=halved)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, people, 1))
    design = linear.design(x, y, site_effects=True)
    group = Facts(people=people, leverage=0.1, halved=100 * halved)
    known = Facts(people=people, groups=(group,), haploid=True)
    part = linear.summarize_mean(block, design, linear.DosageMeanSums)
    found, _ = RULES[linear.DosageMeanSums](part, DEFAULT, known)
    # The floor is doubled: at 0 and 2 a male counts as two, at 0 and 1 as one.
    counted = carriers if halved else 2 * carriers
    assert found.shown.item() == (counted >= 2 * DEFAULT.association_floor)


def test_what_follows_a_score_test_is_judged_alike_where_some_are_haploid():
    """Else a row that was shown would be refused, or the other way round."""
    people = 200
    haploid = np.arange(people) % 2 == 0
    y = (np.arange(people) % 4 < 2).astype(float)[:, None]
    halved = np.array([[50, 50]])
    rng = np.random.default_rng(2)
    dosage = np.where(rng.random((80, people)) < rng.beta(0.5, 2, (80, 1)), 2.0, 0.0)
    dosage[::2] = np.clip(dosage[::2] + rng.choice([0, 0.02, -0.02], (40, people)), 0, 2)
    dosage[1::4] = 2 - dosage[1::4]
    block = simulate.haploid_dense(dosage, haploid, halved=True)
    design = logistic.design(np.empty((people, 0)), y, site_effects=True)
    fitted = logistic.fit_people(design, np.zeros((1, design.width)))
    classes = (Facts(people=100, halved=50), Facts(people=100, halved=50))
    trait = Facts(people=people, leverage=0.1, groups=classes, weighing=people)
    known = Facts(people=people, groups=(trait,), haploid=True)
    part = logistic.summarize_score(block, fitted, logistic.DosageScoreSums)
    found, _ = RULES[logistic.DosageScoreSums](part, DEFAULT, known)
    alleles = logistic.fewest_alleles(block, np.zeros(80, np.int64), design, halved, dosages=True)[
        :, :4
    ]
    judged = below(alleles, 2 * DEFAULT.association_floor, DEFAULT).any(axis=1)
    np.testing.assert_array_equal(found.shown[:, 0], ~judged)
    assert 0 < found.shown.sum() < 80


def test_few_people_are_refused():
    dosage = drawn(0.0, 1)[:, : DEFAULT.min_people - 1]
    part = dosages.summarize(simulate.dense(dosage), np.zeros(dosage.shape[1], int), 1)
    with pytest.raises(Refused, match="fewer than"):
        RULES[dosages.DosageCounts](part, DEFAULT, Facts())
    for kind in SUMMARIZE:
        with pytest.raises(Refused, match="fewer than"):
            RULES[kind](row_sums(kind, dosage), DEFAULT, facts(dosage.shape[1]))
