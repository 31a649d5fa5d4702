"""How many people stand behind the sums of a logistic model at the numbers that a plan chooses.

A person weighs μ(1−μ), and whoever asks chooses what μ is made of: parameters, effects, tilts. With
a steep slope everybody's weight vanishes but that of the few whose linear predictor is near 0, and
the sums are theirs. So people are counted by how much they weigh, and the columns that genotypes
are multiplied by are judged as covariates are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.stats import exposure, logistic
from genome_eu.stats.logistic.dosage import by_trait, chunks, imputed
from genome_eu.stats.logistic.profile import profile

#: Tests whose weights are a row's own.
BY_ROW = ("logistic_spa", "logistic_firth", "logistic_fit")


def multiplied(fitted: logistic.Fitted, trait: int) -> NDArray[np.float64]:
    """The columns that genotypes, or covariates, are multiplied by, (people of the store, …)."""
    design = fitted.design
    weight = fitted.weight[:, trait]
    return np.column_stack(
        [
            weight[:, None] * (design.x - fitted.centre[trait]),
            weight,
            fitted.residual[:, trait],
            design.y[:, trait],
        ]
    )


def _penalized(fitted: logistic.Fitted, trait: int, inverse: NDArray) -> NDArray[np.float64]:
    """y − μ + h(½ − μ) of Firth's score; h is made of an inverse information of the plan's."""
    x = fitted.design.x - fitted.centre[trait]
    weight = fitted.weight[:, trait]
    leverage = np.einsum("ij,jk,ik->i", x, inverse[trait], x)
    if fitted.design.site_effects and weight.any():
        leverage = leverage + 1.0 / weight.sum()
    added: NDArray[np.float64] = weight * leverage * (0.5 - fitted.mu[:, trait])
    return fitted.residual[:, trait] + added


def of_model(facts: Facts, fitted: logistic.Fitted, inverse: NDArray | None = None) -> Facts:
    """The facts of each trait's people, with what the weights of its model make of them.

    `inverse` (traits, columns, columns) is that of a round under Firth's penalty.
    """
    groups = []
    for trait, group in enumerate(facts.groups):
        who = fitted.design.who(trait)
        columns = multiplied(fitted, trait)[who]
        leverage = max(group.leverage, exposure.largest_leverage(columns))
        weighing = float(exposure.effective_people(fitted.weight[who, trait]))
        if inverse is not None and who.size:
            # By itself: what it adds to y − μ is small in one honest round, however it is shaped.
            penalized = _penalized(fitted, trait, inverse)[who]
            leverage = max(leverage, exposure.largest_leverage(penalized[:, None]))
            weighing = min(weighing, float(exposure.effective_people(penalized)))
        groups.append(replace(group, leverage=leverage, weighing=weighing))
    return replace(facts, groups=tuple(groups))


def of_rows(
    block: Any,
    trait: NDArray,
    fitted: logistic.Fitted,
    statistic: str,
    given: Mapping[str, NDArray],
    missing: str,
) -> NDArray[np.float64]:
    """People behind the sums of each row, (rows, 2): by their weights, and on the smaller side.

    The second is of the saddlepoint's range, whose ends are sums over the people on one side of 0;
    infinite where nothing is summed so, or nobody takes part.
    """
    if statistic != "logistic_fit":
        firth = statistic == "logistic_firth"
        tilts = given["effect"][:, None] if firth else given["t"]
        people, sides = logistic.people_behind(
            *(block, fitted, trait, tilts, given["coefficients"], given.get("mean")),
            weighted=not firth,
        )
        return np.column_stack([people, np.full(block.rows, np.inf) if firth else sides])
    found = np.full((block.rows, 2), np.inf)
    copies, design = block.dosages(), fitted.design
    mean = np.full(block.rows, np.nan) if missing == "drop" else given.get("mean")
    for one, tests in by_trait(block, trait):
        who = design.who(one)
        for some in chunks(tests, who.size) if who.size else ():
            own = {name: values[some] for name, values in given.items()}
            found[some, 0] = _of_fit(imputed(copies, some, who, mean), who, fitted, one, own)
    return found


def _weight(eta: NDArray) -> NDArray[np.float64]:
    small = np.exp(-np.abs(eta))
    weight: NDArray[np.float64] = small / (1.0 + small) ** 2
    return weight


def _of_fit(
    dosage: NDArray, who: NDArray, fitted: logistic.Fitted, trait: int, own: Mapping[str, NDArray]
) -> NDArray[np.float64]:
    """People by their weights in a fit of all parameters; NaN dosages leave people out."""
    design, theta = fitted.design, own["row_theta"]
    alpha = _intercepts(dosage, who, fitted, trait, own) if design.site_effects else 0.0
    eta = design.offset[who, trait] + theta[:, :-1] @ design.x[who].T
    eta = eta + theta[:, -1:] * dosage + alpha
    weight = np.where(np.isnan(dosage), 0.0, _weight(np.nan_to_num(eta)))
    found = exposure.effective_people(weight)
    return np.where(np.isnan(dosage).all(axis=1), np.inf, found)


def _intercepts(
    dosage: NDArray, who: NDArray, fitted: logistic.Fitted, trait: int, own: Mapping[str, NDArray]
) -> NDArray[np.float64]:
    """The site's own intercept of each fit, (fits, 1)."""
    design, theta = fitted.design, np.ascontiguousarray(own["row_theta"])
    fits, size = theta.shape
    inverse = own.get("row_inverse")
    intercept = np.empty(fits)
    profile(
        np.ascontiguousarray(design.x[who]),
        dosage,
        design.y[who, trait],
        design.offset[who, trait],
        theta,
        np.empty((fits, 0, 0)) if inverse is None else np.ascontiguousarray(inverse),
        inverse is not None,
        True,
        np.empty((fits, size)),
        *np.empty((2, fits, size, size)),
        *np.empty((2, fits)),
        np.empty((fits, 2), np.int64),
        intercept,
    )
    return intercept[:, None]
