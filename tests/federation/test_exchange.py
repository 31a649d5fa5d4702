"""The carrier whose queue is a folder: what lies in it is read only if it is meant and whole."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import genome_eu as ge
from genome_eu.disclosure import Facts
from genome_eu.errors import BadInput, BundleError, NoAnswer, Refused
from genome_eu.federation.bundle import Bundle, write_answer, write_plan, write_refusal
from genome_eu.federation.carriers.exchange import Exchange, ExchangeInbox
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.plan import Plan
from genome_eu.federation.study import Study
from genome_eu.stats.counts import GroupSizes
from tests.federation.bundles import COHORT, group_sizes_plan, projection_plan, released
from tests.federation.carrier_contract import SITES, CarrierContract
from tests.federation.exchanges import roster, served, site_of
from tests.federation.small_sites import Made
from tests.federation.test_bundle import plausible


class TestExchange(CarrierContract):
    @contextlib.contextmanager
    def opened(
        self, made: dict[str, Made], folder: Path, policy: str = "default"
    ) -> Iterator[Federation]:
        path = roster(folder, list(SITES))
        with served(folder / "exchange", [site_of(site, policy) for site in made.values()]):
            yield ge.open_federation(path)


def plan_for(*sites: str, study: str = "study", number: int = 0) -> Plan:
    return group_sizes_plan(sites).model_copy(update={"study": study, "round": number})


def put_plan(exchange: Path, plan: Plan) -> Path:
    place = exchange / plan.study / f"{plan.round:04d}"
    write_plan(place / "plan.tar", plan, {})
    return place


def put_answer(place: Path, plan: Plan, site: str = "ES", name: str | None = None) -> Path:
    made = released([(plausible(GroupSizes, 0, 1), Facts(people=200))], plan, site)
    path = place / f"{name or site}.tar"
    write_answer(path, made, COHORT)
    return path


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    path = tmp_path / "exchange"
    path.mkdir()
    return path


# -- the coordinator's side --------------------------------------------------------------------


@contextlib.contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Do something a moment after the coordinator has begun to wait.

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


def collect(exchange: Path, folder: Path, plan: Plan, timeout_s: float = 1.0) -> dict:
    study = Study(folder / "study", {"ask": "made"})
    study.open_round(plan, {})
    return Exchange(exchange, timeout_s).ask(plan, {}, study, plan.sites)


def test_sites_that_do_not_answer_are_named(exchange, tmp_path):
    plan = plan_for("ES", "FI", "IT")
    put_answer(put_plan(exchange, plan), plan)
    begun = time.monotonic()
    with pytest.raises(NoAnswer, match=r"no answer from sites FI, IT to round 0 .* within 0\.5 s"):
        collect(exchange, tmp_path, plan, timeout_s=0.5)
    assert time.monotonic() - begun < 10
    assert "timeout" in (tmp_path / "study" / "log.jsonl").read_text()


def test_one_site_that_does_not_answer_is_named(made, tmp_path):
    path = roster(tmp_path, list(SITES), timeout_s=1.5)
    sites = [site_of(made[name]) for name in ("ES", "FI")]
    with served(tmp_path / "exchange", sites), pytest.raises(NoAnswer, match="site IT to round 0"):
        ge.open_federation(path).frequencies()


def test_a_file_that_is_still_being_written_is_not_an_answer(exchange, tmp_path):
    """Writers rename: what is begun has another name, whatever it holds."""
    plan = plan_for("ES")
    place = put_plan(exchange, plan)
    (place / ".ES.tar.0a1b2c3d.partial").write_bytes(b"half of an answer")
    (place / "ES.tar.tmp").write_bytes(b"half of an answer")
    with pytest.raises(NoAnswer, match="no answer from site ES"):
        collect(exchange, tmp_path, plan, timeout_s=0.3)
    with meanwhile(lambda: put_answer(place, plan)):
        assert set(collect(exchange, tmp_path, plan, timeout_s=10)) == {"ES"}


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(20_000)])
def test_garbage_under_the_name_of_an_answer_is_refused_and_then_forgotten(
    exchange, tmp_path, content
):
    plan = plan_for("ES")
    place = put_plan(exchange, plan)
    with (
        meanwhile(lambda: (place / "ES.tar").write_bytes(content)),
        pytest.raises(BundleError, match=r"bundle ES\.tar"),
    ):
        collect(exchange, tmp_path, plan, timeout_s=10)
    assert not list((tmp_path / "study" / "rounds").rglob("ES.tar"))
    # Asked again, the site has another chance.
    with meanwhile(lambda: put_answer(place, plan)):
        assert set(collect(exchange, tmp_path, plan, timeout_s=10)) == {"ES"}


def test_an_answer_with_a_damaged_array_is_refused_and_then_forgotten(exchange, tmp_path):
    plan = plan_for("ES")
    place = put_plan(exchange, plan)

    def damaged() -> None:
        whole = put_answer(exchange.parent, plan).read_bytes()
        at = whole.index(b"\x93NUMPY") + 130
        (place / "ES.tar").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])

    with meanwhile(damaged), pytest.raises(BundleError, match="is damaged; ask for it again"):
        collect(exchange, tmp_path, plan, timeout_s=10)
    assert not list((tmp_path / "study" / "rounds").rglob("ES.tar"))
    with meanwhile(lambda: put_answer(place, plan)):
        assert set(collect(exchange, tmp_path, plan, timeout_s=10)) == {"ES"}


@pytest.mark.parametrize("other", ["plan", "site", "statistic"])
def test_an_answer_to_something_else_is_refused(exchange, tmp_path, other):
    plan = plan_for("ES")
    place = put_plan(exchange, plan)

    def wrong() -> None:
        if other == "plan":
            put_answer(place, plan_for("ES", number=1))
        elif other == "site":
            put_answer(place, plan, site="FI", name="ES")
        else:
            asked, _ = projection_plan()
            write_refusal(place / "ES.tar", "ES", asked.hash, "policy", "not of this plan")

    with meanwhile(wrong), pytest.raises(BundleError, match="is not the answer of ES to this plan"):
        collect(exchange, tmp_path, plan, timeout_s=10)
    assert not list((tmp_path / "study" / "rounds").rglob("ES.tar"))


@pytest.mark.parametrize(
    ("reason", "error", "match"),
    [
        ("policy", Refused, "site ES refuses: no such thing"),
        ("input", BadInput, "site ES cannot answer: no such thing"),
        ("fault", BadInput, "site ES cannot answer: no such thing"),
    ],
)
def test_a_refusal_is_an_error_of_its_kind_and_may_be_reconsidered(
    exchange, tmp_path, reason, error, match
):
    plan = plan_for("ES")
    place = put_plan(exchange, plan)

    def refuse() -> None:
        write_refusal(place / "ES.tar", "ES", plan.hash, reason, "no such thing")

    with meanwhile(refuse), pytest.raises(error, match=match):
        collect(exchange, tmp_path, plan, timeout_s=10)
    with meanwhile(lambda: put_answer(place, plan)):
        assert set(collect(exchange, tmp_path, plan, timeout_s=10)) == {"ES"}


def test_an_exchange_that_is_not_there_is_said_to_be_missing(tmp_path):
    for open_it in (
        lambda: Exchange(tmp_path / "nowhere", 1.0),
        lambda: ExchangeInbox(tmp_path / "nowhere", "ES"),
    ):
        with pytest.raises(BadInput, match="does not exist; create it or correct its path"):
            open_it()


# -- the site's side ---------------------------------------------------------------------------


def waiting(inbox: ExchangeInbox) -> list[str]:
    return [bundle.path.relative_to(inbox.folder).as_posix() for bundle in inbox.plans()]


def test_a_site_sees_the_plans_that_ask_it_and_have_no_answer(exchange):
    inbox = ExchangeInbox(exchange, "ES")
    assert waiting(inbox) == []
    put_plan(exchange, plan_for("ES", "FI"))
    put_plan(exchange, plan_for("FI", study="others"))
    done = plan_for("ES", number=1)
    put_answer(put_plan(exchange, done), done)
    assert waiting(inbox) == ["study/0000/plan.tar"]


def test_a_site_ignores_what_is_not_meant_for_it(exchange):
    plan = plan_for("ES")
    place = put_plan(exchange, plan)
    (exchange / "README.txt").write_text("hello")
    (exchange / "an empty folder").mkdir()
    (exchange / "photos" / "2024").mkdir(parents=True)
    (exchange / "photos" / "2024" / "plan.tar").write_bytes(b"not a plan")
    (exchange / "study" / "notes").mkdir()
    (exchange / "study" / "notes.txt").write_text("hello")
    (place / ".plan.tar.00000000.partial").write_bytes(b"half")
    # A copy of the plan elsewhere is not that study's round.
    for elsewhere in (exchange / "copy" / "0000", exchange / "study" / "0007"):
        elsewhere.mkdir(parents=True)
        shutil.copy(place / "plan.tar", elsewhere / "plan.tar")
    assert waiting(ExchangeInbox(exchange, "ES")) == ["study/0000/plan.tar"]


def test_a_plan_that_is_still_arriving_is_read_once_it_is_whole(exchange):
    place = put_plan(exchange, plan_for("ES"))
    whole = (place / "plan.tar").read_bytes()
    inbox = ExchangeInbox(exchange, "ES")
    for length in (0, 1, 600, len(whole) - 1):
        (place / "plan.tar").write_bytes(whole[:length])
        assert waiting(inbox) == []
    (place / "plan.tar").write_bytes(whole)
    assert waiting(inbox) == ["study/0000/plan.tar"]


def test_an_answer_or_a_refusal_in_place_of_a_plan_is_ignored(exchange):
    place = exchange / "study" / "0000"
    place.mkdir(parents=True)
    shutil.copy(put_answer(exchange.parent, plan_for("ES")), place / "plan.tar")
    assert waiting(ExchangeInbox(exchange, "ES")) == []


@pytest.mark.parametrize("name", ["", "../ES", "a/b", "ES\n", "x" * 65, "É"])
def test_a_site_name_is_a_file_name_and_nothing_more(exchange, name):
    with pytest.raises(BadInput, match="may hold only letters"):
        ExchangeInbox(exchange, name)


def test_a_delivered_answer_appears_at_once(exchange):
    plan = plan_for("ES")
    place = put_plan(exchange, plan)
    made = put_answer(exchange.parent, plan)
    ExchangeInbox(exchange, "ES").deliver(plan, made)
    assert sorted(one.name for one in place.iterdir()) == ["ES.tar", "plan.tar"]
    assert (place / "ES.tar").read_bytes() == made.read_bytes()
    assert Bundle(place / "ES.tar").manifest.plan == plan.hash
