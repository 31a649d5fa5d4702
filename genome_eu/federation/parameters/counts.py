"""What is asked of groups of people and their genotypes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from genome_eu.federation.parameters.types import PANEL, Columns, Frozen, Input, Names


class GroupSizesParameters(Frozen):
    """How many people are in the groups named by these sample columns?"""

    by: Columns


class GenotypeCountsParameters(Frozen):
    """Genotypes by row, for everybody and for these groups."""

    by: Columns
    groups: Names


class HaploidCountsParameters(GenotypeCountsParameters):
    """The same for rows where some people have one copy."""

    ploidy: Literal["x", "y", "mt"]


PARAMETERS: Mapping[str, type[Frozen]] = {
    "group_sizes": GroupSizesParameters,
    "genotype_counts": GenotypeCountsParameters,
    "haploid_counts": HaploidCountsParameters,
}
INPUTS: Mapping[str, Mapping[str, Input]] = {"genotype_counts": PANEL, "haploid_counts": PANEL}
