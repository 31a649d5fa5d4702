"""Allele frequencies, call rates and Hardy–Weinberg tests by group of people."""

from __future__ import annotations

from collections.abc import Iterator

from genome_eu.errors import UsageError
from genome_eu.federation.parameters.counts import GenotypeCountsParameters, GroupSizesParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import counts
from genome_eu.stats.counts import GenotypeCounts, GroupSizes


def groups(by: tuple[str, ...]) -> Rounds:
    """Names of the groups that the sites let be named, sorted."""
    if len(set(by)) != len(by):
        raise UsageError(f"--by {','.join(by)} names a column twice")
    if not by:
        return []
    answer = yield Ask(GroupSizes, GroupSizesParameters(by=by))
    return sorted({name for part in answer.by_site().values() for name in part.names})


def frequencies(panel: Panel, by: tuple[str, ...], labels: list[str], *, hwe: bool) -> Rounds:
    """Finished shards of frequencies, lazily: (people per group, iterator)."""
    answer = yield Ask(
        GenotypeCounts,
        GenotypeCountsParameters(by=by, groups=tuple(labels)),
        panel.inputs,
        panel.size,
    )

    def finished() -> Iterator[counts.Frequencies]:
        for part in answer.shards():
            yield counts.finalize(part, hwe=hwe)

    return finished()
