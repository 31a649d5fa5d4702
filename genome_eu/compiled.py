"""How numba code is compiled: without the GIL, and kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Sums in several lanes and fused products, so that loops over people vectorize; infinities and
# NaN mean what they always do.
_IN_LANES = {"reassoc", "nsz", "contract"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call, releasing the GIL so that threads run blocks side by side.

    Nothing is parallel inside a kernel: whoever schedules the blocks supplies the threads,
    and one thread per block keeps the order of every sum fixed. Division by zero gives what
    NumPy gives.
    """
    return _compile(function, False)


def compiled_in_lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for sums that may be made in any order, as vector instructions make them."""
    return _compile(function, _IN_LANES)


def _compile(function: Callable[..., Any], fastmath: bool | set[str]) -> Callable[..., Any]:
    try:
        return njit(nogil=True, cache=True, error_model="numpy", fastmath=fastmath)(function)
    except RuntimeError:
        # numba raises when neither the package nor the user's cache directory is writable,
        # as in a container that runs under an arbitrary user; slower starts beat none.
        return njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)


@intrinsic
def _popcount(typing_context: Any, word: Any) -> Any:
    """Number of set bits of a uint64; one machine instruction, and one that vectorizes."""
    if word != types.uint64:
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), emit


@intrinsic
def _bits(typing_context: Any, number: Any) -> Any:
    """The bits of a float64 as an int64."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), emit


@intrinsic
def _from_bits(typing_context: Any, bits: Any) -> Any:
    """The float64 that an int64 is the bits of."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), emit


# As compiled code sees them; numba's own calling convention stays out of the callers' types.
popcount = cast(Callable[[np.uint64], np.uint64], _popcount)
bits_of = cast(Callable[[float], int], _bits)
from_bits = cast(Callable[[int], float], _from_bits)
