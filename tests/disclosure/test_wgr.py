"""What leaves of a whole-genome regression is judged fold by fold."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from genome_eu.disclosure import Facts, load_policy
from genome_eu.disclosure.budget import Budget
from genome_eu.disclosure.rules import wgr
from genome_eu.errors import Refused
from genome_eu.federation.answers.wgr.binary import _effective
from genome_eu.federation.answers.wgr.folds import leverage_of
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.stats import ridge
from genome_eu.stats.aggregate import Aggregate

POLICY = load_policy("default")
FOLDS, PEOPLE = 3, 60
SIZES = {"rows": 5, "folds": FOLDS, "block": 5, "covariates": 2, "traits": 1, "predictors": 6}
SIZES |= {"fits": 4, "chromosomes": 3, "groups": 1}


def made(kind: type[Aggregate], **changes: Any) -> Any:
    """An aggregate of the people of three folds, with nothing that is below a floor."""
    values: dict[str, Any] = {}
    for item in fields(kind):
        shape = tuple(SIZES[name] for name in item.metadata["dims"])
        values[item.name] = np.ones(shape, item.metadata["dtype"])
        if item.name in ("people", "called", "hard_called"):
            values[item.name] = np.full(shape, PEOPLE)
        if item.name in ("allele_count", "hard_count"):
            values[item.name] = np.full(shape, 40)
        if item.name == "trait_group":
            values[item.name] = np.zeros(shape, int)
    return kind(**values | changes)


def group(people: int = PEOPLE, **more: Any) -> Facts:
    return Facts(people=people, **more)


EVERYBODY = group(FOLDS * PEOPLE)
OF_FOLDS = Facts(
    people=FOLDS * PEOPLE,
    groups=(EVERYBODY, group(), group(), group()),
    minor_alleles=np.full(5, 40),
)
#: Each statistic with the facts of a site that may answer.
ENOUGH = {
    ridge.FoldSums: OF_FOLDS,
    ridge.CountSums: OF_FOLDS,
    ridge.BlockSums: OF_FOLDS,
    ridge.Level1Moments: OF_FOLDS,
    ridge.Level1Sums: OF_FOLDS,
    ridge.InformationSums: replace(OF_FOLDS, groups=OF_FOLDS.groups[1:]),
    ridge.GradientSums: replace(OF_FOLDS, groups=(group(),) * 7),
    ridge.ResidualSums: replace(OF_FOLDS, groups=(EVERYBODY,)),
    ridge.RidgeScoreSums: replace(OF_FOLDS, groups=(EVERYBODY,)),
    ridge.RawRidgeScoreSums: replace(OF_FOLDS, groups=(group(),)),
    ridge.DosageRidgeScoreSums: replace(OF_FOLDS, groups=(EVERYBODY,)),
    ridge.DosageRawRidgeScoreSums: replace(OF_FOLDS, groups=(group(),)),
}
KINDS = pytest.mark.parametrize("kind", ENOUGH, ids=lambda kind: kind.__name__)


def judged(kind: type[Aggregate], facts: Facts, policy=POLICY, **changes: Any) -> Any:
    return wgr.RULES[kind](made(kind, **changes), policy, facts)


def test_every_statistic_is_here():
    assert set(ENOUGH) == set(wgr.RULES) == set(wgr.PUBLISHED)


@KINDS
def test_enough_people_may_be_described(kind):
    part, evidence = judged(kind, ENOUGH[kind])
    assert isinstance(part, kind)
    assert {item.verdict for item in evidence} == {"pass"}


@KINDS
def test_a_small_fold_is_refused(kind):
    """A fold, a fit or everybody: whichever group is the smallest."""
    facts = ENOUGH[kind]
    for place in range(len(facts.groups)):
        groups = list(facts.groups)
        groups[place] = group(POLICY.min_people - 1)
        with pytest.raises(Refused, match="fewer than 10 people|parameters are more than"):
            judged(kind, replace(facts, groups=tuple(groups)))


@KINDS
def test_people_who_were_not_counted_are_refused(kind):
    with pytest.raises(Refused, match="not counted"):
        judged(kind, Facts(people=FOLDS * PEOPLE))


@pytest.mark.parametrize(
    ("kind", "dimension"),
    [(ridge.BlockSums, "block"), (ridge.Level1Sums, "predictors"), (ridge.GradientSums, "fits")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_as_many_columns_as_people_are_refused(monkeypatch, kind, dimension):
    """A Gram matrix of more rows than a third of the people would tell their genotypes."""
    monkeypatch.setitem(SIZES, dimension, 25)
    facts = ENOUGH[kind]
    if kind is ridge.GradientSums:
        facts = replace(facts, groups=(group(),) * 28)
    with pytest.raises(Refused, match=r"parameters are more than 0\.33 per person"):
        judged(kind, facts)


@pytest.mark.parametrize("kind", [ridge.BlockSums, ridge.Level1Sums])
def test_a_site_whose_people_are_in_no_fold_says_nothing_of_them(kind):
    nobody = replace(OF_FOLDS, people=30, groups=(group(0),) * (FOLDS + 1))
    assert judged(kind, nobody)[0] is not None


def test_chromosomes_left_out_are_columns_of_each_trait():
    for people, passes in ((19, True), (18, False)):
        facts = Facts(people=people, groups=(group(people),))
        if passes:
            judged(ridge.ResidualSums, facts)
        else:
            with pytest.raises(Refused, match="6 parameters are more than"):
                judged(ridge.ResidualSums, facts)
    apart = replace(OF_FOLDS, groups=(EVERYBODY,), leverage=0.9)
    with pytest.raises(Refused, match="one person a leverage of more than 0.75"):
        judged(ridge.ResidualSums, apart)


@pytest.mark.parametrize("kind", [ridge.FoldSums, ridge.BlockSums])
def test_one_person_of_a_fold_is_not_set_apart(kind):
    for unlike in ({"smallest_class": 2}, {"leverage": 0.9}):
        groups = (EVERYBODY, group(), group(**unlike), group())
        with pytest.raises(Refused, match="class of fewer than 5 people|leverage of more than"):
            judged(kind, replace(OF_FOLDS, groups=groups))


class TestRareRows:
    """Ten minor alleles in all may be one in a fold: then X'g is that person's covariates."""

    COUNTS = np.full((5, FOLDS), 40)

    def few(self, value: int) -> np.ndarray:
        counts = self.COUNTS.copy()
        counts[2, 1] = value
        return counts

    @pytest.mark.parametrize("value", [1, 9, 2 * PEOPLE - 9])
    def test_counts_are_withheld_in_all_folds(self, value):
        part, evidence = judged(ridge.CountSums, OF_FOLDS, allele_count=self.few(value))
        assert part.shown.tolist() == [True, True, False, True, True]
        assert (part.allele_count[2] == 0).all()
        assert (part.called[2] == 0).all()
        assert [item.withheld for item in evidence if "minor" in item.check] == [1]

    @pytest.mark.parametrize("value", [1, 9, 2 * PEOPLE - 9])
    def test_blocks_with_them_are_refused(self, value):
        with pytest.raises(Refused, match="fewer than 10 minor alleles in a fold"):
            judged(ridge.BlockSums, OF_FOLDS, allele_count=self.few(value))

    @pytest.mark.parametrize("kind", [ridge.Level1Sums, ridge.Level1Moments])
    def test_predictions_with_them_are_refused(self, kind):
        facts = replace(OF_FOLDS, minor_alleles=np.array([40, 3]))
        with pytest.raises(Refused, match="fewer than 10 minor alleles in a fold"):
            judged(kind, facts)

    def test_a_fold_without_people_hides_no_row(self):
        counts, called = self.COUNTS.copy(), np.full((5, FOLDS), PEOPLE)
        counts[:, 0] = called[:, 0] = 0
        facts = replace(OF_FOLDS, groups=(EVERYBODY, group(0), group(), group()))
        policy = POLICY.model_copy(update={"show_zero": False})
        part, _ = judged(ridge.CountSums, facts, policy, allele_count=counts, called=called)
        assert part.shown.all()

    def test_the_publisher_of_a_total_withholds_and_refuses_as_well(self):
        publish = wgr.PUBLISHED
        total = made(ridge.CountSums, allele_count=self.few(3))
        assert not publish[ridge.CountSums](total, POLICY, None).shown[2]
        with pytest.raises(Refused, match="minor alleles"):
            total = made(ridge.BlockSums, allele_count=self.few(3))
            publish[ridge.BlockSums](total, POLICY, None)


class TestApart:
    """Rows, or predictions, that differ in one person are that person's in every product."""

    KINDS = pytest.mark.parametrize(
        "kind", [ridge.BlockSums, ridge.Level1Sums, ridge.Level1Moments]
    )

    @KINDS
    def test_leverage_in_a_fold(self, kind):
        judged(kind, replace(OF_FOLDS, leverage=0.75))
        with pytest.raises(Refused, match=r"one person a leverage of more than 0\.75"):
            judged(kind, replace(OF_FOLDS, leverage=0.76))

    @KINDS
    @pytest.mark.parametrize(("missing", "leaves"), [(0, True), (1, False), (4, False), (5, True)])
    def test_missing_calls_that_a_plan_fills(self, kind, missing, leaves):
        facts = replace(OF_FOLDS, missing=np.array([[0, missing, 0]]))
        if leaves:
            judged(kind, facts)
            return
        with pytest.raises(Refused, match="1 to 4 people of a fold lack a call of"):
            judged(kind, facts)

    def test_rows_that_differ_in_one_person(self):
        rng = np.random.default_rng(5)
        x, fold = rng.standard_normal((PEOPLE, 2)), np.arange(PEOPLE) % FOLDS
        people = ridge.FoldedDesign(x, x[:, :1] ** 2, fold, FOLDS, site_effects=True)
        row = rng.binomial(2, 0.4, PEOPLE).astype(float)
        other = row.copy()
        assert leverage_of(people, np.column_stack([row, rng.binomial(2, 0.4, PEOPLE)])) < 0.75
        other[7] = (other[7] + 1) % 3
        assert leverage_of(people, np.column_stack([row, other])) > 0.9


