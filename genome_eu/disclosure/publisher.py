"""The publisher's floors: under a secure sum they apply to the total, and nobody else sees it.

Sites have judged everything about people before they masked. What is left is what a site cannot
judge by its own numbers: whether a row of the total is below a floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from genome_eu.disclosure.policy import Policy, load_policy
from genome_eu.disclosure.rules import PUBLISHED
from genome_eu.errors import Refused


def floors_only(floors: Mapping[str, Any]) -> Policy:
    """A policy that has these floors and no other rule: the rest was judged at the sites."""
    return load_policy("open-data").model_copy(update={"name": "strictest", **floors})


def published(part: Any, policy: Policy, people: NDArray | None = None) -> Any:
    """A total with everything below the floors removed.

    Parameters
    ----------
    part : Aggregate
        The sum over all sites.
    policy : Policy
        The strictest of theirs.
    people : int64 array, shape (groups,), optional
        People in each group of a linear model; needed for its sums by row.

    Raises
    ------
    Refused
        Too few people are described, or the statistic is one that no publisher knows.
    """
    rule = PUBLISHED.get(type(part))
    if rule is None:
        raise Refused(f"{type(part).__name__} has no publisher's rule")
    return rule(part, policy, people)
