"""One site's people in folds, and the penalties that a ridge regression tries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, Private, count, total
from genome_eu.stats.linear.model import Design, DesignSums

#: Shares of the variance that all rows together may explain, at both levels (REGENIE's).
GRID = (0.01, 0.25, 0.5, 0.75, 0.99)
#: Folds of the cross-validation (REGENIE's).
FOLDS = 5
#: Chromosomes that are left out one at a time.
AUTOSOMES = 22


def penalties(columns: int, heritability: Sequence[float] = GRID) -> NDArray:
    """Ridge penalties M(1 − h)/h of a trait of unit variance on M columns of unit variance.

    REGENIE before version 2.0 used M/h, of which `regenie_example`'s results are.
    """
    share = np.asarray(heritability, float)
    return columns * (1.0 - share) / share


def liability_penalties(columns: int, heritability: Sequence[float] = GRID) -> NDArray:
    """Penalties of a logistic ridge: the variance of a logistic variable is π²/3."""
    return penalties(columns, heritability) * 3.0 / np.pi**2


def assign_folds(
    included: NDArray[np.bool_], folds: int = FOLDS, smallest: int = 0
) -> NDArray[np.int64]:
    """The fold of each person, −1 for those who take no part.

    People of a site are taken in their order, ⌊n/folds⌋ to a fold and the rest to the last one:
    at a single site, REGENIE's folds. At a site of fewer than `smallest` people all are in no fold,
    which has the number after the last.
    """
    people = int(included.sum())
    fold = np.full(included.size, -1, np.int64)
    size = people // folds
    place = np.arange(people)
    fold[included] = np.minimum(place // size, folds - 1) if size else folds - 1
    if people < smallest:
        fold[included] = folds
    return fold


@dataclass(frozen=True, eq=False)
class FoldSums(Aggregate):
    """Products of covariates and traits over the people of each fold."""

    statistic = "ridge_folds"

    people: NDArray = count("people", "folds", gate="people")
    intercepts: NDArray = count("sites", gate="label")
    xx: NDArray = total("covariate²", "folds", "covariates", "covariates", gate="moments")
    xy: NDArray = total("covariate·trait", "folds", "covariates", "traits", gate="moments")
    yy: NDArray = total("trait²", "folds", "traits", gate="moments")


@dataclass(frozen=True, eq=False)
class FoldedDesign(Private):
    """One site's people who share a model: covariates, traits, and the fold of each person.

    Who is in no fold (the number after the last) fits nothing and is predicted for, by weights that
    were fitted to all folds.
    """

    x: NDArray  # (people, covariates) with a common intercept, if there is one; 0 for others
    y: NDArray  # (people, traits), 0 for people who take no part
    fold: NDArray  # int64 (people,), −1 for people who take no part
    folds: int
    site_effects: bool
    outsiders: bool = False  # whether the model has people in no fold, at any site

    @property
    def sets(self) -> int:
        """Folds, and one more set where there are people in no fold."""
        return self.folds + self.outsiders

    @property
    def traits(self) -> int:
        """Number of traits."""
        return self.y.shape[1]

    @cached_property
    def members(self) -> tuple[NDArray[np.int64], ...]:
        """Places of the people of each fold."""
        return self.of_sets[: self.folds]

    @cached_property
    def of_sets(self) -> tuple[NDArray[np.int64], ...]:
        """Places of the people of each fold, and of those in none."""
        return tuple(np.flatnonzero(self.fold == number) for number in range(self.sets))

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Who is in a fold, bool (people,)."""
        return (self.fold >= 0) & (self.fold < self.folds)

    def residuals(self, effects: NDArray) -> NDArray:
        """y − x·effects of those who take part, (people, traits)."""
        return self.y - self.x @ effects


def folded(
    model: Design, folds: int = FOLDS, fold: NDArray | None = None, smallest: int = 0
) -> FoldedDesign:
    """The people of a linear model in folds.

    Parameters
    ----------
    model : Design
        Of one group: traits that share their people.
    folds : int
        Number of folds.
    fold : int64 array, shape (people,), optional
        The fold of each person, where it is given; only of those who take part it matters.
    smallest : int
        Sites with fewer people have them in no fold.
    """
    included = model.members(0)
    if fold is None:
        labels = assign_folds(included, folds, smallest)
    else:
        labels = np.where(included, fold, -1)
    x = model.covariates(0)
    return FoldedDesign(x, model.y, labels, folds, model.site_effects, smallest > 0)


def summarize_folds(model: FoldedDesign) -> FoldSums:
    """Products of covariates and traits at one site, fold by fold."""
    parts = [(model.x[here], model.y[here]) for here in model.members]
    people = np.array([here.size for here in model.members])
    return FoldSums(
        people=people,
        intercepts=np.array(int(people.any() and model.site_effects)),
        xx=np.stack([x.T @ x for x, _ in parts]),
        xy=np.stack([x.T @ y for x, y in parts]),
        yy=np.stack([np.einsum("it,it->t", y, y) for _, y in parts]),
    )


def covariate_effects(sums: FoldSums) -> NDArray:
    """Least-squares effects of the covariates on the traits, (covariates, traits)."""
    if not sums.xx.shape[-1]:
        return np.zeros(sums.xy.shape[1:])
    return np.linalg.solve(sums.xx.sum(axis=0), sums.xy.sum(axis=0))


def design_effects(sums: DesignSums) -> NDArray:
    """As `covariate_effects`, of traits each among the people of its group."""
    effects = np.zeros(sums.xy.shape)
    for group, xx in enumerate(sums.xx):
        members = sums.trait_group == group
        if xx.size:
            effects[:, members] = np.linalg.solve(xx, sums.xy[:, members])
    return effects


def places(contig: Sequence[str] | NDArray) -> NDArray[np.int64]:
    """The place of each contig among the autosomes, 0 to 21; 22 for any other."""
    autosomes = {str(number): number - 1 for number in range(1, AUTOSOMES + 1)}
    return np.array(
        [autosomes.get(str(name).removeprefix("chr"), AUTOSOMES) for name in contig], np.int64
    )


def predictions_id(
    panel: NDArray | None, mean: NDArray | None, block: NDArray, weights: NDArray, adjust: NDArray
) -> str:
    """The id of the predictions that weights of the rows of a panel make."""
    first = [array for array in (panel, mean) if array is not None]
    return _identify(*first, block, weights, adjust)


def offsets_id(predictions: str, level1: NDArray, centre: NDArray, chromosome: NDArray) -> str:
    """The id of the offsets that weights of predictions make: of a whole-genome regression."""
    return _identify(np.frombuffer(predictions.encode(), np.uint8), level1, centre, chromosome)


def joined_id(parts: Sequence[str]) -> str:
    """The id of a regression of several groups of traits, from those of each."""
    return _identify(np.frombuffer(" ".join(parts).encode(), np.uint8))


def _identify(*arrays: NDArray) -> str:
    """16 hexadecimal digits, the same for the same numbers."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]
