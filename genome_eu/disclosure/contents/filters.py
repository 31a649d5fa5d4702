"""What the numbers of removed people show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.contents.tables import Contents, Describe, Table, people_of


def _removed_people(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    said = part.said()
    if said is None:
        return Contents("nothing of the people that limits remove: they are too few", 1)
    return Contents(
        f"why {people_of(int(part.total))} are left out of the question",
        0 if part.reasons_shown else part.removed.size,
        (Table("People removed", ["Reason", "People"], [list(one) for one in said.items()]),),
    )


DESCRIBED: Mapping[str, Describe] = {"removed_people": _removed_people}
