"""What is asked of the sites' lists of variants."""

from __future__ import annotations

from collections.abc import Mapping

from genome_eu.federation.parameters.types import Frozen, Input


class VariantListParameters(Frozen):
    """Which rows can the site speak of?"""


PARAMETERS: Mapping[str, type[Frozen]] = {"variant_list": VariantListParameters}
INPUTS: Mapping[str, Mapping[str, Input]] = {}
