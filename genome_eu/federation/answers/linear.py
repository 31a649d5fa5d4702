"""A site's sums for a linear model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.exposed import Exposed
from genome_eu.federation.parameters.linear import LinearParameters
from genome_eu.federation.plan import Plan, array_digest
from genome_eu.stats import linear

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


# What is summed of each row, and how.
_ROWS: dict[str, tuple[type[linear.RowSums], Callable[..., linear.RowSums]]] = {
    "linear_mean": (linear.MeanSums, linear.summarize_mean),
    "linear_raw": (linear.RawSums, linear.summarize_raw),
    "linear_complete": (linear.CompleteSums, linear.summarize_complete),
}


def _widths(kind: type[linear.RowSums], asked: LinearParameters, people: int) -> tuple[int, int]:
    """Numbers of a linear statistic for each row, and columns that are multiplied at a time."""
    covariates = len(asked.covariate_mean) + (not asked.site_effects)
    model = covariates, len(asked.traits), max(asked.groups) + 1
    columns = linear.columns_at_a_time(kind, *model, people)
    return linear.numbers_per_row(kind, *model) + columns, columns


def covariates(site: Site, asked: Any) -> NDArray:
    """Covariate columns, then the scores of the PCA if one is named."""
    x = site.table.columns(asked.covariates, "covariate")
    if asked.pca is None:
        return x
    return np.hstack([x, site.state.scores(asked.pca, site.store.genotype_digest).values])


def _trait_moments(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    asked = plan.asked()
    yield site.table.moments(
        covariates(site, asked),
        site.table.columns(asked.traits, "trait"),
        judged=site.policy is not None,
    )


def model(site: Site, plan: Plan) -> tuple[linear.Design, Facts]:
    """The linear model of a plan, and what the checks must know of its people."""
    asked = plan.asked()
    if plan.statistic == "linear_mean" and not asked.site_effects:
        raise BundleError("linear_mean centres within sites; ask linear_raw instead")
    if plan.statistic == "linear_raw" and asked.site_effects:
        raise BundleError("linear_raw has one common mean; ask linear_mean instead")
    return site.table.model(
        covariates(site, asked),
        site.table.columns(asked.traits, "trait"),
        asked,
        judged=site.policy is not None,
    )


def _linear_design(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    design, facts = model(site, plan)
    yield linear.summarize_design(design), facts


def _linear_rows(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    design, facts = model(site, plan)
    kind, summarize = _ROWS[plan.statistic]
    width, columns = _widths(kind, plan.asked(), site.store.people)
    for part in site.stream(plan, rows, summarize, design, width=width, columns=columns):
        yield part, facts


def _exposure_of_moments(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    x, y, scores = _columns(site, plan)
    # Scores are products with genotypes, and loadings on a single row make them that row.
    asked = plan.asked()
    return exposed.moments(x, y, asked.traits, rows=scores, panel=asked.pca or "")


def _exposure_of_design(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    x, y, scores = _columns(site, plan)
    asked = plan.asked()
    return exposed.model(x, y, asked.traits, rows=scores, panel=asked.pca or "")


def _exposure_of_rows(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    x, y, _ = _columns(site, plan)
    panel = array_digest(inputs["panel"]) if "panel" in inputs else ""
    return exposed.model(x, y, plan.asked().traits, rows=plan.rows, panel=panel)


def _columns(site: Site, plan: Plan) -> tuple[NDArray, NDArray, int]:
    """Covariates, traits, and how many of the covariates are scores of a PCA."""
    asked = plan.asked()
    x = covariates(site, asked)
    return x, site.table.columns(asked.traits, "trait"), x.shape[1] - len(asked.covariates)


def _width_of(statistic: str) -> Callable[[LinearParameters, int], int]:
    kind, _ = _ROWS[statistic]
    return lambda asked, people: _widths(kind, asked, people)[0]


ANSWERING: Mapping[str, Answering] = {
    "trait_moments": Answering(_trait_moments, _exposure_of_moments),
    "linear_design": Answering(_linear_design, _exposure_of_design),
} | {
    statistic: Answering(_linear_rows, _exposure_of_rows, _width_of(statistic))
    for statistic in _ROWS
}
