"""Our own tables: every number of a result, in Parquet that any data-frame library reads.

Frequencies are long over groups and associations long over traits, so that a query such as
"FIN at chr 6" touches one file. The readers give back the Dataset; what has no row of its
own (attributes, order of groups, eigenvalues) travels as JSON in the file's metadata.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xarray as xr

from genome_eu.errors import BadInput, UsageError
from genome_eu.formats.rows import (
    TOTAL,
    Shard,
    association,
    group_names,
    require,
    trait_names,
    words_of,
)
from genome_eu.formats.streams import ResultWriter

_METADATA = b"genome_eu"
_FORMAT_VERSION = 1
# Lines of a row group: what a writer holds in memory beside the shard.
_ROW_GROUP = 1 << 20
_DICTIONARY = 1 << 28


def _name(name: str, kind: pa.DataType | None = None) -> pa.Field:
    """A column that is never null, which makes it twice as quick to write."""
    return pa.field(name, kind or pa.string(), nullable=False)


_ROWS = [
    _name("contig"),
    _name("position", pa.int32()),
    _name("id"),
    _name("ref"),
    _name("alt"),
]
# Columns whose text repeats itself.
_REPEATED = ["contig", "id", "ref", "alt", "group", "trait", "method", "errcode"]
_WITHHELD = ("allele", "genotype")
_GENOTYPES = ("n_called", "n_missing", "n_hom_ref", "n_het", "n_hom_alt")
# Null in results whose rows are all diploid.
_HAPLOID = ("n_hap_ref", "n_hap_alt")
# Of everybody alone, and only where the result has them.
_SITES = tuple(f"n_sites_{state}" for state in ("observed", "hom_ref", "not_called", "suppressed"))
_GRPMAX = ("grpmax_faf95", "grpmax_faf99")

FREQUENCIES = pa.schema(
    [
        *_ROWS,
        _name("group"),
        *((name, pa.int64()) for name in (*_GENOTYPES, *_HAPLOID)),
        ("allele_count", pa.int64()),
        ("allele_number", pa.int64()),
        ("allele_frequency", pa.float64()),
        ("hwe_p", pa.float64()),
        ("hwe_neg_log10_p", pa.float64()),
        ("hwe_female_neg_log10_p", pa.float64()),
        ("inbreeding_coefficient", pa.float64()),
        ("faf95", pa.float64()),
        ("faf99", pa.float64()),
        _name("allele_withheld", pa.bool_()),
        _name("genotype_withheld", pa.bool_()),
    ]
)
GWAS = pa.schema(
    [
        *_ROWS,
        _name("trait"),
        ("n", pa.int64()),
        ("df", pa.float64()),
        ("allele_frequency", pa.float64()),
        ("beta", pa.float64()),
        ("se", pa.float64()),
        ("t", pa.float64()),
        ("p", pa.float64()),
        ("neg_log10_p", pa.float64()),
        _name("errcode"),
    ]
)
DOSAGES = pa.schema(
    [
        *_ROWS,
        ("n_called", pa.int64()),
        ("dosage_count", pa.float64()),
        ("allele_frequency", pa.float64()),
        ("imputation_r2", pa.float64()),
        _name("allele_withheld", pa.bool_()),
        _name("genotype_withheld", pa.bool_()),
    ]
)
LOGISTIC = pa.schema(
    [
        *_ROWS,
        _name("trait"),
        ("n", pa.int64()),
        ("n_cases", pa.int64()),
        ("n_controls", pa.int64()),
        ("allele_frequency", pa.float64()),
        ("allele_frequency_cases", pa.float64()),
        ("allele_frequency_controls", pa.float64()),
        ("beta", pa.float64()),
        ("se", pa.float64()),
        ("z", pa.float64()),
        ("p", pa.float64()),
        ("neg_log10_p", pa.float64()),
        _name("method"),
        _name("errcode"),
    ]
)
_PEOPLE = ("n", "n_cases", "n_controls")
_LINREG = {
    "n": "n",
    "df": "df",
    "beta": "beta",
    "se": "se",
    "t": "t_value",
    "p": "p_value",
    "neg_log10_p": "neg_log10_p",
    "allele_frequency": "allele_frequency",
}
_LOGREG = {
    **{name: name for name in _PEOPLE},
    "beta": "beta",
    "se": "se",
    "z": "z_value",
    "p": "p_value",
    "neg_log10_p": "neg_log10_p",
    **{
        f"allele_frequency{whose}": f"allele_frequency{whose}"
        for whose in ("", "_cases", "_controls")
    },
}
_COLUMNS: Mapping[str, Mapping[str, str]] = {"variant_linreg": _LINREG, "variant_logreg": _LOGREG}


def pca_schema(components: int) -> pa.Schema:
    """Schema of the loadings of so many components."""
    loadings = [(f"PC{k + 1}", pa.float64()) for k in range(components)]
    return pa.schema([*_ROWS, ("reference_frequency", pa.float64()), *loadings])


class ParquetWriter(ResultWriter):
    """Writes any of the three results; each shard becomes one or more row groups.

    Which result it is shows in the first shard. Scores of people are never written.

    Parameters
    ----------
    path : path
        The file, usually ``frequencies.parquet``, ``gwas.parquet`` or ``pca.parquet``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self._file = self._create(path)
        self._parquet: pq.ParquetWriter | None = None
        self._kind = ""
        self._order: Any = None

    def _append(self, shard: Shard) -> None:
        dataset = shard.dataset
        kind = kind_of(dataset)
        layout = _LAYOUTS[kind]
        order = layout.order(dataset)
        if self._parquet is None:
            self._kind, self._order = kind, order
            self._parquet = self._begin(shard, layout, order)
        if (kind, order) != (self._kind, self._order):
            raise BadInput(
                f"a shard of {kind} {order} follows one of {self._kind} {self._order} in "
                f"{self._file.target.name}. Append shards of one result only."
            )
        rows = dataset.sizes["variants"]
        step = max(1, _ROW_GROUP // layout.lines(order))
        for start in range(0, rows, step):
            table = layout.table(shard, slice(start, min(start + step, rows)))
            self._parquet.write_table(table, row_group_size=table.num_rows)

    def _begin(self, shard: Shard, layout: _Layout, order: Any) -> pq.ParquetWriter:
        dataset = shard.dataset
        described = {
            "format_version": _FORMAT_VERSION,
            "kind": self._kind,
            "contig_id": [str(name) for name in dataset["contig_id"].values],
            "order": order,
            "attrs": _plain(dataset.attrs),
            **layout.also(dataset),
        }
        schema = layout.table(shard, slice(0, 0)).schema
        kinds = {item.name: item.type for item in schema}
        text = [name for name, kind in kinds.items() if pa.types.is_dictionary(kind)]
        counted = [name for name in layout.counted if name in kinds]
        floats = [
            name
            for name, kind in kinds.items()
            if pa.types.is_float64(kind) and name not in counted
        ]
        writer = pq.ParquetWriter(
            self._file.handle,
            schema,
            # Measurements are nearly random bits. With their bytes apart Snappy takes a tenth off
            # at the pace of a copy; zstd is half as fast and takes off little more.
            compression={name: "snappy" if name in floats else "zstd" for name in kinds},
            compression_level={name: 1 for name in kinds if name not in floats},
            use_dictionary=[*text, *counted],
            use_byte_stream_split=floats,
            write_statistics=["contig", "position"],
            # Names repeat for every trait; past the limit all of them would be spelled out.
            dictionary_pagesize_limit=_DICTIONARY,
            # Readers get plain text, as the schema says, not dictionaries.
            store_schema=False,
        )
        writer.add_key_value_metadata({_METADATA: json.dumps(described)})
        return writer

    def _finish(self) -> None:
        if self._parquet is None:
            raise UsageError(
                f"{self._file.target.name} received no shard, so its columns are not known. "
                "Append at least one, which may have no rows."
            )
        self._parquet.close()

    def abort(self) -> None:
        """Remove what was begun; nothing under the final name is touched."""
        if self._open and self._parquet is not None:
            self._parquet.close()
        super().abort()


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


def _frequencies_order(dataset: xr.Dataset) -> list[str]:
    require(dataset, ["variant_allele_count", "variant_allele_total"])
    return [TOTAL, *group_names(dataset)]


def _frequencies_table(shard: Shard, rows: slice) -> pa.Table:
    dataset = shard.dataset
    groups = _frequencies_order(dataset)
    size = rows.stop - rows.start

    def stacked(name: str, kind: type, absent: Any, allele: int | None = None) -> np.ndarray:
        out: np.ndarray = np.full((size, len(groups)), absent, dtype=kind)
        for of_whom, columns in (("variant", slice(1)), ("cohort", slice(1, None))):
            if f"{of_whom}_{name}" in dataset and out[:, columns].size:
                values = dataset[f"{of_whom}_{name}"].values[rows]
                values = values if allele is None else values[..., allele]
                out[:, columns] = values.reshape(size, -1)
        return out.ravel()

    # A flag hides its numbers even if the Dataset still holds them.
    withheld = {kind: stacked(f"{kind}_withheld", bool, False) for kind in _WITHHELD}

    def counts(name: str, kind: str, allele: int | None = None) -> pa.Array:
        values = stacked(name, np.int64, -1, allele)
        return _column(values, pa.int64(), (values < 0) | withheld[kind])

    def floats(name: str, kind: str, allele: int | None = None) -> pa.Array:
        values = stacked(name, np.float64, np.nan, allele)
        return _column(values, pa.float64(), np.isnan(values) | withheld[kind])

    columns = _named(shard, rows, len(groups))
    columns["group"] = _words(np.arange(len(groups)), (size, len(groups)), groups)
    columns.update({name: counts(name, "genotype") for name in (*_GENOTYPES, *_HAPLOID)})
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
        allele_withheld=pa.array(withheld["allele"]),
        genotype_withheld=pa.array(withheld["genotype"]),
    )
    more = [name for name in (*_SITES, *_GRPMAX) if f"variant_{name}" in dataset]
    for name in more:
        if name in _SITES:
            # How many sites withhold a row is known of withheld rows too.
            sites = stacked(name, np.int64, -1)
            columns[name] = _column(sites, pa.int64(), sites < 0)
        else:
            columns[name] = floats(name, "allele")
    schema = FREQUENCIES
    for name in more:
        schema = schema.append(pa.field(name, columns[name].type))
        if name in _GRPMAX:
            whose = np.full((size, len(groups)), None, dtype=object)
            whose[:, 0] = dataset[f"variant_{name}_group"].values[rows]
            columns[f"{name}_group"] = pa.array(whose.ravel(), pa.string()).dictionary_encode()
            schema = schema.append(pa.field(f"{name}_group", pa.string()))
    return _as_written(columns, schema)


