"""What sums of dosages show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.contents.tables import Contents, Describe, Sizes, many, people_of


def _dosage_counts(shards: Iterator[Any], case: Case) -> Contents:
    minor, carried, people, shown, total = Sizes(), Sizes(), 0, 0, 0
    for part in shards:
        people, total = int(part.people), total + part.rows
        seen = part.alleles_shown
        shown += int(seen.sum())
        minor.add(np.minimum(part.dosage_sum, 2 * part.called - part.dosage_sum)[seen])
        carried.add(np.minimum(part.hard_count, 2 * part.hard_called - part.hard_count)[seen])
    return Contents(
        f"sums of dosages for {many(shown, 'variant')} in {people_of(people)}",
        total - shown,
        (),
        (
            minor.bars("Minor alleles by dosage in each row shown"),
            carried.bars("Minor alleles by hard calls in each row shown"),
        ),
    )


DESCRIBED: Mapping[str, Describe] = {"dosage_counts": _dosage_counts}
