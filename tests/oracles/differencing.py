"""What subtraction can show, as its definition: people as Python sets."""

from __future__ import annotations

from collections.abc import Sequence

People = frozenset[int]


def parts(answer: Sequence[People]) -> list[People]:
    """The smallest sets of an answer, if no two of them share a person."""
    sets = {one for one in answer if one}
    smallest = [one for one in sets if not any(other < one for other in sets)]
    apart = all(a == b or not a & b for a in smallest for b in smallest)
    return smallest if apart else []


def few(people: frozenset[int], floor: int) -> bool:
    return 0 < len(people) < floor


def shows(whole: People, answer: Sequence[People], floor: int) -> bool:
    """Whether the sums over an answer's parts, taken from the sum over a set, leave few people."""
    inside = [one for one in parts(answer) if one <= whole]
    return bool(inside) and few(whole - frozenset().union(*inside), floor)


def within(now: Sequence[People], floor: int) -> bool:
    return any(few(a ^ b, floor) for a in now for b in now if a and b) or any(
        shows(whole, now, floor) for whole in now
    )


def before(now: Sequence[People], earlier: Sequence[Sequence[People]], floor: int) -> bool:
    return any(
        any(few(a ^ b, floor) for a in now for b in answer if a and b)
        or any(shows(whole, answer, floor) for whole in now)
        or any(shows(whole, now, floor) for whole in answer)
        for answer in earlier
    )
