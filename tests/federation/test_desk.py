"""A site's desk: it believes what is signed and meant for it, and answers that once."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from genome_eu.federation.carriers.stores.folder import FolderStore
from genome_eu.federation.cover import read_cover
from genome_eu.federation.plan import Plan
from genome_eu.federation.roster import read_roster
from tests.federation.at_a_desk import (
    ONCE,
    SITES,
    SIZES,
    Here,
    bundle_digest,
    here,
    moments,
    plan,
)
from tests.federation.exchanges import (
    HUB,
    arrived,
    asked,
    events,
    keys_of,
    name_of,
    roster,
    sent,
    state_of,
)
from tests.federation.interruptions import killed_at
from tests.federation.policies import NO_MEMORY, floors_file, policy_file

__all__ = ["here", "plan"]


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


def test_words_of_a_refusal_are_in_the_log_and_the_ledger(here, caplog):
    plan = asked(moments("one_person"), SITES)
    here.ask(plan)
    desk = here.desk()
    with caplog.at_level(logging.WARNING):
        assert desk.attend() == 1
    assert "class of fewer than 5 people" in caplog.text
    entry = next(one for one in desk.airlock.ledger.entries() if one.event == "refusal")
    assert "class of fewer than 5 people" in json.dumps(dict(entry.fields))


# -- many rounds -------------------------------------------------------------------------------


def test_a_look_costs_the_same_after_many_rounds_and_finds_each_that_is_asked_anew(
    here, monkeypatch
):
    plans = [asked(SIZES, SITES, number=number) for number in range(30)]
    for one in plans:
        here.ask(one)
    desk = here.desk()
    assert desk.attend() == len(plans)
    listed = []
    entries = FolderStore.entries
    monkeypatch.setattr(
        FolderStore, "entries", lambda store, place: listed.append(place) or entries(store, place)
    )
    assert desk.attend() == 0
    assert 2 < len(listed) <= 10, "everything, the study, and eight of its rounds"
    # In turn: within four looks each of the thirty, and what is new at once.
    for one in (plans[3], plans[20]):
        here.remove(one, HUB, "plan")
        here.remove(one, "ES", "answer")
        here.ask(one)
        looks = 0
        while not here.files(one, "ES", "answer"):
            desk.attend()
            looks += 1
        assert looks <= 4
    later = asked(SIZES, SITES, number=30)
    here.ask(later)
    assert desk.attend() == 1
