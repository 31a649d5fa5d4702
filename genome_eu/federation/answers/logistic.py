"""A site's sums for a logistic model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answers import linear as linear_answers
from genome_eu.federation.answers import weighing
from genome_eu.federation.answers.answering import Answering, Inputs, Part, panel_name
from genome_eu.federation.answers.offsets import kept_offsets
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.inside.people import require_near
from genome_eu.federation.parameters.logistic import LogisticParameters
from genome_eu.federation.plan import Plan, array_digest
from genome_eu.stats import exposure, logistic
from genome_eu.stats.aggregate import AGGREGATES
from genome_eu.stats.logistic import case_control

if TYPE_CHECKING:
    from genome_eu.federation.site import Site

# What comes with each test, of these dimensions after the rows: t has two tails, c and p stand for
# the columns of the null model and of the fit of all parameters.
_BY_TEST: Mapping[str, Mapping[str, str]] = {
    "logistic_products": {},
    "logistic_spa": {"t": "2", "coefficients": "c"},
    "logistic_firth": {"effect": "", "coefficients": "c"},
    "logistic_fit": {"row_theta": "p", "row_inverse": "pp"},
}
# Numbers of a row of the sums, beside those of the model's columns.
_NUMBERS = {"logistic_products": 0, "logistic_spa": 8, "logistic_firth": 5, "logistic_fit": 5}


def columns(site: Site, asked: LogisticParameters) -> tuple[NDArray, NDArray]:
    """Covariates as the site holds them, and traits as 0 and 1; NaN where missing."""
    x = linear_answers.covariates(site, asked)
    y = linear_answers.traits(site, asked, x)
    coded = [
        case_control(np.where(site.included, values, np.nan), name, coded_12=asked.coded_12)
        for name, values in zip(asked.traits, y.T, strict=True)
    ]
    return x, np.column_stack(coded)


#: The last model of each site: all rounds of a question have the same one.
_LAST: WeakKeyDictionary[Site, tuple[dict[str, Any], tuple[logistic.Design, Facts]]] = (
    WeakKeyDictionary()
)


def model(site: Site, plan: Plan) -> tuple[logistic.Design, Facts]:
    """The logistic model of a plan, and what the checks must know of its people.

    Raises
    ------
    BundleError
        The plan's origins do not fit its columns, or are far from the data.
    """
    asked: LogisticParameters = plan.asked()
    # How missing calls are treated is a matter of the rows.
    said = {name: value for name, value in plan.parameters.items() if name != "missing"}
    said["judged"] = site.policy is not None
    known = _LAST.get(site)
    if known is None or known[0] != said:
        known = said, _model(site, asked)
        # Scores and offsets may be made anew under the same id.
        if asked.pca is None and asked.wgr is None:
            _LAST[site] = known
    design, facts = known[1]
    linear_answers.require_called(site, plan, design.included.any(axis=1))
    return design, facts


def _model(site: Site, asked: LogisticParameters) -> tuple[logistic.Design, Facts]:
    if asked.transform is not None:
        raise BundleError("a binary trait has no other scale; ask without a transform")
    x, y = columns(site, asked)
    mean, scale = np.asarray(asked.covariate_mean), np.asarray(asked.covariate_scale)
    if x.shape[1] != mean.size or mean.size != scale.size:
        raise BundleError("the plan has another number of origins than of columns")
    x = np.where(site.included[:, None], x, np.nan)
    known = x[~np.isnan(x).any(axis=1)]
    if known.size:
        require_near(known, mean, scale)
    design = logistic.design((x - mean) / scale, y, site_effects=asked.site_effects)
    if asked.wgr is not None:
        members = ~np.isnan(x).any(axis=1)[:, None] & ~np.isnan(y)
        offsets = kept_offsets(site, asked, members)
        design = design.with_offset(offsets.values[asked.chromosome].T)
    facts = []
    for trait in range(design.traits):
        who = design.who(trait)
        cases = int(design.y[who, trait].sum())
        is_case = design.y[:, trait] == 1
        classes = tuple(
            Facts(people=people, halved=site.halved(asked, members & design.included[:, trait]))
            for people, members in ((cases, is_case), (who.size - cases, ~is_case))
        )
        raw = np.column_stack([x[who], design.y[who, trait]])
        judged = site.policy is not None and bool(who.size)
        found = Facts(
            people=who.size,
            smallest_class=exposure.smallest_class(raw) if judged else None,
            leverage=exposure.largest_leverage(raw) if judged else 0.0,
            groups=classes,
        )
        facts.append(linear_answers.with_cells(site, asked, found, design.included[:, trait]))
    people = int(design.included.any(axis=1).sum())
    haploid = asked.ploidy != "diploid"
    return design, Facts(people=people, groups=tuple(facts), haploid=haploid)


def _null_models(
    plan: Plan, inputs: Inputs, design: logistic.Design
) -> tuple[NDArray, NDArray | None]:
    """Parameters of the null models, and their inverse information where Firth's penalty is on."""
    theta, inverse = inputs.get("theta"), inputs.get("inverse")
    shape = (design.traits, design.width)
    if theta is None or theta.shape != shape:
        raise BundleError(f"input theta of {plan.statistic} does not fit the plan")
    if inverse is not None and inverse.shape != (*shape, design.width):
        raise BundleError(f"input inverse of {plan.statistic} does not fit the plan")
    return theta, inverse


