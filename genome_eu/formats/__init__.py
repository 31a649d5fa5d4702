"""What other programs read: PLINK 2 files, GWAS-SSF, and our own Parquet tables."""

from __future__ import annotations

from genome_eu.formats.association import GlmLinearWriter, GlmLogisticWriter, RegenieWriter
from genome_eu.formats.gwas_ssf import GwasSsfWriter, SsfSummary
from genome_eu.formats.p_values import PValues, read_p_values
from genome_eu.formats.parquet import (
    ParquetWriter,
    read_dosages,
    read_frequencies,
    read_gwas,
    read_logistic,
    read_pca,
)
from genome_eu.formats.plink import (
    AfreqWriter,
    GcountWriter,
    HardyWriter,
    HardyXWriter,
    write_eigenval,
    write_eigenvec,
)
from genome_eu.formats.streams import ResultWriter

__all__ = [
    "AfreqWriter",
    "GcountWriter",
    "GlmLinearWriter",
    "GlmLogisticWriter",
    "GwasSsfWriter",
    "HardyWriter",
    "HardyXWriter",
    "PValues",
    "ParquetWriter",
    "RegenieWriter",
    "ResultWriter",
    "SsfSummary",
    "read_dosages",
    "read_frequencies",
    "read_gwas",
    "read_logistic",
    "read_p_values",
    "read_pca",
    "write_eigenval",
    "write_eigenvec",
]
