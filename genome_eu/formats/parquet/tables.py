"""Rows of each kind of result as lines of a Parquet table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import xarray as xr

from genome_eu.errors import BadInput
from genome_eu.formats.parquet.schemas import (
    COLUMNS,
    DOSAGES,
    FREQUENCIES,
    GENOTYPES,
    GRPMAX,
    GWAS,
    HAPLOID,
    LOGISTIC,
    PEOPLE,
    SITES,
    WITHHELD,
    pca_schema,
)
from genome_eu.formats.rows import (
    TOTAL,
    Shard,
    association,
    group_names,
    require,
    trait_names,
    words_of,
)


def kind_of(dataset: xr.Dataset) -> str:
    """Which result a Dataset is: "gwas", "pca", "frequencies" or "dosages"."""
    for kind, name in (
        ("dosages", "variant_imputation_r2"),
        ("gwas", "variant_linreg_beta"),
        ("logistic", "variant_logreg_beta"),
        ("pca", "sample_pca_component"),
        ("frequencies", "variant_allele_count"),
    ):
        if name in dataset:
            return kind
    raise BadInput(
        "the Dataset is no result of frequencies(), pca() or gwas(): it has none of "
        "variant_allele_count, sample_pca_component, variant_linreg_beta."
    )


def _column(values: np.ndarray, kind: pa.DataType, hidden: np.ndarray | None = None) -> pa.Array:
    """An Arrow array on the memory of `values`, null where `hidden`."""
    dtype = np.dtype(kind.to_pandas_dtype())
    if values.dtype != dtype or not values.flags.c_contiguous:
        values = _spread(values, values.shape, dtype)
    shown = None
    if hidden is not None and hidden.any():
        shown = pa.py_buffer(np.packbits(~hidden, bitorder="little"))
    return pa.Array.from_buffers(kind, values.size, [shown, pa.py_buffer(values.ravel())])


def _spread(values: np.ndarray, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """A copy of `values`, broadcast, in memory that Arrow keeps from one table to the next.

    Fresh memory costs several times what is written into it.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    out = np.frombuffer(pa.allocate_buffer(size), dtype).reshape(shape)
    np.copyto(out, values, casting="unsafe")
    return out


def _named(shard: Shard, rows: slice, times: int) -> dict[str, pa.Array]:
    """The columns that name rows, each row so many times."""
    shape = (rows.stop - rows.start, times)
    names = shard.names

    def repeated(column: pa.Array) -> pa.Array:
        part = column.slice(rows.start, shape[0])
        if times == 1:
            return part
        if not pa.types.is_dictionary(part.type):
            # Equal ids (".") must be one word: Parquet takes the dictionary as it is.
            part = part.dictionary_encode()
        indices = _spread(part.indices.to_numpy()[:, None], shape, np.int32)
        return _places(indices, part.dictionary)

    position = _spread(names.position[rows, None], shape, np.int32)
    return {
        "contig": repeated(names.contig),
        "position": _column(position, pa.int32()),
        "id": repeated(names.id),
        "ref": repeated(names.ref),
        "alt": repeated(names.alt),
    }


