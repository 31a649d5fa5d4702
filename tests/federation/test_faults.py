"""Any party may be killed at any moment: the study goes on, and its answer is the same.

A GWAS with two PCs, under secure sums, over an exchange: three sites and a coordinator, each a
process. One of them at random is killed at a random moment and started again, until so many kills
have been made. `python -m tests.federation.test_faults 200 [KILLS_A_STUDY] [SEED]` does more of it
than the test.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genome_eu.disclosure.ledger import Head, Ledger
from tests.federation.processes import Federation, Party, federation
from tests.federation.small_sites import PEOPLE, make

QUESTION = ("--trait", "ldl", "--trait", "crp", "--covariates", "age,sex", "--pcs", "2")
# A basis of so few rows is exhausted after four blocks of the PCA.
ROWS = np.arange(24, 72)
ANSWER_S = 120.0
MOST_ERRORS = 10
_LOOK_S = 0.01


class Watcher:
    """Reads every file that appears at the exchange; remembers digests of what it held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, set[str]] = defaultdict(set)
        self.covers: dict[str, dict[str, Any]] = {}
        self._known: dict[Path, tuple[int, ...]] = {}
        self._below: dict[Path, list[Path]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._known.clear()
        self._look(self.folder)

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_S):
            self._look(self.folder)

    def _look(self, path: Path) -> None:
        """At a file, or at a folder that something was put into or taken from, and below it."""
        try:
            about = path.stat()
            identity = (about.st_ino, about.st_size, about.st_mtime_ns)
            new, self._known[path] = self._known.get(path) != identity, identity
            if path.is_dir():
                if new:
                    self._below[path] = list(path.iterdir())
                # Files get their names when they are whole, which changes the folder.
                for below in self._below[path]:
                    if new or below in self._below:
                        self._look(below)
            # A temporary name holds a message that has not been published yet.
            elif new and not path.name.endswith(".partial"):
                self._keep(str(path.relative_to(self.folder)), path.read_bytes())
        except FileNotFoundError:
            return

    def _keep(self, name: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self.held[name].add(digest)
        if name.endswith(".cover.json"):
            self.covers[digest] = json.loads(content)["cover"]

    def check(self) -> Counter[str]:
        """Messages by kind; each answer was always the same bytes, each plan the same question."""
        kinds: Counter[str] = Counter()
        for name, digests in self.held.items():
            if not name.endswith(".cover.json"):
                # Parts are named by their content.
                assert {digest[:32] for digest in digests} == {name.rpartition(".")[2]}
                continue
            kind = name.removesuffix(".cover.json").rpartition(".")[2]
            kinds[kind] += 1
            covers = [self.covers[digest] for digest in digests]
            assert len({cover["plan"] for cover in covers}) == 1, name
            if kind in ("answer", "ready"):
                assert len(digests) == 1, f"{name} was {len(digests)} different messages"
                parts = [one for one in self.held if one.startswith(name[: -len("cover.json")])]
                assert len(parts) == 1 + len(covers[0]["parts"])
        return kinds


@dataclass
class Faults:
    """What happened in one run of many studies."""

    answers: list[str] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    asked_again: list[str] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How often somebody was killed."""
        return sum(self.killed.values())

    def told(self) -> str:
        """In a few lines."""
        killed = ", ".join(f"{name} {count}" for name, count in sorted(self.killed.items()))
        sent = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.messages.items()))
        lines = [
            f"{len(self.answers)} answers, all {_list(self.answers)}",
            f"{self.kills} kills: {killed}",
            f"{sent} messages, none under one name with other bytes",
            f"seconds a study: {sorted(round(one, 1) for one in self.seconds)[::20]}",
            f"the coordinator ended with an error {len(self.asked_again)} times",
        ]
        return "\n".join(lines + [f"  {why}" for why in self.asked_again])


def _list(answers: list[str]) -> str:
    return " or ".join(sorted({answer[:16] for answer in answers}))


def run(folder: Path, kills: int, a_study: int, seed: int) -> tuple[Federation, Faults]:
    """Ask again and again, killing somebody every now and then, until there were so many kills."""
    choose = random.Random(seed)
    cohorts = {name: make(folder / "made", name, keep=ROWS).store for name in PEOPLE}
    exchange = folder / "exchange"
    exchange.mkdir()
    eu = federation(folder / "eu", cohorts, str(exchange), secure_sum=True, timeout_s=ANSWER_S)
    faults = Faults()
    with eu.serving(), Watcher(exchange) as watcher:
        # Nobody is killed in the first, which says how long a study takes.
        _study(eu, folder, faults, [], choose)
        span = faults.seconds[0]
        while faults.kills < kills:
            left = min(a_study, kills - faults.kills)
            moments = sorted(choose.uniform(0.0, span) for _ in range(left))
            _study(eu, folder, faults, moments, choose)
            _tidy(exchange, eu)
    faults.messages = watcher.check()
    for site in eu.sites:
        _check_ledger(eu, site.name, watcher)
    return eu, faults


def _study(
    eu: Federation, folder: Path, faults: Faults, moments: list[float], choose: random.Random
) -> None:
    """Ask once more, killing somebody at each of these moments."""
    out = folder / f"answer-{len(faults.answers)}"
    hub = eu.coordinator("gwas", *QUESTION, out=out)
    began = time.monotonic()
    hub.start()
    for moment in moments:
        _until(hub, began + moment, faults, eu)
        victim = choose.choice([*eu.sites, hub])
        if hub.code == 0:
            break
        if victim.kill():
            faults.killed[victim.name] += 1
        victim.start()
    _until(hub, None, faults, eu)
    faults.seconds.append(time.monotonic() - began)
    faults.answers.append(_digest(out))
    shutil.rmtree(out)


def _until(hub: Party, moment: float | None, faults: Faults, eu: Federation) -> None:
    """Wait; a coordinator that ends with an error is started again, as a person would."""
    while moment is None or time.monotonic() < moment:
        left = ANSWER_S if moment is None else max(0.0, moment - time.monotonic())
        code = hub.wait(left)
        if code == 0 or (moment is not None and code is None):
            return
        said = hub.log.read_text().strip().splitlines()
        faults.asked_again.append(f"exit {code}: {said[-1] if said else ''}")
        assert len(faults.asked_again) < MOST_ERRORS, faults.told()
        assert code is not None, f"no answer within {ANSWER_S} s"
        hub.start()


def _digest(out: Path) -> str:
    """Of every file of the answer, less the record of how it came about."""
    digest = hashlib.sha256()
    for path in sorted(out.iterdir()):
        if path.is_file() and path.name != "result.json":
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _tidy(exchange: Path, eu: Federation) -> None:
    """Take finished studies away, as an operator does, so that listings stay short."""
    for study in exchange.iterdir():
        shutil.rmtree(study)


def _check_ledger(eu: Federation, name: str, watcher: Watcher) -> None:
    """Whole, as long as the coordinator knows it, and everything that left stands in it, once."""
    ledger = Ledger(eu.state(name) / "ledger.jsonl")
    ledger.verify(
        Head.model_validate_json((eu.roster.parent / f"ledgers/{name}.json").read_bytes())
    )
    entries = list(ledger.entries())
    released = [entry.fields["plan"] for entry in entries if entry.event == "release"]
    assert len(released) == len(set(released)), "a plan was released twice"
    delivered = {entry.fields["message"] for entry in entries if entry.event == "delivered"}
    own = [cover for cover in watcher.covers.values() if cover["sender"] == name]
    answers = [cover for cover in own if cover["kind"] == "answer"]
    assert {cover["plan"] for cover in answers} == set(released)
    assert {cover["sha256"] for cover in answers} <= delivered


@pytest.mark.slow
def test_whoever_is_killed_the_answer_is_the_same_and_nothing_is_released_twice(tmp_path: Path):
    _, faults = run(tmp_path, kills=20, a_study=7, seed=1)
    print(faults.told())
    assert faults.kills == 20
    assert len(set(faults.answers)) == 1
    assert len(faults.killed) > 1


def main(kills: int, a_study: int = 1, seed: int = 1) -> int:
    """Many kills; 1 if an answer differed."""
    with tempfile.TemporaryDirectory(prefix="genome-eu-faults-") as folder:
        began = time.monotonic()
        _, faults = run(Path(folder), kills, a_study, seed)
    print(faults.told())
    print(f"every ledger verified; {time.monotonic() - began:.0f} s in all")
    return len(set(faults.answers)) - 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
