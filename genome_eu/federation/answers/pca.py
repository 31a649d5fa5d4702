"""A site's part in a principal component analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.plan import Plan
from genome_eu.stats import exposure, pca

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


def _frequency(plan: Plan, inputs: Inputs) -> tuple[NDArray, NDArray]:
    frequency, loadings = inputs["frequency"], inputs["loadings"]
    if frequency.shape != (plan.rows,) or loadings.shape[:1] != (plan.rows,):
        raise BundleError("frequencies and loadings do not have the rows of the panel")
    return frequency, loadings


def _project_people(site: Site, plan: Plan, inputs: Inputs, rows: NDArray) -> NDArray:
    """ZᵀQ for the people who take part, 0 for the others."""
    frequency, loadings = _frequency(plan, inputs)

    def project() -> NDArray:
        scores = site.summed(
            plan.statistic,
            rows,
            pca.project_people,
            by_row=(frequency, loadings),
            width=loadings.shape[1],
        )
        return np.where(site.included[:, None], scores, 0.0)

    return site.once(plan.hash, project)


def _projection(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    if site.repeats(rows):
        # At two frequencies it would tell the scores of those who lack a call.
        raise BundleError("a projection names a row twice")
    frequency, loadings = _frequency(plan, inputs)
    lacking = site.rarely_missing(rows, frequency)
    site.state.projected.require_same(site.store.genotype_digest, *lacking)
    scores = _project_people(site, plan, inputs, rows)
    judged = site.policy is not None
    facts = Facts(
        people=site.people,
        columns=loadings.shape[1],
        leverage=exposure.largest_leverage(scores[site.included]) if judged else 0.0,
        minor_alleles=site.minor(rows),
    )
    for part in site.stream(
        plan,
        rows,
        pca.summarize_projection,
        scores,
        site.people,
        by_row=(frequency,),
        width=loadings.shape[1],
    ):
        yield part, facts
    # Reached only when the airlock has let the products out.
    site.state.projected.keep(site.store.genotype_digest, *lacking)


def _scores(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    asked = plan.asked()
    if asked.pca != pca.identify(**{name: inputs[name] for name in pca.IDENTITY}):
        raise BundleError("the plan's PCA id is not that of its loadings")
    values = _project_people(site, plan, inputs, rows) / np.sqrt(inputs["eigenvalues"])
    values[~site.included] = np.nan
    scores = pca.Scores(values)
    part = pca.summarize_scores(scores, site.included)
    yield part, Facts(people=site.people, minor_alleles=site.minor(rows))
    # Reached only when the airlock has let the means out.
    site.state.keep(asked.pca, site.store.genotype_digest, scores)


def _exposure_of_projection(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    scores = _project_people(site, plan, inputs, site.panel(plan, inputs))
    return exposed.projection(inputs, plan.rows, scores)


def _exposure_of_scores(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    scores = _project_people(site, plan, inputs, site.panel(plan, inputs))
    return exposed.scores(inputs, scores)


ANSWERING: Mapping[str, Answering] = {
    "pca_projection": Answering(_projection, _exposure_of_projection),
    "pca_scores": Answering(_scores, _exposure_of_scores),
}
