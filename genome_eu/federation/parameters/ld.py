"""What is asked of pairs of rows near each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from genome_eu.federation.parameters.types import PANEL, Frozen, Input

#: Rows that a row may be paired with, itself included.
WIDEST = 2**16

#: Numbers of a pair, by statistic, its flag included.
NUMBERS: Mapping[str, int] = {"ld_pairwise": 7, "ld_filled": 3}


class PairParameters(Frozen):
    """Sums of each row with itself and the next ones, `band` of them at most.

    How many each row is paired with comes as the input `lengths`.
    """

    band: Annotated[int, Field(ge=1, le=WIDEST)]


_PAIRS = PANEL | {"lengths": ("<i8", 1)}

PARAMETERS: Mapping[str, type[Frozen]] = {
    "ld_pairwise": PairParameters,
    "ld_filled": PairParameters,
}
INPUTS: Mapping[str, Mapping[str, Input]] = {"ld_pairwise": _PAIRS, "ld_filled": _PAIRS}