def _null(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    design, facts = model(site, plan)
    theta, inverse = _null_models(plan, inputs, design)
    if site.policy is not None:
        fitted = logistic.fit_people(design, theta, inverse)
        facts = weighing.of_model(facts, fitted, inverse)
    yield logistic.summarize_null([design], theta, inverse), facts


# Sums of score tests by what a model has: an intercept for every site, and dosages.
_SCORES: Mapping[tuple[bool, bool], type[Any]] = {
    (True, False): logistic.ScoreSums,
    (False, False): logistic.RawScoreSums,
    (True, True): logistic.DosageScoreSums,
    (False, True): logistic.DosageRawScoreSums,
}


def _score(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    asked: LogisticParameters = plan.asked()
    kind = _SCORES[asked.site_effects, asked.dosages]
    if plan.statistic != kind.statistic:
        raise BundleError(f"{plan.statistic} is not for this model; ask {kind.statistic} instead")
    rows = site.panel(plan, inputs)
    design, facts = model(site, plan)
    theta, _ = _null_models(plan, inputs, design)
    fitted = logistic.fit_people(design, theta)
    if site.policy is not None:
        facts = weighing.of_model(facts, fitted)
    raw = not asked.site_effects
    summarize: Callable[..., Any] = (
        logistic.summarize_score_raw if raw else logistic.summarize_score
    )
    numbers = {"raw": raw, "dosages": asked.dosages}
    width = logistic.numbers_per_row(design.width, design.traits, **numbers)
    columns = logistic.columns_at_a_time(design.width, design.traits, site.store.people)
    for part in site.stream(
        plan,
        rows,
        summarize,
        fitted,
        kind,
        width=width + columns,
        columns=columns,
        haploid=_haploid(site, plan),
        dosages=asked.dosages,
    ):
        yield part, facts


def _tests(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows = site.panel(plan, inputs)
    asked: Any = plan.asked()
    design, facts = model(site, plan)
    theta, inverse = _null_models(plan, inputs, design)
    trait, given = _given(plan, inputs, design)
    fitted = logistic.fit_people(design, theta, inverse)
    people = logistic.People(fitted, fitted)
    names = ["trait", *given]
    missing = getattr(asked, "missing", "mean")
    if site.policy is not None:
        facts = weighing.of_model(facts, fitted)
        halved = np.array([[one.halved for one in both.groups[::-1]] for both in facts.groups])
        judged = _judged(site, plan, rows, trait, fitted, halved, given)
        absent, people_of, sides = judged[:, 4:].T
        # With a mean of the plan's in their place, who lacks a call can be told by changing it.
        told = missing == "drop" or not asked.site_effects
        facts = replace(
            facts,
            minor_alleles=judged[:, :4],
            missing=absent if told else np.zeros_like(absent),
            row_weighing=people_of,
            row_sides=sides,
        )
    for part in site.stream(
        plan,
        rows,
        _summarize,
        people,
        AGGREGATES[plan.statistic].statistic,
        names,
        missing,
        by_row=[trait, *given.values()],
        width=_width(plan.statistic, design.width),
        columns=design.width,
        haploid=_haploid(site, plan),
        dosages=asked.dosages,
    ):
        yield part, facts


def _haploid(site: Site, plan: Plan) -> Any:
    asked = plan.asked()
    return site.haploid_calls(asked.ploidy, asked.x_males)


def _summarize(block: Any, *given: Any) -> Any:
    *arrays, people, statistic, names, missing = given
    inputs = dict(zip(names, arrays, strict=True))
    trait = inputs.pop("trait")
    plain = {name.removeprefix("row_"): values for name, values in inputs.items()}
    return logistic.answer(block, people, AGGREGATES[statistic], trait, plain, missing)


def _given(
    plan: Plan, inputs: Inputs, design: logistic.Design
) -> tuple[NDArray, dict[str, NDArray]]:
    """The trait of each test, and what comes with it."""
    asked: Any = plan.asked()
    sizes = {"2": 2, "c": design.width, "p": design.width + 1}
    trait = inputs.get("trait")
    fits = trait is not None and trait.shape == (plan.rows,)
    if trait is None or not fits or np.any((trait < 0) | (trait >= design.traits)):
        raise BundleError(f"input trait of {plan.statistic} does not fit the plan")
    wanted = dict(_BY_TEST[plan.statistic])
    if plan.statistic == "logistic_fit" and "row_inverse" not in inputs:
        del wanted["row_inverse"]
    if not asked.site_effects:
        wanted["mean"] = ""
    elif "mean" in inputs:
        raise BundleError(f"{plan.statistic} centres within sites; send no mean")
    given = {}
    for name, dims in wanted.items():
        array = inputs.get(name)
        if array is None or array.shape != (plan.rows, *(sizes[one] for one in dims)):
            raise BundleError(f"input {name} of {plan.statistic} does not fit the plan")
        if name == "mean" and np.any((array < 0) | (array > 2)):
            raise BundleError(f"a mean of {plan.statistic} is not one of copies of an allele")
        given[name] = array
    return trait, given


def _judged(
    site: Site,
    plan: Plan,
    rows: NDArray,
    trait: NDArray,
    fitted: logistic.Fitted,
    halved: NDArray,
    given: dict[str, NDArray],
) -> NDArray:
    """What `logistic.fewest_alleles` and `weighing.of_rows` say of each test, (rows, 7)."""
    dosages = plan.asked().dosages
    size = site.rows_of_block(7, dosages=dosages)
    parts = site.by_blocks(
        plan.statistic,
        rows,
        _judge,
        fitted,
        plan.statistic,
        list(given),
        getattr(plan.asked(), "missing", "mean"),
        halved,
        dosages,
        by_row=(trait, *given.values()),
        ends=[*range(size, rows.size, size), rows.size],
        summary_bytes=8 * 7 * size,
        haploid=_haploid(site, plan),
        dosages=dosages,
    )
    return np.concatenate([np.empty((0, 7)), *parts])


def _judge(block: Any, *given: Any) -> NDArray:
    trait, *arrays, fitted, statistic, names, missing, halved, dosages = given
    counted = logistic.fewest_alleles(block, trait, fitted.design, halved, dosages=dosages)
    behind = np.full((block.rows, 2), np.inf)
    if statistic in weighing.BY_ROW:
        numbers = dict(zip(names, arrays, strict=True))
        behind = weighing.of_rows(block, trait, fitted, statistic, numbers, missing)
    return np.hstack([counted, behind])


def _width(statistic: str, width: int) -> int:
    """Numbers of a row of the sums."""
    if statistic == "logistic_fit":
        return _NUMBERS[statistic] + (width + 1) * (2 * width + 3)
    return _NUMBERS[statistic] + (width if statistic == "logistic_products" else 0)


def _width_of(statistic: str) -> Callable[[LogisticParameters, int], int]:
    def width(asked: LogisticParameters, people: int) -> int:
        columns = len(asked.covariate_mean) + (not asked.site_effects)
        if statistic in _NUMBERS:
            return _width(statistic, columns)
        numbers = {"raw": not asked.site_effects, "dosages": asked.dosages}
        return logistic.numbers_per_row(columns, len(asked.traits), **numbers)

    return width


def _weighted(
    site: Site, plan: Plan, inputs: Inputs
) -> tuple[logistic.Design, NDArray, list[NDArray]]:
    """Who takes part, x as the site holds it, and by trait the columns genotypes multiply."""
    x, _ = columns(site, plan.asked())
    design, _ = model(site, plan)
    theta, _ = _null_models(plan, inputs, design)
    fitted = logistic.fit_people(design, theta)
    multiplied = [weighing.multiplied(fitted, trait) for trait in range(design.traits)]
    return design, x, multiplied


def _exposure_of_null(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    x, y = columns(site, plan.asked())
    rows, named = linear_answers.of_genotypes(plan.asked(), x)
    return exposed.model(x, y, plan.asked().traits, rows=rows, panel=named)


def _exposure_of_score(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    design, _, multiplied = _weighted(site, plan, inputs)
    panel = panel_name(inputs, dosages=plan.asked().dosages)
    return exposed.weighted(
        design.included, multiplied, plan.asked().traits, rows=plan.rows, panel=panel
    )


def _exposure_of_tests(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    design, _ = model(site, plan)
    trait, _ = _given(plan, inputs, design)
    panel = panel_name(inputs, dosages=plan.asked().dosages)
    # Every round's numbers are of other, unknown functions of a row's genotypes.
    name = "".join(array_digest(inputs[key]) for key in sorted(inputs) if key != "panel")
    own = _width(plan.statistic, design.width)
    return exposed.tests(
        design.included,
        np.unique(trait),
        f"{plan.statistic} {name}",
        own,
        plan.asked().traits,
        rows=plan.rows,
        panel=panel,
    )


ANSWERING: Mapping[str, Answering] = (
    {
        "logistic_null": Answering(_null, _exposure_of_null),
    }
    | {
        kind.statistic: Answering(_score, _exposure_of_score, _width_of(kind.statistic))
        for kind in _SCORES.values()
    }
    | {
        statistic: Answering(_tests, _exposure_of_tests, _width_of(statistic))
        for statistic in _BY_TEST
    }
)
