"""What leaves of a list of variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from genome_eu.disclosure.checks import Evidence, Facts, require_people
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.variants import VariantList


def variant_list(part: VariantList, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """The site has already left out its rows below the allele floor (`federation.site`)."""
    withheld = int(part.rows_withheld)
    verdict: Literal["pass", "withheld"] = "withheld" if withheld else "pass"
    return part, [
        require_people(facts.people, policy),
        Evidence("rows listed", policy.allele_floor, withheld, int(part.rows_total), verdict),
    ]


RULES: Mapping[type[Aggregate], Rule] = {VariantList: variant_list}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {}
BY_ROW: frozenset[str] = frozenset()
GATES = frozenset({"variants", "label"})
