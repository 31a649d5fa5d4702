"""Moments of traits and covariates: the agreed origins, and what a model can be fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import TraitError
from genome_eu.stats.aggregate import Aggregate, count, total


@dataclass(frozen=True, eq=False)
class TraitMoments(Aggregate):
    """Sums over the people who have every covariate, by trait and by covariate.

    `pattern` numbers the traits whose values are present in the same people at this site: equal
    numbers, same people. Sites are never merged on it (each has patterns of its own).
    """

    statistic = "trait_moments"

    trait_people: NDArray = count("people", "traits", gate="people")
    trait_sum: NDArray = total("trait", "traits", gate="moments")
    trait_square: NDArray = total("trait²", "traits", gate="moments")
    covariate_people: NDArray = count("people", gate="people")
    covariate_sum: NDArray = total("covariate", "covariates", gate="moments")
    covariate_square: NDArray = total("covariate²", "covariates", gate="moments")
    pattern: NDArray = count("label", "traits", gate="label")


def summarize(covariates: NDArray, traits: NDArray) -> TraitMoments:
    """Moments at one site.

    Parameters
    ----------
    covariates : float64 array, shape (people, covariates)
        NaN where missing.
    traits : float64 array, shape (people, traits)
        NaN where missing.
    """
    complete = ~np.isnan(covariates).any(axis=1)
    present = ~np.isnan(traits) & complete[:, None]
    values = np.where(present, traits, 0.0)
    x = covariates[complete]
    # Patterns are numbered in order of first appearance, so that no order of people shows.
    number: dict[bytes, int] = {}
    pattern = [number.setdefault(own.tobytes(), len(number)) for own in np.packbits(present.T, 1)]
    return TraitMoments(
        trait_people=present.sum(axis=0),
        trait_sum=values.sum(axis=0),
        trait_square=(values**2).sum(axis=0),
        covariate_people=np.array(complete.sum()),
        covariate_sum=x.sum(axis=0),
        covariate_square=(x**2).sum(axis=0),
        pattern=np.array(pattern, np.int64),
    )


@dataclass(frozen=True, eq=False)
class Origins:
    """What every site subtracts and divides by before it sums, shape (columns,) each."""

    mean: NDArray
    scale: NDArray


def origins(people: NDArray, sums: NDArray, squares: NDArray) -> Origins:
    """Means and standard deviations (1 where a column does not vary) from summed moments."""
    mean = sums / people
    variance = squares / people - mean**2
    # Rounding leaves about 1e-16 of the mean square behind; less than that is no variation.
    varies = variance > 1e-13 * np.maximum(squares / people, np.finfo(float).tiny)
    return Origins(mean, np.where(varies, np.sqrt(np.where(varies, variance, 1.0)), 0.0))


def require_variation(names: list[str], kind: str, columns: Origins) -> None:
    """Raise where a trait or covariate is the same for everybody."""
    constant = [name for name, scale in zip(names, columns.scale, strict=True) if scale == 0.0]
    if constant:
        raise TraitError(
            f"{kind} {', '.join(constant)} has the same value for everybody who would be "
            f"analysed; leave it out of the question"
        )


def trait_groups(patterns: list[NDArray]) -> tuple[int, ...]:
    """The group of each trait: traits of a group share their people at every site.

    `patterns` holds one `TraitMoments.pattern` per site. Groups are numbered in the order of
    their first traits.
    """
    number: dict[tuple[int, ...], int] = {}
    keys = (tuple(int(label) for label in key) for key in zip(*patterns, strict=True))
    return tuple(number.setdefault(key, len(number)) for key in keys)
