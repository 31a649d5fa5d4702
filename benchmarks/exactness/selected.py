"""What of an answer is compared, and the weights of the scores that are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.exactness.asked import Asked

if TYPE_CHECKING:
    from genome_eu.formats.weights import Weights


def own(found: xr.Dataset) -> xr.Dataset:
    """Without what is told of single sites."""
    return some(found, "variant_")


def some(found: xr.Dataset, *parts: str) -> xr.Dataset:
    """The variables with one of these in their names; of how many sites, no cohort can tell."""
    names = [
        name
        for name in map(str, found.data_vars)
        if any(part in name for part in parts) and not name.startswith("variant_n_sites")
    ]
    return found[names]


def without_people(found: xr.Dataset) -> xr.Dataset:
    """Without the scores of people, which a cohort has of its own."""
    return found[[name for name in found.data_vars if not str(name).startswith("sample_")]]


def weights(at: Asked) -> Weights:
    """Two weights for each row, a third of them of the reference allele."""
    from genome_eu.formats.weights import Weights

    rows = at.people.calls.rows
    swapped = np.arange(len(rows)) % 3 == 0
    lines = pd.DataFrame(
        {
            "contig": rows["contig"].astype(str),
            "position": rows["position"],
            "effect_allele": np.where(swapped, rows["ref"], rows["alt"]),
            "other_allele": np.where(swapped, rows["alt"], rows["ref"]),
        }
    )
    values = np.random.default_rng(1).standard_normal((len(rows), 2))
    return Weights(lines, values, ("a", "b"))
