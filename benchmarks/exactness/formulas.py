"""Answers of pooled people by their formulas, where no question to one cohort is the same.

With one intercept a site, missing calls are at the mean of the site: a pooled cohort knows of no
sites. Its regressions are written out here, with a column for each of them.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

_TEN = math.log(10)


def at_mean_of_site(dosage: NDArray, site: NDArray) -> NDArray[np.float64]:
    """Copies of ALT, (rows, people), with each site's own mean where a call is missing (−1).

    Where nobody of a site is called, the mean is anything: the site's intercept takes it up.
    """
    values = dosage.astype(float)
    for name in np.unique(site):
        here = np.flatnonzero(site == name)
        calls = dosage[:, here]
        known = calls >= 0
        total = np.where(known, calls, 0).sum(axis=1)
        mean = total / np.maximum(known.sum(axis=1), 1)
        values[:, here] = np.where(known, calls, mean[:, None])
    return values


def intercepts(site: NDArray) -> NDArray[np.float64]:
    """A column for each site."""
    return (site[:, None] == np.unique(site)).astype(float)


def standardized(table: pd.DataFrame, names: list[str]) -> NDArray[np.float64]:
    """Columns of mean 0 and variance 1; F is 2 and M is 1."""
    columns = table[names].replace({"M": 1.0, "F": 2.0}).to_numpy(dtype=float)
    return (columns - columns.mean(axis=0)) / columns.std(axis=0)


def least_squares(dosage: NDArray, y: NDArray, x: NDArray, tested: NDArray) -> xr.Dataset:
    """Linear regression of y on each row beside x; `tested` are the rows that have a test."""
    basis, _ = np.linalg.qr(x)

    def rest(columns: NDArray) -> NDArray:
        once = columns - basis @ (basis.T @ columns)
        return once - basis @ (basis.T @ once)

    g, r = rest(dosage.T), rest(y[:, None])[:, 0]
    df = y.size - x.shape[1] - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        gg = (g * g).sum(axis=0)
        beta = r @ g / gg
        residual = r[:, None] - g * beta
        se = np.sqrt((residual * residual).sum(axis=0) / df / gg)
        t = beta / se
    neg_log10_p = -(stats.t.logsf(np.abs(t), df) + math.log(2)) / _TEN
    return of_rows("linreg", tested, beta=beta, se=se, t_value=t, neg_log10_p=neg_log10_p)


def score_tests(dosage: NDArray, y: NDArray, x: NDArray, tested: NDArray) -> xr.Dataset:
    """Score test of each row in a logistic regression of y beside x."""
    theta = np.zeros(x.shape[1])
    for _ in range(50):
        mu = 1.0 / (1.0 + np.exp(-(x @ theta)))
        w = mu * (1.0 - mu)
        step = np.linalg.solve((x.T * w) @ x, x.T @ (y - mu))
        theta = theta + step
        if np.abs(step).max() < 1e-14 * (1.0 + np.abs(theta).max()):
            break
    mu = 1.0 / (1.0 + np.exp(-(x @ theta)))
    w = mu * (1.0 - mu)
    g = dosage.T - x @ np.linalg.solve((x.T * w) @ x, (x.T * w) @ dosage.T)
    u, v = (y - mu) @ g, w @ (g * g)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta, se, z = u / v, v**-0.5, u / v**0.5
    return of_rows("logreg", tested, beta=beta, se=se, z_value=z, neg_log10_p=_two_sided(z))


def combined(beta: NDArray, se: NDArray) -> xr.Dataset:
    """Meta-analysis of studies, (studies, rows), by inverse variances.

    Fixed effects, Cochran's Q and I², and the random effects of DerSimonian and Laird.
    """
    mean, error = _weighted(beta, se)
    weight, df = se**-2, len(beta) - 1
    q = (weight * (beta - mean) ** 2).sum(axis=0)
    spread = weight.sum(axis=0) - (weight**2).sum(axis=0) / weight.sum(axis=0)
    tau2 = np.maximum(q - df, 0.0) / spread
    random, random_error = _weighted(beta, np.sqrt(se**2 + tau2))
    found = {
        "beta": mean,
        "se": error,
        "z": mean / error,
        "neg_log10_p": _two_sided(mean / error),
        "q": q,
        "q_neg_log10_p": -stats.chi2.logsf(q, df) / _TEN,
        "i_squared": np.maximum(1.0 - df / np.maximum(q, 1e-300), 0.0),
        "tau2": tau2,
        "random_beta": random,
        "random_se": random_error,
        "random_neg_log10_p": _two_sided(random / random_error),
    }
    return _of_meta(found)


def by_people(t: NDArray, df: NDArray, n: NDArray) -> xr.Dataset:
    """Meta-analysis of studies, (studies, rows), by their numbers of people: Σ √n z / √Σn."""
    z = np.sign(t) * -stats.norm.ppf(stats.t.sf(np.abs(t), df))
    whole = (np.sqrt(n) * z).sum(axis=0) / np.sqrt(n.sum(axis=0))
    return _of_meta({"z": whole, "neg_log10_p": _two_sided(whole), "n": n.sum(axis=0)})


def _weighted(beta: NDArray, se: NDArray) -> tuple[NDArray, NDArray]:
    weight = se**-2
    return (weight * beta).sum(axis=0) / weight.sum(axis=0), weight.sum(axis=0) ** -0.5


def _two_sided(z: NDArray) -> NDArray:
    found: NDArray = -(stats.norm.logsf(np.abs(z)) + math.log(2)) / _TEN
    return found


def _of_meta(found: dict[str, NDArray]) -> xr.Dataset:
    return xr.Dataset(
        {f"variant_meta_{name}": ("variants", values) for name, values in found.items()}
    )


def of_rows(model: str, tested: NDArray, **columns: NDArray) -> xr.Dataset:
    """Columns of one trait as an answer has them; NaN where there is no test."""
    return xr.Dataset(
        {
            f"variant_{model}_{name}": (
                ("variants", "traits"),
                np.where(tested, values, np.nan)[:, None],
            )
            for name, values in columns.items()
        }
    )
