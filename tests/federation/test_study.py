"""A study continues where it stopped: nothing is asked twice, and nothing comes out differently."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

import genome_eu as ge
from genome_eu.errors import BadInput, StudyError, UsageError
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.site import Site
from genome_eu.federation.study import Study
from tests.federation.carrier_contract import SITES, assert_same_numbers
from tests.federation.exchanges import desk_of, roster, served
from tests.federation.interruptions import COORDINATOR, killed_at
from tests.federation.policies import floors_file

QUESTIONS = {
    "frequencies": lambda eu: eu.frequencies(by=["sex"]),
    "pca": lambda eu: eu.pca(2),
    "gwas": lambda eu: eu.gwas(["ldl", "crp"], covariates=["age", "sex"]),
}
#: Rounds of each question on the small sites; PCA takes as many as it needs.
ROUNDS = {"frequencies": 3, "gwas": 4}


class Died(BaseException):
    """The coordinator's machine goes away."""


@pytest.fixture
def roster_file(made, tmp_path) -> Path:
    policy = floors_file(tmp_path)
    lines = ['name = "small"']
    for name in SITES:
        lines += ["[[site]]", f'name = "{name}"', f'cohort = "{made[name].store}"']
        lines += [f'policy = "{policy.name}"']
    path = tmp_path / "federation.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def answered(monkeypatch) -> list[tuple[str, int]]:
    """Every (site, round) that a site was asked and answered, in order."""
    seen: list[tuple[str, int]] = []
    judge = Site.judge

    def counting(self, plan, *more):
        made = judge(self, plan, *more)
        seen.append((self.name, plan.round))
        return made

    monkeypatch.setattr(Site, "judge", counting)
    return seen


