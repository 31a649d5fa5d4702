"""Summary statistics of other studies, read for a meta-analysis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genome_eu.formats.headings import Columns
from genome_eu.stats.meta import Study

_NEEDED = {
    "effect_allele": ("effect_allele",),
    "id or contig and position": ("id", "contig"),
    "beta or odds_ratio": ("beta", "odds_ratio"),
    "se, p or neg_log10_p": ("se", "p", "neg_log10_p"),
}


def read_study(
    path: str | Path,
    *,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    n: float | None = None,
) -> Study:
    """Summary statistics of one study.

    Parameters
    ----------
    path : path
        A text table, gzipped or not, separated by tabs, spaces or commas. Those of GWAS-SSF,
        REGENIE, PLINK 2 (`.glm.*`), METAL and this package are known by their headings.
    name : str, optional
        What to call the study; the name of the file unless given.
    columns : mapping of str to str, optional
        What is in which column, for example ``{"id": "SNP", "se": "SE"}``: any of
        `headings.MEANINGS`. Comes before what the headings say.
    n : float, optional
        People of the study, where no column says so.

    Returns
    -------
    Study
        Its `key` is the id; `genome_eu.meta` joins by position where all studies have positions.

    Raises
    ------
    BadInput
        The file cannot be read, or its headings do not say what is needed.
    UsageError
        `columns` names what no column can be.
    """
    path = Path(path)
    table = Columns(path, dict(columns or {}), _NEEDED)
    other = table.other_allele()
    beta, se = _effects(table)
    return Study(
        name=name or path.name.removesuffix(".gz").rpartition(".")[0] or path.name,
        key=table.text("id"),
        contig=table.contigs(),
        position=table.positions(),
        effect_allele=table.text("effect_allele"),
        other_allele=other,
        beta=beta,
        se=se,
        neg_log10_p=table.neg_log10_p(),
        n=table.numbers("n") if n is None else np.full(len(table), float(n)),
        frequency=table.numbers("frequency"),
    )


def _effects(table: Columns) -> tuple[NDArray, NDArray]:
    """Effects and standard errors; odds ratios become logarithms."""
    se = table.numbers("se")
    if "beta" in table.headings:
        return table.numbers("beta"), se
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.log(table.numbers("odds_ratio"))
    return np.where(np.isfinite(beta), beta, np.nan), se
