"""A site's people in folds, and the arrays that come with a plan of a whole-genome regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers import linear as linear_answers
from genome_eu.federation.answers.answering import Inputs
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.parameters.model import ModelParameters
from genome_eu.federation.parameters.wgr import OffsetParameters, RidgeParameters
from genome_eu.federation.plan import Plan, array_digest
from genome_eu.stats import exposure, linear, ridge

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


def people_of(site: Site, plan: Plan) -> tuple[linear.Design, ridge.FoldedDesign, Facts]:
    """The people of a plan: in their model, in their folds, and what the checks must know."""
    model, facts = linear_answers.model(site, plan)
    asked = plan.asked()
    return model, ridge.folded(model, asked.folds, smallest=asked.smallest), facts


def facts_of_folds(
    site: Site,
    folded: ridge.FoldedDesign,
    facts: Facts,
    *,
    outsiders: bool = False,
    **more: Any,
) -> Facts:
    """The facts of everybody, then those of each fold: every sum is of one fold.

    A site whose people are in no fold says nothing of them, unless its `outsiders` are meant too.
    """
    says = outsiders or bool(folded.fitted.any())
    groups = list(facts.groups) if says else [Facts() for _ in facts.groups]
    for members in folded.of_sets if outsiders else folded.members:
        columns = np.hstack([folded.x[members], folded.y[members]])
        if site.policy is None or not members.size:
            groups.append(Facts(people=members.size))
            continue
        groups.append(
            Facts(
                people=members.size,
                smallest_class=exposure.smallest_class(columns),
                leverage=exposure.largest_leverage(columns),
            )
        )
    return Facts(people=facts.people, groups=tuple(groups), **more)


def leverage_of(folded: ridge.FoldedDesign, columns: NDArray) -> float:
    """The largest leverage of anybody on columns (people, columns) beside those of the model.

    By fold, as every sum is. Rows, or predictions, that differ in one person of a fold would show
    that person in every product with them. Nothing is summed of people in no fold.
    """
    found = [0.0]
    for members in folded.members:
        if members.size:
            beside = [columns[members], folded.x[members], folded.y[members]]
            found.append(exposure.largest_leverage(np.hstack(beside)))
    return max(found)


def given(plan: Plan, inputs: Inputs, **shapes: tuple[int | None, ...]) -> list[NDArray]:
    """Arrays that must come with a plan, each of its shape; None is any size.

    Raises
    ------
    BundleError
        One is missing, or has another shape.
    """
    found = []
    for name, shape in shapes.items():
        array = inputs.get(name)
        if array is None or any(
            want not in (None, size) for want, size in zip(shape, array.shape, strict=True)
        ):
            raise BundleError(f"input {name} of {plan.statistic} does not fit the plan")
        found.append(array)
    return found


def centre_of(plan: Plan, inputs: Inputs) -> list[NDArray]:
    """The mean that every site centres rows by: none where each has its own."""
    if plan.asked().site_effects:
        if "mean" in inputs:
            raise BundleError(f"{plan.statistic} centres within sites; send no mean")
        return []
    (mean,) = given(plan, inputs, mean=(plan.rows,))
    if np.any((mean < 0) | (mean > 2)):
        raise BundleError(f"a mean of {plan.statistic} is not one of copies of an allele")
    return [mean]


def lacking(folded: ridge.FoldedDesign, called: NDArray) -> NDArray[np.int64]:
    """People of each fold who lack a call, given how many are called; (rows, folds)."""
    sizes = np.array([members.size for members in folded.of_sets[: called.shape[1]]])
    missing: NDArray[np.int64] = sizes - called
    return missing


def ends_of(blocks: NDArray) -> list[int]:
    """Where ridge blocks end. They lie one after the other, numbered from 0."""
    steps = np.diff(blocks, prepend=0)
    if blocks.size and (blocks[0] != 0 or np.any((steps != 0) & (steps != 1))):
        raise BundleError("ridge blocks are not numbered in the order of their rows")
    return [*np.flatnonzero(np.diff(blocks)) + 1, blocks.size] if blocks.size else []


def columns_of(site: Site, asked: ModelParameters) -> tuple[NDArray, NDArray]:
    """Covariates and traits of a plan as the site holds them; NaN where missing."""
    x = linear_answers.covariates(site, asked)
    return x, linear_answers.traits(site, asked, x)


def digest_of(inputs: Inputs, name: str) -> str:
    """The digest of an array that comes with a plan; empty where it does not."""
    return array_digest(inputs[name]) if name in inputs else ""


def exposed_folds(
    exposed: Exposed,
    asked: RidgeParameters | OffsetParameters,
    columns: tuple[NDArray, NDArray],
    *,
    rows: int = 0,
    panel: str = "",
    own: int = 0,
    counted: bool = False,
    outsiders: bool = False,
) -> Exposure:
    """Everybody and every fold; of each the columns that rows, or predictions, are multiplied by.

    Rows are multiplied by the rows of their own block, and predictions by all predictions: each
    of those is a column. People in no fold are a set of their own if `outsiders` are meant too.
    """

    def divide(members: NDArray) -> NDArray:
        fold = ridge.assign_folds(members, asked.folds, asked.smallest)
        return fold if outsiders else np.where(fold == asked.folds, -1, fold)

    return exposed.folds(
        *columns,
        divide,
        rows=rows,
        panel=panel,
        own=own,
        counted=counted,
    )
