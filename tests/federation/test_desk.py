"""A site's desk: it believes what is signed and meant for it, and answers that once."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genome_eu.disclosure import approval, review
from genome_eu.disclosure.holding import folder_of, held
from genome_eu.disclosure.ledger import Ledger
from genome_eu.errors import BadInput
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.carriers.stores.folder import FolderStore
from genome_eu.federation.cover import read_cover
from genome_eu.federation.desk import Desk
from genome_eu.federation.plan import Ask, GroupSizesParameters, Plan, TraitMomentsParameters
from genome_eu.federation.roster import read_roster
from genome_eu.stats.counts import GroupSizes
from genome_eu.stats.traits import TraitMoments
from tests.federation.exchanges import (
    HUB,
    arrived,
    asked,
    desk_of,
    events,
    keys_of,
    name_of,
    posted,
    roster,
    sent,
    state_of,
)
from tests.federation.interruptions import ROOM, full_at, killed_at
from tests.federation.policies import NO_MEMORY, floors_file, policy_file
from tests.federation.small_sites import Made

SITES = ("ES", "FI", "IT")
ONCE = ["request", "release", "delivered"]
SIZES = Ask(GroupSizes, GroupSizesParameters(by=("sex",)))


def moments(trait: str) -> Ask:
    return Ask(TraitMoments, TraitMomentsParameters(traits=(trait,), covariates=(), pca=None))


@dataclass(frozen=True)
class Here:
    """The federation in a folder, with site ES at hand."""

    folder: Path
    made: dict[str, Made]
    policy: Path

    def desk(self, site: str = "ES", policy: Path | str | None = None) -> Desk:
        return desk_of(self.made[site], self.folder, policy or self.policy)

    @property
    def post(self) -> Post:
        return Post(str(self.folder / "exchange"))

    def ask(self, plan: Plan, /, **changes: Any) -> Any:
        """The coordinator posts a plan."""
        known = changes.pop("roster", read_roster(self.folder / "federation.toml"))
        return posted(self.post, known, plan, **changes)

    def files(self, plan: Plan, sender: str, kind: str) -> dict[str, bytes]:
        """A message as it lies at the exchange."""
        place = self.folder / "exchange" / name_of(plan, sender, kind)
        return {path.name: path.read_bytes() for path in place.parent.glob(f"{place.name}.*")}

    def copy(self, name: str, target: str) -> None:
        """What whoever can write to the store may do."""
        old, new = Path(name).name, Path(target).name
        place = self.folder / "exchange"
        (place / target).parent.mkdir(parents=True, exist_ok=True)
        for path in (place / name).parent.glob(f"{old}.*"):
            shutil.copy(path, (place / target).parent / path.name.replace(old, new, 1))

    def remove(self, plan: Plan, sender: str, kind: str) -> None:
        self.post.discard(name_of(plan, sender, kind))

    def copied(self, target: Path) -> Here:
        """The same federation elsewhere, as it stands."""
        shutil.copytree(self.folder, target)
        return Here(target, self.made, self.policy)


@pytest.fixture
def here(made: dict[str, Made], tmp_path: Path) -> Here:
    folder = tmp_path / "eu"
    roster(folder, list(SITES))
    return Here(folder, made, floors_file(tmp_path))


@pytest.fixture
def plan() -> Plan:
    return asked(SIZES, SITES)


# -- whom it believes --------------------------------------------------------------------------


def stranger(here: Here, plan: Plan) -> None:
    """By the coordinator of another federation of the same name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.federation.exchanges.keys_of", lambda name: keys_of(f"no {name}"))
        other = read_roster(roster(here.folder / "elsewhere", list(SITES)))
    # Sealed for the true ES, or it could be passed over for another reason.
    here.ask(plan, roster=other, keys=keys_of("no hub"))


def other_place(here: Here, plan: Plan, **changes: Any) -> None:
    other = plan.model_copy(update=changes)
    here.ask(other)
    here.copy(name_of(other, HUB, "plan"), name_of(plan, HUB, "plan"))
    here.remove(other, HUB, "plan")


def not_a_plan(here: Here, plan: Plan) -> None:
    clear = here.folder / "no.tar"
    clear.write_bytes(b"no tar")
    sent(here.post, read_roster(here.folder / "federation.toml"), plan, "plan", HUB, clear)


