"""Block work on Dask: passes over a cohort's packed rows, with bounded memory."""

from genome_eu.compute.cluster import connected
from genome_eu.compute.passes import block_rows, edges, reduce, stream
from genome_eu.compute.progress import Progress

__all__ = ["Progress", "block_rows", "connected", "edges", "reduce", "stream"]
