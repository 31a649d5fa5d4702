"""Allele frequencies, call rates and Hardy–Weinberg tests by group of people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from genome_eu.errors import UsageError
from genome_eu.federation.answer import Answer
from genome_eu.federation.parameters.counts import (
    GenotypeCountsParameters,
    GroupSizesParameters,
    HaploidCountsParameters,
)
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.federation.protocols.ploidy import in_row_order, kinds
from genome_eu.stats import counts
from genome_eu.stats.counts import GenotypeCounts, GroupSizes, HaploidCounts
from genome_eu.stats.dosages import DosageCounts, HaploidDosageCounts
from genome_eu.stats.ploidy import PloidyName
from genome_eu.stats.states import SiteAlleles, site_alleles


def groups(by: tuple[str, ...]) -> Rounds:
    """Names of the groups that the sites let be named, sorted."""
    if len(set(by)) != len(by):
        raise UsageError(f"--by {','.join(by)} names a column twice")
    if not by:
        return []
    answer = yield Ask(GroupSizes, GroupSizesParameters(by=by))
    return sorted({name for part in answer.by_site().values() for name in part.names})


def by_kind(
    panel: Panel, by: tuple[str, ...], labels: list[str], *, dosages: bool = False
) -> Rounds:
    """Counts of the rows of each kind that the panel has, or of dosages: {kind: answer}.

    A round for each kind of rows.
    """
    statistics = (DosageCounts, HaploidDosageCounts) if dosages else (GenotypeCounts, HaploidCounts)
    answers: dict[PloidyName, Answer] = {}
    for kind, rows in kinds(panel).items():
        asked: dict[str, Any] = {"by": by, "groups": tuple(labels)}
        statistic, parameters = statistics[0], GenotypeCountsParameters(**asked)
        if kind != "diploid":
            statistic, parameters = statistics[1], HaploidCountsParameters(**asked, ploidy=kind)
        answers[kind] = yield Ask(statistic, parameters, rows.inputs, rows.size)
    return answers


@dataclass(frozen=True, eq=False)
class Finished:
    """Some rows: everybody and the groups, and the alleles of each site where it shows them."""

    found: counts.Frequencies
    sites: SiteAlleles | None


def frequencies(panel: Panel, by: tuple[str, ...], labels: list[str], *, hwe: bool) -> Rounds:
    """Finished shards of frequencies, lazily, in row order; a round for each kind of rows."""
    haploid = set(kinds(panel)) != {"diploid"}

    def finished(answer: Answer) -> Iterator[Finished]:
        for part, of_sites in answer.shards_of_sites():
            found = counts.finalize(part, hwe=hwe, haploid=haploid)
            yield Finished(found, site_alleles(of_sites) if of_sites else None)

    answers = yield from by_kind(panel, by, labels)
    return in_row_order(panel, {kind: finished(answer) for kind, answer in answers.items()})
