"""What a meta-analysis of summary statistics answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from genome_eu.results.rows import ROWS
from genome_eu.stats.inflation import genomic_inflation
from genome_eu.stats.meta import ERRCODES, MetaAnalysis

STUDIES = "studies"


class MetaResult(xr.Dataset):
    """Effects over studies, with their heterogeneity. Effects are of `variant_effect_allele`.

    `variant_meta_direction` has one of `+`, `-`, `0` and `?` (absent) for each study, in the order
    of `study_id`; `variant_meta_errcode` is `ONE_STUDY` where there is nothing to compare.
    """

    __slots__ = ()

    @property
    def inflation(self) -> float:
        """Genomic control's λ of the combined p-values."""
        return genomic_inflation(self["variant_meta_neg_log10_p"].values)

    def to_files(self, folder: str | Path) -> list[Path]:
        """Write `meta.parquet`, and `meta.tbl` in METAL's columns, into a folder."""
        from genome_eu.formats.meta import write_meta

        return write_meta(self, Path(folder))


def meta_result(found: MetaAnalysis, attrs: dict[str, Any]) -> MetaResult:
    """A meta-analysis as a dataset."""
    aligned, said = found.aligned, found.estimate
    differ = said.heterogeneity

    def of_rows(**values: Any) -> dict[str, Any]:
        return {f"variant_meta_{name}": (ROWS, value) for name, value in values.items()}

    variables: dict[str, Any] = {
        "variant_id": (ROWS, aligned.key),
        "variant_contig_name": (ROWS, aligned.contig),
        "variant_position": (ROWS, aligned.position),
        "variant_effect_allele": (ROWS, aligned.effect_allele),
        "variant_other_allele": (ROWS, aligned.other_allele),
        "study_id": (STUDIES, np.array(found.studies, dtype=object)),
        "study_inflation": (STUDIES, np.array([found.inflation[name] for name in found.studies])),
        "variant_study_sign": ((STUDIES, ROWS), aligned.sign.astype(np.int8)),
    }
    variables |= of_rows(
        beta=said.fixed.beta,
        se=said.fixed.se,
        z=said.z,
        neg_log10_p=said.neg_log10_p,
        p_value=10.0**-said.neg_log10_p,
        n=found.n,
        frequency=found.frequency,
        n_studies=found.n_studies,
        direction=found.direction,
        q=differ.q,
        q_df=differ.df,
        q_neg_log10_p=differ.neg_log10_p,
        i_squared=differ.i_squared,
        tau2=said.tau2,
        random_beta=said.random.beta,
        random_se=said.random.se,
        random_neg_log10_p=said.random_neg_log10_p,
        errcode=np.array(ERRCODES, dtype=object)[found.errcode],
    )
    return MetaResult(variables, attrs=attrs | {"scheme": found.scheme})
