"""One question of many cohorts: federated GWAS, PCA and allele frequencies.

>>> import genome_eu as ge
>>> fi = ge.open_cohort("fi.vcz")  # doctest: +SKIP
>>> eu = ge.open_federation("federation.toml")  # doctest: +SKIP
>>> eu.frequencies(by=["population", "sex"])  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from genome_eu._version import __version__

if TYPE_CHECKING:
    from genome_eu.cohort import import_genotypes
    from genome_eu.federation.coordinator import Federation
    from genome_eu.federation.opening import federate, open_federation
    from genome_eu.federation.parameters.filters import Filters
    from genome_eu.federation.single import Cohort, open_cohort
    from genome_eu.meta import meta_analysis
    from genome_eu.results import (
        ClumpResult,
        FrequencyResult,
        GwasResult,
        KinshipResult,
        MetaResult,
        PcaResult,
        PruneResult,
        QcResult,
    )

# Names are looked up when first used, so that importing the package stays quick.
_HOMES = {
    "ClumpResult": "genome_eu.results",
    "Cohort": "genome_eu.federation.single",
    "Federation": "genome_eu.federation.coordinator",
    "DosageResult": "genome_eu.results",
    "FrequencyResult": "genome_eu.results",
    "Filters": "genome_eu.federation.parameters.filters",
    "GwasResult": "genome_eu.results",
    "KinshipResult": "genome_eu.results",
    "MetaResult": "genome_eu.results",
    "PcaResult": "genome_eu.results",
    "PruneResult": "genome_eu.results",
    "QcResult": "genome_eu.results",
    "ScoreResult": "genome_eu.results",
    "federate": "genome_eu.federation.opening",
    "import_genotypes": "genome_eu.cohort",
    "meta_analysis": "genome_eu.meta",
    "open_cohort": "genome_eu.federation.single",
    "open_federation": "genome_eu.federation.opening",
}

__all__ = [
    "ClumpResult",
    "Cohort",
    "DosageResult",
    "Federation",
    "Filters",
    "FrequencyResult",
    "GwasResult",
    "KinshipResult",
    "MetaResult",
    "PcaResult",
    "PruneResult",
    "QcResult",
    "ScoreResult",
    "__version__",
    "federate",
    "import_genotypes",
    "meta_analysis",
    "open_cohort",
    "open_federation",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'genome_eu' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
