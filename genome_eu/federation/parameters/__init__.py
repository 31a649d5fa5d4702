"""What each statistic may be asked with: parameters, and arrays that go with them.

One module for each kind of question; this one puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import BundleError
from genome_eu.federation.parameters import (
    counts,
    dosages,
    filters,
    ld,
    linear,
    logistic,
    pca,
    scores,
    variants,
    wgr,
)
from genome_eu.federation.parameters.types import Frozen, Input

_KINDS = (variants, counts, dosages, filters, ld, linear, logistic, pca, scores, wgr)

#: The parameters of each statistic.
PARAMETERS: Mapping[str, type[Frozen]] = {
    statistic: model for kind in _KINDS for statistic, model in kind.PARAMETERS.items()
}

#: The arrays that may come with each statistic: number type and dimensions.
INPUTS: Mapping[str, Mapping[str, Input]] = {
    statistic: arrays for kind in _KINDS for statistic, arrays in kind.INPUTS.items()
}


def check_inputs(statistic: str, inputs: Mapping[str, NDArray]) -> None:
    """Raise `BundleError` where arrays are not those that a statistic takes."""
    takes = INPUTS.get(statistic, {})
    for name, array in inputs.items():
        if name not in takes or (array.dtype.str, array.ndim) != takes[name]:
            raise BundleError(f"input {name} is not one that {statistic} takes")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BundleError(f"input {name} of {statistic} holds values that are not numbers")
    if "eigenvalues" in takes:
        values, loadings = inputs.get("eigenvalues"), inputs.get("loadings")
        fits = values is not None and loadings is not None and len(values) == loadings.shape[1]
        if not fits or np.any(values <= 0):  # type: ignore[operator]
            raise BundleError(f"{statistic} needs one positive eigenvalue a component")
