"""Kinship by KING-robust and pruning of relatives, pair by pair and person by person.

`dosage` is an integer array (rows, people) of copies of the ALT, -1 where the call is missing.
"""

from __future__ import annotations

import math


def king(dosage, i, j):
    """KING-robust kinship of two people (Manichaikul 2010, between families)."""
    squares = het_i = het_j = 0
    for a, b in zip(dosage[:, i].tolist(), dosage[:, j].tolist(), strict=True):
        if a >= 0 and b >= 0:
            squares += (a - b) ** 2
            het_i += a == 1
            het_j += b == 1
    fewer = min(het_i, het_j)
    return 0.5 - squares / (4 * fewer) if fewer else math.nan


def prune(people, pairs):
    """Who stays of related pairs, by the words of PLINK 2's ``--king-cutoff``."""
    pairs = {frozenset(pair) for pair in pairs}
    removed = set()
    while pairs:
        number = {one: sum(one in pair for pair in pairs) for one in range(people)}
        alone = [one for one in range(people) if number[one] == 1]
        if alone:
            (pair,) = [pair for pair in pairs if alone[0] in pair]
            (out,) = pair - {alone[0]}
        else:
            out = max(range(people), key=lambda one: (number[one], -one))
        removed.add(out)
        pairs = {pair for pair in pairs if out not in pair}
    return [one not in removed for one in range(people)]
