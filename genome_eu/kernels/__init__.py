"""Packed genotypes and the array kernels on them.

Every backend gives the same numbers: ``cpu`` is compiled and made for work, ``gpu`` works on a
CUDA device, ``reference`` is plain NumPy and made for reading.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from genome_eu.errors import UsageError
from genome_eu.kernels.block import Backend, BandedGram, PackedBlock, PairCounts
from genome_eu.kernels.haploid import HaploidBlock, HaploidCalls, haploid_block
from genome_eu.kernels.packed import exchange, pack, pack_genotypes, unpack

BACKENDS = ("cpu", "gpu", "reference")

__all__ = [
    "BACKENDS",
    "Backend",
    "BandedGram",
    "HaploidBlock",
    "HaploidCalls",
    "PackedBlock",
    "PairCounts",
    "backend",
    "exchange",
    "haploid_block",
    "pack",
    "pack_genotypes",
    "unpack",
]


def backend(name: str) -> Backend:
    """Return the kernels of one backend, ready to be carried by a `PackedBlock`.

    Parameters
    ----------
    name : str
        One of `BACKENDS`.

    Raises
    ------
    UsageError
        If there is no backend of that name.
    """
    if name not in BACKENDS:
        raise UsageError(f"unknown kernel backend {name!r}; choose one of {', '.join(BACKENDS)}.")
    return cast(Backend, import_module(f"genome_eu.kernels.{name}"))
