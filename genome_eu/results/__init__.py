"""What a question answers: labelled datasets in sgkit's names that draw and write themselves.

Each is an `xarray.Dataset`, so everything that works on one works on it, sgkit's functions
included. The dimension `variants` has one entry per row: a variant and one of its ALT alleles.
"""

from genome_eu.results.between_groups import BetweenGroups
from genome_eu.results.dosages import DosageResult, dosage_shard
from genome_eu.results.frequencies import FrequencyResult, frequency_shard
from genome_eu.results.gwas import GwasResult, gwas_shard, logistic_shard
from genome_eu.results.ld import ClumpResult, PruneResult
from genome_eu.results.meta import MetaResult
from genome_eu.results.pca import PcaResult, ProjectionResult
from genome_eu.results.quality import KinshipResult, QcResult
from genome_eu.results.rows import attributes, join, require_memory, row_variables
from genome_eu.results.scores import ScoreResult

__all__ = [
    "BetweenGroups",
    "ClumpResult",
    "DosageResult",
    "FrequencyResult",
    "GwasResult",
    "KinshipResult",
    "MetaResult",
    "PcaResult",
    "ProjectionResult",
    "PruneResult",
    "QcResult",
    "ScoreResult",
    "attributes",
    "dosage_shard",
    "frequency_shard",
    "gwas_shard",
    "join",
    "logistic_shard",
    "require_memory",
    "row_variables",
]
