"""Block work on Dask: passes over a cohort's packed rows, with bounded memory."""

from genome_eu.compute.cluster import connected
from genome_eu.compute.devices import check_device_memory, choose, gpu_cluster
from genome_eu.compute.passes import block_rows, edges, reduce, stream
from genome_eu.compute.progress import Progress

__all__ = [
    "Progress",
    "block_rows",
    "check_device_memory",
    "choose",
    "connected",
    "edges",
    "gpu_cluster",
    "reduce",
    "stream",
]
