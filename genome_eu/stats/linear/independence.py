"""Whether the columns of a model determine each other, before a pass over genotypes is spent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from genome_eu.errors import TraitError
from genome_eu.stats.linear.model import DesignSums

# A column is collinear with others where they explain all but this part of it.
COLLINEAR = 1e-10


def require_independent(model: DesignSums, names: list[str], trait_names: Sequence[str]) -> None:
    """Raise where covariates are collinear or determine a trait, or too few people are left.

    With site effects, columns must be on the agreed scale, on which the square of each is about
    the number of people: what is left within sites is compared with that.
    """
    for group in range(model.people.size):
        members = np.flatnonzero(model.trait_group == group)
        traits = [trait_names[trait] for trait in members.tolist()]
        people, intercepts = int(model.people[group]), int(model.intercepts[group])
        columns = model.xx.shape[-1]
        if people - intercepts - columns - 1 <= 0:
            raise TraitError(
                f"trait {traits[0]} has {people} people with all covariates, too few "
                f"for {columns} covariates and the genotype; leave covariates out"
            )
        # Names of the columns: a common intercept, where there is one, comes first.
        labels = ["the intercept"] * (columns - len(names)) + names
        least = float(people) if intercepts else None
        lower = _independent(model.xx[group], labels, least)
        _require_traits(lower, model.xy[:, members], model.yy[members], traits, least)


def _independent(xx: NDArray, labels: list[str], least: float | None) -> NDArray:
    """The Cholesky factor of XᵀX, column by column, so that the first bad one can be named.

    `least` is the square that a column has over all sites, None without site effects.
    """
    lower = np.zeros_like(xx)
    for column, label in enumerate(labels):
        square = xx[column, column]
        rest = square - lower[column, :column] @ lower[column, :column]
        if least is not None and square <= COLLINEAR * least:
            raise TraitError(
                f"covariate {label} has the same value for everybody at each site; leave it out, "
                f"or ask without site effects"
            )
        if rest <= COLLINEAR * _scale(square, least):
            raise TraitError(
                f"covariate {label} is a combination of {', '.join(labels[:column])}"
                f"{' and of the sites' if least is not None else ''}; leave it out"
            )
        lower[column, column] = np.sqrt(rest)
        below = slice(column + 1, None)
        lower[below, column] = (
            xx[below, column] - lower[below, :column] @ lower[column, :column]
        ) / lower[column, column]
    return lower


def _require_traits(
    lower: NDArray, xy: NDArray, yy: NDArray, names: list[str], least: float | None
) -> None:
    explained = solve_triangular(lower, xy, lower=True) if lower.size else np.zeros_like(xy)
    left = yy - np.einsum("ct,ct->t", explained, explained)
    for name, rest, square in zip(names, left, yy, strict=True):
        if least is not None and square <= COLLINEAR * least:
            raise TraitError(
                f"trait {name} has the same value for everybody at each site; ask without site "
                f"effects, or of other sites"
            )
        if rest <= COLLINEAR * _scale(square, least):
            raise TraitError(
                f"trait {name} does not vary once the covariates are taken out; check whether a "
                f"covariate repeats it"
            )


def _scale(square: float, least: float | None) -> float:
    """What the rest of a column is compared with."""
    return max(square, float(np.finfo(float).tiny) if least is None else least)
