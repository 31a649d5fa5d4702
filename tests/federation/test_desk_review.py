"""What a person must decide about: held, said so, and let out as it was approved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from genome_eu.disclosure import approval, review
from genome_eu.disclosure.holding import folder_of, held
from genome_eu.disclosure.ledger import Ledger
from genome_eu.errors import BadInput
from tests.federation.at_a_desk import (
    SITES,
    SIZES,
    Here,
    bundle_digest,
    finish,
    here,
    plan,
)
from tests.federation.exchanges import (
    HUB,
    arrived,
    asked,
    events,
    roster,
    state_of,
)
from tests.federation.interruptions import killed_at
from tests.federation.policies import NO_MEMORY, policy_file

__all__ = ["here", "plan"]


@pytest.fixture
def asks(here: Here, tmp_path: Path) -> Here:
    """The same, where every release is reviewed."""
    policy = policy_file(tmp_path, name="asks", review="always", **NO_MEMORY)
    return Here(here.folder, here.made, policy)


def officer(here: Here) -> tuple[Path, Ledger]:
    """What a data officer's commands work on, while the daemon runs."""
    state = state_of(here.folder, "ES")
    return state, Ledger(state / "ledger.jsonl")


HELD = ["request", "held"]
APPROVED = [*HELD, "approval", "release", "delivered"]


def test_a_held_answer_leaves_when_it_is_approved(asks, plan):
    asks.ask(plan)
    desk = asks.desk()
    for _ in range(2):
        assert desk.attend() == 0
        assert desk.waiting == 1
    assert events(desk) == HELD
    notice = arrived(desk, plan, asks.folder, "held").manifest
    assert (notice.reason, notice.message) == ("review", "waits for its data officer")
    assert not asks.files(plan, "ES", "answer")
    state, ledger = officer(asks)
    (case,) = held(state)
    assert review.approve(state, case.plan, "Ada", ledger).answer == case.answer
    assert desk.attend() == 1
    assert bundle_digest(arrived(desk, plan, asks.folder)) == case.answer
    assert events(desk) == APPROVED
    assert [one.fields["approved_by"] for one in ledger.entries() if one.event == "release"] == [
        "Ada"
    ]
    assert not asks.files(plan, "ES", "held"), "nobody is waited for any more"
    assert not (folder_of(state, plan.hash) / "answer.tar").exists()


def test_asked_again_a_site_says_again_that_a_person_must_decide(asks, plan):
    asks.ask(plan)
    desk = asks.desk()
    desk.attend()
    asks.remove(plan, "ES", "held")
    desk.attend()
    assert not asks.files(plan, "ES", "held"), "it is said once"
    asks.ask(plan)
    desk.attend()
    assert asks.files(plan, "ES", "held")
    assert events(desk) == ["request", "held", "request"]


def test_what_a_person_refuses_does_not_leave_now_nor_later(asks, plan):
    asks.ask(plan)
    desk = asks.desk()
    desk.attend()
    state, ledger = officer(asks)
    review.refuse(state, plan.hash, "Ada", "not this quarter", ledger)
    for _ in range(2):
        assert desk.attend() == 1
        said = arrived(desk, plan, asks.folder, "refusal").manifest
        assert said.message == "the site's data officer does not let the answer out"
        asks.ask(plan)
    assert "not this quarter" not in str(said)
    assert "release" not in events(desk)


def test_an_approved_study_lets_later_rounds_pass(asks, plan):
    later = [asked(SIZES, SITES, number=number) for number in (1, 2)]
    asks.ask(plan)
    desk = asks.desk()
    assert desk.attend() == 0
    state, ledger = officer(asks)
    approval.approve_study(state, plan.study, "Ada", ledger, rounds=2)
    assert desk.attend() == 1
    for one in later:
        asks.ask(one)
        assert desk.attend() == (one.round < 2)
    assert [case.round for case in held(state)] == [2]
    approval.withdraw(state, plan.study, "Ada", "over", ledger)
    assert desk.attend() == 0