class TestWeights:
    def test_people_count_by_how_much_they_weigh(self):
        assert _effective(np.ones(50)) == 50
        assert _effective(np.array([1.0, *np.zeros(49)])) == 1
        assert _effective(np.array([1.0, *np.full(49, 0.01)])) == 1
        assert _effective(np.empty(0)) == _effective(np.zeros(4)) == 0


class TestExposure:
    """What adds up: each fold by its own people, rows by the rows of their block."""

    @pytest.fixture
    def exposed(self):
        budget = Budget(None, POLICY)
        hashes = budget.hashes([f"P{number}" for number in range(PEOPLE)])
        return Exposed(budget, hashes, np.ones(PEOPLE, bool), POLICY)

    def asked(self, exposed, own, counted=False, missing=0):
        x, y = np.arange(PEOPLE)[:, None] ** 1.5, np.sqrt(np.arange(PEOPLE))[:, None]
        y[:missing] = np.nan
        return exposed.folds(
            x,
            y,
            lambda members: ridge.assign_folds(members, FOLDS),
            rows=7,
            panel="panel",
            own=own,
            counted=counted,
        )

    def test_columns_of_folds(self, exposed):
        found = self.asked(exposed, own=4)
        assert [len(one) for one in found.people] == [20, 20, 20, PEOPLE]
        # An intercept, x, y and four rows of the block in each fold.
        assert np.bincount(found.column_people).tolist() == [7, 7, 7]
        assert len(set(zip(found.columns, found.column_people, strict=True))) == 21
        assert len(self.asked(exposed, own=0, counted=True).columns) == 3

    def test_rows_of_other_people_are_other_columns(self, exposed):
        columns = set(self.asked(exposed, own=4).columns)
        assert columns == set(self.asked(exposed, own=4).columns)
        assert not columns & set(self.asked(exposed, own=4, missing=3).columns)
