"""Genotypes come in and stay: import, open and read the store of one site."""

from __future__ import annotations

from genome_eu.cohort.convert import import_genotypes
from genome_eu.cohort.exchanged import oriented, stored
from genome_eu.cohort.genome import contig_name
from genome_eu.cohort.ploidy import HaploidCalls, sexes
from genome_eu.cohort.store import CohortStore, open_store

__all__ = [
    "CohortStore",
    "HaploidCalls",
    "contig_name",
    "import_genotypes",
    "open_store",
    "oriented",
    "sexes",
    "stored",
]