def _dosages_order(dataset: xr.Dataset) -> int:
    require(dataset, ["variant_n_called", "variant_dosage_count", "variant_allele_frequency"])
    return 1


def _dosages_table(shard: Shard, rows: slice) -> pa.Table:
    dataset = shard.dataset
    columns = _named(shard, rows, 1)
    withheld = {kind: dataset[f"variant_{kind}_withheld"].values[rows] for kind in _WITHHELD}
    n = dataset["variant_n_called"].values[rows]
    columns["n_called"] = _column(n, pa.int64(), (n < 0) | withheld["allele"])
    for name, values in (
        ("dosage_count", dataset["variant_dosage_count"].values[rows]),
        ("allele_frequency", dataset["variant_allele_frequency"].values[rows, 1]),
        ("imputation_r2", dataset["variant_imputation_r2"].values[rows]),
    ):
        columns[name] = _column(values, pa.float64(), np.isnan(values) | withheld["allele"])
    columns |= {f"{kind}_withheld": pa.array(flags) for kind, flags in withheld.items()}
    return _as_written(columns, DOSAGES)


def _gwas_order(dataset: xr.Dataset) -> list[str]:
    model = association(dataset)
    require(dataset, [f"{model}_{name}" for name in _COLUMNS[model].values()])
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
    for column, name in _COLUMNS[model].items():
        values = shard.dataset[f"{model}_{name}"].values[rows]
        absent = values < 0 if column in _PEOPLE else np.isnan(values)
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
class _Layout:
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


