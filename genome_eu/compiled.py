"""How numba code is compiled: without the GIL, and kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call, releasing the GIL so that threads run blocks side by side.

    Nothing is parallel inside a kernel: whoever schedules the blocks supplies the threads,
    and one thread per block keeps the order of every sum fixed. Division by zero gives what
    NumPy gives.
    """
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:
        # numba raises when neither the package nor the user's cache directory is writable,
        # as in a container that runs under an arbitrary user; slower starts beat none.
        return njit(nogil=True, error_model="numpy")(function)


@intrinsic
def _popcount(typing_context: Any, word: Any) -> Any:
    """Number of set bits of a uint64; one machine instruction, and one that vectorizes."""
    if word != types.uint64:
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), emit


# As compiled code sees it; numba's own calling convention stays out of the callers' types.
popcount = cast(Callable[[np.uint64], np.uint64], _popcount)