NOT_BELIEVED: dict[str, tuple[Callable[[Here, Plan], object], str]] = {
    "unknown key": (stranger, "signed by nobody in federation small"),
    "another roster": (
        lambda here, plan: here.ask(plan, roster=roster_with(here, serial=7)),
        "sent under another roster than the one accepted here",
    ),
    "another round": (
        lambda here, plan: other_place(here, plan, round=3),
        "copied to another place",
    ),
    "another study": (
        lambda here, plan: other_place(here, plan, study="other"),
        "copied to another place",
    ),
    "not sealed for it": (
        lambda here, plan: here.ask(plan, readers=("FI", HUB)),
        "",
    ),
    "of others": (
        lambda here, plan: here.ask(asked(SIZES, ("FI", "IT")), readers=(*SITES, HUB)),
        "does not ask site ES",
    ),
    "with strangers": (
        lambda here, plan: here.ask(asked(SIZES, ("ES", "XX")), readers=("ES", HUB)),
        "asks XX, who is not in the roster",
    ),
    "for another reader": (
        lambda here, plan: here.ask(asked(SIZES, SITES, reader="ana")),
        "not the one that its author signed for",
    ),
    "not the plan of its cover": (
        lambda here, plan: here.ask(plan, plan="b" * 64),
        "not the one that its author signed for",
    ),
    "not a plan": (not_a_plan, "does not begin with its manifest"),
}


def roster_with(here: Here, **changes: Any) -> Any:
    """Another roster of the same parties, signed by the same coordinator."""
    return read_roster(roster(here.folder / "other", list(SITES), **changes))


@pytest.mark.parametrize("case", NOT_BELIEVED)
def test_a_plan_that_is_not_meant_or_not_signed_is_passed_over(here, plan, case, caplog):
    post_it, why = NOT_BELIEVED[case]
    post_it(here, plan)
    desk = here.desk()
    for _ in range(3):
        assert desk.attend() == 0
    assert events(desk) == []
    assert not here.files(plan, "ES", "answer")
    assert not here.files(plan, "ES", "refusal")
    said = [line for line in caplog.messages if "is passed over" in line]
    assert len(said) == bool(why), "said once"
    assert why in "".join(said)
    # Another message may yet come under this name.
    here.remove(plan, HUB, "plan")
    here.ask(plan)
    assert desk.attend() == 1
    assert arrived(desk, plan, here.folder).manifest.plan == plan.hash


@pytest.mark.parametrize("what", ["cover", "part"])
def test_a_plan_that_is_still_arriving_is_taken_once_it_is_whole(here, plan, what):
    here.ask(plan)
    place = here.folder / "exchange" / plan.study / "0000"
    path = place / "hub.plan.cover.json" if what == "cover" else next(place.glob("hub.plan.0*"))
    whole = path.read_bytes()
    desk = here.desk()
    if what == "cover":
        path.unlink()
        assert desk.attend() == 0
        path.write_bytes(whole)
    else:
        path.write_bytes(whole[:-10])
        assert desk.attend() == 0
        here.remove(plan, HUB, "plan")
        here.ask(plan)
    assert desk.attend() == 1
    assert events(desk) == ONCE


def test_messages_may_come_in_any_order_and_more_than_once(here, plan):
    later = asked(SIZES, SITES, number=1)
    desk = here.desk()
    for one in (later, plan):
        here.ask(one)
        assert desk.attend() == 1
        # The very same message, seen again and again.
        assert desk.attend() == 0
    before = {one.round: here.files(one, "ES", "answer") for one in (later, plan)}
    assert events(desk) == 2 * ONCE
    assert desk.attend() == 0
    assert {one.round: here.files(one, "ES", "answer") for one in (later, plan)} == before


def test_an_old_message_put_back_changes_nothing(here, plan):
    """The store shows the first of two plans again, after a restart of the site."""
    here.ask(plan)
    place = here.folder / "exchange" / plan.study / "0000"
    old = {path: path.read_bytes() for path in place.glob("hub.plan.*")}
    assert here.desk().attend() == 1
    here.remove(plan, HUB, "plan")
    here.ask(plan)
    assert here.desk().attend() == 1
    answer = here.files(plan, "ES", "answer")
    here.remove(plan, HUB, "plan")
    for path, content in old.items():
        path.write_bytes(content)
    desk = here.desk()
    desk.attend()
    assert here.files(plan, "ES", "answer") == answer
    assert events(desk).count("release") == 1
    assert events(desk).count("request") == 2


# -- once, and the same ------------------------------------------------------------------------


