"""Block work on Dask: passes over a cohort's packed rows, with bounded memory."""

from genome_eu.compute.cluster import connected
from genome_eu.compute.devices import check_device_memory, choose, gpu_cluster
from genome_eu.compute.passes import block_rows, each, edges, reduce, stream
from genome_eu.compute.progress import Progress
from genome_eu.compute.pruning import prune
from genome_eu.compute.quality import mendel_errors, person_measures, relatives

__all__ = [
    "Progress",
    "block_rows",
    "check_device_memory",
    "choose",
    "connected",
    "each",
    "edges",
    "gpu_cluster",
    "mendel_errors",
    "person_measures",
    "prune",
    "reduce",
    "relatives",
    "stream",
]
