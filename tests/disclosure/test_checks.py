"""What a rule lets out can be shown to anybody: judged here as an attacker would, cell by cell."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from genome_eu.disclosure import Facts, Policy, load_policy
from genome_eu.disclosure.rules import RULES, filters, logistic, scores, wgr
from genome_eu.errors import Refused
from genome_eu.stats.counts import GenotypeCounts, GroupSizes, HaploidCounts, group_sizes
from genome_eu.stats.dosages import DOSAGE_COUNTS
from genome_eu.stats.ld import FilledSums, PairwiseSums
from genome_eu.stats.linear import DOSAGE_SUMS, CompleteSums, DesignSums, MeanSums, RawSums
from genome_eu.stats.pca import ProjectionSums, ScoreMoments
from genome_eu.stats.traits import TraitMoments
from genome_eu.stats.variants import VariantList

DEFAULT = load_policy("default")


def policies() -> st.SearchStrategy[Policy]:
    return st.builds(
        lambda **floors: DEFAULT.model_copy(update=floors),
        min_people=st.integers(1, 12),
        allele_floor=st.integers(0, 14),
        genotype_floor=st.integers(0, 8),
        association_floor=st.integers(0, 14),
        missing_floor=st.integers(0, 8),
        show_zero=st.booleans(),
    )


def small(value: int, floor: int, policy: Policy) -> bool:
    """The definition of too small to be shown."""
    return (0 < value < floor) or (value == 0 < floor and not policy.show_zero)


# -- genotype counts ---------------------------------------------------------------------------


@st.composite
def tallies(draw) -> tuple[GenotypeCounts, GenotypeCounts | None]:
    """Counts of everybody and of groups that do not overlap, and of the people in none."""
    rows, groups = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    people = [draw(st.integers(0, 40)) for _ in range(groups + 1)]
    if groups and draw(st.booleans()):
        people[-1] = 0
    cuts = draw(hnp.arrays(np.int64, (rows, groups + 1, 3), elements=st.integers(0, 40)))
    cuts = np.sort(np.minimum(cuts, np.array(people)[:, None]), axis=2)
    ends = np.concatenate(
        [np.zeros((rows, groups + 1, 1), int), cuts, np.tile(people, (rows, 1))[..., None]], axis=2
    )
    genotypes = np.diff(ends, axis=2)  # hom-ref, het, hom-alt, missing
    whole = np.concatenate([genotypes.sum(axis=1, keepdims=True), genotypes], axis=1)
    sizes = np.array([sum(people), *people])
    every = GenotypeCounts(
        people=sizes,
        called=whole[..., :3].sum(axis=2),
        allele_count=whole[..., 1] + 2 * whole[..., 2],
        het=whole[..., 1],
        hom_alt=whole[..., 2],
        alleles_shown=np.ones(whole.shape[:2], bool),
        genotypes_shown=np.ones(whole.shape[:2], bool),
    )
    last = slice(groups + 1, None)
    return every.select(slice(groups + 1)), every.select(last) if sizes[-1] and groups else None


def passed(
    part: GenotypeCounts, hidden: GenotypeCounts | None, policy: Policy
) -> GenotypeCounts | None:
    facts = Facts(
        people=int(part.people[0]),
        hidden_people=int(hidden.people[0]) if hidden is not None else 0,
        hidden_counts=hidden,
    )
    try:
        return RULES[GenotypeCounts](part, policy, facts)[0]
    except Refused:
        assert part.people[0] < policy.min_people
        return None


def alleles_too_small(ac: int, an: int, policy: Policy) -> bool:
    floor = policy.allele_floor
    return small(ac, floor, policy) or small(an - ac, floor, policy)


def classes_too_small(counts: GenotypeCounts, cell: tuple[int, int], policy: Policy) -> bool:
    classes = (counts.hom_ref[cell], counts.het[cell], counts.hom_alt[cell])
    return any(small(int(value), policy.genotype_floor, policy) for value in classes)


@given(tallies(), policies())
@settings(max_examples=300, deadline=None)
def test_no_shown_number_of_a_nonempty_group_is_below_a_floor(counted, policy):
    out = passed(*counted, policy)
    assume(out is not None)
    for cell in np.ndindex(out.called.shape):
        if not counted[0].people[cell[1]]:
            continue
        if out.alleles_shown[cell]:
            ac, an = int(out.allele_count[cell]), int(out.allele_number[cell])
            assert not alleles_too_small(ac, an, policy)
        if out.genotypes_shown[cell]:
            assert out.alleles_shown[cell]
            assert not classes_too_small(out, cell, policy)


@given(tallies(), policies())
@settings(max_examples=300, deadline=None)
def test_shown_numbers_are_the_true_ones_and_withheld_ones_are_zero(counted, policy):
    part, hidden = counted
    out = passed(part, hidden, policy)
    assume(out is not None)
    for item in fields(GenotypeCounts):
        flag = {"alleles": out.alleles_shown, "genotypes": out.genotypes_shown}.get(
            item.metadata["gate"]
        )
        if flag is not None:
            truth = getattr(part, item.name)
            np.testing.assert_array_equal(getattr(out, item.name), np.where(flag, truth, 0))


@given(tallies(), policies())
@settings(max_examples=300, deadline=None)
def test_if_one_group_fails_all_of_its_siblings_fall_with_it(counted, policy):
    part, hidden = counted
    out = passed(part, hidden, policy)
    assume(out is not None)
    nonempty = np.flatnonzero(part.people[1:] > 0) + 1
    for flag in (out.alleles_shown, out.genotypes_shown):
        assert all(len(set(row[nonempty])) <= 1 for row in flag)


@given(tallies(), policies())
@settings(max_examples=300, deadline=None)
def test_a_number_is_withheld_only_where_the_policy_asks_for_it(counted, policy):
    """The other half of the rule: written as the definition, so that nothing is lost for free."""
    part, hidden = counted
    out = passed(part, hidden, policy)
    assume(out is not None)
    sizes = [int(one) for one in part.people[1:]]
    sizes += [int(hidden.people[0])] if hidden is not None else []
    group_too_small = any(0 < one < policy.min_people for one in sizes)
    for row in range(part.rows):
        fails = {}
        cells = [(part, (row, group)) for group in range(part.people.size)]
        cells += [(hidden, (row, 0))] if hidden is not None else []
        for number, (counts, cell) in enumerate(cells):
            if not counts.people[cell[1]]:
                continue
            ac, an = int(counts.allele_count[cell]), int(counts.allele_number[cell])
            alleles = alleles_too_small(ac, an, policy)
            fails[number] = alleles, alleles or classes_too_small(counts, cell, policy)
        for place, flag in enumerate((out.alleles_shown, out.genotypes_shown)):
            assert flag[row, 0] == (not fails.get(0, (False, False))[place])
            siblings = group_too_small or any(
                failed[place] for number, failed in fails.items() if number
            )
            for group in range(1, part.people.size):
                if part.people[group]:
                    # Classes need their alleles, and a group its siblings; never more.
                    assert flag[row, group] == (not siblings)


@given(tallies(), policies())
@settings(max_examples=300, deadline=None)
def test_people_in_no_group_cannot_be_found_by_subtraction(counted, policy):
    part, hidden = counted
    out = passed(part, hidden, policy)
    assume(out is not None)
    assume(out.people.size > 1)
    if out.people[1:].any():
        rest = int(out.people[0] - out.people[1:].sum())
        assert not 0 < rest < policy.min_people
    for row in range(part.rows):
        for flag, names in (
            (out.alleles_shown, ("allele_count", "called")),
            (out.genotypes_shown, ("hom_ref", "het", "hom_alt")),
        ):
            if not flag[row].all():
                continue
            left = {
                name: int(getattr(out, name)[row, 0] - getattr(out, name)[row, 1:].sum())
                for name in names
            }
            if hidden is None:
                assert not any(left.values())
            elif "called" in left:
                assert not alleles_too_small(left["allele_count"], 2 * left["called"], policy)
            else:
                for value in left.values():
                    assert not small(value, policy.genotype_floor, policy)


@given(tallies(), policies())
@settings(max_examples=200, deadline=None)
def test_sizes_of_groups_vanish_when_one_of_them_is_small(counted, policy):
    part, hidden = counted
    out = passed(part, hidden, policy)
    assume(out is not None)
    sizes = list(part.people[1:]) + ([hidden.people[0]] if hidden is not None else [])
    if any(0 < one < policy.min_people for one in sizes):
        assert not out.people[1:].any()
    else:
        np.testing.assert_array_equal(out.people, part.people)


@given(tallies(), policies())
@settings(max_examples=100, deadline=None)
def test_a_rule_never_changes_what_it_was_given(counted, policy):
    part, hidden = counted
    before = {item.name: getattr(part, item.name).copy() for item in fields(part)}
    passed(part, hidden, policy)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(part, name), value)


def one_row(*groups: tuple[int, int, int, int], policy: Policy = DEFAULT) -> GenotypeCounts:
    """One row; a group is (hom-ref, het, hom-alt, missing). Everybody comes first."""
    each = np.array(groups)
    whole = np.vstack([each.sum(axis=0), each])[None]
    part = GenotypeCounts(
        people=whole[0].sum(axis=1),
        called=whole[..., :3].sum(axis=2),
        allele_count=whole[..., 1] + 2 * whole[..., 2],
        het=whole[..., 1],
        hom_alt=whole[..., 2],
        alleles_shown=np.ones(whole.shape[:2], bool),
        genotypes_shown=np.ones(whole.shape[:2], bool),
    )
    out = passed(part, None, policy)
    assert out is not None
    return out


@pytest.mark.parametrize(
    ("group", "shown"),
    [
        ((50, 0, 0, 0), True),  # nobody carries it
        ((49, 1, 0, 0), False),  # one carrier
        ((41, 9, 0, 0), False),  # nine alleles
        ((40, 10, 0, 0), True),  # ten
        ((0, 10, 40, 0), True),  # ten of the other allele
        ((0, 9, 41, 0), False),  # nine of it
        ((0, 0, 50, 0), True),  # nobody lacks it
        ((0, 0, 0, 50), True),  # nobody is called
    ],
)
def test_both_tails_of_the_allele_floor_where_they_lie(group, shown):
    assert bool(one_row(group).alleles_shown[0, 0]) is shown


@pytest.mark.parametrize(
    ("group", "shown"),
    [((30, 15, 5, 0), True), ((30, 16, 4, 0), False), ((4, 16, 30, 0), False)],
)
def test_genotype_classes_are_shown_together_or_not_at_all(group, shown):
    out = one_row(group)
    assert bool(out.genotypes_shown[0, 0]) is shown
    assert out.alleles_shown[0, 0]
    assert (int(out.het[0, 0]) > 0) is shown


def test_an_empty_group_neither_falls_nor_makes_its_siblings_fall():
    strict = DEFAULT.model_copy(update={"show_zero": False})
    for policy in (DEFAULT, strict):
        out = one_row((20, 20, 20, 0), (0, 0, 0, 0), policy=policy)
        assert out.alleles_shown.all()
        assert out.genotypes_shown.all()


@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    hidden=st.integers(0, 30),
    policy=policies(),
)
def test_names_of_groups_vanish_when_any_group_is_small(sizes, hidden, policy):
    total = sum(sizes) + hidden
    names = [f"group{number}" for number in range(len(sizes))]
    part = group_sizes(names, np.array(sizes), total)
    facts = Facts(people=total, hidden_people=hidden)
    if total < policy.min_people:
        with pytest.raises(Refused, match=f"fewer than {policy.min_people} people"):
            RULES[GroupSizes](part, policy, facts)
        return
    out, evidence = RULES[GroupSizes](part, policy, facts)
    if any(0 < one < policy.min_people for one in [*sizes, hidden]):
        assert (out.names, out.people.size, out.labels.size) == ([], 0, 0)
        assert evidence[1].verdict == "withheld"
    else:
        assert out.names == names
        assert not 0 < total - int(out.people.sum()) < policy.min_people


# -- sums of an association --------------------------------------------------------------------

KINDS = (MeanSums, RawSums, CompleteSums)


def of_groups(*groups: Facts) -> Facts:
    """What the checks know of a linear model: each group of its traits by itself."""
    return Facts(people=max(group.people for group in groups), groups=groups)


def row_sums(kind: type, called: NDArray, ac: NDArray, columns: int = 1) -> MeanSums:
    """Row sums in which every number that may be withheld is 7, so that withholding shows.

    `called` and `ac` have shape (rows, groups), or (rows,) for one group. Each group has two
    traits, side by side with those of the others.
    """
    called, ac = called.reshape(len(called), -1), ac.reshape(len(ac), -1)
    groups = called.shape[1]
    sizes = {"rows": len(called), "groups": groups, "covariates": columns, "traits": 2 * groups}
    values = {
        "called": called,
        "allele_count": ac,
        "shown": np.ones(called.shape, bool),
        "trait_group": np.tile(np.arange(groups), 2),
    }
    for item in fields(kind):
        if item.name not in values:
            shape = tuple(sizes[name] for name in item.metadata["dims"])
            values[item.name] = np.full(shape, 7, item.metadata["dtype"])
    return kind(**values)


@st.composite
def rows_tested(draw) -> tuple[NDArray, NDArray, NDArray]:
    """People of some groups; called people and copies of ALT by row and group."""
    groups, rows = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    people = draw(hnp.arrays(np.int64, groups, elements=st.integers(12, 60)))
    missing = draw(hnp.arrays(np.int64, (rows, groups), elements=st.integers(0, 12)))
    called = people - missing
    ac = draw(hnp.arrays(np.int64, (rows, groups), elements=st.integers(0, 120)))
    return people, called, np.minimum(ac, 2 * called)


@pytest.mark.parametrize("kind", KINDS)
@given(tested=rows_tested(), policy=policies())
@settings(max_examples=150, deadline=None)
def test_sums_of_a_row_leave_whole_or_not_at_all_for_each_group_by_itself(kind, tested, policy):
    people, called, ac = tested
    part = row_sums(kind, called, ac)
    policy = policy.model_copy(update={"max_parameters_per_person": 1.0})
    out, _ = RULES[kind](part, policy, of_groups(*(Facts(people=int(size)) for size in people)))
    for row, group in np.ndindex(called.shape):
        minor = any(
            small(int(value), policy.association_floor, policy)
            for value in (ac[row, group], 2 * called[row, group] - ac[row, group])
        )
        absent = int(people[group] - called[row, group])
        few_missing = 0 < absent < policy.missing_floor and kind is not MeanSums
        shown = bool(out.shown[row, group])
        assert shown is not (minor or few_missing)
        places = {"rows": row, "groups": group, "traits": part.trait_group == group}
        for item in fields(kind):
            if item.name not in ("shown", "trait_group"):
                here = tuple(places.get(name, slice(None)) for name in item.metadata["dims"])
                value, truth = getattr(out, item.name)[here], getattr(part, item.name)[here]
                np.testing.assert_array_equal(value, truth if shown else 0 * truth)


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_a_row_is_under_a_gate_that_is_withheld(kind):
    gates = {
        item.metadata["gate"]
        for item in fields(kind)
        if "rows" in item.metadata["dims"] and item.name != "shown"
    }
    assert gates <= {"association", "missing"}


def test_the_imputing_sums_have_no_term_over_missing_calls():
    names = {item.name for item in fields(MeanSums)}
    assert not names & {"missing", "mx", "my", "xx", "xy", "yy"}


@pytest.mark.parametrize(("missing", "shown"), [(0, True), (1, False), (4, False), (5, True)])
@pytest.mark.parametrize("kind", [RawSums, CompleteSums])
def test_terms_over_missing_calls_need_no_one_or_five(kind, missing, shown):
    part = row_sums(kind, np.array([50 - missing]), np.array([30]))
    out, evidence = RULES[kind](part, DEFAULT, of_groups(Facts(people=50)))
    assert bool(out.shown[0, 0]) is shown
    verdict = {item.check: item.verdict for item in evidence}["missing calls"]
    assert verdict == ("pass" if shown else "withheld")


# -- models ------------------------------------------------------------------------------------


def design_sums(people: int, columns: int) -> DesignSums:
    return DesignSums(
        people=np.array([people]),
        intercepts=np.ones(1, int),
        xx=np.eye(columns)[None],
        xy=np.zeros((columns, 1)),
        yy=np.ones(1),
        trait_group=np.zeros(1, int),
    )


def trait_moments(people: int, covariate_people: int) -> TraitMoments:
    return TraitMoments(
        trait_people=np.array([people]),
        trait_sum=np.zeros(1),
        trait_square=np.ones(1),
        covariate_people=np.array(covariate_people),
        covariate_sum=np.zeros(1),
        covariate_square=np.ones(1),
        pattern=np.zeros(1, int),
    )


@pytest.mark.parametrize("columns", [0, 9, 15, 16, 30])
@pytest.mark.parametrize("statistic", ["design", *KINDS])
def test_parameters_are_few_for_the_people_of_a_model(statistic, columns):
    """16 covariates and the dosage are 17 parameters: more than 0.33 × 50."""
    if statistic == "design":
        part = design_sums(50, columns)
    else:
        part = row_sums(statistic, np.array([50]), np.array([40]), columns)
    rule, facts = RULES[type(part)], of_groups(Facts(people=50))
    if columns + 1 <= 0.33 * 50:
        rule(part, DEFAULT, facts)
    else:
        with pytest.raises(Refused, match=rf"{columns + 1} parameters are more than 0\.33 per"):
            rule(part, DEFAULT, facts)


@pytest.mark.parametrize("smallest", [None, 1, 4, 5, 30])
@pytest.mark.parametrize("statistic", ["moments", "design", *KINDS])
def test_no_column_of_a_model_sets_few_people_apart(statistic, smallest):
    """In whichever round: a coordinator need not ask for the design before the rows."""
    if statistic == "moments":
        part = trait_moments(50, 50)
    elif statistic == "design":
        part = design_sums(50, 2)
    else:
        part = row_sums(statistic, np.array([50]), np.array([40]))
    rule, facts = RULES[type(part)], Facts(people=50, smallest_class=smallest)
    if statistic != "moments":
        facts = of_groups(facts)
    if smallest is None or smallest >= 5:
        rule(part, DEFAULT, facts)
    else:
        with pytest.raises(Refused, match="a class of fewer than 5 people .*leave it out"):
            rule(part, DEFAULT, facts)


@pytest.mark.parametrize("statistic", ["design", *KINDS])
def test_no_combination_of_columns_is_one_person(statistic):
    part = design_sums(50, 2)
    if statistic != "design":
        part = row_sums(statistic, np.array([50]), np.array([40]))
    rule = RULES[type(part)]
    rule(part, DEFAULT, of_groups(Facts(people=50, leverage=0.5)))
    for leverage in (0.51, 1.0):
        with pytest.raises(Refused, match=r"one person a leverage of more than 0\.5"):
            rule(part, DEFAULT, of_groups(Facts(people=50, leverage=leverage)))
    rule(part, load_policy("open-data"), of_groups(Facts(people=50, leverage=1.0)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (Facts(people=9), "fewer than 10 people"),
        (Facts(people=11), r"4 parameters are more than 0\.33 per person"),
        (Facts(people=50, smallest_class=4), "a class of fewer than 5 people"),
        (Facts(people=50, leverage=0.6), r"a leverage of more than 0\.5"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_one_group_that_fails_is_not_covered_by_the_others(kind, bad, match, place):
    good = Facts(people=50, smallest_class=20, leverage=0.2)
    part = row_sums(kind, np.full((1, 2), 50), np.full((1, 2), 40), columns=3)
    facts = of_groups(*(bad if group == place else good for group in range(2)))
    with pytest.raises(Refused, match=match):
        RULES[kind](part, DEFAULT, facts)
    out, _ = RULES[kind](part, DEFAULT, of_groups(good, good))
    assert out.shown.all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_without_anybody_here_hides_nothing(kind):
    part = row_sums(kind, np.array([[50, 0]]), np.array([[40, 0]]))
    facts = of_groups(Facts(people=50, smallest_class=20), Facts(people=0))
    _, evidence = RULES[kind](part, DEFAULT, facts)
    assert {"covariate class", "leverage"} <= {item.check for item in evidence}


@pytest.mark.parametrize("statistic", ["design", *KINDS])
@pytest.mark.parametrize("groups", [0, 2])
def test_groups_that_were_not_counted_are_refused(statistic, groups):
    part = design_sums(50, 2)
    if statistic != "design":
        part = row_sums(statistic, np.array([50]), np.array([40]))
    with pytest.raises(Refused, match="people of a linear model were not counted"):
        RULES[type(part)](
            part, DEFAULT, Facts(people=50, groups=tuple(Facts(people=50) for _ in range(groups)))
        )


@pytest.mark.parametrize(
    ("part", "facts"),
    [
        (group_sizes(["all"], np.array([9]), 9), Facts(people=9)),
        (design_sums(9, 0), of_groups(Facts(people=9))),
        (row_sums(MeanSums, np.array([9]), np.array([9])), of_groups(Facts(people=9))),
        (row_sums(RawSums, np.array([9]), np.array([9])), of_groups(Facts(people=9))),
        (row_sums(CompleteSums, np.array([9]), np.array([9])), of_groups(Facts(people=9))),
        (trait_moments(9, 50), Facts(people=9)),
        (trait_moments(50, 9), Facts(people=9)),
        (
            ProjectionSums(people=np.array(9), projected=np.ones((1, 1))),
            Facts(people=9, minor_alleles=np.array([9])),
        ),
        (
            ScoreMoments(
                people=np.array(9),
                score_sum=np.zeros(1),
                score_square=np.zeros(1),
                components=np.array(1),
            ),
            Facts(people=9, minor_alleles=np.array([10])),
        ),
        (
            VariantList(
                text=np.zeros(0, np.uint8),
                rows_listed=np.array(0),
                rows_withheld=np.array(0),
                rows_total=np.array(0),
                build=np.array(0),
            ),
            Facts(people=9),
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, Facts) else "",
)
def test_fewer_than_ten_people_are_never_described(part, facts):
    with pytest.raises(Refused, match=r"fewer than 10 people would be described \(policy default"):
        RULES[type(part)](part, DEFAULT, facts)


def test_every_statistic_is_refused_for_one_person_or_has_no_people():
    """So that a new rule without a check on people is noticed."""
    covered = {GroupSizes, GenotypeCounts, DesignSums, *KINDS, TraitMoments}
    covered |= {PairwiseSums, FilledSums}  # tests/disclosure/test_pairs.py
    covered |= {*DOSAGE_COUNTS, *DOSAGE_SUMS}  # tests/disclosure/test_dosages.py
    covered |= set(logistic.RULES)  # tests/disclosure/test_logistic.py
    covered |= set(wgr.RULES)  # tests/disclosure/test_wgr.py
    covered |= {HaploidCounts}  # tests/disclosure/test_ploidy.py
    covered |= set(scores.RULES)  # tests/disclosure/test_scores.py
    covered |= set(filters.RULES)  # tests/federation/test_filters.py
    assert covered | {ProjectionSums, ScoreMoments, VariantList} == set(RULES)


# -- principal components ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ProjectionSums, ScoreMoments])
@pytest.mark.parametrize(("minor", "leaves"), [(0, True), (1, False), (9, False), (10, True)])
def test_no_row_below_the_floor_goes_into_a_projection_or_a_score(kind, minor, leaves):
    part = (
        ProjectionSums(people=np.array(50), projected=np.ones((2, 1)))
        if kind is ProjectionSums
        else ScoreMoments(
            people=np.array(50),
            score_sum=np.zeros(1),
            score_square=np.zeros(1),
            components=np.array(1),
        )
    )
    facts = Facts(people=50, minor_alleles=np.array([40, minor]))
    if leaves:
        RULES[kind](part, DEFAULT, facts)
    else:
        with pytest.raises(Refused, match="below the allele floor of 10"):
            RULES[kind](part, DEFAULT, facts)
    with pytest.raises(Refused, match="were not counted"):
        RULES[kind](part, DEFAULT, replace(facts, minor_alleles=None))


def test_refusals_and_evidence_never_hold_the_value_that_failed():
    """Messages of two answers that fail by different values are the same."""
    said = []
    for people, smallest in ((3, 1), (9, 4)):
        for part, facts in (
            (design_sums(people, 0), of_groups(Facts(people=people))),
            (design_sums(50, 1), of_groups(Facts(people=50, smallest_class=smallest))),
            (trait_moments(people, 50), Facts()),
        ):
            with pytest.raises(Refused) as refusal:
                RULES[type(part)](part, DEFAULT, facts)
            said.append(str(refusal.value))
    assert said[:3] == said[3:]
    assert not any(first == second for first, second in pairwise(said[:3]))
