"""The coordinator's side of an exchange: what lies there is read only if it is meant and whole."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import genome_eu as ge
from genome_eu.atomic import write_whole
from genome_eu.disclosure import Facts
from genome_eu.disclosure.ledger import Head
from genome_eu.errors import BadInput, BundleError, LedgerError, NoAnswer, Refused, SignatureError
from genome_eu.federation.bundle import write_answer, write_refusal
from genome_eu.federation.carriers.exchange import Exchange
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.cover import Cover
from genome_eu.federation.parties import Roster
from genome_eu.federation.plan import Plan
from genome_eu.federation.roster import read_roster
from genome_eu.federation.study import Study
from genome_eu.stats.counts import GroupSizes
from tests.federation.bundles import COHORT, group_sizes_plan, judged
from tests.federation.carrier_contract import SITES, CarrierContract
from tests.federation.exchanges import HUB, desk_of, keys_of, name_of, roster, sent, served
from tests.federation.small_sites import Made
from tests.federation.test_bundle import plausible

SOON_S = 10.0


class TestExchange(CarrierContract):
    @contextlib.contextmanager
    def opened(self, made: dict[str, Made], folder: Path, policy: Path) -> Iterator[Federation]:
        path = roster(folder, list(SITES))
        with served(*(desk_of(site, folder, policy) for site in made.values())):
            yield ge.open_federation(path)


def plan_for(*sites: str, study: str = "study", number: int = 0) -> Plan:
    return group_sizes_plan(sites).model_copy(update={"study": study, "round": number})


@dataclass(frozen=True)
class Hub:
    """A coordinator, and what sites would send it."""

    folder: Path
    roster: Roster
    post: Post

    def ask(self, plan: Plan) -> dict[str, Any]:
        study = Study(self.folder / "study", {"ask": "made"})
        study.open_round(plan, {})
        exchange = Exchange(self.post, self.roster, keys_of(HUB), self.folder / "ledgers")
        return exchange.ask(plan, {}, study, plan.sites)

    def answer(self, asked: Plan, site: str = "ES", **changes: Any) -> Cover:
        """A sound answer, as that site would send it; `changes` are to its cover."""
        clear = self.folder / f"{site}.tar"
        about = changes.pop("about", asked)
        made = judged([(plausible(GroupSizes, 0, 1), Facts(people=200))], about, site)
        write_answer(clear, made, COHORT)
        known = changes.pop("roster", self.roster)
        return sent(self.post, known, asked, "answer", site, clear, **changes)

    def refuse(self, plan: Plan, reason: str) -> Cover:
        clear = self.folder / "no.tar"
        write_refusal(clear, "ES", plan.hash, reason, "no such thing")
        return sent(self.post, self.roster, plan, "refusal", "ES", clear)

    def files(self, plan: Plan, site: str, kind: str) -> list[Path]:
        place = self.folder / "exchange" / name_of(plan, site, kind)
        return sorted(place.parent.glob(f"{place.name}.*"))

    def kept(self) -> list[Path]:
        return [path for path in self.folder.glob("study/rounds/*/*.tar") if path.stem != "plan"]


def hub_in(folder: Path, timeout_s: float) -> Hub:
    path = roster(folder, list(SITES), timeout_s)
    return Hub(folder, read_roster(path), Post(str(folder / "exchange")))


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """One that waits as long as it takes."""
    return hub_in(tmp_path, SOON_S)


@pytest.fixture
def hasty(tmp_path: Path) -> Hub:
    """One that does not wait long."""
    return hub_in(tmp_path, 0.4)


@contextlib.contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Do something once the coordinator has begun to wait.

    On a busy machine that may be too early, and then it is forgotten: so again every second.
    """
    over = threading.Event()

    def act() -> None:
        over.wait(0.3)
        action()
        while not over.wait(1.0):
            action()

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


# -- nobody answers ----------------------------------------------------------------------------


