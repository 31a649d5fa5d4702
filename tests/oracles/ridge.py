"""Whole-genome regression of everybody together, person by person and fold by fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm


@dataclass(frozen=True)
class StepOne:
    """Level 0 (people, predictors), the chosen penalty, and predictions beside a chromosome."""

    level0: np.ndarray
    chosen: int
    error: np.ndarray
    loco: dict
    whole: np.ndarray


def columns(covariates, site, site_effects):
    """Intercepts (one per site, or one) and covariates."""
    if site_effects:
        intercepts = np.column_stack([site == place for place in np.unique(site)]).astype(float)
    else:
        intercepts = np.ones((len(site), 1))
    return np.column_stack([intercepts, covariates])


def leftover(values, x):
    """What is left of columns after least squares on x."""
    return values - x @ np.linalg.lstsq(x, values, rcond=None)[0]


def imputed(dosage, site, site_effects):
    """Dosages (rows, people) with means for missing calls: of the site, or of everybody."""
    result = dosage.astype(float)
    groups = site if site_effects else np.zeros(len(site))
    for row in result:
        for place in np.unique(groups):
            here = groups == place
            known = here & (row >= 0)
            row[here & (row < 0)] = row[known].mean() if known.any() else 0.0
    return result


def within_sites(values, site):
    """Columns (people, columns) less their mean at each site."""
    values = np.array(values, float)
    for place in np.unique(site):
        values[site == place] -= values[site == place].mean(axis=0)
    return values


def standard_rows(dosage, covariates, site, site_effects, fitted):
    """Rows freed of the covariates, of unit variance; 0 where nothing is left.

    Both as they are among the people who are fitted; people of a site have its own mean.
    """
    g, x = imputed(dosage, site, site_effects), np.asarray(covariates, float)
    if site_effects:
        g, x = within_sites(g.T, site).T, within_sites(x, site)
    else:
        x = np.column_stack([np.ones(len(x)), x])
    g = g - (x @ np.linalg.lstsq(x[fitted], g[:, fitted].T, rcond=None)[0]).T
    size = np.sqrt((g[:, fitted] ** 2).sum(axis=1) / (fitted.sum() - 1))
    return np.where(size[:, None] > 1e-6, g / np.where(size > 1e-6, size, 1.0)[:, None], 0.0)


def level0(rows, residual, fold, blocks, penalties):
    """Predictions of each block and penalty for each fold, fitted to the other folds.

    People in no fold (−1) are predicted for by a fit to all folds.
    """
    predictors = []
    for block in np.unique(blocks):
        g = rows[blocks == block]
        for penalty in penalties:
            z = np.empty(len(fold))
            for out in np.unique(fold):
                rest, here = (fold != out) & (fold >= 0), fold == out
                lhs = g[:, rest] @ g[:, rest].T + penalty * np.eye(len(g))
                z[here] = np.linalg.solve(lhs, g[:, rest] @ residual[rest]) @ g[:, here]
            predictors.append(z)
    return np.column_stack(predictors)


def standard_columns(z, fitted):
    """Columns of mean 0 and variance 1 among the people who are fitted."""
    z = z - z[fitted].mean(axis=0)
    size = z[fitted].std(axis=0, ddof=1)
    return np.where(size > 1e-9, z / np.where(size > 1e-9, size, 1.0), 0.0)


def linear_ridge(z, y, penalty):
    return np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ y)


def logistic_ridge(z, y, offset, penalty):
    """The minimum of the penalized loss, by a general optimizer."""

    def loss(beta):
        eta = offset + z @ beta
        value = np.logaddexp(0, np.where(y > 0.5, -eta, eta)).sum() + penalty / 2 * beta @ beta
        return value, z.T @ (expit(eta) - y) + penalty * beta

    beta = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    for _ in range(20):
        mean = expit(offset + z @ beta)
        hessian = (z.T * (mean * (1 - mean))) @ z + penalty * np.eye(z.shape[1])
        beta = beta + np.linalg.solve(hessian, z.T @ (y - mean) - penalty * beta)
    return beta


def step_one(
    dosage,
    trait,
    covariates,
    site,
    fold,
    blocks,
    chromosome_of_block,
    penalties,
    level1_penalties,
    *,
    site_effects=True,
    binary=False,
) -> StepOne:
    """Both levels; `blocks` numbers the block of each row, and `fold` is −1 for people in none."""
    x = columns(covariates, site, site_effects)
    residual = leftover(trait, x)
    fitted = fold >= 0
    rows = standard_rows(dosage, covariates, site, site_effects, fitted)
    raw = level0(rows, residual, fold, blocks, penalties)
    z = standard_columns(raw, fitted)
    offset = null_offset(x, trait) if binary else None
    betas, errors = [], []
    for penalty in level1_penalties:
        error, of_folds = 0.0, {}
        for out in np.unique(fold):
            rest, here = (fold != out) & fitted, fold == out
            if binary:
                beta = logistic_ridge(z[rest], trait[rest], offset[rest], penalty)
                probability = expit(offset[here] + z[here] @ beta)
                seen = np.where(trait[here] > 0.5, probability, 1 - probability)
                missed = -np.log(seen).sum()
            else:
                beta = linear_ridge(z[rest], residual[rest], penalty)
                missed = ((residual[here] - z[here] @ beta) ** 2).sum()
            of_folds[out] = beta
            error += missed if out >= 0 else 0.0
        betas.append(of_folds)
        errors.append(error)
    chosen = int(np.argmin(errors))
    beta = np.stack([betas[chosen][out] for out in fold])
    chromosome = np.repeat(chromosome_of_block, len(penalties))
    loco = {
        name: (z * beta)[:, chromosome != name].sum(axis=1)
        for name in np.unique(chromosome_of_block)
    }
    scale = fitted.sum() if binary else (residual[fitted] ** 2).sum()
    return StepOne(raw, chosen, np.array(errors) / scale, loco, (z * beta).sum(axis=1))


def null_offset(x, trait):
    """Linear predictor of the covariates alone, by maximum likelihood."""
    q = np.linalg.qr(x)[0]
    beta = np.zeros(x.shape[1])
    for _ in range(100):
        mean = expit(q @ beta)
        beta = beta + np.linalg.solve((q.T * (mean * (1 - mean))) @ q, q.T @ (trait - mean))
    return q @ beta


def step_two(dosage, trait, covariates, site, beside, *, site_effects=True):
    """Effect, standard error, χ² and −log10 p of each row; NaN where a row does not vary."""
    x = columns(covariates, site, site_effects)
    e = leftover(trait, x) - beside
    g = leftover(imputed(dosage, site, site_effects).T, x).T
    square = (g**2).sum(axis=1)
    square[square < 1e-8] = np.nan
    beta = g @ e / square
    se = np.sqrt(e @ e / (len(e) - 1) / square)
    z = beta / se
    return beta, se, z**2, -(norm.logsf(np.abs(z)) + np.log(2)) / np.log(10)
