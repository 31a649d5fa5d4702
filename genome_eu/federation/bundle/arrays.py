"""Where the arrays of a release wait until they are bundled: in memory, or as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from numpy.typing import NDArray

from genome_eu.federation.plan import npy_bytes
from genome_eu.stats.aggregate import Aggregate, declared


class MemoryArrays:
    """Arrays of a release kept in memory."""

    def __init__(self) -> None:
        self._shards: dict[int, Aggregate] = {}

    def put(self, shard: int, aggregate: Aggregate) -> None:
        """Keep one shard."""
        self._shards[shard] = aggregate

    def get(self, shard: int) -> Aggregate:
        """One shard back."""
        return self._shards[shard]

    def members(self) -> Iterator[tuple[str, bytes]]:
        """All arrays as `.npy`, in wire order."""
        for shard, aggregate in sorted(self._shards.items()):
            for item in declared(aggregate):
                yield f"shard-{shard:06d}/{item.name}.npy", npy_bytes(getattr(aggregate, item.name))


class FileArrays:
    """Arrays of a release kept as files in a temporary folder until they are bundled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, shard: int, aggregate: Aggregate) -> None:
        """Keep one shard."""
        arrays = {item.name: getattr(aggregate, item.name) for item in declared(aggregate)}
        self.put_arrays(shard, arrays)

    def put_arrays(self, shard: int, arrays: Mapping[str, NDArray]) -> None:
        """Keep the arrays of one shard, by field."""
        place = self._folder / f"shard-{shard:06d}"
        place.mkdir()
        for name, array in arrays.items():
            (place / f"{name}.npy").write_bytes(npy_bytes(array))

    def members(self) -> Iterator[tuple[str, bytes]]:
        """All arrays as `.npy`, one at a time, in shard order."""
        for place in sorted(self._folder.glob("shard-*")):
            for file in sorted(place.iterdir()):
                yield f"{place.name}/{file.name}", file.read_bytes()
