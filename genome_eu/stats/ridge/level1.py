"""Level 1: a ridge regression of the trait on the predictions of all blocks.

Predictions of people stay at their site. Its columns are centred and scaled over all people; the
sites sum products per fold, from which the coordinator has the held-out error of every penalty:
yᵀy − 2βᵀZᵀy + βᵀZᵀZβ over the fold that β did not see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, Private, count, total
from genome_eu.stats.ridge.level0 import ridge
from genome_eu.stats.ridge.model import FoldedDesign

# Bytes of predictions that are multiplied at a time.
_TILE_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Predictions(Private):
    """What the blocks predict for the people of a site; 0 for people who take no part.

    `values` (traits, predictors, people) may lie in a file (`numpy.memmap`). Predictors are
    block-major, then penalty.
    """

    values: NDArray

    def tiles(self, trait: int, members: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
        """Places of some of the people, and their predictions (predictors, some people)."""
        size = max(1, _TILE_BYTES // (8 * max(self.values.shape[1], 1)))
        for start in range(0, members.size, size):
            here = members[start : start + size]
            yield here, self.values[trait][:, here]


@dataclass(frozen=True, eq=False)
class Level1Moments(Aggregate):
    """Sums of the predictions and of their squares."""

    statistic = "ridge_moments"

    people: NDArray = count("people", gate="people")
    z: NDArray = total("prediction", "traits", "predictors", gate="moments")
    square: NDArray = total("prediction²", "traits", "predictors", gate="moments")


@dataclass(frozen=True, eq=False)
class Level1Sums(Aggregate):
    """Products of the predictions with each other and with what covariates leave of the traits."""

    statistic = "ridge_level1"

    people: NDArray = count("people", "folds", gate="people")
    z: NDArray = total("prediction", "folds", "traits", "predictors", gate="moments")
    zz: NDArray = total(
        "prediction²", "folds", "traits", "predictors", "predictors", gate="moments"
    )
    zy: NDArray = total("prediction·trait", "folds", "traits", "predictors", gate="moments")
    y: NDArray = total("trait", "folds", "traits", gate="moments")
    yy: NDArray = total("trait²", "folds", "traits", gate="moments")


def summarize_moments(model: FoldedDesign, predictions: Predictions) -> Level1Moments:
    """Sums of the predictions at one site."""
    everybody = np.flatnonzero(model.fitted)
    z = np.zeros(predictions.values.shape[:2])
    square = np.zeros(z.shape)
    for trait in range(model.traits):
        for _, tile in predictions.tiles(trait, everybody):
            z[trait] += tile.sum(axis=1)
            square[trait] += np.einsum("li,li->l", tile, tile)
    return Level1Moments(people=np.array(everybody.size), z=z, square=square)


def summarize_level1(model: FoldedDesign, predictions: Predictions, effects: NDArray) -> Level1Sums:
    """Products of the predictions at one site, fold by fold.

    Parameters
    ----------
    effects : float64 array, shape (covariates, traits)
        What covariates explain of the traits (`covariate_effects`).
    """
    traits, width = predictions.values.shape[:2]
    residual = model.residuals(effects)
    z = np.zeros((model.folds, traits, width))
    zz = np.zeros((model.folds, traits, width, width))
    zy = np.zeros((model.folds, traits, width))
    for fold, members in enumerate(model.members):
        for trait in range(traits):
            for here, tile in predictions.tiles(trait, members):
                z[fold, trait] += tile.sum(axis=1)
                zz[fold, trait] += tile @ tile.T
                zy[fold, trait] += tile @ residual[here, trait]
    left = [residual[members] for members in model.members]
    return Level1Sums(
        people=np.array([members.size for members in model.members]),
        z=z,
        zz=zz,
        zy=zy,
        y=np.stack([some.sum(axis=0) for some in left]),
        yy=np.stack([(some**2).sum(axis=0) for some in left]),
    )


@dataclass(frozen=True, eq=False)
class Standard:
    """How predictions are centred and scaled, (traits, predictors); scale 0 for a constant."""

    centre: NDArray
    scale: NDArray


def standardize(people: int, z: NDArray, square: NDArray) -> Standard:
    """Mean and 1/standard deviation of every predictor from sums over all people."""
    centre = z / people
    spread = square - people * centre**2
    varies = spread > 1e-13 * np.maximum(square, np.finfo(float).tiny)
    return Standard(
        centre, np.where(varies, np.sqrt((people - 1) / np.where(varies, spread, 1.0)), 0.0)
    )


@dataclass(frozen=True, eq=False)
class Level1Fit:
    """What predicts a trait in each fold, and for who is in none: (z − centre)·weights.

    `error` is what the choice among the penalties went by: the mean squared error of held-out
    people, in units of the variance of what covariates leave of the trait, or for a binary trait
    the mean of minus their log likelihood.
    """

    weights: NDArray  # (sets, traits, predictors)
    centre: NDArray  # (traits, predictors)
    chosen: NDArray  # int64 (traits,), place of the penalty
    error: NDArray  # (traits, penalties)


def solve_level1(sums: Level1Sums, penalty: NDArray, *, outsiders: bool = False) -> Level1Fit:
    """Weights of the predictions in every fold, with the penalty of least held-out error.

    Parameters
    ----------
    sums : Level1Sums
        Merged over sites.
    penalty : float64 array, shape (penalties,)
        λ with predictions of unit variance (`penalties` of the number of predictors).
    outsiders : bool
        There are people in no fold: the last weights, fitted to all folds, are theirs.
    """
    folds, traits, width = sums.z.shape
    people = int(sums.people.sum())
    whole = np.einsum("ftll->tl", sums.zz)
    standard = standardize(people, sums.z.sum(axis=0), whole)
    weights = np.empty((folds + outsiders, traits, width))
    chosen = np.empty(traits, np.int64)
    error = np.empty((traits, penalty.size))
    for trait in range(traits):
        zz, zy = _standardized(sums, standard, trait)
        betas = np.stack(
            [
                ridge(zz.sum(axis=0) - zz[f], (zy.sum(axis=0) - zy[f])[:, None], penalty)[:, :, 0]
                for f in range(folds)
            ]
        )
        missed = np.einsum("flp,flm,fmp->p", betas, zz, betas)
        missed += sums.yy[:, trait].sum() - 2.0 * np.einsum("flp,fl->p", betas, zy)
        error[trait] = missed / sums.yy[:, trait].sum()
        chosen[trait] = int(np.argmin(missed))
        weights[:folds, trait] = betas[:, :, chosen[trait]] * standard.scale[trait]
        if outsiders:
            best = penalty[[chosen[trait]]]
            beta = ridge(zz.sum(axis=0), zy.sum(axis=0)[:, None], best)[:, 0, 0]
            weights[folds, trait] = beta * standard.scale[trait]
    return Level1Fit(weights, standard.centre, chosen, error)


def _standardized(sums: Level1Sums, standard: Standard, trait: int) -> tuple[NDArray, NDArray]:
    """ZᵀZ and Zᵀy of every fold with centred and scaled columns."""
    centre, scale = standard.centre[trait], standard.scale[trait]
    z = sums.z[:, trait]
    crossed = z[:, :, None] * centre
    zz = sums.zz[:, trait] - crossed - crossed.swapaxes(1, 2)
    zz += sums.people[:, None, None] * np.outer(centre, centre)
    zy = sums.zy[:, trait] - sums.y[:, trait, None] * centre
    return scale[:, None] * zz * scale, scale * zy


@dataclass(frozen=True, eq=False)
class Offsets(Private):
    """What all chromosomes but one predict for the people of a site.

    `values` (chromosomes + 1, traits, people), 0 for people who take no part. The last place is
    the prediction of all chromosomes, for rows whose own predicts nothing.
    """

    values: NDArray


def leave_one_out(
    model: FoldedDesign,
    predictions: Predictions,
    weights: NDArray,
    centre: NDArray,
    of_predictor: NDArray,
    chromosomes: int,
) -> Offsets:
    """Predictions of each person, leaving one chromosome out at a time.

    Parameters
    ----------
    weights, centre : float64 arrays, (sets, traits, predictors) and (traits, predictors)
        Of the `Level1Fit`.
    of_predictor : int64 array, shape (predictors,)
        The place of each predictor's chromosome.
    chromosomes : int
        How many there are; one without predictors is beside the prediction of all.
    """
    traits, _, people = predictions.values.shape
    belongs = of_predictor == np.arange(chromosomes)[:, None]
    parts = np.zeros((chromosomes, traits, people))
    for fold, members in enumerate(model.of_sets):
        for trait in range(traits):
            mine = belongs * weights[fold, trait]
            shift = mine @ centre[trait]
            for here, tile in predictions.tiles(trait, members):
                parts[:, trait, here] = mine @ tile - shift[:, None]
    values = np.empty((chromosomes + 1, traits, people))
    values[-1] = parts.sum(axis=0)
    for place in range(chromosomes):
        # Summed and not subtracted: beside the only chromosome it is exactly 0.
        values[place] = np.delete(parts, place, axis=0).sum(axis=0)
    return Offsets(values)