def test_a_study_approved_while_the_site_is_down_lets_its_answers_out(asks, plan):
    asks.ask(plan)
    assert asks.desk().attend() == 0
    state, ledger = officer(asks)
    (case,) = held(state)
    approval.approve_study(state, plan.study, "Ada", ledger, rounds=2)
    # As if that command had been killed before it came to this answer.
    (folder_of(state, case.plan) / "decision.json").unlink()
    assert asks.desk().attend() == 1


def test_a_decision_that_the_ledger_does_not_have_lets_nothing_out(asks, plan):
    """`decision.json` is a file like any other; whoever can write it is not yet the officer."""
    asks.ask(plan)
    desk = asks.desk()
    desk.attend()
    state, ledger = officer(asks)
    elsewhere = Ledger(None)
    forged = review.approve(state, plan.hash, "Ada", elsewhere)
    with pytest.raises(BadInput, match="approval by Ada does not stand in the ledger"):
        desk.attend()
    assert not asks.files(plan, "ES", "answer")
    # Approved by one, and written as another.
    review.approve(state, plan.hash, "Bob", ledger)
    (folder_of(state, plan.hash) / "decision.json").write_bytes(forged.content)
    with pytest.raises(BadInput, match="approval by Ada does not stand"):
        desk.attend()
    review.approve(state, plan.hash, "Ada", ledger)
    assert desk.attend() == 1


def test_one_plan_in_trouble_does_not_hold_up_the_others(asks, plan):
    other = asked(SIZES, SITES, "other")
    for one in (plan, other):
        asks.ask(one)
    desk = asks.desk()
    desk.attend()
    state, ledger = officer(asks)
    review.approve(state, other.hash, "Ada", ledger)
    (folder_of(state, plan.hash) / "case.json").write_bytes(b"{}")
    with pytest.raises(BadInput, match=r"case\.json is damaged; remove its folder"):
        desk.attend()
    assert asks.files(other, "ES", "answer")
    # As it says there: what was held is then computed again.
    shutil.rmtree(folder_of(state, plan.hash))
    assert desk.attend() == 0
    assert [case.plan for case in held(state)] == [plan.hash]


def test_an_approval_is_void_under_another_policy(asks, plan, tmp_path):
    asks.ask(plan)
    asks.desk().attend()
    state, ledger = officer(asks)
    review.approve(state, plan.hash, "Ada", ledger)
    other = policy_file(tmp_path, name="asks-more", review="always", **NO_MEMORY)
    desk = asks.desk(policy=other)
    assert desk.attend() == 0
    assert [case.policy for case in held(state)] == ["asks-more"]
    assert not asks.files(plan, "ES", "answer")


def test_an_approved_answer_is_sealed_again_under_a_new_roster(asks, plan):
    asks.ask(plan)
    asks.desk().attend()
    state, ledger = officer(asks)
    review.approve(state, plan.hash, "Ada", ledger)
    assert asks.desk().attend() == 1
    roster(asks.folder, list(SITES), serial=2)
    asks.remove(plan, HUB, "plan")
    asks.ask(plan)
    desk = asks.desk()
    assert desk.attend() == 1
    assert arrived(desk, plan, asks.folder).manifest.kind == "answer"
    assert events(desk).count("release") == 1


@pytest.mark.slow
def test_killed_while_it_holds_an_answer_or_lets_it_out(asks, plan, tmp_path):
    """From the plan to the notice, and from the approval to the answer."""
    asks.ask(plan)
    for step in range(0, 200, 3):
        mine = asks.copied(tmp_path / f"held-{step}")
        died = True
        with killed_at(step):
            mine.desk().attend()
            died = False
        assert mine.desk().attend() == 0
        assert mine.files(plan, "ES", "held"), step
        state, ledger = officer(mine)
        # `held` twice says the same of the same answer.
        assert list(dict.fromkeys(events(mine.desk()))) == HELD
        review.approve(state, plan.hash, "Ada", ledger)
        if died:
            assert mine.desk().attend() == 1
            shutil.rmtree(mine.folder)
            continue
        break
    for step in range(0, 200, 2):
        again = mine.copied(tmp_path / f"approved-{step}")
        died = True
        with killed_at(step):
            again.desk().attend()
            died = False
        finish(again, APPROVED, plan)
        shutil.rmtree(again.folder)
        if not died:
            break
    assert not died
