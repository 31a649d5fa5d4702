"""What a policy lets out of each statistic: one module a kind; this one puts them together."""

from collections.abc import Mapping

from genome_eu.disclosure.rules import (
    counts,
    filters,
    ld,
    linear,
    logistic,
    pca,
    scores,
    variants,
    wgr,
)
from genome_eu.disclosure.rules.rule import PublishersRule, Rule
from genome_eu.stats.aggregate import Aggregate

_KINDS = (variants, counts, filters, ld, linear, logistic, pca, scores, wgr)

#: The rule of each statistic. A statistic without one cannot leave.
RULES: Mapping[type[Aggregate], Rule] = {
    statistic: rule for kind in _KINDS for statistic, rule in kind.RULES.items()
}

#: The publisher's rule of each statistic that can be summed in secret.
PUBLISHED: Mapping[type[Aggregate], PublishersRule] = {
    statistic: rule for kind in _KINDS for statistic, rule in kind.PUBLISHED.items()
}

#: Checks of single rows, which add up over the shards of an answer; the others repeat.
BY_ROW = frozenset[str]().union(*(kind.BY_ROW for kind in _KINDS))

#: The gates that the rules know. A field declared under any other cannot leave.
GATES = frozenset[str]().union(*(kind.GATES for kind in _KINDS))
