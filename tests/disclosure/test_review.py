"""What was approved is what leaves, and nothing else does."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from genome_eu.disclosure import Evidence, load_policy
from genome_eu.disclosure.approval import (
    admit,
    approval_of,
    approve_study,
    covers,
    withdraw,
)
from genome_eu.disclosure.case import Case
from genome_eu.disclosure.holding import answer_of, find, held, open_case, standing
from genome_eu.disclosure.ledger import Ledger
from genome_eu.disclosure.review import approve, close, collect, decided, refuse
from genome_eu.errors import BadInput, Refused, UsageError
from genome_eu.federation.parameters.counts import GenotypeCountsParameters, GroupSizesParameters
from tests.disclosure.held_answers import (
    COHORT,
    answer_file,
    counts,
    events,
    hold,
    plan_of,
)

POLICY = load_policy("default")
WHO = "data officer"


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(None)


@pytest.fixture
def case(tmp_path: Path, ledger: Ledger) -> Case:
    return hold(tmp_path, ledger)


def taken(state: Path, case: Case, cohort: str = COHORT, policy: str = "default") -> bytes:
    target = state / "out.tar"
    collect(state, case.plan, target, cohort=cohort, policy=load_policy(policy))
    return target.read_bytes()


# -- one release -----------------------------------------------------------------------------------


def test_a_held_answer_says_what_it_is(tmp_path: Path, case: Case, ledger: Ledger):
    assert held(tmp_path) == [case]
    assert (case.rows, case.columns, case.people) == (40, 6, 93)
    assert (case.asker, case.reader, case.sites) == ("hub", "hub", ("ES", "FI", "IT"))
    assert case.verdict == "review"
    assert case.reasons == ("somebody must look at it",)
    assert answer_of(tmp_path, case).stat().st_size == case.bytes
    assert events(ledger) == ["held"]
    fields = next(iter(ledger.entries())).fields
    assert (fields["plan"], fields["checks"]) == (case.plan, ["seen by a person"])
    assert decided(tmp_path, case.plan, cohort=COHORT, policy=POLICY) is None


def test_held_answers_are_readable_by_their_owner_only(tmp_path: Path, case: Case):
    folder = tmp_path / "held" / case.plan
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_what_was_approved_leaves_byte_for_byte(tmp_path: Path, case: Case, ledger: Ledger):
    approve(tmp_path, case.plan[:8], WHO, ledger, answer=case.answer[:16])
    before = answer_of(tmp_path, case).read_bytes()
    assert taken(tmp_path, case) == before
    # A crash after this point asks again, and gets the same.
    assert taken(tmp_path, case) == before
    assert held(tmp_path) == []
    assert events(ledger) == ["held", "approval"]
    assert list(ledger.entries())[1].fields["who"] == WHO


def test_nothing_leaves_before_a_decision(tmp_path: Path, case: Case):
    with pytest.raises(Refused, match="is not approved; nothing leaves"):
        taken(tmp_path, case)
    assert not (tmp_path / "out.tar").exists()
    with pytest.raises(Refused, match="nothing is held"):
        collect(tmp_path, "0" * 64, tmp_path / "out.tar", cohort=COHORT, policy=POLICY)


def test_a_refused_answer_stays(tmp_path: Path, case: Case, ledger: Ledger):
    refuse(tmp_path, case.plan, WHO, "too small a cohort", ledger)
    decision = decided(tmp_path, case.plan, cohort=COHORT, policy=POLICY)
    assert decision is not None
    assert (decision.verdict, decision.why) == ("refused", "too small a cohort")
    with pytest.raises(Refused, match="is not approved"):
        taken(tmp_path, case)
    with pytest.raises(UsageError, match="has been refused; the coordinator must ask again"):
        approve(tmp_path, case.plan, WHO, ledger)
    assert events(ledger) == ["held", "denial"]


def test_an_approval_can_be_taken_back_until_it_left(tmp_path: Path, case: Case, ledger: Ledger):
    approve(tmp_path, case.plan, WHO, ledger)
    refuse(tmp_path, case.plan, WHO, "second thoughts", ledger)
    with pytest.raises(Refused, match="is not approved"):
        taken(tmp_path, case)


def test_what_has_left_cannot_be_refused(tmp_path: Path, case: Case, ledger: Ledger):
    approve(tmp_path, case.plan, WHO, ledger)
    taken(tmp_path, case)
    with pytest.raises(UsageError, match="has left already"):
        refuse(tmp_path, case.plan, WHO, "too late", ledger)
    close(tmp_path, case.plan)
    assert not (tmp_path / "held" / case.plan / "answer.tar").exists()
    assert held(tmp_path, decided=True) == [case]
    with pytest.raises(Refused, match="no longer kept"):
        answer_of(tmp_path, case)


@pytest.mark.parametrize("why", ["", "  "])
def test_a_refusal_needs_a_reason(tmp_path: Path, case: Case, ledger: Ledger, why: str):
    with pytest.raises(UsageError, match="say why it is refused"):
        refuse(tmp_path, case.plan, WHO, why, ledger)


@pytest.mark.parametrize("who", ["", "two\nlines", "x" * 201])
def test_somebody_decides(tmp_path: Path, case: Case, ledger: Ledger, who: str):
    with pytest.raises(UsageError, match="--who must be one short line"):
        approve(tmp_path, case.plan, who, ledger)
    assert events(ledger) == ["held"]


# -- what voids a decision -------------------------------------------------------------------------


def test_a_changed_bundle_cannot_be_approved(tmp_path: Path, case: Case, ledger: Ledger):
    path = answer_of(tmp_path, case)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Refused, match="is not the one that was held, so nothing leaves"):
        approve(tmp_path, case.plan, WHO, ledger)
    assert events(ledger) == ["held"]


def test_a_bundle_changed_after_its_approval_stays(tmp_path: Path, case: Case, ledger: Ledger):
    approve(tmp_path, case.plan, WHO, ledger)
    path = answer_of(tmp_path, case)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(Refused, match="is not the one approved; nothing leaves"):
        taken(tmp_path, case)
    assert not (tmp_path / "out.tar").exists()
    assert not (tmp_path / "held" / case.plan / "left").exists()


def test_another_bundle_than_the_one_seen_is_not_approved(
    tmp_path: Path, case: Case, ledger: Ledger
):
    for seen in ("", "0" * 16):
        with pytest.raises(Refused, match="as you saw it; review it again"):
            approve(tmp_path, case.plan, WHO, ledger, answer=seen)


def test_another_cohort_or_policy_voids_the_decision(tmp_path: Path, case: Case, ledger: Ledger):
    approve(tmp_path, case.plan, WHO, ledger)
    with pytest.raises(Refused, match="the cohort has changed since it was held"):
        taken(tmp_path, case, cohort="d" * 64)
    # Of the same name, with another floor: the name does not matter.
    other = POLICY.model_copy(update={"min_people": POLICY.min_people - 1})
    with pytest.raises(Refused, match="the policy has changed since it was held"):
        collect(tmp_path, case.plan, tmp_path / "out.tar", cohort=COHORT, policy=other)
    assert not (tmp_path / "out.tar").exists()


@pytest.mark.parametrize("field", ["case", "plan", "answer", "cohort", "policy_digest"])
def test_a_decision_on_something_else_is_void(
    tmp_path: Path, case: Case, ledger: Ledger, field: str
):
    made = approve(tmp_path, case.plan, WHO, ledger)
    path = tmp_path / "held" / case.plan / "decision.json"
    path.write_bytes(made.model_copy(update={field: "0" * 64}).content)
    assert standing(tmp_path, case)[0] == "void"
    assert held(tmp_path) == [case]
    with pytest.raises(Refused, match="it is not what data officer approved on"):
        taken(tmp_path, case)


def test_a_case_that_was_edited_voids_the_decision(tmp_path: Path, case: Case, ledger: Ledger):
    approve(tmp_path, case.plan, WHO, ledger)
    path = tmp_path / "held" / case.plan / "case.json"
    path.write_bytes(case.model_copy(update={"reader": "elsewhere"}).content)
    with pytest.raises(Refused, match="it is not what data officer approved on"):
        taken(tmp_path, case)


@pytest.mark.parametrize("file", ["case.json", "decision.json"])
def test_every_byte_of_a_decision_counts(tmp_path: Path, case: Case, ledger: Ledger, file: str):
    approve(tmp_path, case.plan, WHO, ledger)
    path = tmp_path / "held" / case.plan / file
    sound = path.read_bytes()
    for at in range(0, len(sound), 7):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        # Who approved, why and when may read differently; such a decision holds for nothing else.
        try:
            taken(tmp_path, case)
        except (BadInput, Refused):
            continue
        changed = json.loads(path.read_bytes())
        told = {name: value for name, value in changed.items() if name not in ("who", "time")}
        assert file == "decision.json"
        assert told.items() <= json.loads(sound).items()


def test_a_damaged_case_says_what_to_do(tmp_path: Path, case: Case):
    (tmp_path / "held" / case.plan / "case.json").write_bytes(b"{")
    with pytest.raises(BadInput, match="is damaged; remove its folder"):
        held(tmp_path)


def test_holding_again_after_a_restart_changes_nothing(tmp_path: Path, case: Case, ledger: Ledger):
    approve(tmp_path, case.plan, WHO, ledger)
    assert hold(tmp_path, ledger) == case
    assert events(ledger) == ["held", "approval"]
    assert taken(tmp_path, case)


def test_another_answer_to_the_plan_is_reviewed_anew(tmp_path: Path, case: Case, ledger: Ledger):
    approve(tmp_path, case.plan, WHO, ledger)
    again = hold(tmp_path, ledger, cohort="d" * 64)
    assert again.plan == case.plan
    assert held(tmp_path) == [again]
    assert events(ledger) == ["held", "approval", "held"]
    with pytest.raises(Refused, match="is not approved"):
        taken(tmp_path, again, cohort="d" * 64)


def test_a_plan_is_not_answered_twice(tmp_path: Path, case: Case, ledger: Ledger):
    approve(tmp_path, case.plan, WHO, ledger)
    taken(tmp_path, case)
    with pytest.raises(Refused, match="another answer to plan .* has left already"):
        hold(tmp_path, ledger, counts(withheld=0))
    assert hold(tmp_path, ledger) == case


def test_cases_are_found_by_the_beginning_of_their_plan(tmp_path: Path, ledger: Ledger):
    first = hold(tmp_path, ledger)
    second = hold(tmp_path, ledger, plan=plan_of(number=1))
    assert find(tmp_path, first.plan[:10]) == first
    assert {case.plan for case in held(tmp_path)} == {first.plan, second.plan}
    for plan, problem in (("", "no held answer is"), ("x", "no held answer is")):
        with pytest.raises(UsageError, match=problem):
            find(tmp_path, plan)


def test_membership_is_that_of_the_smallest_group(tmp_path: Path, ledger: Ledger):
    found = Evidence("membership power", 0.5, 0, 4000, "review", "membership can be told")
    case = hold(tmp_path, ledger, evidence=[found])
    assert case.membership is not None
    assert (case.membership.rows, case.membership.people) == (4000, 93)
    assert case.membership.power > 0.99


# -- a whole study ---------------------------------------------------------------------------------


def approved(state: Path, ledger: Ledger, **bounds: int) -> Case:
    case = hold(state, ledger)
    approve_study(state, "study", WHO, ledger, **({"rounds": 3} | bounds))
    return case


def test_a_study_is_approved_by_what_is_held_of_it(tmp_path: Path, ledger: Ledger):
    case = approved(tmp_path, ledger)
    found = approval_of(tmp_path, "study")
    assert found is not None
    assert (found.rounds, found.rows, found.columns) == (3, 40, 6)
    assert found.statistics == {"genotype_counts": 1}
    assert events(ledger) == ["held", "study_approval", "approval"]
    decision = decided(tmp_path, case.plan, cohort=COHORT, policy=POLICY)
    assert decision is not None
    assert (decision.verdict, decision.under) == ("approved", found.digest)
    later = hold(tmp_path, ledger, plan=plan_of(number=2))
    assert admit(tmp_path, later, ledger) is None
    assert taken(tmp_path, later)


def test_an_approval_reaches_no_further_than_it_says(tmp_path: Path, ledger: Ledger):
    case = approved(tmp_path, ledger)
    found = approval_of(tmp_path, "study")
    assert found is not None
    assert covers(found, case) is None
    for change, problem in (
        ({"study": "other"}, "it belongs to another study"),
        ({"question": "0" * 64}, "the study's question is another one"),
        ({"sites": ("FI", "IT")}, "other sites take part"),
        ({"asker": "elsewhere"}, "somebody else asks"),
        ({"reader": "elsewhere"}, "somebody else would read the answer"),
        ({"secure_sum": True}, "sums are no longer masked alike"),
        ({"cohort": "0" * 64}, "the cohort has changed"),
        ({"policy_digest": "0" * 64}, "the policy has changed"),
        ({"version": 9}, "genotype_counts version 9 is not among"),
        ({"statistic": "linear_mean"}, "linear_mean version 1 is not among"),
        ({"parameters": {"by": ["village"]}}, "it asks for village, which was not approved"),
        ({"round": 3}, "round 3 is beyond the 3 rounds approved"),
        ({"rows": 41}, "41 rows are more than the 40 approved"),
        ({"columns": 7}, "7 numbers per row are more than the 6 approved"),
    ):
        assert problem in str(covers(found, case.model_copy(update=change)))


def test_a_new_doubt_is_not_covered(tmp_path: Path, ledger: Ledger):
    approved(tmp_path, ledger)
    doubt = Evidence("differencing", 5, 0, 1, "review", "two people differ")
    later = hold(tmp_path, ledger, plan=plan_of(number=1), evidence=[doubt])
    assert "a check asks for a person that did not" in str(admit(tmp_path, later, ledger))
    assert held(tmp_path) == [later]


def test_a_round_is_approved_for_one_plan_only(tmp_path: Path, ledger: Ledger):
    approved(tmp_path, ledger)
    other = hold(tmp_path, ledger, counts(rows=39), plan=plan_of(counts(rows=39)))
    assert "round 0 was approved for another plan" in str(admit(tmp_path, other, ledger))
    # Neither does approving the study again make room for a second plan in the round.
    approve_study(tmp_path, "study", WHO, ledger, rounds=3)
    assert held(tmp_path) == [other]


def test_names_and_statistics_of_later_rounds_are_given(tmp_path: Path, ledger: Ledger):
    hold(tmp_path, ledger)
    made = approve_study(
        tmp_path,
        "study",
        WHO,
        ledger,
        rounds=2,
        rows=50,
        columns=20,
        statistics=("group_sizes",),
        names=("sex",),
    )
    parameters = GenotypeCountsParameters(by=("sex",), groups=())
    later = hold(tmp_path, ledger, plan=plan_of(number=1, parameters=parameters))
    assert later.names == ("sex",)
    assert admit(tmp_path, later, ledger) is None
    assert set(made.statistics) == {"genotype_counts", "group_sizes"}


@pytest.mark.parametrize(
    ("bounds", "problem"),
    [
        ({"rounds": 0}, "--rounds"),
        ({"rounds": 1, "rows": -1}, "--rows"),
        ({"rounds": 1, "statistics": ("unheard_of",)}, "unheard_of is not installed"),
    ],
)
def test_bounds_must_make_sense(tmp_path: Path, ledger: Ledger, bounds, problem: str):
    hold(tmp_path, ledger)
    with pytest.raises(UsageError, match=problem):
        approve_study(tmp_path, "study", WHO, ledger, **bounds)
    assert events(ledger) == ["held"]


def test_a_study_of_which_nothing_is_held_cannot_be_approved(tmp_path: Path, ledger: Ledger):
    with pytest.raises(UsageError, match="nothing of study other is held"):
        approve_study(tmp_path, "other", WHO, ledger, rounds=1)


def test_held_answers_that_contradict_each_other_are_not_approved_at_once(
    tmp_path: Path, ledger: Ledger
):
    hold(tmp_path, ledger)
    hold(tmp_path, ledger, plan=plan_of(number=1, sites=("FI", "IT")))
    with pytest.raises(UsageError, match="other sites take part"):
        approve_study(tmp_path, "study", WHO, ledger, rounds=2)


def test_a_study_approval_can_be_taken_back(tmp_path: Path, ledger: Ledger):
    left = approved(tmp_path, ledger)
    taken(tmp_path, left)
    waiting = hold(tmp_path, ledger, plan=plan_of(number=1))
    assert admit(tmp_path, waiting, ledger) is None
    withdraw(tmp_path, "study", WHO, "the cohort will change", ledger)
    assert held(tmp_path) == [waiting]
    assert "is not approved as a whole" in str(admit(tmp_path, waiting, ledger))
    with pytest.raises(UsageError, match="is not approved as a whole"):
        withdraw(tmp_path, "study", WHO, "again", ledger)


def test_a_tampered_bundle_is_not_admitted_by_its_study(tmp_path: Path, ledger: Ledger):
    approved(tmp_path, ledger)
    later = hold(tmp_path, ledger, plan=plan_of(number=1))
    path = answer_of(tmp_path, later)
    path.write_bytes(path.read_bytes()[:-1])
    assert "is not the one that was held" in str(admit(tmp_path, later, ledger))


def test_a_release_may_be_held_for_no_check_at_all(tmp_path: Path, ledger: Ledger):
    why = "the officer wants to see the first one"
    case = hold(tmp_path, ledger, evidence=[Evidence("people", 10, 0, 1)], reasons=[why])
    assert (case.verdict, case.doubts, case.reasons) == ("pass", (), (why,))


def test_an_answer_that_changes_under_way_is_not_held(tmp_path: Path, ledger: Ledger):
    case = hold(tmp_path, ledger)
    other = answer_file(tmp_path / "other.tar", plan_of(), [counts(withheld=0)])
    with pytest.raises(Refused, match="changed while it was held"):
        open_case(tmp_path, case, other, ledger)
    assert answer_of(tmp_path, case)


def test_the_names_that_a_plan_speaks_of(tmp_path: Path, ledger: Ledger):
    case = hold(tmp_path, ledger)
    asked = case.model_copy(update={"parameters": GroupSizesParameters(by=("sex",)).model_dump()})
    assert asked.names == ("sex",)
    models = {"traits": ["ldl", "crp"], "covariates": ["age", "ldl"]}
    assert case.model_copy(update={"parameters": models}).names == ("ldl", "crp", "age")
