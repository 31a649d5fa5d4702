"""Our own tables: every number of a result, in Parquet that any data-frame library reads.

Frequencies are long over groups and associations long over traits, so that a query such as
"FIN at chr 6" touches one file. The readers give back the Dataset; what has no row of its
own (attributes, order of groups, eigenvalues) travels as JSON in the file's metadata.
"""

from __future__ import annotations

from genome_eu.formats.parquet.reader import (
    read_dosages,
    read_frequencies,
    read_gwas,
    read_logistic,
    read_pca,
)
from genome_eu.formats.parquet.schemas import DOSAGES, FREQUENCIES, GWAS, LOGISTIC, pca_schema
from genome_eu.formats.parquet.tables import kind_of
from genome_eu.formats.parquet.writer import ParquetWriter

__all__ = [
    "DOSAGES",
    "FREQUENCIES",
    "GWAS",
    "LOGISTIC",
    "ParquetWriter",
    "kind_of",
    "pca_schema",
    "read_dosages",
    "read_frequencies",
    "read_gwas",
    "read_logistic",
    "read_pca",
]
