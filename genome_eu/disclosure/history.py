"""What a release adds to all that left the site before, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from genome_eu.disclosure.case import Case


def compared(case: Case, releases: Iterable[Mapping[str, Any]]) -> list[str]:
    """Differences from earlier releases that a person should know of.

    Parameters
    ----------
    case : Case
        What is about to leave.
    releases : iterable of mappings
        The `release` entries of the ledger, each with the fields of `Case.facts`. An entry that
        lacks one is not compared by it.
    """
    earlier = [entry for entry in releases if entry.get("plan") != case.plan]
    if not earlier:
        return ["Nothing has left this site before."]
    same = [entry for entry in earlier if entry.get("cohort") == case.cohort]
    return [
        *_same_cohort(case, same),
        *_other_cohorts(case, earlier),
        *_same_question(case, earlier),
    ]


def _same_cohort(case: Case, same: list[Mapping[str, Any]]) -> list[str]:
    if not same:
        return ["Nothing has left of this cohort before."]
    numbers = sum(int(e.get("rows") or 0) * int(e.get("columns") or 0) for e in same)
    said = [
        f"{_releases(len(same))} of this cohort before, {numbers:,} numbers by row in all; this "
        f"one adds {case.rows * case.columns:,}."
    ]
    known = {str(name) for entry in same for name in entry.get("names") or ()}
    fresh = [name for name in case.names if name not in known]
    if fresh:
        said.append(f"Columns asked for the first time: {', '.join(fresh)}.")
    elif case.names:
        said.append("Every column that it names was asked for before.")
    return said


def _other_cohorts(case: Case, earlier: list[Mapping[str, Any]]) -> list[str]:
    others: dict[str, int] = {}
    for entry in earlier:
        if entry.get("cohort") not in (None, case.cohort):
            others[str(entry["cohort"])] = int(entry.get("people") or 0)
    return [
        f"Another cohort ({cohort[:12]}, {people:,} people) was described before; this one has "
        f"{case.people:,}: {_apart(case.people - people)}."
        for cohort, people in others.items()
    ]


def _apart(difference: int) -> str:
    if not difference:
        return "as many, so that single people may have been exchanged"
    return f"{abs(difference):,} {'more' if difference > 0 else 'fewer'}"


def _same_question(case: Case, earlier: list[Mapping[str, Any]]) -> list[str]:
    """The same question with other participants: the difference is what the others add."""
    said = set()
    for entry in earlier:
        question = (entry.get("statistic"), set(entry.get("names") or ()))
        before, now = set(entry.get("sites") or ()), set(case.sites)
        if question != (case.statistic, set(case.names)) or not before or before == now:
            continue
        gone, new = ", ".join(sorted(before - now)), ", ".join(sorted(now - before))
        said.add(
            f"The same question was answered with other participants"
            f"{f', with {gone}' if gone else ''}{f', without {new}' if new else ''}: the "
            f"difference of the two totals is what they add."
        )
    return sorted(said)


def _releases(number: int) -> str:
    return "One release has left" if number == 1 else f"{number:,} releases have left"