_LAYOUTS: Mapping[str, _Layout] = {
    "frequencies": _Layout(
        _frequencies_order,
        _frequencies_table,
        counted=(*_GENOTYPES, "allele_count", "allele_number"),
    ),
    "dosages": _Layout(_dosages_order, _dosages_table, counted=("n_called",)),
    "gwas": _Layout(
        _gwas_order,
        _gwas_table,
        counted=("n", "df"),
    ),
    "logistic": _Layout(_gwas_order, _gwas_table, counted=_PEOPLE),
    "pca": _Layout(_pca_order, _pca_table, _pca_extra),
}


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    def simple(value: Any) -> Any:
        if isinstance(value, (np.generic, np.ndarray)):
            return value.tolist()
        return str(value)

    return json.loads(json.dumps(dict(attrs), default=simple))


def _open(path: str | os.PathLike[str], kind: str) -> tuple[pa.Table, dict[str, Any]]:
    try:
        table = pq.read_table(os.fspath(path), read_dictionary=_REPEATED)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    described = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
    if described.get("kind") != kind:
        found = described.get("kind", "something else")
        raise BadInput(
            f"{path} holds {found}, not {kind}. Read it with read_{found}()."
            if described
            else f"{path} was not written by genome_eu; read it as an ordinary Parquet file."
        )
    if described["format_version"] != _FORMAT_VERSION:
        raise BadInput(
            f"{path} has format version {described['format_version']}; this version reads "
            f"{_FORMAT_VERSION}. Install the version of genome_eu that wrote it."
        )
    return table, described


