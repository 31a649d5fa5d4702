"""The airlock fails closed: whatever it does not know for certain stays."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from genome_eu.disclosure import Evidence, Facts, Release, load_policy, release
from genome_eu.disclosure.checks import RULES
from genome_eu.errors import BundleError, Refused
from genome_eu.federation.bundle import MemoryArrays, write_answer
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, count
from genome_eu.stats.counts import GenotypeCounts, GroupSizes
from genome_eu.stats.linear import MeanSums, design
from genome_eu.stats.pca import ScoreMoments, Scores


def sizes(people: int = 60) -> GroupSizes:
    return GroupSizes(
        people_total=np.array(people),
        people=np.array([people]),
        labels=np.frombuffer(b"all", np.uint8),
    )


def ask(
    parts: Iterable[tuple[Any, Facts]],
    statistic: str = "group_sizes",
    version: int = 1,
    spool: MemoryArrays | None = None,
) -> Release:
    return release(
        parts,
        site="ES",
        plan="a" * 64,
        statistic=statistic,
        version=version,
        policy=load_policy("default"),
        spool=spool or MemoryArrays(),
    )


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
    made = ask([(sizes(), Facts(people=60))])
    assert (made.site, made.shards, made.policy) == ("ES", 1, "default")
    assert {item.check for item in made.evidence} == {"people", "people per group"}


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
    for statistic in AGGREGATES:
        with pytest.raises(Refused, match="is not the aggregate that the plan names"):
            ask([(private, Facts(people=60))], statistic, spool=spool)
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
        dataclasses.replace(made, spool=MemoryArrays())
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.policy = "open-data"
    assert vars(copy.copy(made)) == vars(made)


@pytest.mark.parametrize("thing", [sizes(), Scores(np.zeros((3, 1))), None, "release"])
def test_a_bundle_is_written_of_nothing_but_a_release(tmp_path, thing):
    with pytest.raises(BundleError, match="has not passed the airlock"):
        write_answer(tmp_path / "answer.tar", thing, "c" * 64)
    assert list(tmp_path.iterdir()) == []


def test_evidence_of_rows_adds_up_over_shards():
    parts = [(two_people_rows(3, 20), Facts(60)), (two_people_rows(4, 3), Facts(60))]
    found = {item.check: item for item in ask(parts, "genotype_counts").evidence}
    assert found["alleles, both tails"] == Evidence("alleles, both tails", 10, 4, 7, "withheld")
    assert found["genotype classes"] == Evidence("genotype classes", 5, 4, 7, "withheld")
    assert found["people"] == Evidence("people", 10, 0, 1, "pass")


def test_evidence_of_people_repeats_over_shards_instead_of_adding_up():
    rows = np.full(2, 30)
    part = MeanSums(
        called=2 * rows,
        allele_count=rows,
        gg=rows * 1.0,
        gx=np.zeros((2, 1)),
        gy=np.zeros((2, 1)),
        shown=np.ones(2, bool),
    )
    facts = Facts(people=60, smallest_class=20, leverage=0.2)
    once = ask([(part, facts)], "linear_mean").evidence
    twice = ask([(part, facts), (part, facts)], "linear_mean").evidence
    by_check = {item.check: item for item in twice}
    assert by_check.pop("minor alleles") == Evidence("minor alleles", 10, 0, 4, "pass")
    assert by_check == {item.check: item for item in once if item.check != "minor alleles"}


@pytest.mark.parametrize("ac", [1, 4, 9])
def test_evidence_says_the_same_whatever_the_value_that_failed(ac):
    first = ask([(two_people_rows(2, 1), Facts(60))], "genotype_counts").evidence
    assert ask([(two_people_rows(2, ac), Facts(60))], "genotype_counts").evidence == first
