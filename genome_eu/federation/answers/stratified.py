"""A site's score tests under null models of its own, in one round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.checks import withhold_tests
from genome_eu.errors import BundleError
from genome_eu.federation.answers import logistic as logistic_answers
from genome_eu.federation.answers import weighing
from genome_eu.federation.answers.answering import Answering, Inputs, Part, panel_name
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.parameters.logistic import LogisticParameters
from genome_eu.federation.plan import Plan
from genome_eu.stats import logistic

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


def _fitted(site: Site, plan: Plan) -> tuple[logistic.Fitted, Facts]:
    if not plan.asked().site_effects:
        raise BundleError("logistic_stratified has an intercept for every site")
    kind = logistic.STRATIFIED_SUMS[plan.asked().dosages]
    if plan.statistic != kind.statistic:
        raise BundleError(f"{plan.statistic} is not for this model; ask {kind.statistic} instead")
    design, facts = logistic_answers.model(site, plan)
    fitted = logistic.fit_own_null(design)
    if site.policy is not None:
        facts = weighing.of_model(facts, fitted)
    return fitted, replace(facts, columns=design.width)


def _stratified(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    found = site.located(plan, inputs)
    fitted, facts = _fitted(site, plan)
    dosages = plan.asked().dosages
    numbers = {"raw": False, "dosages": dosages}
    width = logistic.numbers_per_row(fitted.design.width, fitted.design.traits, **numbers)
    columns = fitted.design.width + 2
    start = 0
    for part in site.stream(
        plan,
        found.rows,
        logistic.summarize_stratified,
        fitted,
        logistic.STRATIFIED_SUMS[dosages],
        width=width + columns,
        columns=columns,
        dosages=dosages,
    ):
        listed = found.listed[start : start + part.rows]
        start += part.rows
        # Rows below the floor are as good as absent, so that neither shows which of them it is.
        if not listed.all():
            part = withhold_tests(part, _of_traits(listed, part.shown), ("association",))
        yield part, facts


def _of_traits(listed: NDArray, shown: NDArray) -> NDArray:
    return np.broadcast_to(listed[:, None], shown.shape)


def _exposure(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    fitted, _ = _fitted(site, plan)
    design = fitted.design
    multiplied = [weighing.multiplied(fitted, trait) for trait in range(design.traits)]
    panel = panel_name(inputs, dosages=plan.asked().dosages)
    return exposed.weighted(
        design.included, multiplied, plan.asked().traits, rows=plan.rows, panel=panel
    )


def _width(asked: LogisticParameters, people: int) -> int:
    columns = len(asked.covariate_mean)
    numbers = {"raw": False, "dosages": asked.dosages}
    return logistic.numbers_per_row(columns, len(asked.traits), **numbers) + columns + 2


ANSWERING: Mapping[str, Answering] = {
    kind.statistic: Answering(_stratified, _exposure, _width) for kind in logistic.STRATIFIED_SUMS
}