def _places(places: np.ndarray, distinct: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(_column(places, pa.int32()), distinct)


def _words(places: np.ndarray, shape: tuple[int, int], distinct: Sequence[str]) -> pa.Array:
    """Text that repeats itself, as places in a list of words, broadcast."""
    return _places(_spread(places, shape, np.int32), pa.array(distinct, pa.string()))


def _as_written(columns: Mapping[str, pa.Array], schema: pa.Schema) -> pa.Table:
    """The table, its text still as places in dictionaries."""
    fields = [pa.field(item.name, columns[item.name].type, item.nullable) for item in schema]
    return pa.table([columns[item.name] for item in schema], schema=pa.schema(fields))


class _Groups:
    """Some rows of a result as columns, with a line for everybody and for each group of people.

    A flag hides its numbers even if the Dataset still holds them.
    """

    def __init__(self, shard: Shard, rows: slice) -> None:
        self.dataset, self.rows = shard.dataset, rows
        self.names = [TOTAL, *group_names(self.dataset)]
        self.shape = rows.stop - rows.start, len(self.names)
        self.withheld = {kind: self.stacked(f"{kind}_withheld", bool, False) for kind in WITHHELD}
        #: The columns that name the lines, and the flags.
        self.columns = _named(shard, rows, len(self.names))
        self.columns["group"] = _words(np.arange(len(self.names)), self.shape, self.names)
        self.columns |= {
            f"{kind}_withheld": pa.array(flags) for kind, flags in self.withheld.items()
        }

    def stacked(self, name: str, kind: type, absent: Any, allele: int | None = None) -> np.ndarray:
        out: np.ndarray = np.full(self.shape, absent, dtype=kind)
        for of_whom, columns in (("variant", slice(1)), ("cohort", slice(1, None))):
            if f"{of_whom}_{name}" in self.dataset and out[:, columns].size:
                values = self.dataset[f"{of_whom}_{name}"].values[self.rows]
                values = values if allele is None else values[..., allele]
                out[:, columns] = values.reshape(self.shape[0], -1)
        return out.ravel()

    def counts(self, name: str, kind: str, allele: int | None = None) -> pa.Array:
        values = self.stacked(name, np.int64, -1, allele)
        return _column(values, pa.int64(), (values < 0) | self.withheld[kind])

    def floats(self, name: str, kind: str, allele: int | None = None) -> pa.Array:
        values = self.stacked(name, np.float64, np.nan, allele)
        return _column(values, pa.float64(), np.isnan(values) | self.withheld[kind])


def _frequencies_order(dataset: xr.Dataset) -> list[str]:
    require(dataset, ["variant_allele_count", "variant_allele_total"])
    return [TOTAL, *group_names(dataset)]


def _frequencies_table(shard: Shard, rows: slice) -> pa.Table:
    dataset, by_group = shard.dataset, _Groups(shard, rows)
    counts, floats, columns = by_group.counts, by_group.floats, by_group.columns
    columns.update({name: counts(name, "genotype") for name in (*GENOTYPES, *HAPLOID)})
    columns.update(
        allele_count=counts("allele_count", "allele", 1),
        allele_number=counts("allele_total", "allele"),
        allele_frequency=floats("allele_frequency", "allele", 1),
        hwe_p=floats("hwe_p_value", "genotype"),
        hwe_neg_log10_p=floats("hwe_neg_log10_p", "genotype"),
        hwe_female_neg_log10_p=floats("hwe_female_neg_log10_p", "genotype"),
        inbreeding_coefficient=floats("inbreeding_coefficient", "genotype"),
        faf95=floats("faf95", "allele"),
        faf99=floats("faf99", "allele"),
    )
    more = [name for name in (*SITES, *GRPMAX) if f"variant_{name}" in dataset]
    for name in more:
        if name in SITES:
            # How many sites withhold a row is known of withheld rows too.
            sites = by_group.stacked(name, np.int64, -1)
            columns[name] = _column(sites, pa.int64(), sites < 0)
        else:
            columns[name] = floats(name, "allele")
    schema = FREQUENCIES
    for name in more:
        schema = schema.append(pa.field(name, columns[name].type))
        if name in GRPMAX:
            whose = np.full(by_group.shape, None, dtype=object)
            whose[:, 0] = dataset[f"variant_{name}_group"].values[rows]
            columns[f"{name}_group"] = pa.array(whose.ravel(), pa.string()).dictionary_encode()
            schema = schema.append(pa.field(f"{name}_group", pa.string()))
    return _as_written(columns, schema)


def _dosages_order(dataset: xr.Dataset) -> list[str]:
    require(dataset, ["variant_n_called", "variant_dosage_count", "variant_allele_frequency"])
    return [TOTAL, *group_names(dataset)]


def _dosages_table(shard: Shard, rows: slice) -> pa.Table:
    by_group = _Groups(shard, rows)
    columns = by_group.columns | {
        "n_called": by_group.counts("n_called", "allele"),
        "allele_number": by_group.counts("allele_total", "allele"),
        "dosage_count": by_group.floats("dosage_count", "allele"),
        "allele_frequency": by_group.floats("allele_frequency", "allele", 1),
        "imputation_r2": by_group.floats("imputation_r2", "genotype"),
    }
    return _as_written(columns, DOSAGES)


def _gwas_order(dataset: xr.Dataset) -> list[str]:
    model = association(dataset)
    require(dataset, [f"{model}_{name}" for name in COLUMNS[model].values()])
    return trait_names(dataset)


def _gwas_table(shard: Shard, rows: slice) -> pa.Table:
    traits = _gwas_order(shard.dataset)
    codes, meanings = shard.codes
    codes = codes[rows]
    columns = _named(shard, rows, len(traits))
    columns["trait"] = _words(np.arange(len(traits)), codes.shape, traits)
    columns["errcode"] = _words(codes, codes.shape, meanings)
    withheld = codes == meanings.index("WITHHELD") if "WITHHELD" in meanings else False
    model = association(shard.dataset)
    schema = GWAS if model == "variant_linreg" else LOGISTIC
    if "method" in schema.names:
        methods, words = words_of(shard.dataset, "method")
        columns["method"] = _words(methods[rows], codes.shape, words)
    for column, name in COLUMNS[model].items():
        values = shard.dataset[f"{model}_{name}"].values[rows]
        absent = values < 0 if column in PEOPLE else np.isnan(values)
        columns[column] = _column(values, schema.field(column).type, (absent | withheld).ravel())
    return _as_written(columns, schema)


def _pca_order(dataset: xr.Dataset) -> int:
    return int(dataset.sizes["components"])


def _pca_table(shard: Shard, rows: slice) -> pa.Table:
    columns = _named(shard, rows, 1)
    numbers = {"reference_frequency": shard.dataset["variant_reference_frequency"].values[rows]}
    loadings = shard.dataset["sample_pca_component"].values[rows]
    numbers.update({f"PC{k + 1}": loadings[:, k] for k in range(loadings.shape[1])})
    for name, values in numbers.items():
        columns[name] = _column(values, pa.float64(), np.isnan(values))
    return _as_written(columns, pca_schema(loadings.shape[1]))


def _pca_extra(dataset: xr.Dataset) -> dict[str, Any]:
    return {
        name: np.asarray(dataset[name].values).tolist()
        for name in ("sample_pca_explained_variance", "site_id", "site_pca_mean", "site_n")
        if name in dataset
    }


def _nothing(dataset: xr.Dataset) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Layout:
    """How one kind of result becomes a table.

    `order` says what each row is repeated for, `also` what else the metadata holds. Columns that
    are `counted` take few values.
    """

    order: Callable[[xr.Dataset], Any]
    table: Callable[[Shard, slice], pa.Table]
    also: Callable[[xr.Dataset], dict[str, Any]] = _nothing
    counted: tuple[str, ...] = ()

    @staticmethod
    def lines(order: Any) -> int:
        """Lines that a row of the result has in the table."""
        return len(order) if isinstance(order, list) else 1


LAYOUTS: Mapping[str, Layout] = {
    "frequencies": Layout(
        _frequencies_order,
        _frequencies_table,
        counted=(*GENOTYPES, "allele_count", "allele_number"),
    ),
    "dosages": Layout(_dosages_order, _dosages_table, counted=("n_called", "allele_number")),
    "gwas": Layout(
        _gwas_order,
        _gwas_table,
        counted=("n", "df"),
    ),
    "logistic": Layout(_gwas_order, _gwas_table, counted=PEOPLE),
    "pca": Layout(_pca_order, _pca_table, _pca_extra),
}
