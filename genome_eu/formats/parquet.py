"""Our own tables: every number of a result, in Parquet that any data-frame library reads.

Frequencies are long over groups and associations long over traits, so that a query such as
"FIN at chr 6" touches one file. The readers give back the Dataset; what has no row of its
own (attributes, order of groups, eigenvalues) travels as JSON in the file's metadata.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xarray as xr

from genome_eu.errors import BadInput, UsageError
from genome_eu.formats.rows import (
    TOTAL,
    RowNames,
    group_names,
    of_group,
    require,
    row_names,
    trait_names,
)
from genome_eu.formats.streams import ResultWriter
from genome_eu.formats.text import strings

_METADATA = b"genome_eu"
_FORMAT_VERSION = 1

_ROWS = [
    ("contig", pa.string()),
    ("position", pa.int32()),
    ("id", pa.string()),
    ("ref", pa.string()),
    ("alt", pa.string()),
]
_WITHHELD = ("allele", "genotype")
_GENOTYPES = ("n_called", "n_missing", "n_hom_ref", "n_het", "n_hom_alt")

FREQUENCIES = pa.schema(
    [
        *_ROWS,
        ("group", pa.string()),
        *((name, pa.int64()) for name in _GENOTYPES),
        ("allele_count", pa.int64()),
        ("allele_number", pa.int64()),
        ("allele_frequency", pa.float64()),
        ("hwe_p", pa.float64()),
        ("hwe_neg_log10_p", pa.float64()),
        ("allele_withheld", pa.bool_()),
        ("genotype_withheld", pa.bool_()),
    ]
)
GWAS = pa.schema(
    [
        *_ROWS,
        ("trait", pa.string()),
        ("n", pa.int64()),
        ("df", pa.float64()),
        ("allele_frequency", pa.float64()),
        ("beta", pa.float64()),
        ("se", pa.float64()),
        ("t", pa.float64()),
        ("p", pa.float64()),
        ("neg_log10_p", pa.float64()),
        ("errcode", pa.string()),
    ]
)
_LINREG = {
    "n": "n",
    "df": "df",
    "beta": "beta",
    "se": "se",
    "t": "t_value",
    "p": "p_value",
    "neg_log10_p": "neg_log10_p",
}


def pca_schema(components: int) -> pa.Schema:
    """Schema of the loadings of so many components."""
    loadings = [(f"PC{k + 1}", pa.float64()) for k in range(components)]
    return pa.schema([*_ROWS, ("reference_frequency", pa.float64()), *loadings])


class ParquetWriter(ResultWriter):
    """Writes any of the three results; each shard becomes one row group (zstd).

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

    def _append(self, dataset: xr.Dataset) -> None:
        kind = kind_of(dataset)
        table, order, extra = _TABLES[kind](dataset)
        if self._parquet is None:
            self._kind, self._order = kind, order
            described = {
                "format_version": _FORMAT_VERSION,
                "kind": kind,
                "contig_id": [str(name) for name in dataset["contig_id"].values],
                "order": order,
                "attrs": _plain(dataset.attrs),
                **extra,
            }
            schema = table.schema.with_metadata({_METADATA: json.dumps(described).encode()})
            self._parquet = pq.ParquetWriter(self._file.handle, schema, compression="zstd")
        if (kind, order) != (self._kind, self._order):
            raise BadInput(
                f"a shard of {kind} {order} follows one of {self._kind} {self._order} in "
                f"{self._file.target.name}. Append shards of one result only."
            )
        # An empty shard would leave an empty row group.
        if table.num_rows:
            self._parquet.write_table(
                table.replace_schema_metadata(self._parquet.schema.metadata),
                row_group_size=table.num_rows,
            )

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
    """Which result a Dataset is: "gwas", "pca" or "frequencies"."""
    for kind, name in (
        ("gwas", "variant_linreg_beta"),
        ("pca", "sample_pca_component"),
        ("frequencies", "variant_allele_count"),
    ):
        if name in dataset:
            return kind
    raise BadInput(
        "the Dataset is no result of frequencies(), pca() or gwas(): it has none of "
        "variant_allele_count, sample_pca_component, variant_linreg_beta."
    )


def _repeated(rows: RowNames, times: int) -> dict[str, pa.Array]:
    index = pa.array(np.repeat(np.arange(len(rows)), times))
    names = {
        "contig": rows.contig,
        "position": pa.array(rows.position, pa.int32()),
        "id": rows.id,
        "ref": rows.ref,
        "alt": rows.alt,
    }
    return names if times == 1 else {key: column.take(index) for key, column in names.items()}


