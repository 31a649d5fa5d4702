"""The record of one question: its rounds, and what left each site for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from genome_eu._version import __version__
from genome_eu.errors import StudyError
from genome_eu.federation.answer import Answer
from genome_eu.federation.protocols.panel import Panel


@dataclass
class Run:
    """One question being answered: its rounds, what left each site for them, what was left out."""

    question: dict[str, Any]
    study: Any = None
    rounds: int = 0
    releases: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, Any] = field(default_factory=dict)
    panel: Panel | None = None
    cohorts: dict[str, str | None] = field(default_factory=dict)
    without_floors: set[str] = field(default_factory=set)
    inflation: dict[str, Any] = field(default_factory=dict)

    def record(self, answer: Answer) -> None:
        """Remember what each site released."""
        self.rounds += 1
        for site in answer.sites.values():
            before = self.cohorts.setdefault(site.site, site.cohort)
            if before != site.cohort:
                raise StudyError(
                    f"the cohort of site {site.site} has changed since the study began; choose "
                    f"another folder and ask the question again"
                )
            if site.floors is False:
                self.without_floors.add(site.site)
            self.releases.append(
                {
                    "round": answer.plan.round,
                    "statistic": answer.plan.statistic,
                    "plan": answer.plan.hash,
                    "site": site.site,
                    "cohort": site.cohort,
                    "policy": site.policy,
                    "bytes": site.bytes,
                    "arrays": site.arrays,
                    "checks": [item.model_dump() for item in site.evidence],
                }
            )

    @property
    def policies(self) -> list[str]:
        """Policies under which anything was released, sorted."""
        return sorted({item["policy"] for item in self.releases if item["policy"]})

    def provenance(self) -> dict[str, Any]:
        """What ran, on what, and what was left out, as JSON."""
        return {
            "genome_eu": __version__,
            "question": self.question,
            "rounds": self.rounds,
            "cohorts": self.cohorts,
            "panel": self.panel.digest if self.panel else None,
            "policies": self.policies,
            "sites_without_floors": sorted(self.without_floors),
            "left_out": self.left_out,
            "releases": self.releases,
        } | ({"inflation": self.inflation} if self.inflation else {})
