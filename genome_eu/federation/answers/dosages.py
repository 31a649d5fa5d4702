"""A site's sums of dosages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.exposed import Exposed
from genome_eu.federation.plan import Plan, array_digest
from genome_eu.stats import dosages

if TYPE_CHECKING:
    from genome_eu.federation.site import Site

# Numbers of a row of the answer.
_WIDTH = 8


def _counts(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    if site.included.all():
        parts = _summed_at_import(site, plan, rows)
    else:
        parts = site.stream(
            plan, rows, dosages.summarize, site.everybody(), width=_WIDTH, dosages=True
        )
    for part in parts:
        yield part, Facts(people=site.people)


def _summed_at_import(site: Site, plan: Plan, rows: NDArray) -> Iterator[dosages.DosageCounts]:
    """Sums of everybody, without reading a dosage."""
    for start, stop in plan.spans():
        called, total, square, calls = site.store.dosage_sums(rows[start:stop])
        yield dosages.summed(called, total, square, calls, site.people)


def _exposure(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    return exposed.groups(None, (), rows=plan.rows, panel=dosage_panel(inputs))


def dosage_panel(inputs: Inputs) -> str:
    """Names a panel whose dosages are shown: other numbers than its hard calls."""
    return f"dosages {array_digest(inputs['panel'])}" if "panel" in inputs else ""


def _width(asked: object, people: int) -> int:
    return _WIDTH


ANSWERING: Mapping[str, Answering] = {"dosage_counts": Answering(_counts, _exposure, _width)}