def _dataset_of_rows(table: pa.Table, described: dict[str, Any], step: int) -> xr.Dataset:
    first = table.select([item.name for item in _ROWS])
    if step > 1:
        first = first.unify_dictionaries().take(pa.array(np.arange(0, len(table), step)))
    first = first.cast(pa.schema(_ROWS))
    contig_id = described["contig_id"]
    contig = pc.index_in(first["contig"], pa.array(contig_id, pa.string())).to_numpy()
    alleles = [np.asarray(first[name].to_numpy(), dtype=object) for name in ("ref", "alt")]
    return xr.Dataset(
        {
            "variant_contig": ("variants", contig.astype(np.int16)),
            "contig_id": ("contigs", np.array(contig_id, dtype=object)),
            "variant_position": ("variants", first["position"].to_numpy().astype(np.int32)),
            "variant_allele": (("variants", "alleles"), np.stack(alleles, axis=1)),
            "variant_id": ("variants", np.asarray(first["id"].to_numpy(), dtype=object)),
        },
        attrs=described["attrs"],
    )


def read_frequencies(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a frequencies table that `ParquetWriter` wrote."""
    table, described = _open(path, "frequencies")
    groups = described["order"]
    out = _dataset_of_rows(table, described, len(groups))

    def wide(name: str, absent: Any) -> np.ndarray:
        return table[name].fill_null(absent).to_numpy().reshape(-1, len(groups))

    found = {name: wide(name, -1) for name in (*_GENOTYPES, "allele_count", "allele_number")}
    found.update({f"{kind}_withheld": wide(f"{kind}_withheld", False) for kind in _WITHHELD})
    hwe = {name: wide(name, np.nan) for name in ("hwe_p", "hwe_neg_log10_p")}
    frequency = wide("allele_frequency", np.nan)
    count, number = found["allele_count"], found["allele_number"]
    reference = np.where(count < 0, -1, number - count)
    with np.errstate(invalid="ignore", divide="ignore"):
        reference_frequency = np.where(number > 0, reference / number, np.nan)
    blocks = {
        **{name: found[name] for name in _GENOTYPES},
        "allele_count": np.stack([reference, count], axis=-1),
        "allele_total": number,
        "allele_frequency": np.stack([reference_frequency, frequency], axis=-1),
        "hwe_p_value": hwe["hwe_p"],
        "hwe_neg_log10_p": hwe["hwe_neg_log10_p"],
        **{f"{kind}_withheld": found[f"{kind}_withheld"] for kind in _WITHHELD},
    }
    if table[_HAPLOID[0]].null_count < len(table):
        blocks |= {name: wide(name, -1) for name in _HAPLOID}
        blocks["hwe_female_neg_log10_p"] = wide("hwe_female_neg_log10_p", np.nan)
    for name in ("inbreeding_coefficient", "faf95", "faf99"):
        blocks[name] = wide(name, np.nan)
    for name in (*_SITES, *_GRPMAX):
        if name in table.column_names:
            absent = -1 if name in _SITES else np.nan
            out[f"variant_{name}"] = ("variants", wide(name, absent)[:, 0])
        if f"{name}_group" in table.column_names:
            whose = table[f"{name}_group"].cast(pa.string()).fill_null("").to_numpy()
            first = whose.reshape(-1, len(groups))[:, 0]
            out[f"variant_{name}_group"] = ("variants", first.astype(object))
    for name, block in blocks.items():
        last = ("alleles",) if block.ndim == 3 else ()
        out[f"variant_{name}"] = (("variants", *last), block[:, 0])
        if len(groups) > 1:
            out[f"cohort_{name}"] = (("variants", "cohorts", *last), block[:, 1:])
    if len(groups) > 1:
        out["cohort_id"] = ("cohorts", np.array(groups[1:], dtype=object))
    called, missing = blocks["n_called"][:, 0], blocks["n_missing"][:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(called + missing > 0, called / (called + missing), np.nan)
    out["variant_call_rate"] = ("variants", rate)
    return out


def read_dosages(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a table of dosage frequencies that `ParquetWriter` wrote."""
    table, described = _open(path, "dosages")
    out = _dataset_of_rows(table, described, 1)
    called = table["n_called"].fill_null(-1).to_numpy()
    out["variant_n_called"] = ("variants", called)
    out["variant_allele_total"] = ("variants", np.where(called < 0, -1, 2 * called))
    frequency = table["allele_frequency"].fill_null(np.nan).to_numpy()
    both = np.stack([1.0 - frequency, frequency], axis=-1)
    out["variant_allele_frequency"] = (("variants", "alleles"), both)
    for name in ("dosage_count", "imputation_r2"):
        out[f"variant_{name}"] = ("variants", table[name].fill_null(np.nan).to_numpy())
    for kind in _WITHHELD:
        flags = table[f"{kind}_withheld"].to_numpy()
        out[f"variant_{kind}_withheld"] = ("variants", flags)
    return out


def read_gwas(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a linear association that `ParquetWriter` wrote."""
    return _read_association(path, "gwas", "variant_linreg")


def read_logistic(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a logistic association that `ParquetWriter` wrote."""
    return _read_association(path, "logistic", "variant_logreg")


def _read_association(path: str | os.PathLike[str], kind: str, model: str) -> xr.Dataset:
    table, described = _open(path, kind)
    traits = described["order"]
    out = _dataset_of_rows(table, described, len(traits))
    for column, name in _COLUMNS[model].items():
        values = table[column].fill_null(-1 if column in _PEOPLE else np.nan).to_numpy()
        out[f"{model}_{name}"] = (("variants", "traits"), values.reshape(-1, len(traits)))
    for name in ("errcode", "method") if "method" in table.column_names else ("errcode",):
        # One string object for each word, not for each test.
        words = [
            np.array(part.dictionary.to_pylist(), dtype=object)[part.indices.to_numpy()]
            for part in table[name].chunks
        ]
        word = np.concatenate([np.empty(0, dtype=object), *words]).reshape(-1, len(traits))
        out[f"{model}_{name}"] = (("variants", "traits"), word)
    out["trait_id"] = ("traits", np.array(traits, dtype=object))
    return out


def read_pca(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a loadings table that `ParquetWriter` wrote; it has no people."""
    table, described = _open(path, "pca")
    out = _dataset_of_rows(table, described, 1)
    columns = [f"PC{k + 1}" for k in range(described["order"])]
    loadings = [table[name].fill_null(np.nan).to_numpy() for name in columns]
    out["sample_pca_component"] = (("variants", "components"), np.stack(loadings, axis=1))
    reference = table["reference_frequency"].fill_null(np.nan).to_numpy()
    out["variant_reference_frequency"] = ("variants", reference)
    for name, dims in (
        ("sample_pca_explained_variance", ("components",)),
        ("site_pca_mean", ("sites", "components")),
        ("site_n", ("sites",)),
    ):
        if name in described:
            out[name] = (dims, np.asarray(described[name]))
    if "site_id" in described:
        out["site_id"] = ("sites", np.array(described["site_id"], dtype=object))
    return out
