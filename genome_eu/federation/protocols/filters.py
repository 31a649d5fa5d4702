"""Who and what limits remove before a question is answered.

One round where there are limits on people: each site says how many of its people they remove, by
reason; the limits themselves travel in every plan of the question. Where there are limits on rows,
a round for each kind of rows (and one for the names of groups): genotype counts leave as for a
question about frequencies, and the coordinator chooses the rows. Sites do not look for relatives at
other sites.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import PanelError
from genome_eu.federation.answer import Answer
from genome_eu.federation.parameters.filters import RemovedPeopleParameters, VariantFilters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.frequencies import by_kind, groups
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import counts
from genome_eu.stats.ploidy import rows_of
from genome_eu.stats.qc.removal import RowMeasures, VariantLimits, count_reasons, removed_rows
from genome_eu.stats.qc.removed import RemovedCounts

#: What a site says that removes too few people to tell.
FEW = "people too few to tell"


def removed() -> Rounds:
    """People removed at each site, by reason; None at a site that does not tell."""
    answer = yield Ask(RemovedCounts, RemovedPeopleParameters())
    return {site: part.said() for site, part in answer.by_site().items()}


def passing(panel: Panel, filters: VariantFilters, limits: VariantLimits) -> Rounds:
    """The rows of a panel that the limits leave, and how many they remove, by reason.

    Raises
    ------
    PanelError
        No row is left.
    """
    labels = yield from groups(filters.hwe_by)
    reason = np.full(panel.size, -1, np.int8)
    answers = yield from by_kind(panel, filters.hwe_by, labels)
    for kind, answer in answers.items():
        found = [removed_rows(one, limits) for one in _measures(answer, filters)]
        reason[rows_of(kind, panel.ploidy)] = np.concatenate(found)
    places = np.flatnonzero(reason < 0)
    if not places.size:
        raise PanelError("the limits of the question remove every row; loosen them")
    told = {name: number for name, number in count_reasons(reason).items() if number}
    return panel.take(places), told


def _measures(answer: Answer, filters: VariantFilters) -> Iterator[RowMeasures]:
    for whole, parts in answer.shards_of_sites():
        found = counts.finalize(whole, hwe=filters.hwe is not None)
        yield RowMeasures(
            call_rate=found.call_rate[:, 0],
            allele_frequency=found.allele_frequency[:, 0],
            withheld=found.alleles_withheld[:, 0],
            hwe_neg_log10_p=_proportions(found, parts, filters),
            mendel_errors=np.zeros(len(found.call_rate), np.int64),
        )


def _proportions(found: counts.Frequencies, parts: Any, filters: VariantFilters) -> NDArray:
    """−log10 p of each group, (rows, groups): those asked for, or everybody at each site."""
    if found.hwe_neg_log10_p is None:
        return np.empty((len(found.call_rate), 0))
    if filters.hwe_by:
        return found.hwe_neg_log10_p[:, 1:]
    if not parts or len(parts) == 1:
        return found.hwe_neg_log10_p[:, :1]
    tested = (counts.finalize(part).hwe_neg_log10_p for part in parts)
    return np.hstack([p[:, :1] for p in tested if p is not None])
