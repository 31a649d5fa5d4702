"""What is asked of dosages without a model."""

from __future__ import annotations

from collections.abc import Mapping

from genome_eu.federation.parameters.counts import GenotypeCountsParameters, HaploidCountsParameters
from genome_eu.federation.parameters.types import PANEL, Frozen, Input

PARAMETERS: Mapping[str, type[Frozen]] = {
    "dosage_counts": GenotypeCountsParameters,
    "haploid_dosage_counts": HaploidCountsParameters,
}
INPUTS: Mapping[str, Mapping[str, Input]] = {
    "dosage_counts": PANEL,
    "haploid_dosage_counts": PANEL,
}
