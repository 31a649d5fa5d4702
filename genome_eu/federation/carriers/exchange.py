"""The exchange: a shared folder as the queue between coordinator and sites.

    STUDY/0000/plan.tar      put there by the coordinator
    STUDY/0000/FI.tar        put there by site FI: its answer, or its refusal

Both sides only ever reach out to the folder; every message is a file that a person can look at.
"""

from __future__ import annotations

import logging
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from numpy.typing import NDArray

from genome_eu.atomic import copy_whole
from genome_eu.errors import BadInput, BundleError, NoAnswer, Refused
from genome_eu.federation.answer import SiteAnswer, from_bundle
from genome_eu.federation.bundle import Bundle, write_plan
from genome_eu.federation.plan import Plan
from genome_eu.federation.study import Study

log = logging.getLogger("genome_eu.site")

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ROUND = re.compile(r"\d{4,5}")
_POLL_S = 0.05
_POLL_LIMIT_S = 1.0


class Exchange:
    """The coordinator's side.

    Parameters
    ----------
    folder : Path
        The shared folder; it must exist.
    timeout_s : float
        How long to wait for the answers of one round.
    """

    def __init__(self, folder: Path, timeout_s: float) -> None:
        if not folder.is_dir():
            raise BadInput(
                f"exchange folder {folder} does not exist; create it or correct its path"
            )
        self.folder = folder
        self.timeout_s = timeout_s

    def ask(
        self, plan: Plan, inputs: dict[str, NDArray], study: Study, missing: tuple[str, ...]
    ) -> dict[str, SiteAnswer]:
        """Publish a plan and collect the answers of the sites in `missing`.

        Raises
        ------
        NoAnswer
            A site did not answer in time; names it.
        Refused
            A site's policy withholds the answer.
        BadInput
            A site cannot answer from its cohort.
        """
        place = _round_folder(self.folder, plan.study, plan.round)
        place.mkdir(parents=True, exist_ok=True)
        if not _holds(place / "plan.tar", plan):
            write_plan(place / "plan.tar", plan, inputs)
        for site in missing:
            self._forget_unusable(place / f"{site}.tar", plan, site)
        answers: dict[str, SiteAnswer] = {}
        waiting = list(missing)
        deadline = time.monotonic() + self.timeout_s
        pause = _POLL_S
        while waiting:
            arrived = [site for site in waiting if (place / f"{site}.tar").exists()]
            for site in arrived:
                answers[site] = self._take(place / f"{site}.tar", plan, site, study)
                waiting.remove(site)
            if not waiting:
                break
            if time.monotonic() > deadline:
                study.log("timeout", round=plan.round, sites=waiting)
                raise NoAnswer(
                    f"no answer from {_list(waiting)} to round {plan.round} ({plan.statistic}) "
                    f"within {self.timeout_s:g} s; check that `genome-eu site serve` runs there, "
                    f"then ask again with the same study folder to continue"
                )
            pause = _POLL_S if arrived else min(pause * 1.5, _POLL_LIMIT_S)
            time.sleep(pause)
        return answers

    @staticmethod
    def _forget_unusable(path: Path, plan: Plan, site: str) -> None:
        """Let a site answer again where an earlier run of this study got a refusal or damage."""
        if not path.exists():
            return
        try:
            bundle = Bundle(path)
            from_bundle(bundle, plan, site)
            bundle.verify()
        except BundleError:
            path.unlink(missing_ok=True)

    def _take(self, path: Path, plan: Plan, site: str, study: Study) -> SiteAnswer:
        bundle = Bundle(path)
        manifest = bundle.manifest
        if manifest.kind == "refusal" and manifest.site == site and manifest.plan == plan.hash:
            study.log("refused", round=plan.round, site=site, reason=manifest.reason)
            if manifest.reason == "policy":
                raise Refused(f"site {site} refuses: {manifest.message}")
            raise BadInput(f"site {site} cannot answer: {manifest.message}")
        from_bundle(bundle, plan, site)
        return study.keep(plan, site, path)


class ExchangeInbox:
    """A site's side of the folder."""

    def __init__(self, folder: Path, site: str) -> None:
        if not _NAME.fullmatch(site):
            raise BadInput(f"site name {site!r} may hold only letters, digits, '.', '_' and '-'")
        if not folder.is_dir():
            raise BadInput(
                f"exchange folder {folder} does not exist; create it or correct its path"
            )
        self.folder = folder
        self.site = site
        self._seen: set[Path] = set()
        self._unreadable: dict[Path, float] = {}

    def plans(self) -> Iterator[Bundle]:
        """Plans for this site that have no answer yet, oldest round first.

        A plan that cannot be read is passed over and tried again later: it may still be arriving.
        """
        for study in _entries(self.folder):
            if not _NAME.fullmatch(study.name) or study.is_symlink() or not study.is_dir():
                continue
            for place in _entries(study):
                path = place / "plan.tar"
                if path in self._seen or not _ROUND.fullmatch(place.name):
                    continue
                bundle = self._open(place, path)
                if bundle is None:
                    continue
                plan = bundle.manifest.content
                if (
                    plan is None
                    or path.parent != _round_folder(self.folder, plan.study, plan.round)
                    or self.site not in plan.sites
                ):
                    self._seen.add(path)
                    continue
                yield bundle

    def _open(self, place: Path, path: Path) -> Bundle | None:
        """The plan of a round, if it is there, is a plain file, and waits for this site."""
        try:
            # A link could lead the answer out of the exchange; a pipe would never end.
            if place.is_symlink() or not stat.S_ISREG(path.lstat().st_mode):
                return None
            if (place / f"{self.site}.tar").exists():
                return None
            changed = path.lstat().st_mtime
            if self._unreadable.get(path) == changed:
                return None
            return Bundle(path)
        except OSError:
            return None
        except BundleError as error:
            log.warning("%s is passed over: %s", path.relative_to(self.folder), error)
            self._unreadable[path] = changed
            return None

    def deliver(self, plan: Plan, bundle: Path) -> None:
        """Put a finished bundle where the coordinator looks; it appears at once."""
        place = _round_folder(self.folder, plan.study, plan.round)
        copy_whole(bundle, place / f"{self.site}.tar")


def _holds(path: Path, plan: Plan) -> bool:
    """Whether this plan lies there whole; a damaged one is written again."""
    try:
        bundle = Bundle(path)
        bundle.verify()
    except BundleError:
        return False
    return bundle.manifest.plan == plan.hash


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing while it is out of reach or already gone."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _round_folder(folder: Path, study: str, number: int) -> Path:
    return folder / study / f"{number:04d}"


def _list(sites: list[str]) -> str:
    return "site " + sites[0] if len(sites) == 1 else "sites " + ", ".join(sites)
