"""What leaves a site in the open where its numbers leave only under masks."""

from __future__ import annotations

from typing import Any

from genome_eu.disclosure.airlock import Spool
from genome_eu.federation import secure_sum
from genome_eu.stats.aggregate import Aggregate


class NamesOnly:
    """A spool for what is no sum: in a federation that sums in secret, only names of it leave."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def put(self, shard: int, aggregate: Aggregate) -> None:
        """Keep the names of one shard."""
        self._spool.put(shard, secure_sum.openly(aggregate))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spool, name)
