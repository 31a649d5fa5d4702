"""Sites that answer through an exchange: in threads of this process, or driven by hand."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from genome_eu.disclosure import load_policy
from genome_eu.federation.bundle import Bundle, write_plan
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.cover import Cover, Kind, read_cover
from genome_eu.federation.daemon.desk import Desk
from genome_eu.federation.daemon.serve import serve
from genome_eu.federation.envelope import seal, unseal
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.parties import Roster
from genome_eu.federation.plan import Ask, Plan
from genome_eu.federation.roster import accept_roster, sign_roster
from genome_eu.federation.site import Site
from tests.federation.small_sites import Made

JOIN_S = 30.0
HUB = "hub"
STUDY = "0123456789abcdef"
_LIMIT = 2**30


@cache
def keys_of(name: str) -> SecretKeys:
    """The keys of a party, the same in all tests of a run."""
    return SecretKeys.new()


# -- a federation on disk ----------------------------------------------------------------------


def roster(
    folder: Path,
    names: list[str],
    timeout_s: float = 60.0,
    *,
    secure_sum: bool = False,
    **more: Any,
) -> Path:
    """A signed `federation.toml` beside an empty folder `exchange` and the coordinator's key."""
    (folder / "exchange").mkdir(parents=True, exist_ok=True)
    lines = [
        'name = "small"',
        f"serial = {more.get('serial', 1)}",
        f'exchange = "{more.get("exchange", "exchange")}"',
        f"timeout_s = {timeout_s}",
        f"secure_sum = {str(secure_sum).lower()}",
    ]
    if "host_key" in more:
        lines += [f'host_key = "{more["host_key"]}"']
    for name in (HUB, *names):
        lines += ["[coordinator]" if name == HUB else "[[site]]", f'name = "{name}"']
        lines += [keys_of(name).public.lines()]
    path = folder / "federation.toml"
    path.write_text("\n".join(lines) + "\n")
    sign_roster(path, keys_of(HUB))
    key = folder / f"{HUB}.key"
    if not key.exists():
        keys_of(HUB).write(key, None)
    return path


def site_of(made: Made, policy: str | Path = "default", state: Path | None = None) -> Site:
    """A site behind an airlock."""
    return Site.open(made.name, made.store, load_policy(policy), state=SiteState(state))


def state_of(folder: Path, name: str) -> Path:
    """A site's private folder."""
    return folder / "sites" / name


def desk_of(
    made: Made, folder: Path, policy: str | Path = "default", exchange: str | None = None
) -> Desk:
    """The desk of a site of the federation in `folder`; opened again, it goes on."""
    state = state_of(folder, made.name)
    found = accept_roster(state, folder / "federation.toml")
    post = Post(exchange or str(folder / "exchange"))
    site = site_of(made, policy, state)
    return Desk(site, roster=found, keys=keys_of(made.name), post=post, folder=state)


@contextlib.contextmanager
def served(*desks: Desk) -> Iterator[None]:
    """Each site serves in a thread until the block ends."""
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=serve, args=([desk],), kwargs={"stop": stop, "idle_exit_s": 120.0}, daemon=True
        )
        for desk in desks
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


# -- one plan, by hand -------------------------------------------------------------------------


def asked(
    ask: Ask, sites: tuple[str, ...], study: str = STUDY, number: int = 0, **more: Any
) -> Plan:
    """An ask as a round of a study, by the coordinator."""
    return ask.plan(study, number, sites, 8192, **({"reader": HUB} | more))


def name_of(plan: Plan, sender: str, kind: str) -> str:
    """Where a message about a plan lies."""
    return f"{plan.study}/{plan.round:04d}/{sender}.{kind}"


def sent(
    post: Post, known: Roster, plan: Plan, kind: Kind, sender: str, clear: Path, /, **changes: Any
) -> Cover:
    """Seal and post a message as its author does; `changes` are to what is signed."""
    fields: dict[str, Any] = {
        "roster": known,
        "keys": keys_of(sender),
        "study": plan.study,
        "round": plan.round,
        "kind": kind,
        "sender": sender,
        "plan": plan.hash,
        "readers": (*plan.sites, sender) if kind == "plan" else (plan.reader,),
    }
    with tempfile.TemporaryDirectory() as folder:
        sealed = Path(folder) / "sealed"
        cover = seal(clear, sealed, **(fields | changes))
        post.publish(cover.name, sealed, cover.content, cover.parts)
    return cover


def posted(
    post: Post,
    known: Roster,
    plan: Plan,
    inputs: Any = None,
    sender: str = HUB,
    /,
    **changes: Any,
) -> Cover:
    """Post a plan as its author does."""
    with tempfile.TemporaryDirectory() as folder:
        clear = Path(folder) / "plan.tar"
        write_plan(clear, plan, dict(inputs or {}))
        return sent(post, known, plan, "plan", sender, clear, **changes)


def arrived(desk: Desk, plan: Plan, folder: Path, kind: str = "answer") -> Bundle | None:
    """What a site has sent about a plan, unsealed by the coordinator; None where it has not."""
    name = name_of(plan, desk.site.name, kind)
    content = desk.post.cover(name)
    if content is None:
        return None
    cover = read_cover(content, desk.roster, name=name, plan=plan.hash)
    place = folder / f"{hashlib.sha256(content).hexdigest()[:16]}"
    desk.post.fetch(name, cover.parts, place.with_suffix(".c4gh"))
    unseal(place.with_suffix(".c4gh"), cover, keys_of(HUB), place.with_suffix(".tar"), _LIMIT)
    return Bundle(place.with_suffix(".tar"))


def reply(desk: Desk, ask: Ask, folder: Path, study: str = STUDY) -> Bundle:
    """Ask one desk one question; what it says, an answer or a refusal."""
    plan = asked(ask, (desk.site.name,), study)
    posted(desk.post, desk.roster, plan, ask.inputs)
    assert desk.attend() == 1
    assert desk.attend() == 0
    found = [arrived(desk, plan, folder, kind) for kind in ("answer", "refusal")]
    (said,) = (bundle for bundle in found if bundle is not None)
    return said


def events(desk: Desk) -> list[str]:
    """What the ledger says, without what it says at every start."""
    ledger = [entry.event for entry in desk.airlock.ledger.entries()]
    return [event for event in ledger if event not in ("opened", "policy", "roster")]
