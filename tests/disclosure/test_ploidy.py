"""What leaves of genotype counts where some people have one copy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from genome_eu.disclosure import load_policy
from genome_eu.disclosure.checks import Facts
from genome_eu.disclosure.rules import PUBLISHED, RULES
from genome_eu.stats.counts import HaploidCounts
from genome_eu.stats.linear import MeanSums
from tests.disclosure.test_checks import policies, small

CLASSES = ("hom_ref", "het", "hom_alt", "hap_ref", "hap_alt")


@st.composite
def tallies(draw) -> HaploidCounts:
    """Genotypes of everybody, of some groups and, last, of the people in none."""
    rows, groups = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    # hom-ref, het, hom-alt, hap-ref, hap-alt, missing.
    shape = (rows, groups, 6)
    numbers = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 25)))
    # People of a group are the same in every row: what is not called is missing.
    people = numbers.sum(axis=2).max(axis=0)
    numbers[..., 5] += people - numbers.sum(axis=2)
    whole = np.concatenate([numbers.sum(axis=1, keepdims=True), numbers], axis=1)
    ref, het, hom, one, alt, _ = np.moveaxis(whole, 2, 0)
    shown = np.ones(ref.shape, bool)
    return HaploidCounts(
        people=np.array([people.sum(), *people]),
        called=ref + het + hom + one + alt,
        allele_count=het + 2 * hom + alt,
        het=het,
        hom_alt=hom,
        alleles_shown=shown,
        genotypes_shown=shown,
        haploid=one + alt,
        lost=np.minimum(het, 3),
    )


def passed(counted: HaploidCounts, policy):
    """What leaves of everybody and all groups but the last, which nobody asked for."""
    last = slice(counted.people.size - 1, None)
    hidden = counted.select(last) if counted.people.size > 2 else None
    facts = Facts(
        people=int(counted.people[0]),
        hidden_people=int(hidden.people[0]) if hidden is not None else 0,
        hidden_counts=hidden,
    )
    asked = counted.select(slice(counted.people.size - 1)) if hidden is not None else counted
    return RULES[HaploidCounts](asked, policy, facts)[0]


@given(tallies(), policies())
@settings(max_examples=300, deadline=None)
def test_no_shown_number_is_below_a_floor(counted, policy):
    out = passed(counted, policy)
    for cell in np.ndindex(out.called.shape):
        if not counted.people[cell[1]]:
            continue
        if out.alleles_shown[cell]:
            alleles = int(out.allele_count[cell]), int(out.allele_number[cell])
            assert not small(alleles[0], policy.allele_floor, policy)
            assert not small(alleles[1] - alleles[0], policy.allele_floor, policy)
            single = int(out.haploid[cell])
            for people in (single, int(out.called[cell]) - single):
                assert people == 0 or people >= policy.min_people
        else:
            for name in ("called", "haploid", "allele_count", "het", "hom_alt", "lost"):
                assert getattr(out, name)[cell] == 0
        if out.genotypes_shown[cell]:
            assert out.alleles_shown[cell]
            single = int(out.haploid[cell])
            of_class = (*[int(out.called[cell]) - single] * 3, single, single)
            for name, possible in zip(CLASSES, of_class, strict=True):
                number = int(getattr(out, name)[cell])
                assert not possible or not small(number, policy.genotype_floor, policy)
        else:
            assert out.het[cell] == out.hom_alt[cell] == out.lost[cell] == 0
        assert not 0 < out.lost[cell] < policy.genotype_floor


@given(tallies(), policies())
@settings(max_examples=150, deadline=None)
def test_a_group_that_is_withheld_cannot_be_had_by_subtraction(counted, policy):
    """Siblings fall together: of the groups of a row, all are shown or none that has people."""
    out = passed(counted, policy)
    groups = slice(1, None)
    with_people = counted.people[: out.people.size][groups] > 0
    for shown in (out.alleles_shown, out.genotypes_shown):
        of_groups = shown[:, groups][:, with_people]
        assert np.all(of_groups.all(axis=1) | ~of_groups.any(axis=1) | ~shown[:, 0])


@given(tallies(), policies())
@settings(max_examples=50, deadline=None)
def test_the_publisher_holds_the_total_to_the_same_floors(counted, policy):
    out = PUBLISHED[HaploidCounts](counted, policy, None)
    assert isinstance(out, HaploidCounts)
    below = (out.haploid > 0) & (out.haploid < policy.min_people)
    assert not below.any()


def test_few_people_of_the_class_are_nobody():
    none = np.zeros((2, 1), np.int64)
    flags = np.ones((2, 1), bool)
    part = HaploidCounts(
        people=np.array([9]),
        called=none + 9,
        allele_count=none + 4,
        het=none,
        hom_alt=none,
        alleles_shown=flags,
        genotypes_shown=flags,
        haploid=none + 9,
        lost=none,
    )
    out, evidence = RULES[HaploidCounts](part, load_policy("default"), Facts(people=9))
    assert out.people.tolist() == [0]
    assert not out.called.any()
    assert not out.alleles_shown.any()
    assert [(item.withheld, item.of) for item in evidence] == [(2, 2)]


@given(
    ref=hnp.arrays(np.int64, 6, elements=st.integers(0, 30)),
    lacking=hnp.arrays(np.int64, 6, elements=st.integers(0, 5)),
)
@settings(max_examples=200, deadline=None)
def test_males_with_one_copy_hide_no_rare_ref_allele(ref, lacking):
    """50 males at 0 and 1 on X, and 50 females, have `ref` REF alleles; `lacking` males no call."""
    policy = load_policy("default")
    alleles = 150 - lacking - ref
    part = MeanSums(
        called=100 - lacking[:, None],
        allele_count=alleles[:, None],
        gg=np.ones((6, 1)),
        gx=np.zeros((6, 1, 1)),
        gy=np.zeros((6, 1)),
        trait_group=np.zeros(1, int),
        shown=np.ones((6, 1), bool),
    )
    group = Facts(people=100, smallest_class=20, leverage=0.2, halved=50)
    facts = Facts(people=100, groups=(group,), haploid=True)
    out, _ = RULES[MeanSums](part, policy, facts)
    floor = 2 * policy.association_floor
    for row in range(6):
        assert not (out.shown[row, 0] and small(int(ref[row]), floor, policy))
        assert out.shown[row, 0] or ref[row] - lacking[row] < floor
