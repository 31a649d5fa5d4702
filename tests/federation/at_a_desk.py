"""A federation of three sites, and the desk of one of them at hand."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genome_eu.federation.bundle import Bundle
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.cover import read_cover
from genome_eu.federation.daemon.desk import Desk
from genome_eu.federation.parameters.counts import GroupSizesParameters
from genome_eu.federation.parameters.linear import TraitMomentsParameters
from genome_eu.federation.plan import Ask, Plan
from genome_eu.federation.roster import read_roster
from genome_eu.stats.counts import GroupSizes
from genome_eu.stats.traits import TraitMoments
from tests.federation.exchanges import (
    arrived,
    asked,
    desk_of,
    events,
    name_of,
    posted,
    roster,
    state_of,
)
from tests.federation.policies import floors_file
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


def bundle_digest(bundle: Bundle) -> str:
    return hashlib.sha256(bundle.path.read_bytes()).hexdigest()


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
