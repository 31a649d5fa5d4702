"""TOML from outside: read in time that grows with its length, or refused."""

from __future__ import annotations

import tomllib
from typing import Any

# `a.a.a. … = 1` takes tomllib the square of its parts: 256 KiB of it, many minutes.
_MOST_DOTS = 100


def parsed(text: str) -> dict[str, Any]:
    """What a TOML file says.

    Raises
    ------
    ValueError
        It is not TOML, or no file that a person wrote; says why.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS:
            raise ValueError(f"more than {_MOST_DOTS} dots (at line {number})")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("brackets within brackets, too many") from None
