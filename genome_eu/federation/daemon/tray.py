"""The private folder of one plan at a site. What lies in it says how far the work is.

    plan.tar, plan.cover.json      the plan, and what its author signed
    ready.key, ready-FI.json       this site's part in a secure sum, and everybody's messages
    salts.json                     what opens its commitments, once the key is destroyed
    judged.json, answer.tar        by which rules an answer was judged, and the answer
    held                           a person must decide first (`disclosure.review`)
    leaving.tar                    the answer or refusal that the ledger has promised
    sealed.c4gh, out.cover.json    the same as it left, or will leave
    sent                           it lies at the exchange

Each file appears whole or not at all, so whoever was killed goes on from what is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from genome_eu.atomic import write_whole
from genome_eu.errors import BundleError
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.plan import Plan


class Tray:
    """Names the files of one plan, and takes away what is no longer true."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "plan.tar"
        self.asked_cover = folder / "plan.cover.json"
        self.ready = folder / "ready.c4gh"
        self.ready_cover = folder / "ready.cover.json"
        self.answer = folder / "answer.tar"
        self.held = folder / "held"
        self.told = folder / "told"
        self.leaving = folder / "leaving.tar"
        self.sealed = folder / "sealed.c4gh"
        self.cover = folder / "out.cover.json"
        self.sent = folder / "sent"

    @cached_property
    def plan(self) -> Plan:
        """What is asked."""
        plan = Bundle(self.asked).manifest.content
        if plan is None:
            raise BundleError(f"{self.asked} is not a plan")
        return plan

    @property
    def rules(self) -> dict[str, Any]:
        """By which rules the answer was judged, and the reasons for its doubts."""
        try:
            said = json.loads((self.folder / "judged.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    def keep_rules(self, rules: dict[str, Any]) -> None:
        """Written before the answer is there: no answer without its rules."""
        write_whole(self.folder / "judged.json", json.dumps(rules).encode(), private=True)

    @contextlib.contextmanager
    def workplace(self) -> Iterator[Path]:
        """An empty folder for what is not finished; what a killed daemon left there goes."""
        place = self.folder / "work"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def sweep(self) -> None:
        """Remove half-written files of a daemon that was killed."""
        for left in self.folder.glob("work*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self.folder.glob(".*.partial"):
            left.unlink()

    def judge_again(self) -> None:
        """What was judged or held is void: by other rules, of other people, or gone."""
        self.answer.unlink(missing_ok=True)
        self.held.unlink(missing_ok=True)

    def ask_again(self) -> None:
        """The plan was posted anew: an answer leaves as it is, a refusal is reconsidered."""
        if not self._answered():
            for path in (self.answer, self.leaving, self.sealed, self.cover):
                path.unlink(missing_ok=True)
        self.told.unlink(missing_ok=True)
        # Last: until it goes, a crash leaves a plan that is as settled as before.
        self.sent.unlink(missing_ok=True)

    def settle(self) -> None:
        """What leaves lies at the exchange. It is kept, to be sealed again under a new roster."""
        self.sent.touch()
        self.answer.unlink(missing_ok=True)
        self.held.unlink(missing_ok=True)

    def _answered(self) -> bool:
        try:
            return Bundle(self.leaving).manifest.kind == "answer"
        except BundleError:
            return False


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
