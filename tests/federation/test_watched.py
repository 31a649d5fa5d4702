"""Everything that is ever written where messages travel is what the sites' ledgers say, sealed.

Three sites under a policy with a floor of five people; what it flags waits for a data officer. Each
write to the store is recorded, so that what was there for a moment counts too.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import genome_eu as ge
from genome_eu.disclosure import review
from genome_eu.disclosure.holding import folder_of, held
from genome_eu.disclosure.ledger import Entry
from genome_eu.errors import BadInput, NoAnswer, Refused
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.carriers.stores.folder import FolderStore
from genome_eu.federation.cover import Cover, read_cover
from genome_eu.federation.daemon.desk import Desk
from genome_eu.federation.envelope import unseal
from genome_eu.federation.parties import Roster
from genome_eu.federation.roster import read_roster
from tests.cli.running import in_subprocess
from tests.federation.exchanges import HUB, desk_of, keys_of, roster, served
from tests.federation.policies import policy_file
from tests.federation.small_sites import Made

WAIT_S = 90.0
SITES = ("ES", "FI", "IT")


@dataclass(frozen=True)
class Write:
    """One file as it was put at the exchange, and what its sender's ledger said at that moment."""

    path: str
    content: bytes
    ledger: tuple[Entry, ...]


@dataclass
class Federation:
    """Three sites, a coordinator, and all that was ever written where they meet."""

    folder: Path
    desks: dict[str, Desk]
    writes: list[Write] = field(default_factory=list)
    seen: set[tuple[str, bytes]] = field(default_factory=set)

    @property
    def roster(self) -> Roster:
        return read_roster(self.folder / "federation.toml")

    def state(self, site: str) -> Path:
        return self.desks[site].folder

    def ledger(self, site: str) -> list[Entry]:
        return list(self.desks[site].airlock.ledger.entries())

    def covers(self) -> list[tuple[Cover, Write]]:
        """The covers that were written, each checked as its reader does."""
        return [
            (read_cover(one.content, self.roster, name=one.path.removesuffix(".cover.json")), one)
            for one in self.writes
            if one.path.endswith(".cover.json")
        ]

    def opened(self, cover: Cover) -> Path:
        """What a message says, unsealed by the coordinator."""
        pieces = {hashlib.sha256(one.content).hexdigest(): one.content for one in self.writes}
        sealed, clear = self.folder / "sealed", self.folder / "clear.tar"
        sealed.write_bytes(b"".join(pieces[part.sha256] for part in cover.parts))
        unseal(sealed, cover, keys_of(HUB), clear, 2**30)
        return clear

    def sent(self, *kinds: str) -> set[tuple[str, str, str]]:
        """Who sent what about which plan."""
        return {
            (cover.sender, cover.kind, cover.plan)
            for cover, _ in self.covers()
            if cover.kind in (kinds or cover.kind)
        }

    def until(self, there: Callable[[], bool], ask: Callable[[], object] | None = None) -> None:
        """Wait for the sites, asking anew where they kept the coordinator waiting."""
        deadline = time.monotonic() + WAIT_S
        while not there():
            assert time.monotonic() < deadline, "the sites did not get there"
            with suppress(NoAnswer):
                ask() if ask is not None else time.sleep(0.05)

    def answered(self, ask: Callable[[], Any]) -> Any:
        """What the sites answer, asked anew where they were late."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            with suppress(NoAnswer):
                return ask()
        return ask()


@contextmanager
def watched(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Record each write to the store; and look at the folder itself all the time."""
    write = FolderStore.write
    root = federation.folder / "exchange"
    one_at_a_time, over = threading.Lock(), threading.Event()

    def recorded(store: FolderStore, path: str, content: bytes) -> None:
        sender = path.rsplit("/", 1)[-1].split(".", 1)[0]
        known = tuple(federation.ledger(sender)) if sender in federation.desks else ()
        with one_at_a_time:
            federation.writes.append(Write(path, bytes(content), known))
        write(store, path, content)

    def look() -> None:
        while not over.wait(0.003):
            for file in root.rglob("*"):
                try:
                    if file.is_file():
                        federation.seen.add((str(file.relative_to(root)), file.read_bytes()))
                except FileNotFoundError:
                    pass

    monkeypatch.setattr(FolderStore, "write", recorded)
    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(WAIT_S)


