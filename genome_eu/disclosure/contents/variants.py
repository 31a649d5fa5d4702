"""What a list of variants shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.contents.tables import (
    Bars,
    Contents,
    Describe,
    Table,
    many,
    people_of,
)
from genome_eu.stats import variants


def _variant_list(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    rows = variants.decode(part.text)
    listed, withheld = int(part.rows_listed), int(part.rows_withheld)
    counted = rows["contig"].value_counts()
    contigs = sorted(counted.index, key=lambda name: (not name.isdigit(), name.zfill(64)))
    single = (rows["ref"].str.len() == 1) & (rows["alt"].str.len() == 1)
    kinds = [["single bases", int(single.sum())], ["others", int((~single).sum())]]
    return Contents(
        f"a list of {many(listed, 'variant')} that occur in {people_of(case.people)}",
        withheld,
        (Table("Variants by kind", ["Kind", "Variants"], kinds),),
        (Bars("Variants by contig", contigs, counted[contigs].tolist()),),
    )


DESCRIBED: Mapping[str, Describe] = {"variant_list": _variant_list}
