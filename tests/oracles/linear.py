"""Least squares row by row, with every intercept, covariate and genotype as a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.oracles.tails import t_neg_log10_p


@dataclass(frozen=True)
class Fit:
    """Arrays over rows; NaN where the fit is not defined."""

    beta: np.ndarray
    se: np.ndarray
    t: np.ndarray
    df: np.ndarray
    n: np.ndarray

    def neg_log10_p(self, rows) -> np.ndarray:
        """−log10 of the two-sided p-values of these rows."""
        return np.array([t_neg_log10_p(self.t[row], self.df[row]) for row in rows])


def fit(dosage, trait, covariates, site, *, missing="mean", site_effects=True) -> Fit:
    """Regress a trait on each row of `dosage` (rows, people; −1 is missing).

    People without the trait or a covariate take no part. With `missing="mean"` a missing call is
    replaced by the mean dosage of those who take part (of the person's own site, where there is
    an intercept per site); with "drop" the person is left out of that row.
    """
    takes_part = ~np.isnan(np.column_stack([trait, covariates])).any(axis=1)
    results = [
        _fit_row(
            dosage[row, takes_part].astype(float),
            trait[takes_part],
            covariates[takes_part],
            site[takes_part],
            missing,
            site_effects,
        )
        for row in range(dosage.shape[0])
    ]
    return Fit(*(np.array(values) for values in zip(*results, strict=True)))


def _fit_row(dosage, trait, covariates, site, missing, site_effects):
    called = dosage >= 0
    if missing == "drop":
        dosage, trait, site = dosage[called], trait[called], site[called]
        covariates = covariates[called]
    else:
        imputed_over = site if site_effects else np.zeros(len(site))
        for place in np.unique(imputed_over):
            here = imputed_over == place
            known = here & called
            dosage[here & ~called] = dosage[known].mean() if known.any() else 0.0
    places = np.unique(site)
    intercepts = [site == place for place in places] if site_effects else [np.ones(len(site))]
    design = np.column_stack([*intercepts, covariates, dosage]).astype(float)
    n, columns = design.shape
    df = n - columns
    # Columns of unit norm, so that rank and rounding do not depend on units.
    norm = np.linalg.norm(design, axis=0)
    norm[norm == 0] = 1.0
    if df <= 0 or np.linalg.matrix_rank(design / norm, tol=1e-8) < columns:
        return np.nan, np.nan, np.nan, df, n
    solution = np.linalg.lstsq(design / norm, trait, rcond=None)[0]
    residual = trait - design / norm @ solution
    variance = residual @ residual / df
    spread = np.linalg.norm(np.linalg.pinv(design / norm)[-1])
    beta, se = solution[-1] / norm[-1], np.sqrt(variance) * spread / norm[-1]
    return beta, se, beta / se, df, n
