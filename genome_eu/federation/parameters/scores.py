"""What is asked of polygenic scores."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator

from genome_eu.federation.parameters.types import PANEL, Columns, Frozen, Input, Names, Real


class ScoreDistributionParameters(Frozen):
    """The distribution of scores among everybody and in groups.

    `edges` part the bins of a histogram, in standard deviations as expected without linkage.
    `imputed` says whether a missing call counts as its expectation, or not at all.
    """

    by: Columns
    groups: Names
    edges: Annotated[tuple[Real, ...], Field(min_length=1, max_length=100)]
    imputed: bool

    @field_validator("edges")
    @classmethod
    def _increasing(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(high <= low for low, high in pairwise(edges)):
            raise ValueError("edges do not increase")
        return edges


PARAMETERS: Mapping[str, type[Frozen]] = {"score_distribution": ScoreDistributionParameters}
INPUTS: Mapping[str, Mapping[str, Input]] = {
    "score_distribution": PANEL
    | {"weights": ("<f8", 2), "counts_ref": ("|u1", 1), "frequency": ("<f8", 1)}
}
