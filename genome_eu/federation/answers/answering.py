"""How a site answers one statistic, and whom the answer exposes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.federation.plan import array_digest
from genome_eu.stats.aggregate import Aggregate

if TYPE_CHECKING:
    from genome_eu.federation.inside.exposed import Exposed
    from genome_eu.federation.plan import Plan
    from genome_eu.federation.site import Site

Inputs = dict[str, NDArray]
Part = tuple[Aggregate, Facts]


def narrow(parameters: Any, people: int) -> int:
    """Width of an answer that has few numbers for each row, or none."""
    return 1


def panel_name(inputs: Inputs, *, dosages: bool = False) -> str:
    """Names a panel whose genotypes are shown; dosages are other numbers than hard calls."""
    if "panel" not in inputs:
        return ""
    name = array_digest(inputs["panel"])
    return f"dosages {name}" if dosages else name


@dataclass(frozen=True)
class Answering:
    """What a site must know of a statistic.

    Attributes
    ----------
    answer : callable
        `answer(site, plan, inputs)` computes what the plan asks, shard by shard, with what the
        disclosure checks must know of each. None of it has passed the airlock.
    exposure : callable
        `exposure(site, exposed, plan, inputs)`: whom the answer describes, by which columns.
    width : callable
        `width(parameters, people)`: numbers of a row of the answer.
    """

    answer: Callable[[Site, Plan, Inputs], Iterator[Part]]
    exposure: Callable[[Site, Exposed, Plan, Inputs], Exposure]
    width: Callable[[Any, int], int] = narrow
