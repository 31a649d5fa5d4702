"""The columns that name a row (contig, position, id, REF, ALT) taken from a result."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import xarray as xr

from genome_eu.errors import BadInput, UsageError
from genome_eu.formats.text import strings

TOTAL = "Total"


@dataclass(frozen=True, eq=False)
class RowNames:
    """What identifies each row of a shard; all arrays have shape (rows,)."""

    contig: pa.Array
    position: np.ndarray
    id: pa.Array
    ref: pa.Array
    alt: pa.Array

    def __len__(self) -> int:
        return len(self.position)


def row_names(dataset: xr.Dataset) -> RowNames:
    """Read the row names of a result Dataset."""
    require(
        dataset,
        ["variant_contig", "contig_id", "variant_position", "variant_allele", "variant_id"],
    )
    alleles = np.asarray(dataset["variant_allele"].values)
    return RowNames(
        contig=strings(contigs(dataset)),
        position=np.asarray(dataset["variant_position"].values),
        id=strings(dataset["variant_id"].values),
        ref=strings(alleles[:, 0]),
        alt=strings(alleles[:, 1]),
    )


def contigs(dataset: xr.Dataset) -> np.ndarray:
    """The contig's name of each row."""
    names = np.asarray(dataset["contig_id"].values).astype(object)
    return names[np.asarray(dataset["variant_contig"].values, dtype=np.int64)]


def require(dataset: xr.Dataset, names: Iterable[str]) -> None:
    """Raise `BadInput` unless the result has all these variables."""
    missing = [name for name in names if name not in dataset]
    if missing:
        raise BadInput(
            f"the result has no {', '.join(missing)}. "
            "Give a Dataset made by frequencies(), pca() or gwas()."
        )


def trait_names(dataset: xr.Dataset) -> list[str]:
    """Names of the traits, in the result's order."""
    require(dataset, ["trait_id"])
    return [str(name) for name in np.atleast_1d(dataset["trait_id"].values)]


def group_names(dataset: xr.Dataset) -> list[str]:
    """Names of the groups beside the total; empty when the result has none."""
    if "cohort_id" not in dataset:
        return []
    names = [str(name) for name in np.atleast_1d(dataset["cohort_id"].values)]
    if TOTAL in names:
        raise BadInput(f"a group is named {TOTAL!r}, which stands for everybody. Rename the group.")
    return names


def of_group(dataset: xr.Dataset, name: str, group: str = TOTAL) -> np.ndarray | None:
    """Values of ``variant_<name>`` (everybody) or of one group's ``cohort_<name>``.

    Returns
    -------
    values : array, shape (rows, ...), or None
        None when the result does not hold this quantity.
    """
    if group == TOTAL:
        return dataset[f"variant_{name}"].values if f"variant_{name}" in dataset else None
    names = group_names(dataset)
    if group not in names:
        raise UsageError(
            f"the result has no group {group!r}. It has: {', '.join([TOTAL, *names])}."
        )
    if f"cohort_{name}" not in dataset:
        return None
    return dataset[f"cohort_{name}"].values[:, names.index(group)]


def simulated(dataset: xr.Dataset, trait: str) -> bool:
    """Whether the trait was simulated, from the Dataset's attribute ``simulated``.

    The attribute is true (all traits are), a trait's name, or several names, perhaps as JSON.
    """
    mark = dataset.attrs.get("simulated", False)
    if isinstance(mark, str):
        try:
            mark = json.loads(mark)
        except ValueError:
            mark = [mark]
    if isinstance(mark, (list, tuple, set, np.ndarray)):
        return trait in {str(name) for name in mark}
    # A JSON string such as '"ldl"' is a single name.
    return mark == trait if isinstance(mark, str) else bool(mark)


def trait_label(dataset: xr.Dataset, trait: str) -> str:
    """The trait's name for titles; a simulated trait always says so."""
    return f"{trait} (simulated trait)" if simulated(dataset, trait) else trait
