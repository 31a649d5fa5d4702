"""Meta-analysis of summary statistics, for sites that can only send results.

`align` finds the same variant in several studies and turns its effect to one allele; `combine`
weighs the studies by the inverse of their variances (fixed and random effects) or, by sample size,
adds their z. The rules of alleles, strands and signs are METAL's.
"""

from genome_eu.stats.meta.alleles import Aligned, Study, align, keys_by_position
from genome_eu.stats.meta.combine import (
    ERRCODES,
    SCHEMES,
    MetaAnalysis,
    cochran,
    combine,
    fixed_effect,
    random_effects,
    sample_size,
)

__all__ = [
    "ERRCODES",
    "SCHEMES",
    "Aligned",
    "MetaAnalysis",
    "Study",
    "align",
    "cochran",
    "combine",
    "fixed_effect",
    "keys_by_position",
    "random_effects",
    "sample_size",
]
