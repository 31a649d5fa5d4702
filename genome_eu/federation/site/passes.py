"""Passes over a site's genotypes, in blocks that fit a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort import HaploidCalls
from genome_eu.compute import (
    Progress,
    block_rows,
    check_device_memory,
    edges,
    reduce,
    stream,
)
from genome_eu.federation.answers import ANSWERING
from genome_eu.federation.plan import Plan
from genome_eu.federation.site.held import Held
from genome_eu.stats.aggregate import concatenate

# Numbers in a shard of a question that is asked directly, and the fewest for a row.
_SHARD_NUMBERS = 2**20
_LEAST_WIDTH = 8


class Passes(Held):
    """Streams and sums over the rows of a cohort."""

    def rows_per_shard(self, statistic: str, parameters: Any) -> int:
        """Rows of a shard where nothing travels: whole blocks, as many as memory likes."""
        width = max(_LEAST_WIDTH, ANSWERING[statistic].width(parameters, self.store.people))
        size = self.block_size or block_rows(self.store, width)
        return size * max(1, _SHARD_NUMBERS // (size * width))

    def stream(
        self,
        plan: Plan,
        rows: NDArray,
        function: Callable[..., Any],
        *constants: Any,
        by_row: Sequence[NDArray] = (),
        width: int,
        columns: int | None = None,
        haploid: HaploidCalls | None = None,
        dosages: bool = False,
        reach: NDArray | None = None,
    ) -> Iterator[Any]:
        """Shards of the plan, each made of blocks that fit a worker (see `rows_of_block`).

        `haploid` says who is haploid in these rows, as `haploid_calls` does. With `dosages`, blocks
        are of dosages and not of hard calls. `reach` is one past the last row that each row needs
        beside itself: blocks hold those too.
        """
        size = self.rows_of_block(width, columns, dosages)
        ends = [stop for _, stop in plan.spans()]
        with Progress(f"{self.name}: {plan.statistic}", rows.size) as progress:
            results = stream(
                self.store,
                rows,
                function,
                *constants,
                by_row=by_row,
                size=size,
                summary_bytes=8 * size * width,
                ends=ends,
                backend=self.backend,
                progress=progress,
                haploid=haploid,
                dosages=dosages,
                reach=reach,
            )
            shard_ends = set(ends)
            blocks: list[Any] = []
            for (_, stop), result in zip(edges(rows.size, size, ends), results, strict=True):
                blocks.append(result)
                if stop in shard_ends:
                    yield concatenate(blocks)
                    blocks = []

    def summed(
        self,
        title: str,
        rows: NDArray,
        function: Callable[..., NDArray],
        *constants: Any,
        by_row: Sequence[NDArray],
        width: int,
    ) -> NDArray:
        """A sum over rows of products with people, (people of the store, width)."""
        with Progress(f"{self.name}: {title}", rows.size) as progress:
            return reduce(
                self.store,
                rows,
                function,
                *constants,
                add=np.add,
                by_row=by_row,
                size=self.rows_of_block(width),
                summary_bytes=8 * self.store.people * width,
                backend=self.backend,
                progress=progress,
            )

    def by_blocks(
        self,
        title: str,
        rows: NDArray,
        function: Callable[..., Any],
        *constants: Any,
        by_row: Sequence[NDArray],
        ends: Sequence[int],
        summary_bytes: int,
        haploid: HaploidCalls | None = None,
        dosages: bool = False,
    ) -> Iterator[Any]:
        """A result for each of the question's own blocks of rows: up to each of `ends`."""
        with Progress(f"{self.name}: {title}", rows.size) as progress:
            yield from stream(
                self.store,
                rows,
                function,
                *constants,
                by_row=by_row,
                size=max(rows.size, 1),
                summary_bytes=summary_bytes,
                ends=ends,
                backend=self.backend,
                progress=progress,
                haploid=haploid,
                dosages=dosages,
            )

    def rows_of_block(self, width: int, columns: int | None = None, dosages: bool = False) -> int:
        """Rows of a block of which so many numbers are kept; a GPU must have room for it.

        `columns` are multiplied at a time there: as many as numbers are kept if not given.
        """
        size = self.block_size or block_rows(self.store, width, dosages)
        if self.backend == "gpu" and not dosages:
            check_device_memory(size, self.store.people, columns or width)
        return size
