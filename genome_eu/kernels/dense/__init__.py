"""Dosages, sixteen bits for each person, and the kernels on them.

Statistics are handed a `DenseBlock` where they are asked about imputed genotypes, and a
`genome_eu.kernels.PackedBlock` where they are asked about hard calls; both offer the same products.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from genome_eu.errors import UsageError
from genome_eu.kernels.dense.block import DenseBackend, DenseBlock
from genome_eu.kernels.dense.codes import (
    MISSING,
    ONE,
    code_dtype,
    codes_of_calls,
    exchange_codes,
    hard_calls,
)

DENSE_BACKENDS = ("cpu", "reference")

__all__ = [
    "DENSE_BACKENDS",
    "MISSING",
    "ONE",
    "DenseBackend",
    "DenseBlock",
    "code_dtype",
    "codes_of_calls",
    "dense_backend",
    "exchange_codes",
    "hard_calls",
]


def dense_backend(name: str) -> DenseBackend:
    """Return the kernels of one backend, ready to be carried by a `DenseBlock`.

    Parameters
    ----------
    name : str
        One of `DENSE_BACKENDS`, or "gpu", for which dosages are computed on the CPU.

    Raises
    ------
    UsageError
        If there is no backend of that name.
    """
    if name == "gpu":
        name = "cpu"
    if name not in DENSE_BACKENDS:
        known = ", ".join(DENSE_BACKENDS)
        raise UsageError(f"unknown kernel backend {name!r} for dosages; choose one of {known}.")
    return cast(DenseBackend, import_module(f"genome_eu.kernels.dense.{name}"))
