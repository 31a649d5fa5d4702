"""A study on disk: the question, every round with its answers, and a log. Nothing is lost.

    study.json               what was asked, of whom, by which version
    rounds/0000/plan.tar     one folder a round
    rounds/0000/FI.tar       one bundle a site
    log.jsonl                what happened when

Asking the same question again with the same folder continues after the last complete round.
"""

from __future__ import annotations

import datetime
import json
import secrets
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from genome_eu._version import __version__
from genome_eu.atomic import copy_whole, write_whole
from genome_eu.errors import BundleError, StudyError
from genome_eu.federation.answer import SiteAnswer, from_bundle
from genome_eu.federation.bundle import Bundle, write_plan
from genome_eu.federation.plan import FORMAT, Name, Plan


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int
    software: str
    id: Name
    question: dict[str, Any]


class Study:
    """A study folder, made or continued.

    Raises
    ------
    StudyError
        The folder holds another question, is from another version, or is damaged.
    """

    def __init__(self, folder: Path, question: dict[str, Any]) -> None:
        self.folder = folder
        head = folder / "study.json"
        if head.exists():
            self.id = self._continue(head, question)
            self.log("continued")
        else:
            self.id = secrets.token_hex(8)
            folder.mkdir(parents=True, exist_ok=True)
            content = _Head(
                format=FORMAT, software=__version__, id=self.id, question=question
            ).model_dump(mode="json")
            write_whole(head, json.dumps(content, indent=1).encode())
            self.log("begun")

    def _continue(self, head: Path, question: dict[str, Any]) -> str:
        try:
            content = json.loads(head.read_text(encoding="utf-8"))
            found = content.get("format")
        except (OSError, ValueError, AttributeError):
            raise StudyError(
                f"{head} is damaged; move the folder away and ask the question again"
            ) from None
        if found != FORMAT:
            raise StudyError(
                f"study folder {self.folder} was written in format {found} "
                f"(genome_eu {content.get('software', 'unknown')}), this version reads format "
                f"{FORMAT}; choose another folder, or continue it with that version"
            )
        try:
            known = _Head.model_validate(content)
        except ValidationError:
            raise StudyError(
                f"{head} is damaged; move the folder away and ask the question again"
            ) from None
        if known.question != question:
            raise StudyError(
                f"study folder {self.folder} belongs to another question; choose another folder"
            )
        return known.id

    def log(self, event: str, **details: Any) -> None:
        """Append one line to the log."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = json.dumps({"time": now, "event": event, **details})
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def round(self, number: int) -> Path:
        """The folder of a round."""
        return self.folder / "rounds" / f"{number:04d}"

    def open_round(self, plan: Plan, inputs: dict[str, NDArray]) -> None:
        """Write the plan of a round, or check that the one there is the same.

        Raises
        ------
        StudyError
            An earlier run asked something else in this round: the data or options have changed.
        """
        path = self.round(plan.round) / "plan.tar"
        if not path.exists():
            write_plan(path, plan, inputs)
            self.log("asked", round=plan.round, statistic=plan.statistic, plan=plan.hash)
        elif Bundle(path).manifest.plan != plan.hash:
            raise StudyError(
                f"round {plan.round} of study folder {self.folder} asked something else; the "
                f"cohorts or the options have changed, so choose another folder"
            )

    def recall(self, plan: Plan, site: str) -> SiteAnswer | None:
        """A site's answer from an earlier run, if it is there and whole."""
        path = self.round(plan.round) / f"{site}.tar"
        if not path.exists():
            return None
        try:
            bundle = Bundle(path)
            # A damaged array would otherwise be met later, at every run of this study.
            bundle.verify()
            return from_bundle(bundle, plan, site)
        except BundleError as error:
            self.log("discarded", round=plan.round, site=site, reason=str(error))
            path.unlink()
            return None

    def keep(self, plan: Plan, site: str, bundle: Path) -> SiteAnswer:
        """Copy a site's bundle into the study; it is there whole or not at all."""
        target = self.round(plan.round) / f"{site}.tar"
        received = Bundle(bundle)
        answer = from_bundle(received, plan, site)
        received.verify()
        copy_whole(bundle, target)
        self.log("answered", round=plan.round, site=site, bytes=answer.bytes)
        return from_bundle(Bundle(target), plan, site)
