"""Level 0: ridge regressions of the traits on the rows of one block, fold by fold.

Rows are centred (by the mean of the site, or of all sites where there is a common intercept, which
also stands for missing calls), freed of the covariates and scaled to unit variance. Sites sum
products of the centred rows; the coordinator frees them of the covariates and solves for every
penalty and every fold left out; sites predict for the people of that fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from genome_eu.stats.aggregate import Aggregate, count, every, total
from genome_eu.stats.block import Block
from genome_eu.stats.linear.independence import COLLINEAR
from genome_eu.stats.linear.sums import mean_dosage
from genome_eu.stats.ridge.model import FoldedDesign, FoldSums, covariate_effects

# Bytes of centred dosages that a thread multiplies at a time.
_TILE_BYTES = 32 * 2**20


@dataclass(frozen=True, eq=False)
class CountSums(Aggregate):
    """Calls and copies of ALT of the people of each fold: which rows a regression may use.

    People in no fold come last, where there are any: rows predict for them.
    """

    statistic = "ridge_counts"

    called: NDArray = count("people", "rows", "folds", gate="association")
    allele_count: NDArray = count("alleles", "rows", "folds", gate="association")
    shown: NDArray = every("flag", "rows")


@dataclass(frozen=True, eq=False)
class BlockSums(Aggregate):
    """Products of the rows of ridge blocks with each other, with covariates and with traits.

    `gram[j, f, d]` is row j with row d of the same ridge block, over the people of fold f; 0 past
    the last row of a block.
    """

    statistic = "ridge_block"

    called: NDArray = count("people", "rows", "folds", gate="association")
    allele_count: NDArray = count("alleles", "rows", "folds", gate="association")
    gram: NDArray = total("dosage²", "rows", "folds", "block", gate="association")
    gx: NDArray = total("dosage·covariate", "rows", "folds", "covariates", gate="association")
    gy: NDArray = total("dosage·trait", "rows", "folds", "traits", gate="association")


def summarize_counts(block: Block, model: FoldedDesign) -> CountSums:
    """Calls and copies of ALT in each fold, and of who is in none, at one site."""
    called, _, allele_count, _ = block.tally(model.fold, model.sets)
    return CountSums(called, allele_count, np.ones(block.rows, bool))


def _mean(called: NDArray, allele_count: NDArray) -> NDArray:
    """Mean copies of ALT over all folds, from counts of each."""
    return mean_dosage(allele_count.sum(axis=1), called.sum(axis=1))


def _centred(
    block: Block, model: FoldedDesign, mean: NDArray
) -> Iterator[tuple[int, NDArray, NDArray]]:
    """A fold, places of some of its people, and their centred dosages (rows, people).

    People in no fold come as the fold after the last. Missing calls are 0: at the mean.
    """
    people = model.fold.size
    size = max(4, _TILE_BYTES // (8 * max(block.rows, 1)))
    for start in range(0, people, size):
        dosage = block.dosages(start, min(start + size, people))
        for fold, members in enumerate(model.of_sets):
            first, last = np.searchsorted(members, (start, start + dosage.shape[1]))
            here = members[first:last]
            if here.size:
                observed = dosage[:, here - start]
                yield fold, here, np.where(observed < 0, 0.0, observed - mean[:, None])


def summarize_block(
    block: Block, model: FoldedDesign, width: int, mean: NDArray | None = None
) -> BlockSums:
    """The sums of one ridge block at one site.

    Parameters
    ----------
    block : Block
        The rows of one ridge block.
    model : FoldedDesign
        The people.
    width : int
        Rows of the largest ridge block of the question.
    mean : float64 array, shape (rows,), optional
        What the rows are centred by and missing calls are replaced with; the site's own mean if
        not given, which needs site effects.
    """
    counted = summarize_counts(block, model)
    if mean is None:
        mean = _mean(counted.called, counted.allele_count)
    rows = block.rows
    gram = np.zeros((rows, model.folds, width))
    gx = np.zeros((rows, model.folds, model.x.shape[1]))
    gy = np.zeros((rows, model.folds, model.traits))
    for fold, here, centred in _centred(block, model, mean):
        # Who is in no fold is predicted for, and fits nothing.
        if fold < model.folds:
            gram[:, fold, :rows] += centred @ centred.T
            gx[:, fold] += centred @ model.x[here]
            gy[:, fold] += centred @ model.y[here]
    return BlockSums(
        called=counted.called[:, : model.folds],
        allele_count=counted.allele_count[:, : model.folds],
        gram=gram,
        gx=gx,
        gy=gy,
    )


@dataclass(frozen=True, eq=False)
class BlockWeights:
    """What one block predicts with, for each fold (fitted to all others), penalty and trait.

    The set after the last fold, where there is one, is of who is in none: fitted to all folds.
    """

    weights: NDArray  # (rows, sets, penalties, traits), of centred dosages
    adjust: NDArray  # (covariates, sets, penalties, traits), of covariates, to be subtracted


def solve_block(
    folds: FoldSums,
    sums: BlockSums,
    penalty: NDArray,
    *,
    effects: NDArray | None = None,
    outsiders: bool = False,
) -> BlockWeights:
    """Ridge weights of one block for every penalty and every fold left out.

    Rows that do not vary or that the covariates explain weigh nothing.

    Parameters
    ----------
    folds : FoldSums
        Merged over sites.
    sums : BlockSums
        Of the rows of one ridge block, merged over sites.
    penalty : float64 array, shape (penalties,)
        λ of ‖y − Gβ‖² + λ‖β‖² with rows of unit variance (`penalties`).
    effects : float64 array, shape (covariates, traits), optional
        What covariates explain of the traits; among the people of the folds if not given.
    outsiders : bool
        There are people in no fold.
    """
    rows, people = sums.rows, int(folds.people.sum())
    gx, gy = sums.gx.swapaxes(0, 1), sums.gy.swapaxes(0, 1)
    effects = covariate_effects(folds) if effects is None else effects
    gamma = _explained(folds, gx.sum(axis=0))
    score = gy - gx @ effects - gamma.T @ (folds.xy - folds.xx @ effects)
    # In place, fold by fold: these are the largest arrays here.
    free = np.empty((len(gx), rows, rows))
    for fold, out in enumerate(free):
        np.subtract(sums.gram[:, fold, :rows], gx[fold] @ gamma, out=out)
        out -= gamma.T @ (gx[fold].T - folds.xx[fold] @ gamma)

    square = np.einsum("jfj->j", sums.gram[:, :, :rows])
    rest = np.einsum("fjj->j", free)
    varies = rest > COLLINEAR * square
    scale = np.where(varies, np.sqrt((people - 1) / np.where(varies, rest, 1.0)), 0.0)
    free *= scale
    free *= scale[:, None]
    score = scale[:, None] * score

    whole, whole_score = free.sum(axis=0), score.sum(axis=0)
    number = len(folds.people)
    weights = np.empty((rows, number + outsiders, penalty.size, score.shape[-1]))
    for fold in range(number):
        solved = ridge(whole - free[fold], whole_score - score[fold], penalty)
        weights[:, fold] = scale[:, None, None] * solved
    if outsiders:
        weights[:, number] = scale[:, None, None] * ridge(whole, whole_score, penalty)
    adjust = np.einsum("cj,jfpt->cfpt", gamma, weights)
    return BlockWeights(weights, adjust)


def _explained(folds: FoldSums, gx: NDArray) -> NDArray:
    """Effects of the covariates on the rows, (covariates, rows)."""
    if not gx.shape[1]:
        return np.zeros(gx.shape[::-1])
    return np.linalg.solve(folds.xx.sum(axis=0), gx.T)


def ridge(gram: NDArray, score: NDArray, penalty: NDArray) -> NDArray:
    """(gram + λ)⁻¹ score for every λ > 0: (columns, penalties, traits).

    A factorization each takes less than one eigendecomposition for a handful of them.
    """
    found = np.empty((gram.shape[0], penalty.size, score.shape[1]))
    diagonal = np.diag_indices(gram.shape[0])
    for place, value in enumerate(penalty):
        shifted = gram.copy()
        shifted[diagonal] += value
        factor = cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)
        found[:, place] = cho_solve(factor, score, check_finite=False)
    return found


def predict_block(
    block: Block, model: FoldedDesign, solved: BlockWeights, mean: NDArray | None = None
) -> NDArray:
    """Predictions of one block for people at a site, by weights that they were not fitted to.

    Returns
    -------
    predictions : float64 array, shape (penalties, traits, people)
        0 for people who take no part.
    """
    if mean is None:
        counted = summarize_counts(block, model)
        mean = _mean(counted.called, counted.allele_count)
    rows, _, penalty, traits = solved.weights.shape
    predictions = np.zeros((penalty, traits, model.fold.size))
    for fold, here, centred in _centred(block, model, mean):
        weights = solved.weights[:, fold].reshape(rows, penalty * traits)
        adjust = solved.adjust[:, fold].reshape(-1, penalty * traits)
        values = weights.T @ centred - (model.x[here] @ adjust).T
        predictions[..., here] = values.reshape(penalty, traits, here.size)
    return predictions