def test_the_same_plan_posted_anew_gets_the_same_sealed_bytes(here, plan, monkeypatch):
    here.ask(plan)
    assert here.desk().attend() == 1
    first = here.files(plan, "ES", "answer")
    here.remove(plan, "ES", "answer")
    here.ask(plan)
    monkeypatch.setattr("genome_eu.federation.site.Site.judge", None)
    desk = here.desk()
    assert desk.attend() == 1
    assert here.files(plan, "ES", "answer") == first
    assert events(desk) == [*ONCE, "request"]


def test_under_a_new_policy_a_refusal_is_reconsidered(here, plan, tmp_path):
    strict = policy_file(tmp_path, name="strict", min_people=50, **NO_MEMORY)
    here.ask(plan)
    desk = here.desk(policy=strict)
    assert desk.attend() == 1
    refusal = arrived(desk, plan, here.folder, "refusal").manifest
    assert (refusal.reason, refusal.message) == (
        "policy",
        "fewer than 50 people would be described (policy strict)",
    )
    assert here.desk().attend() == 0, "it was not asked again"
    here.ask(plan)
    desk = here.desk()
    assert desk.attend() == 1
    assert arrived(desk, plan, here.folder).manifest.kind == "answer"
    assert events(desk) == ["request", "refusal", "delivered", *ONCE]


def test_a_site_that_lost_its_working_folder_answers_the_same_or_not_at_all(here, plan, tmp_path):
    """The ledger remembers what was let out."""
    here.ask(plan)
    first = here.desk()
    assert first.attend() == 1
    answer = bundle_digest(arrived(first, plan, here.folder))
    shutil.rmtree(state_of(here.folder, "ES") / "plans")
    desk = here.desk()
    assert desk.attend() == 1
    assert bundle_digest(arrived(desk, plan, here.folder)) == answer
    assert events(desk) == [*ONCE, "delivered"], "the same, sealed again"
    shutil.rmtree(state_of(here.folder, "ES") / "plans")
    # Its name stands in the answer.
    desk = here.desk(policy=floors_file(tmp_path, name="other"))
    assert desk.attend() == 1
    said = arrived(desk, plan, here.folder, "refusal").manifest.message
    assert re.fullmatch("another answer to plan [0-9a-f]{12} was let out before", said)


def test_a_refusal_that_stands_is_said_again(here):
    plan = asked(moments("sparse"), SITES)
    desk = here.desk()
    for _ in range(2):
        here.ask(plan)
        assert desk.attend() == 1
        assert arrived(desk, plan, here.folder, "refusal").manifest.reason == "policy"
        here.remove(plan, "ES", "refusal")
    assert events(desk) == 2 * ["request", "refusal", "delivered"]


def test_a_verdict_does_not_outlive_its_policy(here, plan, tmp_path):
    """Judged under one policy, killed, started again under a stricter one."""
    strict = policy_file(tmp_path, name="strict", min_people=50, **NO_MEMORY)
    here.ask(plan)
    for step in range(100):
        mine = here.copied(tmp_path / f"at-{step}")
        with killed_at(step):
            mine.desk().attend()
        found = mine.desk(policy=strict)
        promised = "release" in events(found)
        found.attend()
        kinds = [kind for kind in ("answer", "refusal") if mine.files(plan, "ES", kind)]
        # What the ledger has promised leaves; what was only judged is judged again.
        assert kinds == (["answer"] if promised else ["refusal"])
        if promised:
            break
    assert step > 5


@pytest.mark.parametrize("when", ["before", "after"])
def test_under_a_new_roster_the_answer_is_sealed_again(here, plan, when):
    here.ask(plan)
    desk = here.desk()
    if when == "after":
        assert desk.attend() == 1
    else:
        desk._inbox.look()
    promised = events(desk)
    roster(here.folder, list(SITES), serial=2)
    here.remove(plan, HUB, "plan")
    here.ask(plan)
    desk = here.desk()
    assert desk.attend() == 1
    answer = arrived(desk, plan, here.folder)
    (entry,) = [one for one in desk.airlock.ledger.entries() if one.event == "release"]
    assert bundle_digest(answer) == entry.fields["bundle"]
    assert events(desk)[: len(promised)] == promised
    assert events(desk).count("release") == 1
    assert read_cover(desk.post.cover(name_of(plan, "ES", "answer")), desk.roster).kind == "answer"


