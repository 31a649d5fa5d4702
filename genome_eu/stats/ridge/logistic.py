"""Level 1 of a binary trait: a logistic ridge beside what the covariates alone predict.

The null model's linear predictor is an offset. Sites send the information matrix of each fold once,
at the null model; from then on a gradient a round, for every fold left out and every penalty, from
which the coordinator goes on by a quasi-Newton method: fewer numbers leave than by Newton's, and
the answer is the same. The penalty is chosen by the likelihood of held-out people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from genome_eu.stats.aggregate import Aggregate, count, total
from genome_eu.stats.ridge.level1 import Level1Fit, Predictions, Standard
from genome_eu.stats.ridge.model import FoldedDesign

# A fit has converged when the gain that the next step promises is this part of its loss.
_TOLERANCE = 1e-22
_HALVINGS = 30
# Steps that the curvature is learned from.
_MEMORY = 12


@dataclass(frozen=True, eq=False)
class InformationSums(Aggregate):
    """ZᵀWZ of one trait's standardized predictions in each fold, W = μ(1 − μ) of the null model."""

    statistic = "ridge_information"

    people: NDArray = count("people", "folds", gate="people")
    zz: NDArray = total("weight·prediction²", "folds", "predictors", "predictors", gate="moments")


@dataclass(frozen=True, eq=False)
class GradientSums(Aggregate):
    """Gradients of fits to all people but those of one fold, and the loss of both.

    A loss is minus the log likelihood; `held_out` is that of the people of the fold.
    """

    statistic = "ridge_gradient"

    people: NDArray = count("people", "fits", gate="people")
    zy: NDArray = total("prediction·residual", "fits", "predictors", gate="moments")
    loss: NDArray = total("log likelihood", "fits", gate="moments")
    held_out: NDArray = total("log likelihood", "fits", gate="moments")


def summarize_information(
    model: FoldedDesign,
    trait: int,
    offset: NDArray,
    predictions: Predictions,
    standard: Standard,
) -> InformationSums:
    """Information matrices of one trait at one site.

    Parameters
    ----------
    trait : int
        Which of the traits that have predictions.
    offset : float64 array, shape (people,)
        The null model's linear predictor.
    standard : Standard
        How predictions are centred and scaled.
    """
    width = predictions.values.shape[1]
    zz = np.zeros((model.folds, width, width))
    scale, centre = standard.scale[trait][:, None], standard.centre[trait][:, None]
    for fold, members in enumerate(model.members):
        for here, tile in predictions.tiles(trait, members):
            z, mean = scale * (tile - centre), expit(offset[here])
            zz[fold] += (z * (mean * (1.0 - mean))) @ z.T
    return InformationSums(people=np.array([part.size for part in model.members]), zz=zz)


def summarize_gradients(
    model: FoldedDesign,
    trait: int,
    cases: NDArray,
    offset: NDArray,
    predictions: Predictions,
    standard: Standard,
    left_out: NDArray,
    position: NDArray,
) -> GradientSums:
    """Gradients of some fits of one trait at one site.

    Parameters
    ----------
    cases : float64 array, shape (people,)
        1 for cases, 0 for controls.
    left_out : int64 array, shape (fits,)
        The fold that each fit leaves out.
    position : float64 array, shape (fits, predictors)
        Where each fit stands.
    """
    fits, width = position.shape
    zy = np.zeros((fits, width))
    loss, held_out = np.zeros(fits), np.zeros(fits)
    people = np.zeros(fits, np.int64)
    scale, centre = standard.scale[trait][:, None], standard.centre[trait][:, None]
    for fold, members in enumerate(model.members):
        inside = left_out != fold
        people[inside] += members.size
        for here, tile in predictions.tiles(trait, members):
            z = scale * (tile - centre)
            eta = position @ z + offset[here]
            y = cases[here]
            # −ln of the probability of what was seen, without overflow.
            missed = np.logaddexp(0.0, np.where(y > 0.5, -eta, eta)).sum(axis=1)
            held_out[~inside] += missed[~inside]
            loss[inside] += missed[inside]
            zy[inside] += (y - expit(eta[inside])) @ z.T
    return GradientSums(people=people, zy=zy, loss=loss, held_out=held_out)


def left_of_cases(
    model: FoldedDesign,
    trait: int,
    cases: NDArray,
    offset: NDArray,
    predictions: Predictions,
    standard: Standard,
    left_out: NDArray,
    position: NDArray,
) -> Iterator[NDArray]:
    """y − μ of the people of each fit: what its gradient weighs them by.

    The parameters are those of `summarize_gradients`.
    """
    scale, centre = standard.scale[trait][:, None], standard.centre[trait][:, None]
    for fold, effects in zip(left_out, position, strict=True):
        everybody = np.flatnonzero(model.fitted & (model.fold != fold))
        yield np.concatenate(
            [np.empty(0)]
            + [
                cases[here] - expit(effects @ (scale * (tile - centre)) + offset[here])
                for here, tile in predictions.tiles(trait, everybody)
            ]
        )


