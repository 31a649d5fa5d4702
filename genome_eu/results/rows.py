"""Shards of results along the rows: how they are named, joined, and kept within memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import xarray as xr
from numpy.typing import NDArray

from genome_eu.errors import UsageError

ROWS, GROUPS, TRAITS = "variants", "cohorts", "traits"
#: The CF conventions' attribute for codes that stand for words.
MEANINGS = "flag_meanings"


def text_variable(dims: Any, values: NDArray) -> xr.Variable:
    """A variable of Python strings, as it is: xarray would look whether they are dates."""
    return xr.Variable(dims, values, fastpath=True)


def row_variables(rows: pd.DataFrame, contigs: Sequence[str]) -> dict[str, Any]:
    """The variables that name rows, in sgkit's names."""
    # Arrow shares the memory of pandas' strings; an index of them would be hashed again.
    names = pa.array(rows["contig"]).cast(pa.large_string())
    index = np.asarray(pc.index_in(names, pa.array(contigs, pa.large_string())).fill_null(-1))
    alleles = np.column_stack([rows["ref"].to_numpy(object), rows["alt"].to_numpy(object)])
    return {
        "contig_id": text_variable("contigs", np.array(contigs, dtype=object)),
        "variant_contig": (ROWS, index.astype(np.int16)),
        "variant_position": (ROWS, rows["position"].to_numpy(np.int32)),
        "variant_allele": text_variable((ROWS, "alleles"), alleles),
        "variant_id": text_variable(ROWS, rows["id"].to_numpy(object)),
    }


def join(shards: Sequence[xr.Dataset]) -> Any:
    """Shards as one dataset, keeping what does not run along the rows from the first.

    Codes whose meanings a variable declares become these words.
    """
    first = shards[0]
    variables: dict[str, Any] = {}
    for name, variable in first.variables.items():
        values = variable.values
        if len(shards) > 1 and ROWS in variable.dims:
            axis = variable.dims.index(ROWS)
            values = np.concatenate([shard[name].values for shard in shards], axis=axis)
        attrs = dict(variable.attrs)
        if MEANINGS in attrs:
            values = np.array(attrs.pop(MEANINGS).split(), dtype=object)[values]
        variables[str(name)] = xr.Variable(variable.dims, values, attrs, fastpath=True)
    return type(first)(variables, attrs=first.attrs)


def require_memory(needed: int, what: str, instead: str) -> None:
    """Say before a run starts that its result would not fit.

    Raises
    ------
    UsageError
        More bytes are needed than this machine has free.
    """
    free = int(psutil.virtual_memory().available)
    if needed > free:
        raise UsageError(
            f"{what} would need about {needed / 2**30:.1f} GiB of memory here, and "
            f"{free / 2**30:.1f} GiB are free; {instead}"
        )


def attributes(**values: Any) -> dict[str, Any]:
    """Dataset attributes: strings and numbers as they are, everything else as JSON."""
    return {
        name: value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)
        for name, value in values.items()
    }
