"""A site's polygenic scores: they stay, and their distribution is what may leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.parameters.scores import ScoreDistributionParameters
from genome_eu.federation.plan import Plan, array_digest
from genome_eu.stats import exposure, scores
from genome_eu.stats.scores import PersonScores, Scale

if TYPE_CHECKING:
    from genome_eu.federation.site import Site

_INPUTS = ("weights", "counts_ref", "frequency")


def _columns(plan: Plan, inputs: Inputs) -> tuple[NDArray, NDArray, NDArray]:
    """Weights, whether REF is the effect allele, and frequencies of ALT."""
    if any(name not in inputs or inputs[name].shape[:1] != (plan.rows,) for name in _INPUTS):
        raise BundleError("weights and frequencies do not have the rows of the panel")
    weights, ref, frequency = (inputs[name] for name in _INPUTS)
    if not weights.shape[1] or np.any(ref > 1) or np.any((frequency < 0) | (frequency > 1)):
        raise BundleError("weights or frequencies of a score are out of range")
    return weights, ref.astype(bool), frequency


def _scale(plan: Plan, inputs: Inputs) -> Scale:
    return scores.expected_scale(*_columns(plan, inputs))


def person_scores(site: Site, plan: Plan, inputs: Inputs, *, imputed: bool) -> PersonScores:
    """Scores of everybody in the store, (people, scores)."""
    weights, ref, frequency = _columns(plan, inputs)
    columns = scores.score_columns(weights, ref, frequency if imputed else None)
    found = site.once(
        f"{plan.hash} {imputed}",
        lambda: site.summed(
            plan.statistic,
            site.panel(plan, inputs),
            scores.summarize_people,
            by_row=(columns.dosage, columns.missing),
            width=weights.shape[1],
        ),
    )
    return PersonScores(found + columns.constant)


@dataclass(frozen=True, eq=False)
class OwnScores:
    """Scores of one's own people, and what PLINK 2 says beside them; (people of the store, …)."""

    sums: NDArray  # (people, scores)
    allele_count: NDArray  # alleles called
    named_dosage: NDArray  # copies of effect alleles among them
    denominator: NDArray  # alleles that count in an average


def own_scores(
    site: Site,
    rows: NDArray,
    weights: NDArray,
    counts_ref: NDArray,
    frequency: NDArray | None,
) -> OwnScores:
    """Scores of the people of a store at some of its rows, in one pass.

    Missing calls are replaced by `frequency` of ALT, or count nothing where that is None.
    """
    columns = scores.score_columns(weights, counts_ref, frequency)
    named = scores.score_columns(np.ones((rows.size, 1)), counts_ref, None)
    nothing, one = np.zeros((rows.size, 1)), np.ones((rows.size, 1))
    dosage = np.hstack([columns.dosage, named.dosage, nothing])
    missing = np.hstack([columns.missing, named.missing, one])
    width = dosage.shape[1]
    found = site.summed(
        "scores", rows, scores.summarize_people, by_row=(dosage, missing), width=width
    )
    called = 2.0 * (rows.size - found[:, -1])
    return OwnScores(
        sums=found[:, :-2] + columns.constant,
        allele_count=called,
        named_dosage=found[:, -2] + named.constant,
        denominator=called if frequency is None else np.full(called.shape, 2.0 * rows.size),
    )


def _groups(site: Site, asked: ScoreDistributionParameters) -> tuple[NDArray, int]:
    """The group of each person, those in no group that was asked for after the last of them."""
    groups, last = site.everybody(), len(asked.groups) + 1
    if asked.by:
        labels = site.table.groups(asked.by)
        place = {name: number for number, name in enumerate(asked.groups, start=1)}
        numbers = np.array([place.get(label, last) for label in labels])
        groups = np.where(site.included, numbers, -1)
    return groups, last


def _distribution(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    asked = plan.asked()
    weights, _, frequency = _columns(plan, inputs)
    found = person_scores(site, plan, inputs, imputed=asked.imputed)
    scale, edges = _scale(plan, inputs), np.array(asked.edges)
    groups, last = _groups(site, asked)
    part = scores.summarize_distribution(found, groups, last, scale, edges)
    values = scores.on_scale(found, scale)
    hidden = values[groups == last]
    minor = site.minor(site.panel(plan, inputs))
    carried_by = scores.effective_rows(weights, frequency).min()
    if minor is not None:
        # By the site's own frequencies, too: those of the plan could hide a row behind the others.
        own = scores.effective_rows(weights, minor / (2.0 * site.people))
        carried_by = min(carried_by, own.min())
    yield (
        part,
        Facts(
            people=site.people,
            columns=weights.shape[1],
            hidden_people=len(hidden),
            hidden_bins=scores.histogram(hidden, edges),
            carried_by=float(carried_by),
            leverage=_leverage(values, groups, last) if site.policy is not None else 0.0,
            minor_alleles=minor,
        ),
    )


def _leverage(values: NDArray, groups: NDArray, last: int) -> float:
    """The largest share of any person in a combination of the scores, in one group.

    Sums of squares of two scores that differ in one person give that person's score.
    """
    members = [groups >= 0, *(groups == group for group in range(1, last + 1))]
    return max(
        (exposure.largest_leverage(values[some]) for some in members if some.sum() > 1), default=0.0
    )


def _exposure(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    """Everybody and each group. Weights on a single row would make every number one of that row."""
    asked = plan.asked()
    weights, _, _ = _columns(plan, inputs)
    named = ("panel", "places", *_INPUTS)
    digest = "".join(array_digest(inputs[name]) for name in named if name in inputs)
    labels = site.table.groups(asked.by) if asked.by else None
    numbers = weights.shape[1] * (2 + len(asked.edges))
    said = f"{digest} {asked.edges} {asked.imputed}"
    found = exposed.groups(labels, asked.groups, rows=numbers, panel=said)
    # Sums of squares of two scores that differ in one person give that person's score.
    own = person_scores(site, plan, inputs, imputed=asked.imputed)
    values = scores.on_scale(own, _scale(plan, inputs))
    found = exposed.combined(found, values)
    return exposed.divided(found, _above_edges(site, asked, values))


def _above_edges(
    site: Site, asked: ScoreDistributionParameters, values: NDArray
) -> list[NDArray[np.bool_]]:
    """Who lies above each edge that is shown, in each group, (people of the store,).

    Two histograms with edges a little apart count the people between: where they are few, moving an
    edge finds somebody's score to the last digit, and weights can be chosen so that its digits are
    genotypes.
    """
    assert site.policy is not None  # noqa: S101 - exposures are of sites that have one
    groups, last = _groups(site, asked)
    parts = [groups == group for group in range(1, last + 1)]
    parts = [some for some in parts if some.any()]
    if any(some.sum() < site.policy.min_people for some in parts):
        parts = []
    members = [groups >= 0, *parts]
    edges = np.array(asked.edges)
    # Bins of fewer are joined, or under masks seen by nobody but the publisher.
    floor = max(site.policy.genotype_floor, site.policy.differencing_floor)
    bins = np.stack([scores.histogram(values[some], edges) for some in members])
    found = []
    for score, own in enumerate(values.T):
        for place in np.flatnonzero(scores.standing_bins(bins[:, score], floor))[1:]:
            found += [some & (own >= edges[place - 1]) for some in members]
    return found


ANSWERING: Mapping[str, Answering] = {"score_distribution": Answering(_distribution, _exposure)}
