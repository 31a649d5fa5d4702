"""Transforms of traits, computed among the people of one site.

A rank at a site is not the rank among the people of all sites: with site effects the two models
are close, but they are not the same, and results say which transform was taken where. Ranks over
all sites would need every person's value to leave.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from genome_eu.errors import TraitError, UsageError

#: Blom's offset.
BLOM = 3.0 / 8.0


def rank_inverse_normal(values: NDArray, offset: float = BLOM) -> NDArray[np.float64]:
    """Normal quantiles of the ranks: Φ⁻¹((r − c)/(n − 2c + 1)), ties averaged.

    Parameters
    ----------
    values : float64 array, shape (people,)
        NaN where missing, and stays so.
    offset : float
        c; with the default the transform is REGENIE's `--apply-rint`.

    References
    ----------
    Blom (1958), Statistical Estimates and Transformed Beta-Variables; Beasley, Erickson & Allison
    (2009), Behav Genet 39:580–595.
    """
    out = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    _, place, ties = np.unique(values[known], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2.0)[place]
    out[known] = ndtri((ranks - offset) / (ranks.size - 2.0 * offset + 1.0))
    return out


def standardize(values: NDArray) -> NDArray[np.float64]:
    """Mean 0 and standard deviation 1 (n − 1) among those who have a value; 0 if all are alike."""
    known = values[~np.isnan(values)]
    if known.size == 0:
        return values.astype(float)
    centred = values - known.mean()
    spread = known.std(ddof=1) if known.size > 1 else 0.0
    # Rounding leaves about 1e-16 of the values' size where there is no variation.
    if spread <= 1e-13 * np.abs(known).max():
        return np.where(np.isnan(values), np.nan, 0.0)
    return centred / spread


def _log(values: NDArray) -> NDArray[np.float64]:
    return np.log(values)


#: Transforms of a trait by name.
TRANSFORMS: dict[str, Callable[[NDArray], NDArray[np.float64]]] = {
    "rint": rank_inverse_normal,
    "log": _log,
    "standardize": standardize,
}


def require_known(name: str) -> None:
    """Raise where there is no transform of this name."""
    if name not in TRANSFORMS:
        raise UsageError(f"there is no transform {name!r}; choose {', '.join(TRANSFORMS)}")


def transformed(traits: NDArray, analysed: NDArray, name: str) -> NDArray[np.float64]:
    """Traits on another scale, each among its own people.

    Parameters
    ----------
    traits : float64 array, shape (people, traits)
        NaN where missing.
    analysed : bool array, shape (people,)
        Who can be analysed (takes part, and lacks no covariate); others become NaN, so that ranks
        are among those whom the model sees.
    name : str
        One of `TRANSFORMS`.

    Raises
    ------
    UsageError
        There is no such transform.
    TraitError
        The logarithm of a value that is not positive.
    """
    require_known(name)
    kept = np.where(analysed[:, None], traits, np.nan)
    if name == "log" and np.any(kept <= 0):
        raise TraitError("a trait has values that are not positive; it has no logarithm")
    columns = [TRANSFORMS[name](column) for column in kept.T]
    return np.column_stack(columns) if columns else kept
