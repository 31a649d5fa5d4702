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
    from genome_eu.federation.single import Cohort, open_cohort
    from genome_eu.results import FrequencyResult, GwasResult, PcaResult

# Names are looked up when first used, so that importing the package stays quick.
_HOMES = {
    "Cohort": "genome_eu.federation.single",
    "Federation": "genome_eu.federation.coordinator",
    "FrequencyResult": "genome_eu.results",
    "GwasResult": "genome_eu.results",
    "PcaResult": "genome_eu.results",
    "federate": "genome_eu.federation.opening",
    "import_genotypes": "genome_eu.cohort",
    "open_cohort": "genome_eu.federation.single",
    "open_federation": "genome_eu.federation.opening",
}

__all__ = [
    "Cohort",
    "Federation",
    "FrequencyResult",
    "GwasResult",
    "PcaResult",
    "__version__",
    "federate",
    "import_genotypes",
    "open_cohort",
    "open_federation",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'genome_eu' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
