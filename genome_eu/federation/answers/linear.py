"""A site's sums for a linear model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.checks import withhold
from genome_eu.errors import BundleError, PanelError
from genome_eu.federation.answers.answering import Answering, Inputs, Part, panel_name
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.parameters.linear import LinearParameters
from genome_eu.federation.parameters.model import ModelParameters
from genome_eu.federation.plan import Plan
from genome_eu.stats import exposure, linear
from genome_eu.stats.formula import column_names
from genome_eu.stats.transform import transformed

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


# What is summed of each row, and how.
_ROWS: dict[str, tuple[type[linear.RowSums], Callable[..., linear.RowSums]]] = {
    "linear_mean": (linear.MeanSums, linear.summarize_mean),
    "linear_raw": (linear.RawSums, linear.summarize_raw),
    "linear_complete": (linear.CompleteSums, linear.summarize_complete),
    "linear_mean_dosage": (linear.DosageMeanSums, linear.summarize_mean),
    "linear_raw_dosage": (linear.DosageRawSums, linear.summarize_raw),
    "linear_complete_dosage": (linear.DosageCompleteSums, linear.summarize_complete),
}


def _widths(kind: type[linear.RowSums], asked: LinearParameters, people: int) -> tuple[int, int]:
    """Numbers of a linear statistic for each row, and columns that are multiplied at a time."""
    covariates = len(asked.covariate_mean) + (not asked.site_effects)
    model = covariates, len(asked.traits), max(asked.groups) + 1
    columns = linear.columns_at_a_time(kind, *model, people)
    return linear.numbers_per_row(kind, *model) + columns, columns


def covariates(site: Site, asked: ModelParameters) -> NDArray:
    """Covariate columns, those of a formula, dosages of rows, scores of a PCA, and sex on X.

    People who take no part in such rows (`Site.association`) lack all of them.
    """
    parts = [site.table.columns(asked.covariates, "covariate")]
    if asked.terms:
        parts.append(site.table.formula(asked.formula, asked.levels_of))
    if asked.condition:
        parts.append(site.dosages_of(asked.condition, imputed=asked.condition_dosages))
    if asked.pca is not None:
        parts.append(site.state.scores(asked.pca, site.store.genotype_digest).values)
    if asked.adds_sex:
        parts.append(site.table.columns(("sex",), "covariate"))
    return _of_members(site, asked, np.hstack(parts))


def _of_members(site: Site, asked: ModelParameters, columns: NDArray) -> NDArray:
    if asked.ploidy == "diploid":
        return columns
    return np.where(site.association(asked.ploidy).people[:, None], columns, np.nan)


def with_cells(site: Site, asked: ModelParameters, facts: Facts, members: NDArray) -> Facts:
    """Facts of some people, with the cells that the categories of a formula part them into.

    The reference of a category has no column, and is what all others leave of everybody.
    """
    if site.policy is None or not members.any():
        return facts
    cells = []
    for term in asked.formula:
        names = [factor.column for factor in term.factors if factor.category]
        if names:
            labels = np.column_stack([site.table.groups((name,)) for name in names]).astype(str)
            cells.append(np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1))
    if not cells:
        return facts
    sizes = (facts.smallest_class, exposure.smallest_cell(np.column_stack(cells), members))
    known = [size for size in sizes if size is not None]
    return replace(facts, smallest_class=min(known, default=None))


def traits(site: Site, asked: ModelParameters, x: NDArray) -> NDArray:
    """Trait columns, on the scale that is asked for; `x` says who lacks a covariate."""
    y = site.table.columns(asked.traits, "trait")
    if asked.transform is not None:
        if asked.ploidy != "diploid":
            # A trait is the same number in all rows.
            x = covariates(site, asked.model_copy(update={"ploidy": "diploid"}))
        y = transformed(y, site.included & ~np.isnan(x).any(axis=1), asked.transform)
    return _of_members(site, asked, y)


def of_genotypes(asked: ModelParameters, x: NDArray) -> tuple[int, str]:
    """How many covariates are made of genotypes, and what names them."""
    formula = column_names(asked.formula, asked.levels_of)
    made = x.shape[1] - len(asked.covariates) - len(formula) - asked.adds_sex
    dosages = ("dosages",) if asked.condition_dosages else ()
    return made, " ".join([*dosages, *asked.condition, asked.pca or ""]).strip()


def _trait_moments(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    asked = plan.asked()
    x = covariates(site, asked)
    part, facts = site.table.moments(x, traits(site, asked, x), judged=site.policy is not None)
    yield part, with_cells(site, asked, facts, site.included & ~np.isnan(x).any(axis=1))


def model(site: Site, plan: Plan) -> tuple[linear.Design, Facts]:
    """The linear model of a plan, and what the checks must know of its people."""
    asked = plan.asked()
    kind, _ = _ROWS.get(plan.statistic, (None, None))
    if kind is not None and issubclass(kind, linear.MeanSums) and not asked.site_effects:
        raise BundleError(f"{plan.statistic} centres within sites; ask linear_raw instead")
    if kind is not None and issubclass(kind, linear.RawSums) and asked.site_effects:
        raise BundleError(f"{plan.statistic} has one common mean; ask linear_mean instead")
    x = covariates(site, asked)
    design, facts = site.table.model(
        x, traits(site, asked, x), asked, judged=site.policy is not None
    )
    require_called(site, plan, design.included.any(axis=1))
    groups = tuple(
        with_cells(
            *(site, asked),
            replace(group, halved=site.halved(asked, design.members(number))),
            design.members(number),
        )
        for number, group in enumerate(facts.groups)
    )
    return design, replace(facts, groups=groups, haploid=asked.ploidy != "diploid")


def require_called(site: Site, plan: Plan, members: NDArray) -> None:
    """Raise where a row to condition on would be imputed otherwise than in the pooled people.

    A site knows its own mean only. With site effects that is what stands for a missing call; with
    one intercept it would be the mean over all sites.
    """
    asked = plan.asked()
    if not asked.condition or asked.site_effects or len(plan.sites) == 1:
        return
    for row in asked.condition:
        if np.any(site.lacking((row,), imputed=asked.condition_dosages)[members]):
            raise PanelError(
                f"{row} has missing calls at this site, and only with site effects is its own mean "
                f"what stands for them; keep site effects, or condition on a row that everybody is "
                f"called in"
            )


def _linear_design(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    design, facts = model(site, plan)
    yield linear.summarize_design(design), facts


def _linear_rows(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    found = site.located(plan, inputs)
    # Rows below the floor are as good as absent, so that neither shows which of them it is.
    rows = found.rows if plan.asked().as_listed else site.panel(plan, inputs)
    design, facts = model(site, plan)
    kind, summarize = _ROWS[plan.statistic]
    width, columns = _widths(kind, plan.asked(), site.store.people)
    parts = site.stream(
        plan,
        rows,
        summarize,
        design,
        kind,
        width=width,
        columns=columns,
        dosages=issubclass(kind, linear.DOSAGE_SUMS),
        haploid=site.haploid_calls(plan.asked().ploidy, plan.asked().x_males),
    )
    start = 0
    for part in parts:
        listed = found.listed[start : start + part.rows]
        start += part.rows
        if not listed.all():
            shown = np.broadcast_to(listed[:, None], part.shown.shape)
            part = withhold(part, shown, "shown", ("association", "missing"))
        yield part, facts


def _exposure_of_moments(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    x, y = _columns(site, plan)
    # Scores are products with genotypes, and loadings on a single row make them that row.
    rows, named = of_genotypes(plan.asked(), x)
    return exposed.moments(x, y, plan.asked().traits, rows=rows, panel=named)


def _exposure_of_design(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    x, y = _columns(site, plan)
    rows, named = of_genotypes(plan.asked(), x)
    return exposed.model(x, y, plan.asked().traits, rows=rows, panel=named)


def _exposure_of_rows(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    x, y = _columns(site, plan)
    of_dosages = issubclass(_ROWS[plan.statistic][0], linear.DOSAGE_SUMS)
    panel = panel_name(inputs, dosages=of_dosages)
    return exposed.model(x, y, plan.asked().traits, rows=plan.rows, panel=panel)


def _columns(site: Site, plan: Plan) -> tuple[NDArray, NDArray]:
    asked = plan.asked()
    x = covariates(site, asked)
    return x, traits(site, asked, x)


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
