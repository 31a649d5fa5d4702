"""Limits on people, judged as an attacker would: by whom two questions set apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome_eu.disclosure import Facts
from genome_eu.disclosure.rules.filters import removed_people
from genome_eu.errors import Refused
from genome_eu.federation.bundle import MemoryArrays
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.parameters.counts import GenotypeCountsParameters
from genome_eu.federation.parameters.filters import PeopleFilters, RemovedPeopleParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.site import Site
from genome_eu.stats import variants
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.qc.removal import PERSON_REASONS, RemovedPeople
from genome_eu.stats.qc.removed import RemovedCounts, count_removed
from tests.federation.policies import NO_MEMORY, changed
from tests.federation.small_sites import make

POLICY = changed(**NO_MEMORY)
FLOOR = POLICY.min_people


@given(st.lists(st.integers(0, 25), min_size=len(PERSON_REASONS), max_size=len(PERSON_REASONS)))
def test_no_number_that_leaves_is_of_few_people(numbers):
    reason = np.repeat([-1, *range(len(PERSON_REASONS))], [50, *numbers]).astype(np.int8)
    part = count_removed(RemovedPeople(np.ones(reason.size, bool), reason))
    found, _ = removed_people(part, POLICY, Facts(people=50))
    shown = [int(found.total), *found.removed.tolist()]
    assert all(number == 0 or number >= FLOOR for number in shown)
    if not found.reasons_shown:
        assert not found.removed.any()
    if not found.total_shown:
        assert found.total == 0
        assert not found.reasons_shown
    # What was withheld is not what others leave of the total, either.
    if found.total_shown and not found.reasons_shown:
        assert found.total == sum(numbers)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("limits"), "ES", people=60)


@pytest.fixture
def site(made) -> Site:
    return Site.open("ES", made.store, POLICY)


def asked(site: Site, limits: PeopleFilters, kind: type = GenotypeCounts) -> None:
    inputs, parameters, rows = {}, RemovedPeopleParameters(), 0
    if kind is GenotypeCounts:
        parameters = GenotypeCountsParameters(by=(), groups=())
        inputs = {"panel": variants.encode(site.store.names(site.own_rows[40:42]))}
        rows = 2
    ask = Ask(kind, parameters, inputs, rows)
    plan = ask.plan("study", 0, (site.name,), 8192, people=limits)
    site.release(plan, inputs, MemoryArrays())


def limits_of(site: Site) -> tuple[np.ndarray, list[PeopleFilters]]:
    """Limits on F, and how many people each removes: at least so many more than the one before."""
    f, people = np.unique(site.measures().f, return_counts=True)
    between = np.append(-1.0, (f[:-1] + f[1:]) / 2)
    removed = np.append(0, np.cumsum(people)[:-1])
    return removed, [PeopleFilters(min_f=float(least)) for least in between]


def apart(site: Site, least: int, most: int, start: int = 0) -> tuple[PeopleFilters, PeopleFilters]:
    """Two limits that leave two sets of people, of which so many are in one only."""
    removed, limits = limits_of(site)
    for one, first in enumerate(removed):
        for other, second in enumerate(removed):
            if first >= start and least <= second - first <= most and second <= 45:
                return limits[one], limits[other]
    raise AssertionError("no such limits")


@pytest.mark.parametrize(
    "kinds", [(GenotypeCounts, GenotypeCounts), (RemovedCounts, RemovedCounts)]
)
@pytest.mark.parametrize("start", [0, 12])
@pytest.mark.parametrize("larger_first", [True, False])
def test_two_limits_that_set_a_few_apart_are_not_both_answered(site, kinds, start, larger_first):
    first, second = apart(site, 1, POLICY.differencing_floor - 1, start)[
        :: 1 if larger_first else -1
    ]
    asked(site, first, kinds[0])
    with pytest.raises(Refused, match="its people differ from those of an earlier answer"):
        asked(site, second, kinds[1])
    asked(site, first, kinds[1])


@pytest.mark.parametrize("start", [0, 12])
def test_limits_that_set_enough_people_apart_are(site, start):
    for limits in apart(site, POLICY.differencing_floor, 20, start):
        asked(site, limits)


def test_limits_do_not_bring_a_group_below_the_least(site):
    removed, limits = limits_of(site)
    strictest = next(place for place, number in enumerate(removed) if number > 60 - FLOOR)
    with pytest.raises(Refused, match="fewer than 10 people would be described"):
        asked(site, limits[strictest])


def test_limits_that_remove_nobody_are_the_same_people(site):
    asked(site, PeopleFilters())
    asked(site, limits_of(site)[1][0])


def test_one_person_less_is_told_by_what_releases_span(made, tmp_path):
    """Also where the policy lets sets of people differ by as few as it likes."""
    policy = changed(**NO_MEMORY | {"max_rank_per_person": 1.0}, differencing_floor=0)
    one = Site.open("ES", made.store, policy, state=SiteState(tmp_path))
    asked(one, PeopleFilters())
    fewer = np.arange(60) != 7
    other = Site.open("ES", made.store, policy, people=fewer, state=SiteState(tmp_path))
    with pytest.raises(Refused, match="earlier answers together"):
        asked(other, PeopleFilters())
