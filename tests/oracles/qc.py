"""Quality control as it is defined, person by person and row by row.

`dosage` is an integer array (rows, people) of copies of the ALT, -1 where the call is missing.
"""

from __future__ import annotations

import math


def frequency(calls, male, place):
    """Frequency of the ALT in a row: males have one X and one Y, nobody else has a Y."""
    carried = called = 0
    for g, is_male in zip(calls, male, strict=True):
        if g < 0:
            continue
        if place in ("X", "Y") and is_male:
            if g != 1:
                carried, called = carried + g // 2, called + 1
        elif place != "Y":
            carried, called = carried + g, called + 2
    return carried / called if called else math.nan


def inbreeding(dosage, person, male, place, wanted):
    """Called rows where people differ, homozygous ones, expected ones, and F."""
    n = hom = 0
    expected = 0.0
    for calls, here in zip(dosage.tolist(), place, strict=True):
        p = frequency(calls, male, here)
        if here != wanted or not 0 < p < 1 or calls[person] < 0:
            continue
        n += 1
        hom += calls[person] != 1
        expected += 1 - 2 * p * (1 - p)
    return n, hom, expected, (hom - expected) / (n - expected) if n else math.nan


def call_rate(dosage, person, male, place):
    """Share of called rows; those of Y are of males only."""
    calls = [
        calls[person]
        for calls, here in zip(dosage.tolist(), place, strict=True)
        if here != "Y" or male[person]
    ]
    return sum(g >= 0 for g in calls) / len(calls)


def carried_changes(dosage, person, place, ref, alt):
    """Transitions and transversions that a person carries on autosomes."""
    transitions = {frozenset("AG"), frozenset("CT")}
    found = [0, 0]
    for calls, here, one, other in zip(dosage.tolist(), place, ref, alt, strict=True):
        if here == "autosome" and calls[person] > 0 and len(one) == len(other) == 1:
            found[frozenset((one, other)) not in transitions] += 1
    return tuple(found)


def singletons(dosage, person, place):
    """Rows of autosomes whose only copy of the ALT is the person's."""
    return sum(
        here == "autosome" and calls[person] == 1 and sum(g for g in calls if g > 0) == 1
        for calls, here in zip(dosage.tolist(), place, strict=True)
    )


def mendel_error(child, father, mother, place, is_son):
    """Whether a child's call cannot come from its parents'; a missing one could be any."""
    if child < 0 or place not in ("autosome", "X"):
        return False

    def gametes(parent):
        return {0, 1} if parent < 0 else {g for g in (0, 1) if g <= parent <= g + 1}

    if place == "X" and is_son:
        return child != 1 and child // 2 not in gametes(mother)
    return all(a + b != child for a in gametes(father) for b in gametes(mother))
