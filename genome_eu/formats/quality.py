"""Files of quality control: people's, readable by their owner only, and of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
from numpy.typing import NDArray

from genome_eu.atomic import AtomicFile
from genome_eu.formats.text import significant


def people_table(found: xr.Dataset) -> pd.DataFrame:
    """Variables over people as a table, by `sample_id`."""
    names = [name for name in found.data_vars if found[name].dims == ("samples",)]
    table = pd.DataFrame({str(name).removeprefix("sample_"): found[name].values for name in names})
    return table.rename(columns={"id": "sample_id"}).set_index("sample_id")


def write_people(found: xr.Dataset, folder: Path) -> list[Path]:
    """Write `qc.people.tsv`: measures of each person, and why they are removed."""
    return [_private(folder / "qc.people.tsv", people_table(found).reset_index())]


def write_qc(found: xr.Dataset, folder: Path) -> list[Path]:
    """Write both tables of a quality control that is in memory."""
    paths = write_people(found, folder)
    with QcRowsFile(folder) as file:
        file.append(found)
    return [*paths, file.path]


class QcRowsFile:
    """`qc.variants.parquet`, written shard by shard; it appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "qc.variants.parquet"
        self._file = AtomicFile(self.path)
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> QcRowsFile:
        return self

    def append(self, shard: xr.Dataset) -> None:
        """Add the next rows."""
        table = pa.Table.from_pandas(_rows_table(shard), preserve_index=False)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file.handle, table.schema, compression="zstd")
        self._writer.write_table(table)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._file.abort()
            return
        if self._writer is not None:
            self._writer.close()
        self._file.commit()


def _rows_table(shard: xr.Dataset) -> pd.DataFrame:
    contigs = shard["contig_id"].values
    columns = {
        "contig": contigs[shard["variant_contig"].values],
        "position": shard["variant_position"].values,
        "id": shard["variant_id"].values,
        "ref": shard["variant_allele"].values[:, 0],
        "alt": shard["variant_allele"].values[:, 1],
        "call_rate": shard["variant_call_rate"].values,
        "minor_allele_frequency": shard["variant_minor_allele_frequency"].values,
        "hwe_neg_log10_p": shard["variant_hwe_neg_log10_p"].values,
        "mendel_errors": shard["variant_n_mendel_errors"].values,
        "removed": shard["variant_removed"].values,
    }
    for number, name in enumerate(shard["cohort_id"].values):
        columns[f"hwe_neg_log10_p_{name}"] = shard["cohort_hwe_neg_log10_p"].values[:, number]
    return pd.DataFrame(columns)


def write_kinship(found: xr.Dataset, folder: Path, keep: NDArray | None) -> list[Path]:
    """Write related pairs as PLINK 2's `.kin0`, and who is kept as its `.king.cutoff.*.id`."""
    rows = found["pair_n_rows"].values
    # PLINK's table is the lower triangle: the later person of a pair is named first.
    place = pd.Index(found["sample_id"].values)
    order = np.lexsort([place.get_indexer(found[f"pair_sample_id_{one}"].values) for one in (1, 2)])
    table = pd.DataFrame(
        {
            "#IID1": found["pair_sample_id_2"].values,
            "IID2": found["pair_sample_id_1"].values,
            "NSNP": rows,
            "HETHET": found["pair_n_het_het"].values / rows,
            "IBS0": found["pair_n_ibs0"].values / rows,
            "KINSHIP": found["pair_kinship"].values,
        }
    )
    paths = [_private(folder / "kinship.kin0", table.iloc[order])]
    if keep is not None:
        ids = found["sample_id"].values
        for name, chosen in (("in", ids[keep]), ("out", ids[~keep])):
            path = folder / f"kinship.king.cutoff.{name}.id"
            paths.append(_private(path, pd.DataFrame({"#IID": chosen})))
    return paths


def _private(path: Path, table: pd.DataFrame) -> Path:
    """A tab-separated table that only its owner can read; numbers with six digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {
        name: significant(table[name].to_numpy(float), missing="nan")
        for name, kind in table.dtypes.items()
        if kind.kind == "f"
    }
    table = table.assign(**{str(name): text.to_numpy(False) for name, text in written.items()})
    text = table.to_csv(sep="\t", index=False)
    with AtomicFile(path, private=True) as file:
        file.write(text.encode())
    return path
