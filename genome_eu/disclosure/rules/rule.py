"""What a rule is.

A rule takes an aggregate as computed and gives it back with everything below a floor removed,
or refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray

from genome_eu.disclosure.checks import Evidence, Facts
from genome_eu.disclosure.policy import Policy

#: `rule(part, policy, facts)` at a site.
Rule: TypeAlias = Callable[[Any, Policy, Facts], tuple[Any, list[Evidence]]]

#: `rule(total, policy, people)` at the publisher of a secure sum: what sites cannot judge by their
#: own numbers. `people` are those of each group of a linear model, where there is one.
PublishersRule: TypeAlias = Callable[[Any, Policy, NDArray | None], Any]