def test_sites_that_do_not_answer_are_named(hasty):
    plan = plan_for(*SITES)
    hasty.answer(plan)
    begun = time.monotonic()
    with pytest.raises(NoAnswer, match=r"from sites FI, IT to round 0 .* within 0\.4 s") as late:
        hasty.ask(plan)
    assert time.monotonic() - begun < SOON_S
    assert "check that `genome-eu site serve` runs there" in str(late.value)
    assert str(late.value).endswith("--without FI --without IT")
    assert '"timeout"' in (hasty.folder / "study" / "log.jsonl").read_text()


def test_one_site_that_does_not_answer_is_named(made, tmp_path):
    path = roster(tmp_path, list(SITES), timeout_s=1.5)
    desks = [desk_of(made[name], tmp_path, "open-data") for name in ("ES", "FI")]
    with served(*desks), pytest.raises(NoAnswer, match="site IT to round 0"):
        ge.open_federation(path).frequencies()


def test_a_site_that_waits_for_a_person_is_told_apart(hasty):
    plan = plan_for("ES", "FI")
    clear = hasty.folder / "held.tar"
    write_refusal(clear, "ES", plan.hash, "review", "waits for its data officer")
    sent(hasty.post, hasty.roster, plan, "held", "ES", clear)
    with pytest.raises(NoAnswer, match="site ES waits for the decision of its data officer"):
        hasty.ask(plan)


def test_a_notice_that_its_site_did_not_sign_says_nothing(hasty):
    plan = plan_for("ES")
    (place := hasty.folder / "exchange" / "study" / "0000").mkdir(parents=True)
    (place / "ES.held.cover.json").write_bytes(b"held")
    with pytest.raises(NoAnswer, match="check that `genome-eu site serve` runs there"):
        hasty.ask(plan)


def test_a_plan_that_was_waited_for_in_vain_is_posted_anew(hasty):
    """An answer may have been lost at the exchange; its site knows of that by this alone."""
    plan = plan_for("ES")
    with pytest.raises(NoAnswer):
        hasty.ask(plan)
    before = hasty.post.cover(name_of(plan, HUB, "plan"))
    with pytest.raises(NoAnswer):
        hasty.ask(plan)
    assert hasty.post.cover(name_of(plan, HUB, "plan")) != before


def test_an_exchange_that_is_not_there_is_said_to_be_missing(hub):
    shutil.rmtree(hub.folder / "exchange")
    with pytest.raises(BadInput, match="is not there; create it or correct its address"):
        hub.ask(plan_for("ES"))


# -- what is no answer -------------------------------------------------------------------------


def test_parts_without_a_cover_are_not_an_answer(hasty):
    """A writer that is not done, or was killed, or comes in another order."""
    plan = plan_for("ES")
    hasty.answer(plan)
    *parts, cover = sorted(hasty.files(plan, "ES", "answer"))
    whole = cover.read_bytes()
    cover.unlink()
    (cover.parent / ".ES.answer.cover.json.0a1b2c3d.partial").write_bytes(whole[:100])
    with pytest.raises(NoAnswer, match="no answer from site ES"):
        hasty.ask(plan)
    cover.write_bytes(whole)
    assert set(hasty.ask(plan)) == {"ES"}
    assert parts


def damage(hub: Hub, plan: Plan, how: str) -> None:
    """An answer as a store that is broken or hostile may show it."""
    (hub.folder / "aside").mkdir(exist_ok=True)
    aside = replace(hub, post=Post(str(hub.folder / "aside")))
    aside.answer(plan)
    place = hub.folder / "aside" / "study" / "0000"
    (part,) = place.glob("ES.answer.0*")
    cover = place / "ES.answer.cover.json"
    whole, said = part.read_bytes(), cover.read_bytes()
    changed: dict[str, tuple[bytes | None, bytes]] = {
        "empty cover": (whole, b""),
        "garbage": (whole, bytes(20_000)),
        "cover of 2 MiB": (whole, bytes(2**21)),
        "flipped cover": (whole, said.replace(b'"round":0', b'"round":1')),
        "flipped": (whole[:900] + bytes([whole[900] ^ 1]) + whole[901:], said),
        "cut": (whole[:-28], said),
        "longer": (whole + bytes(28), said),
        "lost": (None, said),
    }
    content, said = changed[how]
    place = hub.folder / "exchange" / "study" / "0000"
    if content is not None:
        (place / part.name).write_bytes(content)
    write_whole(place / cover.name, said)
    part.unlink()


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ("empty cover", "is damaged, or signed by nobody"),
        ("garbage", "is damaged, or signed by nobody"),
        ("cover of 2 MiB", "is larger than 1 MiB"),
        ("flipped cover", "is damaged, or signed by nobody"),
        ("flipped", "was changed, cut or replaced"),
        ("cut", "was changed, cut or replaced"),
        ("longer", "was changed, cut or replaced"),
        ("lost", "ask for it again"),
    ],
)
def test_a_damaged_answer_is_refused_and_then_forgotten(hub, how, match):
    plan = plan_for("ES")
    with meanwhile(lambda: damage(hub, plan, how)), pytest.raises(BundleError, match=match):
        hub.ask(plan)
    assert not hub.kept()
    # Asked again, the site has another chance.
    with meanwhile(lambda: hub.answer(plan)):
        assert set(hub.ask(plan)) == {"ES"}


