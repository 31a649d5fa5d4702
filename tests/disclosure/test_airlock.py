"""The airlock fails closed: whatever it does not know for certain stays."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from genome_eu.disclosure import Airlock, Evidence, Facts, Judged, Policy, Release, load_policy
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.rules import RULES
from genome_eu.errors import BundleError, NeedsReview, Refused
from genome_eu.federation.bundle import MemoryArrays, write_answer
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, count
from genome_eu.stats.counts import GenotypeCounts, GroupSizes
from genome_eu.stats.linear import MeanSums, design
from genome_eu.stats.pca import ScoreMoments, Scores
from tests.federation.policies import changed

DEFAULT = load_policy("default")
SIXTY = np.arange(60, dtype=np.uint64)


def sizes(people: int = 60) -> GroupSizes:
    return GroupSizes(
        people_total=np.array(people),
        people=np.array([people]),
        labels=np.frombuffer(b"all", np.uint8),
    )


def judge(
    parts: Iterable[tuple[Any, Facts]],
    statistic: str = "group_sizes",
    version: int = 1,
    spool: MemoryArrays | None = None,
    *,
    door: Airlock | None = None,
    exposure: Exposure | None = None,
    plan: str = "a" * 64,
    **more: Any,
) -> Judged:
    return (door or Airlock(DEFAULT)).judge(
        parts,
        exposure or Exposure(people=(SIXTY,)),
        site="ES",
        plan=plan,
        statistic=statistic,
        version=version,
        spool=spool or MemoryArrays(),
        **more,
    )


def ask(*args: Any, policy: Policy = DEFAULT, **more: Any) -> Release:
    """What leaves: judged, and let out."""
    door = Airlock(policy)
    return door.release(judge(*args, door=door, **more))


def shown(rows: int, panel: str = "rows", people: int = 60) -> Exposure:
    """Allele counts of so many rows."""
    who = np.arange(people, dtype=np.uint64)
    return Exposure(people=(who,), columns=(b"intercept",), rows=rows, panel=panel)


def two_people_rows(rows: int, ac: int) -> GenotypeCounts:
    """`rows` rows of 60 people, all called, heterozygous as often as `ac` says."""
    counted = np.full((rows, 1), ac)
    shown = np.ones((rows, 1), bool)
    return GenotypeCounts(
        people=np.array([60]),
        called=np.full((rows, 1), 60),
        allele_count=counted,
        het=counted,
        hom_alt=0 * counted,
        alleles_shown=shown,
        genotypes_shown=shown,
    )


def test_a_sound_answer_leaves_and_says_what_was_checked():
    made = ask([(sizes(), Facts(people=60))]).judged
    assert (made.site, made.shards, made.policy, made.verdict) == ("ES", 1, "default", "pass")
    assert {item.check for item in made.evidence} == {
        "people",
        "people per group",
        "people apart within the answer",
        "people apart from earlier releases",
        "rank per person",
        "traits per person",
    }


def test_an_answer_without_evidence_is_refused():
    """The verdict starts at refuse; nothing that was not checked turns it into a pass."""
    made = replace(judge([(sizes(), Facts(people=60))]), evidence=())
    assert made.verdict == "refuse"
    for let_out in (Airlock(DEFAULT).release, lambda one: Airlock(DEFAULT).approve(one, "Ann")):
        with pytest.raises(Refused, match=r"not every check|cannot be approved"):
            let_out(made)
    odd = replace(made, evidence=(Evidence("people", 10, 0, 1, "fine"),))  # type: ignore[arg-type]
    assert odd.verdict == "refuse"


@pytest.mark.parametrize(
    "private",
    [
        Scores(np.zeros((60, 2))),
        design(np.zeros((60, 1)), np.zeros((60, 1)), site_effects=True),
    ],
    ids=["scores", "design"],
)
def test_what_is_private_stays_under_any_name(private):
    spool = MemoryArrays()
    for statistic, kind in AGGREGATES.items():
        with pytest.raises(Refused, match="is not the aggregate that the plan names"):
            ask([(private, Facts(people=60))], statistic, kind.version, spool=spool)
    assert list(spool.members()) == []


def test_private_types_have_no_rule():
    assert Scores not in RULES
    assert all(issubclass(kind, Aggregate) for kind in RULES)


def test_another_aggregate_than_the_plan_names_stays():
    part = ScoreMoments(
        people=np.array(60),
        score_sum=np.zeros(2),
        score_square=np.zeros(2),
        components=np.array(2),
    )
    with pytest.raises(Refused, match="ScoreMoments is not the aggregate that the plan names"):
        ask([(part, Facts(people=60))])


def test_a_subclass_of_the_aggregate_stays():
    @dataclass(frozen=True, eq=False)
    class MoreThanSizes(GroupSizes):
        statistic = ""

        people_by_name: Any = count("people", "names", gate="people")

    part = MoreThanSizes(*dataclasses.astuple(sizes()), people_by_name=np.arange(60))
    with pytest.raises(Refused, match="MoreThanSizes is not the aggregate"):
        ask([(part, Facts(people=60))])


@pytest.mark.parametrize("part", [None, {"people": 60}, np.arange(60), b"bytes"])
def test_what_is_no_aggregate_at_all_stays(part):
    with pytest.raises(Refused, match="is not the aggregate that the plan names"):
        ask([(part, Facts(people=60))])


def test_an_unknown_statistic_stays():
    with pytest.raises(Refused, match="statistic kinship is not installed at this site"):
        ask([(sizes(), Facts(people=60))], "kinship")


@pytest.mark.parametrize("version", [0, 2, -1])
def test_another_version_stays(version):
    with pytest.raises(Refused, match=rf"is version 1 at this site, the plan asks for .*{version}"):
        ask([(sizes(), Facts(people=60))], version=version)


def test_an_aggregate_without_a_rule_stays(monkeypatch):
    monkeypatch.delitem(RULES, GroupSizes)
    with pytest.raises(Refused, match="statistic group_sizes has no disclosure rule"):
        ask([(sizes(), Facts(people=60))])


def test_a_field_under_a_gate_that_no_rule_knows_stays(monkeypatch):
    @dataclass(frozen=True, eq=False)
    class Smuggled(Aggregate):
        people: Any = count("people", gate="people")
        pets: Any = count("pets", gate="nobody knows")

    monkeypatch.setattr(Smuggled, "statistic", "smuggled")
    monkeypatch.setitem(AGGREGATES, "smuggled", Smuggled)
    monkeypatch.setitem(RULES, Smuggled, lambda part, policy, facts: (part, []))
    part = Smuggled(people=np.array(60), pets=np.array(3))
    with pytest.raises(Refused, match=r"field smuggled\.pets has no disclosure rule"):
        ask([(part, Facts(people=60))], "smuggled")


def test_an_empty_answer_is_refused():
    with pytest.raises(Refused, match="computed nothing to release"):
        ask([])


def test_one_bad_shard_keeps_all_of_them():
    good, bad = two_people_rows(2, 20), Scores(np.zeros((60, 2)))
    with pytest.raises(Refused, match="Scores is not the aggregate"):
        ask([(good, Facts(people=60)), (bad, Facts(people=60))], "genotype_counts")


def test_a_release_is_made_by_the_airlock_only():
    with pytest.raises(Refused, match="made by the airlock only"):
        Release(**vars(ask([(sizes(), Facts(people=60))])))


@pytest.mark.parametrize("key", [object(), None, True, "key"])
def test_no_key_that_can_be_guessed_makes_a_release(key):
    with pytest.raises(Refused, match="made by the airlock only"):
        Release(**vars(ask([(sizes(), Facts(people=60))])), key=key)


def test_a_release_cannot_be_turned_into_another():
    made = ask([(sizes(), Facts(people=60))])
    with pytest.raises(Refused, match="made by the airlock only"):
        dataclasses.replace(made, approved_by="Ann")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.judged = judge([(sizes(), Facts(people=60))])
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.judged.policy = "open-data"
    assert vars(copy.copy(made)) == vars(made)


@pytest.mark.parametrize("thing", [sizes(), Scores(np.zeros((3, 1))), None, "release"])
def test_a_bundle_is_written_of_nothing_but_a_judged_answer(tmp_path, thing):
    with pytest.raises(BundleError, match="has not passed the airlock"):
        write_answer(tmp_path / "answer.tar", thing, "c" * 64)
    assert list(tmp_path.iterdir()) == []


def test_evidence_of_rows_adds_up_over_shards():
    parts = [(two_people_rows(3, 20), Facts(60)), (two_people_rows(4, 3), Facts(60))]
    found = {item.check: item for item in judge(parts, "genotype_counts").evidence}
    assert found["alleles, both tails"] == Evidence("alleles, both tails", 10, 4, 7, "withheld")
    assert found["genotype classes"] == Evidence("genotype classes", 5, 4, 7, "withheld")
    assert found["people"] == Evidence("people", 10, 0, 1, "pass")


def test_evidence_of_people_repeats_over_shards_instead_of_adding_up():
    rows = np.full((2, 1), 30)
    part = MeanSums(
        called=2 * rows,
        allele_count=rows,
        gg=rows * 1.0,
        gx=np.zeros((2, 1, 1)),
        gy=np.zeros((2, 1)),
        trait_group=np.zeros(1, int),
        shown=np.ones((2, 1), bool),
    )
    facts = Facts(people=60, groups=(Facts(people=60, smallest_class=20, leverage=0.2),))
    once = judge([(part, facts)], "linear_mean", MeanSums.version).evidence
    twice = judge([(part, facts), (part, facts)], "linear_mean", MeanSums.version).evidence
    by_check = {item.check: item for item in twice}
    assert by_check.pop("minor alleles") == Evidence("minor alleles", 10, 0, 4, "pass")
    assert by_check == {item.check: item for item in once if item.check != "minor alleles"}


@pytest.mark.parametrize("ac", [1, 4, 9])
def test_evidence_says_the_same_whatever_the_value_that_failed(ac):
    first = judge([(two_people_rows(2, 1), Facts(60))], "genotype_counts").evidence
    assert judge([(two_people_rows(2, ac), Facts(60))], "genotype_counts").evidence == first


# -- what adds up over releases, and what a person decides -----------------------------------------

SOUND = [(two_people_rows(2, 20), Facts(60))]


def counted(door: Airlock, exposure: Exposure, plan: str, **more: Any) -> Judged:
    return judge(SOUND, "genotype_counts", door=door, exposure=exposure, plan=plan, **more)


def test_rows_that_are_shown_a_few_at_a_time_add_up():
    """2.7 rows a person pass without a review, in however many requests."""
    door, passed = Airlock(DEFAULT), 0
    for number in range(10):
        judged = counted(door, shown(30, f"panel {number}"), f"{number:064d}")
        if judged.verdict == "review":
            break
        door.release(judged)
        passed += 30
    assert passed == 150 == 30 * int(2.7055 * 60 / 30)
    (doubt,) = judged.doubts
    assert doubt.check == "membership power"
    assert "among the 60 people described, with power 0.53" in doubt.reason
    assert "(180 sums by row so far" in doubt.reason
    with pytest.raises(NeedsReview, match="whoever holds a genome could tell .* must decide"):
        door.release(judged)


def test_rows_that_were_shown_before_cost_nothing():
    door = Airlock(DEFAULT)
    first = shown(160)
    door.release(counted(door, first, "a" * 64))
    for plan in ("b" * 64, "c" * 64):
        door.release(counted(door, first, plan))
    assert counted(door, shown(10, "others"), "d" * 64).verdict == "review"


def test_a_row_shown_for_several_columns_counts_for_each():
    two = replace(shown(100), columns=(b"intercept", b"trait"))
    assert counted(Airlock(DEFAULT), shown(100), "a" * 64).verdict == "pass"
    assert counted(Airlock(DEFAULT), two, "a" * 64).verdict == "review"


def test_rows_of_other_people_count_for_whom_they_have_in_common():
    """A cohort that changes, or groups that overlap, does not begin at nothing."""
    door = Airlock(changed(max_rank_per_person="unlimited"))
    door.release(counted(door, shown(160), "a" * 64))
    half = Exposure((SIXTY[:30],), columns=(b"intercept",), rows=20, panel="others")
    assert counted(door, half, "b" * 64).verdict == "review"
    assert counted(Airlock(DEFAULT), half, "b" * 64).verdict == "pass"
    elsewhere = replace(half, people=(SIXTY[:30] + np.uint64(100),))
    assert counted(door, elsewhere, "b" * 64).verdict == "pass"


def test_what_left_is_remembered_in_the_folder(tmp_path):
    door = Airlock(DEFAULT, tmp_path)
    door.release(counted(door, shown(160), "a" * 64))
    again = Airlock(DEFAULT, tmp_path)
    assert counted(again, shown(160), "a" * 64).verdict == "pass"
    assert counted(again, shown(10, "others"), "b" * 64).verdict == "review"


def test_what_is_judged_and_has_not_left_costs_nothing():
    door = Airlock(DEFAULT)
    for number in range(5):
        assert counted(door, shown(100, str(number)), f"{number:064d}").verdict == "pass"


def test_a_person_lets_out_what_the_policy_asks_about_and_it_is_remembered():
    door = Airlock(DEFAULT)
    judged = counted(door, shown(1000), "a" * 64)
    assert door.approve(judged, "Ann").approved_by == "Ann"
    assert counted(door, shown(1000), "b" * 64).verdict == "pass"
    assert counted(door, shown(1, "one more"), "c" * 64).verdict == "review"


@pytest.mark.parametrize(
    ("exposure", "match"),
    [
        (Exposure(people=(SIXTY, SIXTY[:-1])), "groups or traits of the answer differ by so few"),
        (replace(shown(2), columns=tuple(map(bytes, range(21)))), "rank per person"),
        (
            Exposure(people=(SIXTY,), traits=tuple(f"trait {one}" for one in range(10))),
            "traits per person",
        ),
    ],
)
def test_what_the_budgets_refuse_nobody_can_approve(exposure, match):
    """And it is refused before anything is computed."""

    def parts():
        raise AssertionError("computed")
        yield

    with pytest.raises(Refused, match=match):
        judge(parts(), "genotype_counts", exposure=exposure)


def test_two_answers_that_pass_alone_do_not_both_leave():
    """Judged side by side, let out one after the other: the second is judged once more."""
    door, later = Airlock(DEFAULT), Exposure(people=(SIXTY[:-1],))
    first, second = counted(door, shown(2), "a" * 64), counted(door, later, "b" * 64)
    door.release(first)
    with pytest.raises(Refused, match="differ from those of an earlier answer by so few"):
        door.release(second)
    with pytest.raises(Refused, match="differ from those of an earlier answer by so few"):
        door.approve(second, "Ann")


def test_a_policy_may_have_a_person_look_at_everything():
    door = Airlock(changed(review="always"))
    judged = judge([(sizes(), Facts(people=60))], door=door)
    assert judged.verdict == "review"
    with pytest.raises(NeedsReview, match="the policy has every release reviewed"):
        door.release(judged)


def test_a_policy_without_reviews_refuses_what_it_doubts():
    door = Airlock(changed(review="never"))
    door.release(counted(door, shown(100), "a" * 64))
    with pytest.raises(
        Refused, match=r"membership power is beyond .* 0\.5, and no person"
    ) as refusal:
        counted(door, shown(100, "others"), "b" * 64)
    assert not isinstance(refusal.value, NeedsReview)


def test_what_the_site_doubts_is_a_persons_to_decide():
    doubt = Evidence("participants of a secure sum", 0, 0, 1, "review", "one is missing now")
    judged = counted(Airlock(DEFAULT), shown(2), "a" * 64, doubts=[doubt])
    assert (judged.verdict, judged.doubts) == ("review", [doubt])


def test_a_statistic_that_the_policy_does_not_list_stays():
    door = Airlock(changed(statistics=("variant_list",)))
    with pytest.raises(Refused, match="statistic group_sizes is not allowed by policy ours"):
        judge([(sizes(), Facts(people=60))], door=door)


def test_under_a_secure_sum_floors_of_rows_wait_for_the_total():
    rare = [(two_people_rows(2, 3), Facts(60))]
    spool = MemoryArrays()
    assert judge(rare, "genotype_counts", spool=spool, floors=False).verdict == "pass"
    assert (spool.get(0).allele_count == 3).all()
    judge(rare, "genotype_counts", spool=spool)
    assert (spool.get(0).allele_count == 0).all()


def test_under_a_secure_sum_a_site_gives_all_of_its_part_or_nothing():
    """Else the total would be of some of the people, and nobody could tell."""
    everybody, group = two_people_rows(2, 20), two_people_rows(2, 20)
    part = GenotypeCounts(
        **{
            item.name: np.concatenate(
                [getattr(everybody, item.name), getattr(group, item.name)], axis=-1
            )
            for item in dataclasses.fields(GenotypeCounts)
        }
    )
    part = replace(part, people=np.array([60, 5]))
    facts = Facts(people=60, hidden_people=55, hidden_counts=group)
    judge([(part, facts)], "genotype_counts")
    with pytest.raises(Refused, match="would then be of some of the people without saying so"):
        judge([(part, facts)], "genotype_counts", floors=False)
