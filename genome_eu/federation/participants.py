"""The same question with other participants: the difference would be the absent site's numbers.

Under a secure sum a site's numbers hide in a total. Two totals of the same question, one with a
site and one without it, show that site's numbers after all; so the second waits for a person.
Different statistics can be the same question: allele counts are in frequencies and in every
association, and moments of a covariate in every model that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from genome_eu.disclosure.checks import Evidence
from genome_eu.federation.plan import Plan
from genome_eu.stats.aggregate import AGGREGATES, has_rows

CHECK = "participants of a secure sum"


@dataclass(frozen=True)
class _Summed:
    """What a total was of, and over whom. Not its numbers: origins differ with who takes part."""

    cohort: str
    statistic: str
    names: frozenset[str]
    sites: frozenset[str]

    @classmethod
    def of(cls, cohort: str, statistic: str, names: Iterable[str], sites: Iterable[str]) -> _Summed:
        return cls(cohort, statistic, frozenset(names), frozenset(sites))

    def shares_numbers(self, other: _Summed) -> bool:
        """Whether one of the totals may hold sums that the other holds too."""
        kinds = [AGGREGATES.get(one.statistic) for one in (self, other)]
        by_row = all(kind is not None and has_rows(kind) for kind in kinds)
        alike = by_row or self.statistic == other.statistic or bool(self.names & other.names)
        return self.cohort == other.cohort and alike


class Participants:
    """Who took part in each question that this site answered under masks."""

    def __init__(self) -> None:
        self._known: set[_Summed] = set()

    def note(self, released: Mapping[str, Any]) -> None:
        """Remember one `release` of the ledger."""
        if released.get("secure_sum"):
            said = (released[name] for name in ("cohort", "statistic", "names", "sites"))
            self._known.add(_Summed.of(*said))

    def doubts(self, plan: Plan, cohort: str) -> list[Evidence]:
        """What a person must decide about, before this plan is answered."""
        if not plan.masked:
            return []
        now = _Summed.of(cohort, plan.statistic, plan.columns, plan.sites)
        others = {
            one.sites for one in self._known if one.sites != now.sites and now.shares_numbers(one)
        }
        if not others:
            return [Evidence(CHECK, 0, 0, 1)]
        absent = ", ".join(sorted(frozenset.union(*(one ^ now.sites for one in others))))
        return [
            Evidence(
                CHECK,
                0,
                0,
                1,
                "review",
                f"the same was answered with other participants; the difference of the two sums "
                f"may show the numbers of {absent}",
            )
        ]
