"""Linear association of traits with dosage, adjusted for covariates.

With site effects (the default) every site centres dosage, covariates and traits within itself, so
that sums over sites equal the pooled fit with one intercept per site. Without them the design has
one common intercept column. Missing calls are replaced by a mean (`mean`: the site's own, or with
a common intercept the mean over all sites), or the people who lack the call are dropped from that
row (`drop`, PLINK's fit).

Traits that share their people form a group: one X, one number of people, one set of genotype
counts. A model has any number of groups, all summed in one pass.

Two aggregates leave a site: `DesignSums` once, and one of the row sums per row.
"""

from genome_eu.stats.linear.fit import ERRCODES, LinearResult, finalize
from genome_eu.stats.linear.independence import require_independent
from genome_eu.stats.linear.model import Design, DesignSums, design, summarize_design
from genome_eu.stats.linear.once import design_of_rows
from genome_eu.stats.linear.subset import untested, varying, why_untested, with_covariates
from genome_eu.stats.linear.sums import (
    DOSAGE_SUMS,
    CompleteSums,
    DosageCompleteSums,
    DosageMeanSums,
    DosageRawSums,
    MeanSums,
    RawSums,
    RowSums,
    columns_at_a_time,
    numbers_per_row,
    summarize_complete,
    summarize_mean,
    summarize_raw,
)

__all__ = [
    "DOSAGE_SUMS",
    "ERRCODES",
    "CompleteSums",
    "Design",
    "DesignSums",
    "DosageCompleteSums",
    "DosageMeanSums",
    "DosageRawSums",
    "LinearResult",
    "MeanSums",
    "RawSums",
    "RowSums",
    "columns_at_a_time",
    "design",
    "design_of_rows",
    "finalize",
    "numbers_per_row",
    "require_independent",
    "summarize_complete",
    "summarize_design",
    "summarize_mean",
    "summarize_raw",
    "untested",
    "varying",
    "why_untested",
    "with_covariates",
]