def opened(roster_file: Path, folder: Path, die_at: tuple[int, str] | None = None) -> Federation:
    """The federation; its coordinator dies just before `die_at` (round, site) is asked."""
    eu = ge.open_federation(roster_file, studies=folder)
    if die_at is not None:
        number, victim = die_at
        site = eu._carrier.sites[victim]
        release = site.release

        def dying(plan, inputs, spool):
            if plan.round == number:
                raise Died
            return release(plan, inputs, spool)

        site.release = dying
    return eu


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_study_that_died_in_any_round_asks_only_what_is_missing(
    roster_file, tmp_path, question, answered
):
    ask = QUESTIONS[question]
    expected = ask(opened(roster_file, tmp_path / "whole"))
    every = list(answered)
    rounds = 1 + max(number for _, number in every)
    assert Counter(every) == Counter((site, number) for site in SITES for number in range(rounds))
    assert rounds == ROUNDS.get(question, rounds)
    # FI is the second of three sites: of its last round, ES has answered already.
    for number in sorted({0, rounds // 2, rounds - 1}):
        folder = tmp_path / f"died-{number}"
        answered.clear()
        with pytest.raises(Died):
            ask(opened(roster_file, folder, (number, "FI")))
        before = list(answered)
        assert before == [one for one in every if one[1] < number] + [("ES", number)]
        answered.clear()
        found = ask(opened(roster_file, folder))
        assert Counter(before + answered) == Counter(every), "something was asked twice"
        assert_same_numbers(found, expected)


def test_a_finished_study_is_read_without_asking_anybody(roster_file, tmp_path, answered):
    first = QUESTIONS["gwas"](opened(roster_file, tmp_path / "study"))
    answered.clear()
    again = QUESTIONS["gwas"](opened(roster_file, tmp_path / "study"))
    assert answered == []
    assert_same_numbers(again, first)
    assert again.attrs == first.attrs


def test_over_the_exchange_a_study_continues_after_its_coordinator_died(
    made, tmp_path, answered, monkeypatch
):
    path = roster(tmp_path, list(SITES))
    policy = floors_file(tmp_path)
    with served(*(desk_of(site, tmp_path, policy) for site in made.values())):
        open_round = Study.open_round

        def dying(self, plan, inputs):
            if plan.round == 2:
                raise Died
            return open_round(self, plan, inputs)

        monkeypatch.setattr(Study, "open_round", dying)
        with pytest.raises(Died):
            ge.open_federation(path, studies=tmp_path / "study").frequencies("sex")
        monkeypatch.setattr(Study, "open_round", open_round)
        assert Counter(number for _, number in answered) == {0: 3, 1: 3}
        found = ge.open_federation(path, studies=tmp_path / "study").frequencies("sex")
        assert Counter(number for _, number in answered) == {0: 3, 1: 3, 2: 3}
        expected = ge.open_federation(path, studies=tmp_path / "other").frequencies("sex")
    assert_same_numbers(found, expected)


@pytest.mark.slow
def test_killed_before_any_change_the_coordinator_goes_on_from_there(made, tmp_path, answered):
    """Sites that have answered are not asked again, whatever it has kept of their answers."""
    path = roster(tmp_path, list(SITES), secure_sum=True)
    desks = [desk_of(site, tmp_path, "open-data") for site in made.values()]
    ask = QUESTIONS["frequencies"]
    with served(*desks):
        expected = ask(ge.open_federation(path))
        answered.clear()
        step, died = 0, True
        while died:
            studies = tmp_path / f"study-{step}"
            with killed_at(step, COORDINATOR):
                ask(ge.open_federation(path, studies=studies))
                died = False
            assert_same_numbers(ask(ge.open_federation(path, studies=studies)), expected)
            assert Counter(answered) == dict.fromkeys(product(SITES, range(3)), 1), step
            answered.clear()
            shutil.rmtree(studies)
            step += 9


def test_without_a_site_the_same_study_begins_other_rounds(roster_file, tmp_path, answered):
    studies = tmp_path / "study"
    whole = QUESTIONS["frequencies"](opened(roster_file, studies))
    rest = QUESTIONS["frequencies"](ge.open_federation(roster_file, studies=studies, without="IT"))
    fewer = QUESTIONS["frequencies"](
        ge.open_federation(roster_file, studies=tmp_path / "other", without=["IT"])
    )
    assert_same_numbers(rest, fewer)
    assert rest["cohort_allele_total"].values.sum() < whole["cohort_allele_total"].values.sum()
    study = only_study(studies)
    ids = [
        Bundle(study / rounds / "0000" / "plan.tar").manifest.content.study
        for rounds in ("rounds", "rounds-2")
    ]
    assert len(set(ids)) == 2
    # Each of them is continued by itself.
    answered.clear()
    assert_same_numbers(QUESTIONS["frequencies"](opened(roster_file, studies)), whole)
    assert answered == []


@pytest.mark.parametrize(
    ("without", "match"),
    [
        ("XX", "--without XX: federation small has no site of that name"),
        (SITES, "without all of its sites there is nobody to ask"),
    ],
)
def test_who_cannot_be_left_out_is_said(roster_file, without, match):
    with pytest.raises(UsageError, match=match):
        ge.open_federation(roster_file, without=without)


def only_study(folder: Path) -> Path:
    (study,) = folder.iterdir()
    return study


@pytest.fixture
def finished(roster_file, tmp_path, answered) -> Path:
    """The folder of a study of frequencies that has run to its end."""
    QUESTIONS["frequencies"](opened(roster_file, tmp_path / "study"))
    answered.clear()
    return only_study(tmp_path / "study")


@pytest.mark.parametrize("damage", ["byte", "cut", "empty", "manifest"])
def test_a_damaged_answer_is_discarded_and_asked_again(
    roster_file, tmp_path, answered, finished, damage
):
    bundle = finished / "rounds" / "0002" / "FI.tar"
    whole = bundle.read_bytes()
    at = whole.index(b"\x93NUMPY") + 300 if damage == "byte" else 600
    bundle.write_bytes(
        {
            "byte": whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :],
            "manifest": whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :],
            "cut": whole[:5000],
            "empty": b"",
        }[damage]
    )
    found = QUESTIONS["frequencies"](opened(roster_file, tmp_path / "study"))
    assert answered == [("FI", 2)]
    assert bundle.read_bytes() == whole
    assert '"discarded"' in (finished / "log.jsonl").read_text()
    assert_same_numbers(found, QUESTIONS["frequencies"](opened(roster_file, tmp_path / "another")))


