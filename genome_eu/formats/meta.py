"""The files of a meta-analysis: Parquet, and a table in METAL's columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xarray as xr
from numpy.typing import NDArray

from genome_eu.atomic import AtomicFile
from genome_eu.formats.decimals import fixed
from genome_eu.formats.text import header, masked, p_values, strings, tab_separated

# Lines that are made at a time.
_LINES = 1 << 16


def write_meta(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """`meta.parquet` with every number, and `meta.tbl` with METAL's."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "meta.parquet", folder / "meta.tbl"]
    with AtomicFile(paths[0]) as file:
        pq.write_table(_arrow(dataset), file.handle, compression="snappy")
    with AtomicFile(paths[1]) as file:
        for text in _metal(dataset):
            file.write(text)
    return paths


def _arrow(dataset: xr.Dataset) -> pa.Table:
    names = {
        "contig": "variant_contig_name",
        "position": "variant_position",
        "id": "variant_id",
        "effect_allele": "variant_effect_allele",
        "other_allele": "variant_other_allele",
    }
    names |= {
        str(name).removeprefix("variant_meta_"): str(name)
        for name in dataset.data_vars
        if str(name).startswith("variant_meta_")
    }
    columns = {}
    for heading, name in names.items():
        values = dataset[name].values
        columns[heading] = pa.array(values, from_pandas=values.dtype.kind == "f")
    said = {"studies": dataset["study_id"].values.tolist(), **dataset.attrs}
    return pa.table(columns).replace_schema_metadata({b"genome_eu": json.dumps(said).encode()})


def _metal(dataset: xr.Dataset) -> Iterator[memoryview | bytes]:
    """METAL's table, some lines at a time."""
    by_size = dataset.attrs["scheme"] == "samplesize"
    numbers = ["Weight", "Zscore"] if by_size else ["Effect", "StdErr"]
    names = ["MarkerName", "Allele1", "Allele2", *numbers, "P-value", "Direction"]
    yield header([*names, "HetISq", "HetChiSq", "HetDf", "HetPVal"])
    rows = dataset.sizes["variants"]
    for start in range(0, rows, _LINES):
        lines = dataset.isel(variants=slice(start, start + _LINES))
        yield from tab_separated(_metal_columns(lines, by_size), "a table of METAL")


def _metal_columns(dataset: xr.Dataset, by_size: bool) -> list[pa.Array]:
    def of(name: str) -> NDArray:
        return np.asarray(dataset[f"variant_meta_{name}"].values)

    alleles = [strings(dataset[f"variant_{name}_allele"].values) for name in ("effect", "other")]
    first, second = ("n", "z") if by_size else ("beta", "se")
    decimals = (2, 3) if by_size else (4, 4)
    return [
        strings(dataset["variant_id"].values),
        *(pc.utf8_lower(one) for one in alleles),
        fixed(of(first), decimals[0]),
        fixed(of(second), decimals[1]),
        _p_values(of("neg_log10_p")),
        strings(of("direction")),
        fixed(100.0 * of("i_squared"), 1),
        fixed(of("q"), 3),
        pa.array(of("q_df")).cast(pa.string()),
        _p_values(of("q_neg_log10_p")),
    ]


def _p_values(neg_log10_p: NDArray) -> pa.Array:
    """Four digits, also below the smallest float."""
    text = p_values(10.0**-neg_log10_p, neg_log10_p, 4)
    return masked(text, np.isnan(neg_log10_p), "nan")