@contextmanager
def federation(
    folder: Path, made: dict[str, Made], monkeypatch: pytest.MonkeyPatch, *, secure_sum: bool
) -> Iterator[tuple[Federation, ge.Federation]]:
    """Sites that show groups of five people, and have a person look at what is flagged."""
    policy = policy_file(folder, name="five", min_people=5, membership_power=0.3)
    path = roster(folder, list(SITES), timeout_s=2.0, secure_sum=secure_sum)
    desks = {name: desk_of(made[name], folder, policy) for name in SITES}
    for name in SITES:
        (folder / f"{name}.toml").write_text(
            f'name = "{name}"\ncohort = "{made[name].store}"\npolicy = "{policy}"\n'
            f'state = "sites/{name}"\n'
        )
    whole = Federation(folder, desks)
    with watched(whole, monkeypatch), served(*desks.values()):
        yield whole, ge.open_federation(path, studies=folder / "study")


def site_command(folder: Path, site: str, command: str, *words: str) -> str:
    """`genome-eu site COMMAND` as a data officer types it."""
    where = () if command in ("approve", "refuse") else (str(folder / f"{site}.toml"),)
    option = ("--site", str(folder / f"{site}.toml")) if not where else ()
    ran = in_subprocess("site", command, *where, *words, *option)
    assert ran.code == 0, ran.err
    return ran.out


# -- what must hold of any recording ---------------------------------------------------------------


def assert_nothing_else_was_written(whole: Federation) -> None:
    """Each byte belongs to a sealed message that its sender's ledger knew before it was written."""
    covers = whole.covers()
    parts = {part.sha256: cover for cover, _ in covers for part in cover.parts}
    for one in whole.writes:
        if not one.path.endswith(".cover.json"):
            digest = hashlib.sha256(one.content).hexdigest()
            assert one.path.startswith(parts[digest].name), f"{one.path} is of no message"
        assert b"NUMPY" not in one.content, f"{one.path} is not sealed"
        assert b"manifest.json" not in one.content, f"{one.path} is not sealed"
    for cover, _ in covers:
        assert whole.opened(cover).stat().st_size == cover.clear_bytes
    # What lay in the folder at any time is what was recorded, or the beginning of it.
    recorded = {(one.path, one.content) for one in whole.writes}
    for path, content in whole.seen - recorded:
        assert path.endswith(".partial"), f"{path} was put there by nobody"
        assert any(one.content.startswith(content) for one in whole.writes)


EVENTS = {"release": "answer", "refusal": "refusal", "ready": "ready", "held": "held"}


def assert_the_ledgers_say_what_left(whole: Federation) -> None:
    """Each message of a site has its entry, each entry its message, and the entry came first."""
    said = {
        (site, EVENTS[entry.event], entry.fields["plan"])
        for site in SITES
        for entry in whole.ledger(site)
        if entry.event in EVENTS
    }
    assert whole.sent(*EVENTS.values()) == said
    assert {sender for sender, _, _ in whole.sent("plan")} == {HUB}
    delivered = {
        entry.fields["message"]
        for site in SITES
        for entry in whole.ledger(site)
        if entry.event == "delivered"
    }
    for cover, write in whole.covers():
        if cover.sender == HUB:
            continue
        events = [(e.event, e.fields) for e in write.ledger if e.fields.get("plan") == cover.plan]
        names = [event for event, _ in events]
        expected = next(event for event, kind in EVENTS.items() if kind == cover.kind)
        assert expected in names, f"{cover.name} left before its ledger entry"
        if cover.kind in ("answer", "refusal"):
            assert cover.sha256 in delivered
        if cover.kind == "answer":
            content = whole.opened(cover).read_bytes()
            released = [said for event, said in events if event == "release"][-1]
            assert released["bundle"] == hashlib.sha256(content).hexdigest()
            assert ("approval" in names) == ("held" in names), f"{cover.name} was not approved"
    for site in SITES:
        whole.desks[site].airlock.ledger.verify()


def held_at(whole: Federation, study: str | None = None) -> dict[str, Any]:
    """The case that waits at each site."""
    return {
        site: case
        for site in SITES
        for case in held(whole.state(site))
        if study is None or case.study == study
    }


