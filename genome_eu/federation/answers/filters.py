"""What a site says of the people that a plan's limits remove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.rules.filters import reasons_told
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.plan import Plan
from genome_eu.stats.qc.removal import PERSON_REASONS
from genome_eu.stats.qc.removed import count_removed

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


def _removed_people(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    """Counted by the site as it is among the plan's people: `removed` is why others are not."""
    yield count_removed(site.removed), Facts(people=site.people)


def _exposure(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    """Everybody who is left, and whom each reason removes where that is told.

    The same people are left under many limits, of whom some fail one limit and some another.
    """
    removed, found = site.removed, exposed.everybody()
    assert site.policy is not None  # noqa: S101 - exposures are of sites that have one
    if not reasons_told(count_removed(removed), site.policy):
        return found
    reasons = range(len(PERSON_REASONS))
    return exposed.divided(found, [removed.included & (removed.reason == one) for one in reasons])


ANSWERING: Mapping[str, Answering] = {"removed_people": Answering(_removed_people, _exposure)}
