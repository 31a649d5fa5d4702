"""What is asked of dosages without a model."""

from __future__ import annotations

from collections.abc import Mapping

from genome_eu.federation.parameters.types import PANEL, Frozen, Input


class DosageCountsParameters(Frozen):
    """Sums of dosages by row, and of their squares, for everybody."""


PARAMETERS: Mapping[str, type[Frozen]] = {"dosage_counts": DosageCountsParameters}
INPUTS: Mapping[str, Mapping[str, Input]] = {"dosage_counts": PANEL}