# -- what is shown ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_passes_is_approved_or_is_refused_and_nothing_else_ever_leaves(
    made: dict[str, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with federation(tmp_path, made, monkeypatch, secure_sum=False) as (whole, eu):
        # Lists of variants and sizes of groups pass; allele counts of few people are flagged.
        whole.until(lambda: len(held_at(whole)) == 3, eu.frequencies)
        cases = held_at(whole)
        assert {case.statistic for case in cases.values()} == {"genotype_counts"}
        passed = whole.sent("answer")
        assert {sender for sender, _, _ in passed} == set(SITES)
        clear = {
            site: (folder_of(whole.state(site), case.plan) / "answer.tar").read_bytes()
            for site, case in cases.items()
        }
        with pytest.raises(NoAnswer, match="waits for the decision of its data officer"):
            eu.frequencies()
        assert whole.sent("answer") == passed

        # Approved by each site's data officer: it leaves, as it was seen.
        plan = cases["FI"].plan
        assert f"{cases['FI'].answer[:12]}" in site_command(tmp_path, "FI", "review")
        case = cases["FI"]
        words = (case.plan[:12], "--answer", case.answer[:16], "--who", "Ada")
        out = site_command(tmp_path, "FI", "approve", *words)
        assert out == f"plan {plan[:12]} approved: bundle {case.answer[:12]} may leave\n"
        for site in ("ES", "IT"):
            ledger = whole.desks[site].airlock.ledger
            review.approve(whole.state(site), cases[site].plan, "Ada", ledger)
        whole.until(lambda: whole.sent("answer") == passed | {(s, "answer", plan) for s in SITES})
        result = whole.answered(eu.frequencies)
        assert result.attrs["policies"] == '["five"]'
        for cover, _ in whole.covers():
            if (cover.kind, cover.plan) == ("answer", plan):
                assert whole.opened(cover).read_bytes() == clear[cover.sender]
                assert hashlib.sha256(clear[cover.sender]).hexdigest() == cases[cover.sender].answer

        # Refused by one data officer: it never leaves.
        def again() -> object:
            return ge.open_federation(
                tmp_path / "federation.toml", studies=tmp_path / "another"
            ).frequencies(by=["sex"])

        whole.until(lambda: len(held_at(whole)) == 3, again)
        second = held_at(whole)
        denied = second["FI"]
        site_command(
            tmp_path, "FI", "refuse", denied.plan, "--why", "too many rows", "--who", "Ada"
        )
        whole.until(lambda: ("FI", "refusal", denied.plan) in whole.sent())
        with pytest.raises(Refused, match="FI refuses: the site's data officer does not let"):
            whole.answered(again)

        # Refused by the policy outright: nobody is asked.
        with pytest.raises((Refused, BadInput), match="class of fewer than 5 people"):
            third = ge.open_federation(tmp_path / "federation.toml", studies=tmp_path / "third")
            whole.answered(lambda: third.gwas(["ldl"], covariates=["one_person"]))
    assert ("FI", "answer", denied.plan) not in whole.sent()
    assert_nothing_else_was_written(whole)
    assert_the_ledgers_say_what_left(whole)
    events = [entry.event for entry in whole.ledger("FI")]
    assert {"held", "approval", "denial", "refusal", "release"} <= set(events)
    assert "all as they were written" in site_command(tmp_path, "FI", "log", "--verify")


@pytest.mark.slow
def test_within_a_secure_sum_only_what_is_masked_leaves(
    made: dict[str, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with federation(tmp_path, made, monkeypatch, secure_sum=True) as (whole, eu):
        whole.until(lambda: len(held_at(whole)) == 3, eu.frequencies)
        cases = held_at(whole)
        plan = cases["FI"].plan
        clear = {
            site: Bundle(folder_of(whole.state(site), plan) / "answer.tar").shard(0)
            for site in SITES
        }
        assert not {one for one in whole.sent("answer") if one[2] == plan}
        for site in SITES:
            review.approve(whole.state(site), plan, "Ada", whole.desks[site].airlock.ledger)
        whole.until(lambda: {(site, "answer", plan) for site in SITES} <= whole.sent("answer"))
        whole.answered(eu.frequencies)
    assert_nothing_else_was_written(whole)
    assert_the_ledgers_say_what_left(whole)
    assert {(site, "ready", plan) for site in SITES} <= whole.sent("ready")
    for cover, _ in whole.covers():
        if (cover.kind, cover.plan) == ("answer", plan):
            bundle = Bundle(whole.opened(cover))
            assert bundle.manifest.secure_sum is not None
            counts = clear[cover.sender].allele_count.tobytes()
            assert counts not in bundle.path.read_bytes()
