"""What people look at: plots for notebooks and one self-contained page about a run."""

from __future__ import annotations

from genome_eu.report.html import write_report
from genome_eu.report.plots import (
    frequency_comparison,
    manhattan,
    pca_loadings,
    pca_scores,
    pca_site_means,
    qq,
)

__all__ = [
    "frequency_comparison",
    "manhattan",
    "pca_loadings",
    "pca_scores",
    "pca_site_means",
    "qq",
    "write_report",
]
