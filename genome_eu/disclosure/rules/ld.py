"""What leaves of pairs of rows.

A sum of products over people is small where few people carry both alleles: it is held to the floor
of alleles in each of the four combinations of alleles, as an allele count is on both tails; a row
with itself is such a pair, too. How many rows a row may be multiplied with is limited by the rank
that people's genotypes have been shown at (`disclosure.budget`).

Rows that differ from a combination of those beside them in few people would give those people's
genotypes away (`stats.ld.apart`). The site has found them; they are withheld with their pairs.

Of a row that somebody lacks a call in, sums over the people called in two rows differ from one
partner to the next by single people's genotypes, whatever the floors. So they leave only under a
policy without a floor for missing calls; elsewhere such a row is withheld with all of its pairs, or
is asked for with missing calls filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.checks import Evidence, Facts, below, require_people
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.errors import Refused
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.ld import FilledSums, PairSums, PairwiseSums

_CARRIERS = "pairs of alleles"
_MISSING = "missing calls in a pair"
_APART = "people set apart by a pair"


def pairs(part: PairSums, policy: Policy, facts: Facts) -> tuple[Any, list[Evidence]]:
    """Alleles of both rows above the floor, alone and together; no row with missing calls."""
    evidence = [require_people(part.people, policy)]
    shown, found = _shown(part, policy)
    if policy.max_leverage < 1:
        if facts.apart is None:
            raise Refused("the rows of pairs were not looked at together")
        evidence.append(_evidence(_APART, policy.max_leverage, ~facts.apart))
        shown = shown & ~facts.apart
    return _withhold(part, shown), evidence + found


def _shown(part: PairSums, policy: Policy) -> tuple[NDArray, list[Evidence]]:
    """Which pairs may be shown. Where nothing was asked for there is nothing to withhold."""
    asked = part.dosage_b > 0 if isinstance(part, FilledSums) else part.called > 0
    a, b, people = _dosages(part)
    product = part.dosage_product
    floor = max(policy.allele_floor, policy.association_floor)
    # Σ g·g', Σ (2−g)·g', Σ g·(2−g'), Σ (2−g)·(2−g'), and each row's own two tails.
    together = (product, 2 * b - product, 2 * a - product, 4 * people - 2 * (a + b) + product)
    alone = (a, 2 * people - a, b, 2 * people - b)
    common = np.ones(product.shape, dtype=bool)
    for tail in (*together, *alone):
        common &= ~below(tail, floor, policy)
    evidence = [_evidence(_CARRIERS, floor, common | ~asked)]
    shown = common
    if isinstance(part, PairwiseSums) and policy.missing_floor > 1:
        complete = part.called == part.people
        evidence.append(_evidence(_MISSING, policy.missing_floor, complete | ~asked))
        shown = shown & complete
    # Without itself, a row is not shown with others.
    return shown & shown[:, :1], evidence


def _dosages(part: PairSums) -> tuple[NDArray, NDArray, NDArray]:
    """Sums of the dosages of both rows of each pair, and the people they are over."""
    if isinstance(part, FilledSums):
        people = np.broadcast_to(part.people, part.dosage_b.shape)
        return np.broadcast_to(part.dosage_b[:, :1], part.dosage_b.shape), part.dosage_b, people
    return part.dosage_a, part.dosage_b, part.called


def _withhold(part: PairSums, shown: NDArray) -> Any:
    changes: dict[str, Any] = {"shown": part.shown & shown}
    for item in fields(part):
        if item.metadata["gate"] == "pairs":
            changes[item.name] = np.where(shown, getattr(part, item.name), 0)
    return replace(part, **changes)


def _evidence(check: str, limit: float, shown: NDArray) -> Evidence:
    withheld = int((~shown).sum())
    return Evidence(check, limit, withheld, shown.size, "withheld" if withheld else "pass")


def _published(part: PairSums, policy: Policy, people: NDArray | None) -> Any:
    require_people(part.people, policy)
    return _withhold(part, _shown(part, policy)[0])


RULES: Mapping[type[Aggregate], Rule] = {PairwiseSums: pairs, FilledSums: pairs}
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {
    PairwiseSums: _published,
    FilledSums: _published,
}
BY_ROW = frozenset({_CARRIERS, _MISSING, _APART})
GATES = frozenset({"people", "pairs", "state"})
