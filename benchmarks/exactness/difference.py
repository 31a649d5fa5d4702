"""How far two answers to one question are apart, each number on its own scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

#: The most that a federated number may be off.
LAW = 1e-8

# Names of rows that are each store's own.
_NAMES = frozenset({"variant_id", "variant_contig", "contig_id"})
# Columns that are known up to their sign.
_SIGNED = ("_pca_component", "_pca_projection")


@dataclass(frozen=True)
class Difference:
    """The largest difference of two answers, of what it is, and how many values were compared.

    It is infinite where texts or whole numbers differ, a number is known in one answer only, or a
    variable is absent.
    """

    largest: float
    variable: str
    values: int

    @property
    def lawful(self) -> bool:
        """Whether something was compared, and nothing is further apart than the law allows."""
        return self.values > 0 and self.largest <= LAW


def difference(found: xr.Dataset | pd.DataFrame, pooled: xr.Dataset | pd.DataFrame) -> Difference:
    """Compare every variable of the pooled answer.

    β and its like are compared in units of their standard error, standard errors and p-values
    relative to themselves, −log₁₀ p, z and t relative to themselves where they are above 1, and
    everything else relative to the largest number of its column. The signs of components are
    aligned first.
    """
    found, pooled = _dataset(found), _dataset(pooled)
    worst, variable, values = 0.0, "", 0
    for name in map(str, pooled.data_vars):
        if name in _NAMES:
            continue
        ours = found[name].values if name in found else np.empty(0)
        theirs = pooled[name].values
        apart = _apart(name, ours, theirs, pooled)
        values += theirs.size if theirs.dtype.kind != "f" else int(np.isfinite(theirs).sum())
        if apart > worst:
            worst, variable = apart, name
    return Difference(worst, variable, values)


def _dataset(given: xr.Dataset | pd.DataFrame) -> xr.Dataset:
    if isinstance(given, xr.Dataset):
        return given
    return xr.Dataset({str(name): ("lines", given[name].to_numpy()) for name in given.columns})


def _apart(name: str, ours: NDArray, theirs: NDArray, pooled: xr.Dataset) -> float:
    if ours.shape != theirs.shape:
        return math.inf
    if not theirs.size:
        return 0.0
    if theirs.dtype.kind != "f":
        return 0.0 if np.array_equal(ours, theirs) else math.inf
    if name.endswith(_SIGNED):
        ours = ours * np.where(np.nansum(ours * theirs, axis=0) < 0, -1.0, 1.0)
    known = np.isfinite(theirs)
    same = np.array_equal(ours[~known], theirs[~known], equal_nan=True)
    if not same or not np.isfinite(ours[known]).all():
        return math.inf
    # What is equal has no difference, whatever its scale.
    off = np.abs(ours - theirs, where=known, out=np.zeros(theirs.shape))
    scale = np.broadcast_to(_scale(name, theirs, pooled), theirs.shape)
    differs = known & (off > 0)
    if not differs.any():
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nan_to_num(off[differs] / scale[differs], nan=math.inf).max())


def _scale(name: str, theirs: NDArray, pooled: xr.Dataset) -> NDArray:
    size = np.abs(theirs)
    if name.endswith("beta") and (error := name.removesuffix("beta") + "se") in pooled:
        return np.asarray(pooled[error].values)
    if name.endswith(("_se", "p_value")):
        return size
    if name.endswith(("neg_log10_p", "_z", "z_value", "t_value")):
        return np.maximum(size, 1.0)
    return np.asarray(np.where(np.isfinite(theirs), size, 0.0).max(axis=0, keepdims=True))
