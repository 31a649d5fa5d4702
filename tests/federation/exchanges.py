"""Sites that answer through a folder, in threads of this process, for tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from genome_eu.disclosure import load_policy
from genome_eu.federation.bundle import Bundle, write_plan
from genome_eu.federation.carriers.exchange import ExchangeInbox
from genome_eu.federation.plan import Ask, Plan
from genome_eu.federation.serve import answer_one, serve
from genome_eu.federation.site import Site, SiteState
from tests.federation.small_sites import Made

JOIN_S = 30.0


def site_of(made: Made, policy: str | Path = "default", state: Path | None = None) -> Site:
    """A site behind an airlock."""
    return Site.open(made.name, made.store, load_policy(policy), state=SiteState(state))


@contextlib.contextmanager
def served(exchange: Path, sites: list[Site]) -> Iterator[None]:
    """Each site serves the folder in a thread until the block ends."""
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=serve,
            args=(site, ExchangeInbox(exchange, site.name)),
            kwargs={"stop": stop, "idle_exit_s": 120.0},
            daemon=True,
        )
        for site in sites
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(JOIN_S)
        assert not any(thread.is_alive() for thread in threads), "a site did not stop"


def roster(folder: Path, names: list[str], timeout_s: float = 60.0) -> Path:
    """`federation.toml` beside an empty folder `exchange`."""
    (folder / "exchange").mkdir(parents=True, exist_ok=True)
    lines = ['name = "small"', 'exchange = "exchange"', f"timeout_s = {timeout_s}"]
    for name in names:
        lines += ["[[site]]", f'name = "{name}"']
    path = folder / "federation.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def asked(ask: Ask, sites: tuple[str, ...], study: str = "0123456789abcdef") -> Plan:
    """An ask as round 0 of a study."""
    return ask.plan(study, 0, sites, 8192)


def reply(site: Site, exchange: Path, ask: Ask) -> Bundle:
    """What a site's daemon puts into the exchange in answer to one ask."""
    plan = asked(ask, (site.name,), study=f"study-{len(list(exchange.iterdir()))}")
    write_plan(exchange / plan.study / "0000" / "plan.tar", plan, dict(ask.inputs))
    inbox = ExchangeInbox(exchange, site.name)
    (request,) = inbox.plans()
    answer_one(site, inbox, request)
    assert list(inbox.plans()) == []
    return Bundle(exchange / plan.study / "0000" / f"{site.name}.tar")