def test_a_lost_answer_is_asked_again(roster_file, tmp_path, answered, finished):
    (finished / "rounds" / "0001" / "ES.tar").unlink()
    QUESTIONS["frequencies"](opened(roster_file, tmp_path / "study"))
    assert answered == [("ES", 1)]


def test_another_question_gets_a_folder_of_its_own(roster_file, tmp_path, finished):
    opened(roster_file, tmp_path / "study").frequencies(by=["population"])
    assert len(list((tmp_path / "study").iterdir())) == 2


def test_a_folder_that_belongs_to_another_question_is_left_alone(tmp_path):
    Study(tmp_path / "study", {"ask": "frequencies", "by": []})
    before = (tmp_path / "study" / "study.json").read_bytes()
    with pytest.raises(StudyError, match="belongs to another question; choose another folder"):
        Study(tmp_path / "study", {"ask": "frequencies", "by": ["sex"]})
    assert (tmp_path / "study" / "study.json").read_bytes() == before


def test_a_round_that_asked_something_else_is_not_mixed_with_this_one(
    made, roster_file, tmp_path, finished
):
    """The cohorts have changed since: the panel of round 0 would not be that of round 2."""
    for number in (0, 1):
        for file in (finished / "rounds" / f"{number:04d}").glob("*.tar"):
            if file.stem in SITES:
                file.unlink()
    eu = opened(roster_file, tmp_path / "study")
    for site in eu._carrier.sites.values():
        site.own_rows = site.own_rows[:50]
    with pytest.raises(StudyError, match="round 2 of study folder .* asked something else"):
        QUESTIONS["frequencies"](eu)


@pytest.mark.parametrize(
    ("found", "match"),
    [
        (1, r"format 1 \(genome_eu 9\.9\), this version reads format 2"),
        (0, "format 0"),
        (None, "None"),
    ],
)
def test_a_study_of_another_version_is_not_guessed_at(
    roster_file, tmp_path, finished, answered, found, match
):
    head = finished / "study.json"
    content = json.loads(head.read_text()) | {"format": found, "software": "9.9"}
    head.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=match):
        QUESTIONS["frequencies"](opened(roster_file, tmp_path / "study"))
    assert answered == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xff", b'{"format": 2}', b'{"format": 2, "id": "../x"}'],
)
def test_a_damaged_head_is_said_to_be_damaged(roster_file, tmp_path, finished, answered, content):
    (finished / "study.json").write_bytes(content)
    with pytest.raises(StudyError, match=r"study\.json is damaged; move the folder away"):
        QUESTIONS["frequencies"](opened(roster_file, tmp_path / "study"))
    assert answered == []
    assert (finished / "study.json").read_bytes() == content


def test_a_damaged_plan_in_the_study_is_bad_input_that_names_it(roster_file, tmp_path, finished):
    (finished / "rounds" / "0001" / "plan.tar").write_bytes(b"garbage")
    with pytest.raises(BadInput, match=r"plan\.tar"):
        QUESTIONS["frequencies"](opened(roster_file, tmp_path / "study"))


def test_a_study_records_what_happened(finished):
    events = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [one["event"] for one in events] == ["begun"] + (["asked"] + ["answered"] * 3) * 3
    assert sorted(file.name for file in (finished / "rounds" / "0000").iterdir()) == [
        "ES.tar",
        "FI.tar",
        "IT.tar",
        "plan.tar",
    ]
