"""Write any result to one Parquet file, shard by shard."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genome_eu.errors import BadInput, UsageError
from genome_eu.formats.parquet.schemas import FORMAT_VERSION, METADATA
from genome_eu.formats.parquet.tables import LAYOUTS, Layout, kind_of
from genome_eu.formats.rows import Shard
from genome_eu.formats.streams import ResultWriter

# Lines of a row group: what a writer holds in memory beside the shard.
_ROW_GROUP = 1 << 20
_DICTIONARY = 1 << 28


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
        layout = LAYOUTS[kind]
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

    def _begin(self, shard: Shard, layout: Layout, order: Any) -> pq.ParquetWriter:
        dataset = shard.dataset
        described = {
            "format_version": FORMAT_VERSION,
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
        writer.add_key_value_metadata({METADATA: json.dumps(described)})
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


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    def simple(value: Any) -> Any:
        if isinstance(value, (np.generic, np.ndarray)):
            return value.tolist()
        return str(value)

    return json.loads(json.dumps(dict(attrs), default=simple))
