"""The files of a meta-analysis: Parquet, and a table in METAL's columns."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
from numpy.typing import NDArray

from genome_eu.atomic import AtomicFile

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
            file.write(text.encode())
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


def _metal(dataset: xr.Dataset) -> Iterator[str]:
    """METAL's table, some lines at a time."""
    by_size = dataset.attrs["scheme"] == "samplesize"
    numbers = ["Weight", "Zscore"] if by_size else ["Effect", "StdErr"]
    headings = ["MarkerName", "Allele1", "Allele2", *numbers, "P-value", "Direction"]
    yield "\t".join([*headings, "HetISq", "HetChiSq", "HetDf", "HetPVal"]) + "\n"

    def of(name: str) -> NDArray:
        return np.asarray(dataset[name].values)

    effect, other = of("variant_effect_allele"), of("variant_other_allele")
    first, second = ("n", "z") if by_size else ("beta", "se")
    shapes = ("%.2f", "%.3f") if by_size else ("%.4f", "%.4f")
    columns = [of(f"variant_meta_{name}") for name in (first, second)]
    p, direction = of("variant_meta_neg_log10_p"), of("variant_meta_direction")
    q, df = of("variant_meta_q"), of("variant_meta_q_df")
    share, q_p = of("variant_meta_i_squared"), of("variant_meta_q_neg_log10_p")
    keys = of("variant_id")
    for start in range(0, len(keys), _LINES):
        yield "".join(
            f"{keys[row]}\t{str(effect[row]).lower()}\t{str(other[row]).lower()}\t"
            f"{shapes[0] % columns[0][row]}\t{shapes[1] % columns[1][row]}\t"
            f"{_p_value(p[row])}\t{direction[row]}\t"
            f"{100 * share[row]:.1f}\t{q[row]:.3f}\t{df[row]}\t{_p_value(q_p[row])}\n"
            for row in range(start, min(start + _LINES, len(keys)))
        )


def _p_value(neg_log10_p: float) -> str:
    """Four digits, also below the smallest float."""
    if not neg_log10_p > 300.0:
        return f"{10.0**-neg_log10_p:.4g}"
    exponent = math.ceil(neg_log10_p)
    return f"{10.0 ** (exponent - neg_log10_p):.2f}e-{exponent}"
