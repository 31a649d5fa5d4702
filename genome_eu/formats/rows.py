"""The columns that name a row (contig, position, id, REF, ALT) taken from a result."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import xarray as xr

from genome_eu.errors import BadInput, UsageError
from genome_eu.formats.text import strings, words

TOTAL = "Total"


@dataclass(frozen=True, eq=False)
class RowNames:
    """What identifies each row of a shard; all arrays have shape (rows,)."""

    contig: pa.DictionaryArray
    position: np.ndarray
    id: pa.Array
    ref: pa.DictionaryArray
    alt: pa.DictionaryArray

    def __len__(self) -> int:
        return len(self.position)


class Shard:
    """Some rows of a result, and what several writers read of it, worked out once."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self.dataset = dataset
        self._blocks: dict[str, tuple[int, np.ndarray]] = {}

    @cached_property
    def names(self) -> RowNames:
        """What identifies the rows."""
        return row_names(self.dataset)

    @cached_property
    def codes(self) -> tuple[np.ndarray, list[str]]:
        """What became of each test: places (rows, traits) in a list of words, "." for a fit."""
        return error_codes(self.dataset)

    def of_trait(self, name: str, trait: int) -> np.ndarray:
        """One trait's ``variant_<model>_<name>``, shape (rows,)."""
        # A trait's numbers lie far apart, eight traits' numbers in one line of the cache.
        block, place = divmod(trait, 8)
        if self._blocks.get(name, (-1,))[0] != block:
            values = self.dataset[f"{association(self.dataset)}_{name}"].values
            some = np.ascontiguousarray(values[:, 8 * block : 8 * block + 8].T)
            self._blocks[name] = block, some
        return self._blocks[name][1][place]


def row_names(dataset: xr.Dataset) -> RowNames:
    """Read the row names of a result Dataset."""
    require(
        dataset,
        ["variant_contig", "contig_id", "variant_position", "variant_allele", "variant_id"],
    )
    alleles = np.asarray(dataset["variant_allele"].values)
    contig = np.asarray(dataset["variant_contig"].values, dtype=np.int32)
    return RowNames(
        contig=words(contig, np.asarray(dataset["contig_id"].values).astype(str).tolist()),
        position=np.asarray(dataset["variant_position"].values),
        id=strings(dataset["variant_id"].values),
        ref=_few(alleles[:, 0]),
        alt=_few(alleles[:, 1]),
    )


def _few(values: np.ndarray) -> pa.DictionaryArray:
    """Text that repeats itself, as places in its distinct values."""
    places, distinct = pd.factorize(np.asarray(values, dtype=object))
    return words(places, distinct.tolist())


def error_codes(dataset: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    """The errcodes of an association as places in a list of words, the way it is streamed."""
    return words_of(dataset, "errcode")


def words_of(dataset: xr.Dataset, name: str) -> tuple[np.ndarray, list[str]]:
    """``variant_<model>_<name>`` as places (rows, traits) in a list of words."""
    variable = dataset[f"{association(dataset)}_{name}"]
    values = np.asarray(variable.values)
    meanings = variable.attrs.get("flag_meanings")
    if meanings is not None:
        return values, str(meanings).split()
    places, distinct = pd.factorize(values.ravel().astype(object))
    return places.reshape(values.shape), [str(word) for word in distinct]


def place_of(meanings: list[str], word: str) -> int:
    """Place of a word, −1 where no test has it."""
    return meanings.index(word) if word in meanings else -1


def association(dataset: xr.Dataset) -> str:
    """How the variables of an association begin: by its model.

    Raises
    ------
    BadInput
        It is none.
    """
    for prefix in ("variant_linreg", "variant_logreg"):
        if any(f"{prefix}_{name}" in dataset for name in ("errcode", "neg_log10_p", "beta")):
            return prefix
    raise BadInput(
        "the result has no variant_linreg_neg_log10_p. "
        "Give a Dataset made by frequencies(), pca() or gwas()."
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


def row_table(dataset: xr.Dataset) -> pd.DataFrame:
    """Rows of a result as a table: contig, position, ref, alt, id."""
    contigs = dataset["contig_id"].values
    alleles = dataset["variant_allele"].values
    return pd.DataFrame(
        {
            "contig": contigs[dataset["variant_contig"].values],
            "position": dataset["variant_position"].values.astype(np.int64),
            "ref": alleles[:, 0],
            "alt": alleles[:, 1],
            "id": dataset["variant_id"].values,
        }
    )
