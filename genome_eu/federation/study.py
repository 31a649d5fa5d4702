"""A study on disk: the question, every round with its answers, and a log. Nothing is lost.

    study.json                  what was asked, by which version, and of whom
    rounds/0000/plan.tar        one folder a round
    rounds/0000/FI.tar          one bundle a site
    rounds/0000/FI.cover.json   what FI signed, where it came through an exchange
    log.jsonl                   what happened when

Asking the same question again with the same folder continues after the last complete round. Going
on without a site is another course through the same question, with an id and rounds of its own
(`rounds-2/`): every sum changes with who takes part, so no round of the first is used in it.
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
from genome_eu.federation.parameters.types import Name
from genome_eu.federation.plan import FORMAT, Plan


class _Course(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    id: Name
    sites: tuple[Name, ...]


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int
    software: str
    question: dict[str, Any]
    courses: tuple[_Course, ...]


class Study:
    """A study folder, made or continued.

    Parameters
    ----------
    folder : Path
        Where it is kept.
    question : dict
        What is asked, as JSON.
    sites : tuple of str
        Who takes part this time.

    Raises
    ------
    StudyError
        The folder holds another question, is from another version, or is damaged.
    """

    def __init__(self, folder: Path, question: dict[str, Any], sites: tuple[str, ...] = ()) -> None:
        self.folder = folder
        path = folder / "study.json"
        head = _Head(format=FORMAT, software=__version__, question=question, courses=())
        known = path.exists()
        if known:
            head = self._read(path, question)
        mine = [course for course in head.courses if course.sites == sites]
        if not mine:
            mine = [_Course(id=secrets.token_hex(8), sites=sites)]
            head = head.model_copy(update={"courses": (*head.courses, *mine)})
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(head.model_dump(mode="json"), indent=1).encode())
        number = head.courses.index(mine[0])
        self.id = mine[0].id
        self._rounds = folder / ("rounds" if number == 0 else f"rounds-{number + 1}")
        self.log("continued" if known else "begun", id=self.id, sites=list(sites))

    def _read(self, path: Path, question: dict[str, Any]) -> _Head:
        damaged = StudyError(f"{path} is damaged; move the folder away and ask the question again")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = content.get("format")
        except (OSError, ValueError, AttributeError):
            raise damaged from None
        if found != FORMAT:
            raise StudyError(
                f"study folder {self.folder} was written in format {found} "
                f"(genome_eu {content.get('software', 'unknown')}), this version reads format "
                f"{FORMAT}; choose another folder, or continue it with that version"
            )
        try:
            head = _Head.model_validate(content)
        except ValidationError:
            raise damaged from None
        if head.question != question:
            raise StudyError(
                f"study folder {self.folder} belongs to another question; choose another folder"
            )
        return head

    def log(self, event: str, **details: Any) -> None:
        """Append one line to the log."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = json.dumps({"time": now, "event": event, **details})
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def round(self, number: int) -> Path:
        """The folder of a round."""
        return self._rounds / f"{number:04d}"

    def open_round(self, plan: Plan, inputs: dict[str, NDArray]) -> Path:
        """Write the plan of a round, or check that the one there is the same; its path.

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
        return path

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

    def keep(
        self, plan: Plan, site: str, bundle: Path, *, cover: bytes | None = None
    ) -> SiteAnswer:
        """Copy a site's bundle into the study; it is there whole or not at all."""
        target = self.round(plan.round) / f"{site}.tar"
        received = Bundle(bundle)
        answer = from_bundle(received, plan, site)
        received.verify()
        if cover is not None:
            write_whole(target.with_suffix(".cover.json"), cover)
        copy_whole(bundle, target)
        self.log("answered", round=plan.round, site=site, bytes=answer.bytes)
        return from_bundle(Bundle(target), plan, site)
