"""A linear model with only those of its covariates that vary among the people of some rows."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import TraitError
from genome_eu.stats.aggregate import AnyAggregate
from genome_eu.stats.linear.fit import ERRCODES, LinearResult
from genome_eu.stats.linear.independence import COLLINEAR, require_independent
from genome_eu.stats.linear.model import DesignSums
from genome_eu.stats.linear.sums import of_traits


def varying(model: DesignSums) -> NDArray[np.bool_]:
    """Which covariates differ between people of any group, beyond the intercepts; bool (columns,).

    A common intercept is kept. Columns are on the agreed scale, on which the square of each is
    about the number of people.
    """
    square = np.diagonal(model.xx, axis1=1, axis2=2)
    people = np.maximum(model.people, 1)[:, None]
    if model.intercepts.any():
        return (square > COLLINEAR * people).any(axis=0)
    first = model.xx[:, 0]
    left = square - first**2 / np.maximum(square[:, :1], 1)
    left[:, 0] = people[:, 0]
    return (left > COLLINEAR * people).any(axis=0)


def with_covariates(sums: AnyAggregate, kept: NDArray[np.bool_]) -> AnyAggregate:
    """The same sums of some of the covariates."""
    if kept.all():
        return sums
    changes = {}
    for item in fields(sums):
        value = getattr(sums, item.name)
        for axis, name in enumerate(item.metadata["dims"]):
            if name == "covariates":
                value = value.compress(kept, axis=axis)
        changes[item.name] = value
    return replace(sums, **changes)


def why_untested(model: DesignSums, names: list[str], traits: list[str]) -> str | None:
    """The code of all rows if the covariates cannot be fitted to these people; None if they can."""
    left = model.people - model.intercepts - model.xx.shape[-1] - 1
    if np.any(left <= 0):
        return "TOO_FEW"
    try:
        require_independent(model, names, traits)
    except TraitError:
        return "VIF_INFINITE"
    return None


def untested(rows: int, model: DesignSums, code: str) -> LinearResult:
    """Rows without a test, all for the same reason."""
    traits = model.trait_group.size

    def of_tests(value: float | NDArray) -> NDArray:
        return np.broadcast_to(value, (rows, traits))

    nothing = of_tests(np.nan)
    people = of_traits(model.people[None], model.trait_group)
    df = people - of_traits(model.intercepts[None], model.trait_group) - model.xx.shape[-1] - 1
    return LinearResult(
        beta=nothing,
        se=nothing,
        t=nothing,
        neg_log10_p=nothing,
        df=of_tests(df),
        n=of_tests(people),
        allele_frequency=nothing,
        errcode=of_tests(np.array(ERRCODES.index(code), np.int8)),
    )