def _frequencies_table(dataset: xr.Dataset) -> tuple[pa.Table, list[str], dict[str, Any]]:
    require(dataset, ["variant_allele_count", "variant_allele_total"])
    rows = row_names(dataset)
    groups = [TOTAL, *group_names(dataset)]

    def stacked(name: str, kind: type, absent: Any, allele: int | None = None) -> np.ndarray:
        out: np.ndarray = np.full((len(rows), len(groups)), absent, dtype=kind)
        for column, group in enumerate(groups):
            values = of_group(dataset, name, group)
            if values is not None:
                out[:, column] = values if allele is None else values[:, allele]
        return out.ravel()

    # A flag hides its numbers even if the Dataset still holds them.
    withheld = {kind: stacked(f"{kind}_withheld", bool, False) for kind in _WITHHELD}

    def counts(name: str, kind: str, allele: int | None = None) -> pa.Array:
        values = stacked(name, np.int64, -1, allele)
        return pa.array(values, mask=(values < 0) | withheld[kind])

    def floats(name: str, kind: str, allele: int | None = None) -> pa.Array:
        values = stacked(name, np.float64, np.nan, allele)
        return pa.array(values, mask=np.isnan(values) | withheld[kind])

    columns = _repeated(rows, len(groups))
    columns["group"] = strings(np.tile(np.array(groups, dtype=object), len(rows)))
    columns.update({name: counts(name, "genotype") for name in _GENOTYPES})
    columns.update(
        allele_count=counts("allele_count", "allele", 1),
        allele_number=counts("allele_total", "allele"),
        allele_frequency=floats("allele_frequency", "allele", 1),
        hwe_p=floats("hwe_p_value", "genotype"),
        hwe_neg_log10_p=floats("hwe_neg_log10_p", "genotype"),
        allele_withheld=pa.array(withheld["allele"]),
        genotype_withheld=pa.array(withheld["genotype"]),
    )
    return pa.table(columns, schema=FREQUENCIES), groups, {}


def _gwas_table(dataset: xr.Dataset) -> tuple[pa.Table, list[str], dict[str, Any]]:
    require(dataset, [f"variant_linreg_{name}" for name in _LINREG.values()])
    rows = row_names(dataset)
    traits = trait_names(dataset)
    columns = _repeated(rows, len(traits))
    columns["trait"] = strings(np.tile(np.array(traits, dtype=object), len(rows)))
    code = np.asarray(dataset["variant_linreg_errcode"].values).ravel()
    withheld = code.astype(str) == "WITHHELD"
    for column, name in _LINREG.items():
        kind = np.int64 if column == "n" else np.float64
        values = np.asarray(dataset[f"variant_linreg_{name}"].values).ravel().astype(kind)
        absent = values < 0 if column == "n" else np.isnan(values)
        columns[column] = pa.array(values, mask=absent | withheld)
    frequency = np.asarray(dataset["variant_linreg_allele_frequency"].values, float).ravel()
    columns["allele_frequency"] = pa.array(frequency, mask=np.isnan(frequency) | withheld)
    columns["errcode"] = strings(code)
    return pa.table(columns, schema=GWAS), traits, {}


def _pca_table(dataset: xr.Dataset) -> tuple[pa.Table, int, dict[str, Any]]:
    rows = row_names(dataset)
    loadings = np.asarray(dataset["sample_pca_component"].values, dtype=np.float64)
    columns = _repeated(rows, 1)
    reference = np.asarray(dataset["variant_reference_frequency"].values, dtype=np.float64)
    columns["reference_frequency"] = pa.array(reference, from_pandas=True)
    for k in range(loadings.shape[1]):
        columns[f"PC{k + 1}"] = pa.array(np.ascontiguousarray(loadings[:, k]), from_pandas=True)
    extra = {
        name: np.asarray(dataset[name].values).tolist()
        for name in ("sample_pca_explained_variance", "site_id", "site_pca_mean", "site_n")
        if name in dataset
    }
    return pa.table(columns, schema=pca_schema(loadings.shape[1])), loadings.shape[1], extra


_TABLES: Mapping[str, Callable[[xr.Dataset], tuple[pa.Table, Any, dict[str, Any]]]] = {
    "frequencies": _frequencies_table,
    "gwas": _gwas_table,
    "pca": _pca_table,
}


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    def simple(value: Any) -> Any:
        if isinstance(value, (np.generic, np.ndarray)):
            return value.tolist()
        return str(value)

    return json.loads(json.dumps(dict(attrs), default=simple))


def _open(path: str | os.PathLike[str], kind: str) -> tuple[pa.Table, dict[str, Any]]:
    try:
        table = pq.read_table(os.fspath(path))
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
    first = table.select([name for name, _ in _ROWS])
    if step > 1:
        first = first.take(pa.array(np.arange(0, len(table), step)))
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


def read_gwas(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of an association table that `ParquetWriter` wrote."""
    table, described = _open(path, "gwas")
    traits = described["order"]
    out = _dataset_of_rows(table, described, len(traits))
    for column, name in _LINREG.items():
        values = table[column].fill_null(-1 if column == "n" else np.nan).to_numpy()
        out[f"variant_linreg_{name}"] = (("variants", "traits"), values.reshape(-1, len(traits)))
    code = np.asarray(table["errcode"].to_numpy(), dtype=object).reshape(-1, len(traits))
    out["variant_linreg_errcode"] = (("variants", "traits"), code)
    frequency = table["allele_frequency"].fill_null(np.nan).to_numpy().reshape(-1, len(traits))
    out["variant_linreg_allele_frequency"] = (("variants", "traits"), frequency)
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
