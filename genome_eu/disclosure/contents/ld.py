"""What sums over pairs of rows show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from genome_eu.disclosure.case import Case
from genome_eu.disclosure.contents.tables import Contents, Describe, Sizes, many, people_of


def _pairs(shards: Iterator[Any], case: Case) -> Contents:
    rows = pairs = withheld = people = 0
    products = Sizes()
    for part in shards:
        rows += part.rows
        people = int(part.people)
        shown = part.shown & (part.dosage_b > 0)
        pairs += int(shown.sum())
        withheld += int((~part.shown[:, 0]).sum())
        products.add(part.dosage_product[shown])
    return Contents(
        f"correlations of {many(rows, 'variant')} with those near them: sums over "
        f"{people_of(people)} of products of the alleles of {many(pairs, 'pair')}",
        withheld,
        bars=(products.bars("Alleles carried together"),),
    )


DESCRIBED: Mapping[str, Describe] = {"ld_pairwise": _pairs, "ld_filled": _pairs}
