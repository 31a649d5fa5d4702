"""Sites in this process: for notebooks, tests and a single cohort."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from numpy.typing import NDArray

from genome_eu.disclosure.airlock import Release, Spool
from genome_eu.errors import NeedsReview
from genome_eu.federation.answer import SiteAnswer
from genome_eu.federation.bundle import MemoryArrays, record, write_answer
from genome_eu.federation.plan import Plan
from genome_eu.federation.study import Study


class LocalSite(Protocol):
    """What the carrier needs of a site: its release, and its cohort's hash."""

    @property
    def cohort_digest(self) -> str:
        """Hash of the cohort that answers."""
        ...

    def release(self, plan: Plan, inputs: dict[str, NDArray], spool: Spool) -> Release:
        """Answer a plan through the site's airlock."""
        ...


class Memory:
    """Ask sites that live in this process, one after the other. Answers pass their airlocks."""

    #: Everything is asked, and read, here.
    asker = "here"

    def __init__(self, sites: Mapping[str, LocalSite]) -> None:
        self.sites = sites

    def ask(
        self, plan: Plan, inputs: dict[str, NDArray], study: Study | None, missing: tuple[str, ...]
    ) -> dict[str, SiteAnswer]:
        """Collect the answers of the sites in `missing`; errors of a site name it."""
        answers: dict[str, SiteAnswer] = {}
        for name in missing:
            site, spool = self.sites[name], MemoryArrays()
            try:
                released = site.release(plan, inputs, spool)
            except NeedsReview as error:
                raise NeedsReview(
                    f"site {name}: {error}, which takes a site that serves (genome-eu site serve); "
                    f"for public genotypes there is policy open-data"
                ) from None
            except (ValueError, PermissionError) as error:
                error.args = (f"site {name}: {error}",)
                raise
            if not isinstance(released, Release):
                raise TypeError("only the airlock's releases are carried")
            judged = released.judged
            if study is not None:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"{name}.tar"
                    write_answer(path, judged, site.cohort_digest)
                    answers[name] = study.keep(plan, name, path)
                continue
            sizes = [len(content) for _, content in spool.members()]
            answers[name] = SiteAnswer(
                name,
                spool.get,
                sum(sizes),
                len(sizes),
                judged.policy,
                judged.floors,
                site.cohort_digest,
                [record(item) for item in judged.evidence],
            )
        return answers
