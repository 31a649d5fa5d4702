"""Files of pruning and clumping: PLINK's lists and table, and Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genome_eu.atomic import AtomicFile, write_whole
from genome_eu.formats.panel import ROWS_FILE, write_rows
from genome_eu.formats.rows import row_table
from genome_eu.formats.text import p_values

if TYPE_CHECKING:
    import xarray as xr

# PLINK's bins of p-values, from the largest.
_BINS = (0.05, 0.01, 0.001, 0.0001)


def unique_ids(rows: pd.DataFrame) -> NDArray[np.object_]:
    """An id for each row that no other has: its own, or contig:position:REF:ALT."""
    ids = rows["id"].to_numpy(object).copy()
    named = (
        rows["contig"] + ":" + rows["position"].astype(str) + ":" + rows["ref"] + ":" + rows["alt"]
    )
    shared = (ids == ".") | rows["id"].duplicated(keep=False).to_numpy()
    ids[shared] = named.to_numpy(object)[shared]
    return ids


def write_pruned(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """`rows.tsv` and `kept.parquet`, the rows kept; `kept.prune.in` and `.out`, ids by fate.

    Other questions take the folder as their `--rows`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, kept = row_table(dataset), dataset["variant_kept"].values
    ids = unique_ids(rows)
    paths = [folder / f"kept{end}" for end in (".parquet", ".prune.in", ".prune.out")]
    _write_table(paths[0], rows[kept], dataset)
    for path, chosen in zip(paths[1:], (kept, ~kept), strict=True):
        write_whole(path, "".join(f"{one}\n" for one in ids[chosen]).encode())
    return [write_rows(folder / ROWS_FILE, rows[kept]), *paths]


def clump_table(dataset: xr.Dataset) -> pd.DataFrame:
    """One line a clump; columns as in PLINK's `.clumps`, and −log10 p."""
    rows = row_table(dataset)
    ids = unique_ids(rows)
    clump = dataset["variant_clump"].values
    index = dataset["variant_clump_index"].values
    named = dataset["variant_clump_named"].values
    p = dataset["variant_neg_log10_p"].values
    contigs, positions = rows["contig"].to_numpy(object), rows["position"].to_numpy()
    members_of = _members(clump, ~index)
    lines = []
    for number, row in enumerate(np.flatnonzero(index)[np.argsort(clump[index])]):
        members = members_of[number]
        bins = np.searchsorted(-np.log10(_BINS), p[members], side="right")
        counts = np.bincount(bins, minlength=len(_BINS) + 1)
        lines.append(
            {
                "#CHROM": contigs[row],
                "POS": positions[row],
                "ID": ids[row],
                "NEG_LOG10_P": p[row],
                "TOTAL": members.size,
                **dict(zip(("NONSIG", "S0.05", "S0.01", "S0.001", "S0.0001"), counts, strict=True)),
                "SP2": ",".join(ids[members[named[members]]]) or ".",
            }
        )
    columns = ["#CHROM", "POS", "ID", "NEG_LOG10_P", "TOTAL", "NONSIG"]
    columns += ["S0.05", "S0.01", "S0.001", "S0.0001", "SP2"]
    return pd.DataFrame(lines, columns=columns)


def _members(clump: NDArray, others: NDArray) -> list[NDArray[np.intp]]:
    """The rows of each clump but for the one that it is named after, in their order."""
    rows = np.flatnonzero(others & (clump >= 0))
    rows = rows[np.argsort(clump[rows], kind="stable")]
    clumps = int(clump.max(initial=-1)) + 1
    return np.split(rows, np.searchsorted(clump[rows], np.arange(1, clumps))) if clumps else []


def write_clumps(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """`clumps.clumps`, PLINK 2's table, and `clumps.parquet`, a line for each row of a clump."""
    folder.mkdir(parents=True, exist_ok=True)
    table = clump_table(dataset)
    exact = table["NEG_LOG10_P"].to_numpy(float)
    plink = table.assign(P=p_values(10.0**-exact, exact).to_pylist())
    order = [name if name != "NEG_LOG10_P" else "P" for name in table.columns]
    paths = [folder / "clumps.clumps", folder / "clumps.parquet"]
    write_whole(paths[0], plink[order].to_csv(sep="\t", index=False, lineterminator="\n").encode())
    rows = row_table(dataset)
    for name in ("clump", "clump_index", "clump_named", "neg_log10_p"):
        rows[name] = dataset[f"variant_{name}"].values
    _write_table(paths[1], rows, dataset)
    return paths


def _write_table(path: Path, table: pd.DataFrame, dataset: xr.Dataset) -> None:
    content = pa.Table.from_pandas(table, preserve_index=False)
    attrs = {name.encode(): str(value).encode() for name, value in dataset.attrs.items()}
    with AtomicFile(path) as file:
        pq.write_table(content.replace_schema_metadata(attrs), file.handle)
