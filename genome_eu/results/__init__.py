"""What a question answers: labelled datasets in sgkit's names that draw and write themselves.

Each is an `xarray.Dataset`, so everything that works on one works on it, sgkit's functions
included. The dimension `variants` has one entry per row: a variant and one of its ALT alleles.
"""

from genome_eu.results.frequencies import FrequencyResult, frequency_shard
from genome_eu.results.gwas import GwasResult, gwas_shard
from genome_eu.results.pca import PcaResult
from genome_eu.results.rows import attributes, join, require_memory, row_variables

__all__ = [
    "FrequencyResult",
    "GwasResult",
    "PcaResult",
    "attributes",
    "frequency_shard",
    "gwas_shard",
    "join",
    "require_memory",
    "row_variables",
]
