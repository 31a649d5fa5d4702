"""Linear association of traits with dosage, adjusted for covariates.

With site effects (the default) every site centres dosage, covariates and traits within itself, so
that sums over sites equal the pooled fit with one intercept per site. Without them the design has
one common intercept column. Missing calls are replaced by a mean (`mean`: the site's own, or with
a common intercept the mean over all sites), or the people who lack the call are dropped from that
row (`drop`, PLINK's fit).

Two aggregates leave a site: `DesignSums` once, and one of the row sums per row.
"""

from genome_eu.stats.linear.fit import ERRCODES, LinearResult, finalize, require_independent
from genome_eu.stats.linear.sums import (
    CompleteSums,
    Design,
    DesignSums,
    MeanSums,
    RawSums,
    design,
    summarize_complete,
    summarize_design,
    summarize_mean,
    summarize_raw,
)

__all__ = [
    "ERRCODES",
    "CompleteSums",
    "Design",
    "DesignSums",
    "LinearResult",
    "MeanSums",
    "RawSums",
    "design",
    "finalize",
    "require_independent",
    "summarize_complete",
    "summarize_design",
    "summarize_mean",
    "summarize_raw",
]