WRONG: dict[str, tuple[Callable[[Hub, Plan], object], str]] = {
    "another plan inside": (
        lambda hub, plan: hub.answer(plan, about=plan_for("ES", number=1)),
        "is not the answer of ES to this plan",
    ),
    "about another plan": (
        lambda hub, plan: hub.answer(plan, plan="b" * 64),
        "is about another plan",
    ),
    "by somebody unknown": (
        lambda hub, plan: replayed(hub, plan, "stranger"),
        "signed by nobody in federation small",
    ),
    "by another site": (
        lambda hub, plan: replayed(hub, plan, "FI"),
        "copied to another place",
    ),
    "of another round": (
        lambda hub, plan: replayed(hub, plan, "round"),
        "copied to another place",
    ),
    "under another roster": (
        lambda hub, plan: hub.answer(plan, roster=hub.roster.model_copy(update={"serial": 9})),
        "sent under another roster",
    ),
    "a plan": (
        lambda hub, plan: copied(hub, name_of(plan, HUB, "plan"), name_of(plan, "ES", "answer")),
        "copied to another place",
    ),
}


def copied(hub: Hub, name: str, target: str) -> None:
    """Put a message under another name, as whoever can write to the store may do."""
    place = hub.folder / "exchange"
    for path in (place / name).parent.glob(f"{Path(name).name}.*"):
        to = (place / target).parent / path.name.replace(Path(name).name, Path(target).name, 1)
        shutil.copy(path, to)


def replayed(hub: Hub, plan: Plan, what: str) -> None:
    if what == "stranger":
        # A roster of its own, in which this stranger is ES.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.federation.exchanges.keys_of", lambda name: keys_of(f"no {name}"))
            folder = hub.folder / "elsewhere"
            other = read_roster(roster(folder, list(SITES)))
            hub.answer(plan, roster=other, keys=keys_of("no ES"))
    elif what == "round":
        other = plan_for("ES", number=1)
        hub.answer(other)
        copied(hub, name_of(other, "ES", "answer"), name_of(plan, "ES", "answer"))
    else:
        hub.answer(plan, what)
        copied(hub, name_of(plan, what, "answer"), name_of(plan, "ES", "answer"))


@pytest.mark.parametrize("case", WRONG)
def test_an_answer_to_something_else_is_refused_and_then_forgotten(hub, case):
    wrong, match = WRONG[case]
    plan = plan_for("ES")
    with meanwhile(lambda: wrong(hub, plan)), pytest.raises(BundleError, match=match):
        hub.ask(plan)
    assert not hub.kept()
    with meanwhile(lambda: hub.answer(plan)):
        assert set(hub.ask(plan)) == {"ES"}


def test_an_answer_that_comes_twice_is_one_answer(hub):
    plan = plan_for("ES")

    def twice() -> None:
        hub.answer(plan)
        hub.answer(plan)

    with meanwhile(twice):
        assert set(hub.ask(plan)) == {"ES"}
    assert [path.name for path in hub.kept()] == ["ES.tar"]