def bundle_digest(bundle: Bundle) -> str:
    return hashlib.sha256(bundle.path.read_bytes()).hexdigest()


def test_nothing_depends_on_a_clock(here, plan, monkeypatch):
    """The site's clock runs backwards, and all files have dates that cannot be."""
    monkeypatch.setattr("genome_eu.disclosure.case.now", lambda: "2099-01-01T00:00:00+00:00")
    here.ask(plan)
    desk = here.desk()
    desk._inbox.look()
    for number, path in enumerate(sorted(here.folder.rglob("*"))):
        os.utime(path, (number % 2 * 4e9, number % 2 * 4e9))
    monkeypatch.setattr("genome_eu.disclosure.case.now", lambda: "1971-01-01T00:00:00+00:00")
    desk = here.desk()
    assert desk.attend() == 1
    assert events(desk) == ONCE


# -- killed at any moment ----------------------------------------------------------------------


def finish(here: Here, expected: list[str], plan: Plan) -> Bundle:
    """Start the daemon again: it ends where it would have ended, and says all of it once."""
    desk = here.desk()
    desk.attend()
    assert desk.attend() == 0
    assert events(desk) == expected
    desk.airlock.ledger.verify()
    bundle = arrived(desk, plan, here.folder)
    said = {one.event: one.fields for one in desk.airlock.ledger.entries()}
    cover = read_cover(desk.post.cover(name_of(plan, "ES", "answer")), desk.roster)
    assert said["delivered"]["message"] == cover.sha256
    assert said["release"]["bundle"] == bundle_digest(bundle)
    place = state_of(here.folder, "ES") / "plans" / plan.hash
    assert not [one for one in place.iterdir() if "partial" in one.name or one.name == "work"]
    return bundle


def test_killed_before_any_change_it_goes_on_from_there(here, plan, tmp_path):
    here.ask(plan)
    whole = here.copied(tmp_path / "whole")
    with killed_at(10**9) as steps:
        whole.desk().attend()
    answer = finish(whole, ONCE, plan).path.read_bytes()
    assert steps.made > 15
    for step in range(steps.made):
        mine = here.copied(tmp_path / f"killed-{step}")
        with killed_at(step):
            mine.desk().attend()
        assert finish(mine, ONCE, plan).path.read_bytes() == answer, step
        shutil.rmtree(mine.folder)


@pytest.mark.parametrize("disk", ["site", "exchange"])
def test_with_a_full_disk_it_waits_and_goes_on_when_there_is_room(here, plan, tmp_path, disk):
    calls = ROOM if disk == "site" else ((FolderStore, "write"),)
    here.ask(plan)
    for step in range(100):
        mine = here.copied(tmp_path / f"full-{step}")
        desk = mine.desk()
        said = []
        with full_at(step, calls):
            for _ in range(3):
                try:
                    desk.attend()
                except (BadInput, OSError) as error:
                    said.append(str(error))
        assert all("room" in one or "space" in one for one in said)
        assert not mine.files(plan, "ES", "refusal"), "that is nobody's fault who asks"
        desk.attend()
        assert events(desk) == ONCE
        finish(mine, ONCE, plan)
        if not said:
            break
    assert 1 <= step < 99


def test_however_often_a_disk_is_full_nobody_is_refused_for_it(here, plan, monkeypatch):
    """Only what kills the daemon counts as an attempt that was never finished."""
    here.ask(plan)
    desk = here.desk()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(desk.site, "judge", full)
        for _ in range(25):
            with pytest.raises(OSError, match="No space left"):
                desk.attend()
    assert desk.attend() == 1
    assert arrived(desk, plan, here.folder).manifest.kind == "answer"


# -- a person decides --------------------------------------------------------------------------


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


def test_killed_while_it_holds_an_answer_or_lets_it_out(asks, plan, tmp_path):
    """From the plan to the notice, and from the approval to the answer."""
    asks.ask(plan)
    for step in range(200):
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
    for step in range(200):
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


def test_words_of_a_refusal_are_in_the_log_and_the_ledger(here, caplog):
    plan = asked(moments("one_person"), SITES)
    here.ask(plan)
    desk = here.desk()
    with caplog.at_level(logging.WARNING):
        assert desk.attend() == 1
    assert "class of fewer than 5 people" in caplog.text
    entry = next(one for one in desk.airlock.ledger.entries() if one.event == "refusal")
    assert "class of fewer than 5 people" in json.dumps(dict(entry.fields))
