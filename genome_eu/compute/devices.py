"""Which device a run computes on, whether a block fits there, and a cluster of this machine's GPUs.

Passes run where Dask runs them: on threads here, or on the workers of the active client. Questions
about GPUs are asked there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from genome_eu.compute.cluster import connected
from genome_eu.errors import BadInput, UsageError
from genome_eu.kernels import gpu

DEVICES = ("auto", "cpu", "gpu")

#: Genotypes (rows x people) from which "auto" takes a GPU. Two CPU cores multiply 10**9 genotypes
#: by 32 columns in about a second, and a GPU needs seconds to begin; so this is where even a large
#: machine's cores have a few seconds of work. An estimate: it was not measured on a GPU.
AUTO_GENOTYPES = 10**10

#: Device memory of each thread's cuBLAS handle and of the context, besides the blocks.
_LIBRARY_BYTES = 64 * 2**20


@dataclass(frozen=True)
class _Place:
    """A process that runs tasks: its GPUs, and how many of its threads share the first."""

    name: str
    gpus: int
    threads: int


def choose(device: str, genotypes: int) -> str:
    """Kernel backend for a run.

    Parameters
    ----------
    device : {"auto", "cpu", "gpu"}
        "auto" takes the GPU if every place that computes has one and there is enough to do.
    genotypes : int
        Rows x people of one pass; see `AUTO_GENOTYPES`.

    Returns
    -------
    backend : str
        One of `genome_eu.kernels.BACKENDS`.

    Raises
    ------
    UsageError
        There is no such device, or a GPU was asked for and is not there.
    """
    if device not in DEVICES:
        raise UsageError(f"unknown device {device!r}; choose one of {', '.join(DEVICES)}")
    if device == "cpu" or (device == "auto" and genotypes < AUTO_GENOTYPES):
        return "cpu"
    places = _places()
    lacking = [place.name for place in places if not place.gpus]
    if device == "auto" and (lacking or not places):
        return "cpu"
    if not places:
        raise UsageError("the Dask cluster has no workers; start some with `dask cuda worker`")
    if places[0].name == _HERE:
        gpu.require()
    if not lacking:
        return "gpu"
    raise UsageError(
        f"{len(lacking)} of {len(places)} Dask workers have no GPU or no CuPy (first: "
        f"{lacking[0]}); start GPU workers with `dask cuda worker`, or compute on the cpu"
    )


def check_device_memory(rows: int, people: int, width: int, *, single: bool = False) -> None:
    """Make sure, before a run on GPUs, that the blocks of all threads of a device fit on it.

    Parameters
    ----------
    rows, people : int
        Of a block.
    width : int
        Columns of its products, or 3 for each group of people whose genotypes are counted.
    single : bool
        Products in single precision.

    Raises
    ------
    BadInput
        They do not fit.
    """
    block = gpu.block_bytes(rows, people, width, 4 if single else 8) + _LIBRARY_BYTES
    free = _on_each(gpu.free_device_bytes)
    for place in _places():
        needed, there = block * place.threads, free[place.name]
        if needed > there:
            raise BadInput(
                f"a block of {rows:,} rows x {people:,} people with {width:,} columns takes "
                f"{_gib(block)} of GPU memory, {_gib(needed)} for {place.threads} threads, but "
                f"{place.name} has {_gib(there)} free; use fewer threads a GPU, smaller blocks or "
                f"fewer columns"
            )


@contextmanager
def gpu_cluster(*, threads_per_worker: int = 4) -> Iterator[None]:
    """Run all passes inside the block on the GPUs of this machine, one worker process for each.

    Workers are processes that import the main module again, so a script that uses this needs
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    threads_per_worker : int
        Threads that share a GPU: while one copies or reads genotypes, others compute.

    Raises
    ------
    UsageError
        CuPy, a device or dask-cuda is missing.
    """
    if not gpu.device_count():
        gpu.require()
    try:
        cluster_class = import_module("dask_cuda").LocalCUDACluster
    except ImportError:
        raise UsageError(
            "a cluster of GPUs needs dask-cuda, in the version that goes with the current stack: "
            "uv pip install --override cluster/overrides.txt -r cluster/gpu.txt"
        ) from None
    with (
        cluster_class(
            threads_per_worker=threads_per_worker,
            host="127.0.0.1",
            protocol="tcp",
            dashboard_address=None,
        ) as cluster,
        connected(cluster.scheduler_address),
    ):
        yield


_HERE = "this machine"


def _places() -> list[_Place]:
    counts, threads = _on_each(gpu.device_count), _threads()
    return [_Place(name, counts[name], threads[name]) for name in sorted(counts)]


def _on_each(function: Any) -> dict[str, int]:
    """What a function without arguments returns in each process that runs tasks."""
    client = _client()
    return {_HERE: function()} if client is None else dict(client.run(function))


def _threads() -> dict[str, int]:
    client = _client()
    if client is not None:
        return dict(client.nthreads())
    import dask
    from dask.system import CPU_COUNT

    return {_HERE: dask.config.get("num_workers", None) or CPU_COUNT}


def _client() -> Any:
    """The active client of dask.distributed, or None where passes run on threads."""
    if "distributed" not in sys.modules:
        return None
    try:
        return sys.modules["distributed"].default_client()
    except ValueError:
        return None


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"