def test_who_does_not_hold_the_key_of_a_reader_cannot_read_an_answer(hub):
    plan = plan_for("ES")
    with (
        meanwhile(lambda: hub.answer(plan, readers=("ES",))),
        pytest.raises(BundleError, match="is sealed for ES; the key given here opens it not"),
    ):
        hub.ask(plan)


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "error", "match"),
    [
        ("policy", Refused, "site ES refuses: no such thing"),
        ("input", BadInput, "site ES cannot answer: no such thing"),
        ("fault", BadInput, "site ES cannot answer: no such thing"),
    ],
)
def test_a_refusal_is_an_error_of_its_kind_and_may_be_reconsidered(hub, reason, error, match):
    plan = plan_for("ES")
    with meanwhile(lambda: hub.refuse(plan, reason)), pytest.raises(error, match=match):
        hub.ask(plan)
    before = hub.post.cover(name_of(plan, HUB, "plan"))
    with meanwhile(lambda: hub.answer(plan)):
        assert set(hub.ask(plan)) == {"ES"}
    assert hub.post.cover(name_of(plan, HUB, "plan")) != before
    assert hub.post.cover(name_of(plan, "ES", "refusal")) is None


def test_killed_while_it_takes_refusals_away_the_coordinator_asks_anew(hub, monkeypatch):
    """Else the site would never look again, and the study would wait for ever."""
    plan = plan_for("ES")
    with meanwhile(lambda: hub.refuse(plan, "policy")), pytest.raises(Refused):
        hub.ask(plan)
    hub.refuse(plan, "policy")
    before = hub.post.cover(name_of(plan, HUB, "plan"))
    for died in (0, 1, 2):
        left = [died]

        def dying(self, name, *more, left=left, call=Post.discard, **named):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            call(self, name, *more, **named)

        with monkeypatch.context() as patch:
            patch.setattr(Post, "discard", dying)
            patch.setattr(Post, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                hub.ask(plan)
    with meanwhile(lambda: hub.answer(plan)):
        assert set(hub.ask(plan)) == {"ES"}
    assert hub.post.cover(name_of(plan, HUB, "plan")) not in (before, None)


# -- the sites' ledgers ------------------------------------------------------------------------


def head(count: int, letter: str = "a") -> Head:
    return Head(count=count, hash=letter * 64)


def answered(hub: Hub, number: int, signed: Head) -> dict[str, Any]:
    plan = plan_for("ES", number=number)
    with meanwhile(lambda: hub.answer(plan, ledger=signed)):
        return hub.ask(plan)


@pytest.mark.parametrize("later", [head(7), head(6, "b"), head(0)])
def test_a_ledger_that_was_cut_or_written_anew_shows(hub, later):
    answered(hub, 0, head(7, "b"))
    assert json.loads((hub.folder / "ledgers" / "ES.json").read_text())["count"] == 7
    with pytest.raises(LedgerError, match="the ledger of site ES once had more or other entries"):
        answered(hub, 1, later)


def test_a_ledger_that_grew_is_pinned_where_it_stands(hub):
    answered(hub, 0, head(7))
    answered(hub, 1, head(9, "b"))
    assert json.loads((hub.folder / "ledgers" / "ES.json").read_text())["count"] == 9


def test_an_answer_that_was_overtaken_by_a_later_one_is_no_sign_of_a_cut(hub):
    """The same question asked before the newer head was known."""
    first = plan_for("ES", number=0)
    study = Study(hub.folder / "study", {"ask": "made"})
    study.open_round(first, {})
    Exchange(hub.post, hub.roster, keys_of(HUB), hub.folder / "ledgers").heads.ask(
        first.sites, study.round(0)
    )
    answered(hub, 1, head(9))
    assert set(answered(hub, 0, head(7))) == {"ES"}
    assert json.loads((hub.folder / "ledgers" / "ES.json").read_text())["count"] == 9


def test_a_message_by_a_stranger_is_not_even_opened(hub, monkeypatch):
    plan = plan_for("ES")
    monkeypatch.setattr(Post, "fetch", lambda *_: pytest.fail("it was fetched"))
    with (
        meanwhile(lambda: replayed(hub, plan, "stranger")),
        pytest.raises(SignatureError, match="it is not read"),
    ):
        hub.ask(plan)
