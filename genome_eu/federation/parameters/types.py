"""How the parameters of a question are spelled: frozen, closed, and finite."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast, Field

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Part of file names on the exchange, so it is never hidden, "." or "..".
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
Column = Annotated[str, Field(min_length=1, max_length=200)]
Real = Annotated[float, Field(allow_inf_nan=False)]
# The first wrong item is enough: a report on each of a million would fill the memory.
Columns = Annotated[tuple[Column, ...], FailFast()]
Names = Annotated[tuple[Name, ...], FailFast()]
Reals = Annotated[tuple[Real, ...], FailFast()]


class Frozen(BaseModel):
    """Base of everything that a plan says: no field is guessed, none is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


#: An array that may come with a statistic: its NumPy type and number of dimensions.
Input = tuple[str, int]

#: The panel of a question, as `stats.variants.encode` writes it; or, where one's own cohort is
#: asked, places among its rows.
PANEL: dict[str, Input] = {"panel": ("|u1", 1), "places": ("<i8", 1)}