class LogisticRidge:
    """All folds left out and all penalties of one trait, fitted side by side, seen from outside.

    `position` is where the fits stand; `absorb` takes their gradients over all sites and moves
    them: limited-memory BFGS that starts from the information at the null model.

    Parameters
    ----------
    information : InformationSums
        Merged over sites.
    penalty : float64 array, shape (penalties,)
        `liability_penalties` of the number of predictors.
    outsiders : bool
        There are people in no fold: fits that leave out the fold after the last are theirs.

    References
    ----------
    Nocedal & Wright (2006), Numerical Optimization, algorithm 7.4.
    """

    def __init__(
        self, information: InformationSums, penalty: NDArray, *, outsiders: bool = False
    ) -> None:
        folds, width, _ = information.zz.shape
        whole = information.zz.sum(axis=0)
        self._curvature = [np.linalg.eigh(whole - part) for part in information.zz]
        if outsiders:
            self._curvature.append(np.linalg.eigh(whole))
        sets = folds + outsiders
        self.left_out = np.tile(np.arange(sets), penalty.size)
        self.penalty = np.repeat(penalty, sets)
        fits = self.left_out.size
        self.position = np.zeros((fits, width))
        self.converged = np.zeros(fits, bool)
        self.rounds = 0
        self._before = np.zeros((fits, width))
        self._gradient = np.zeros((fits, width))
        self._objective = np.full(fits, np.inf)
        self._held_out = np.full(fits, np.nan)
        self._halvings = np.zeros(fits, np.int64)
        self._steps: list[list[tuple[NDArray, NDArray]]] = [[] for _ in range(fits)]

    @property
    def done(self) -> bool:
        """Whether every fit has converged."""
        return bool(self.converged.all())

    @property
    def unfinished(self) -> NDArray[np.int64]:
        """Places of the fits whose gradients are asked for."""
        return np.flatnonzero(~self.converged)

    def absorb(self, sums: GradientSums) -> None:
        """Take the gradients of the unfinished fits at `position` and move on."""
        self.rounds += 1
        for place, fit in enumerate(self.unfinished.tolist()):
            here, penalty = self.position[fit].copy(), self.penalty[fit]
            objective = sums.loss[place] + 0.5 * penalty * here @ here
            slack = 1e-13 * abs(objective)
            if objective > self._objective[fit] + slack and self._halvings[fit] < _HALVINGS:
                self.position[fit] = 0.5 * (here + self._before[fit])
                self._halvings[fit] += 1
                continue
            gradient = penalty * here - sums.zy[place]
            self._learn(fit, here - self._before[fit], gradient - self._gradient[fit])
            self._halvings[fit] = 0
            self._objective[fit] = objective
            self._held_out[fit] = sums.held_out[place]
            self._before[fit], self._gradient[fit] = here, gradient
            gain = gradient @ self._scaled(fit, gradient)
            self.converged[fit] = gain <= _TOLERANCE * max(objective, 1.0)
            self.position[fit] = here - self._towards(fit, gradient)

    def _learn(self, fit: int, step: NDArray, change: NDArray) -> None:
        if np.isfinite(self._objective[fit]) and step @ change > 0.0:
            self._steps[fit] = [*self._steps[fit], (step, change)][-_MEMORY:]

    def _scaled(self, fit: int, columns: NDArray) -> NDArray:
        """(Information at the null model + λ)⁻¹ times a column."""
        values, vectors = self._curvature[self.left_out[fit]]
        shrunk = np.maximum(values, 0.0) + self.penalty[fit]
        found: NDArray = vectors @ ((vectors.T @ columns) / shrunk)
        return found

    def _towards(self, fit: int, gradient: NDArray) -> NDArray:
        """The quasi-Newton direction (two loops over the steps remembered)."""
        rest, weights = gradient.copy(), []
        for step, change in reversed(self._steps[fit]):
            weight = (step @ rest) / (step @ change)
            rest -= weight * change
            weights.append(weight)
        found = self._scaled(fit, rest)
        for (step, change), weight in zip(self._steps[fit], reversed(weights), strict=True):
            found += (weight - (change @ found) / (step @ change)) * step
        return found

    def finish(self, people: int) -> tuple[NDArray, int, NDArray]:
        """Effects in every fold (sets, predictors), the place of the penalty chosen, the errors.

        The error is the mean of minus the log likelihood of held-out people, (penalties,).
        """
        sets = len(self._curvature)
        error = self._held_out.reshape(-1, sets).sum(axis=1) / people
        chosen = int(np.argmin(error))
        return self._before[chosen * sets : (chosen + 1) * sets], chosen, error


def logistic_fit(standard: Standard, fits: list[tuple[NDArray, int, NDArray]]) -> Level1Fit:
    """What `LogisticRidge.finish` gave for each trait, as weights of predictions."""
    return Level1Fit(
        weights=np.stack(
            [effects * standard.scale[trait] for trait, (effects, _, _) in enumerate(fits)], axis=1
        ),
        centre=standard.centre,
        chosen=np.array([chosen for _, chosen, _ in fits]),
        error=np.stack([error for _, _, error in fits]),
    )
