"""What a question about frequencies answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from genome_eu.results.rows import GROUPS, ROWS, row_variables
from genome_eu.stats import counts


class FrequencyResult(xr.Dataset):
    """Genotype counts, allele frequencies and Hardy–Weinberg tests.

    `variant_*` is everybody, `cohort_*` has one entry per group. −1 and NaN stand where a policy
    withheld a number; `*_withheld` says so.
    """

    __slots__ = ()

    def compare(self, **options: Any) -> Any:
        """Allele frequencies of the groups against each other."""
        from genome_eu.report.plots import frequency_comparison

        return frequency_comparison(self, **options)

    def to_files(
        self, folder: str | Path, formats: Collection[str] = ("parquet", "plink")
    ) -> list[Path]:
        """Write Parquet and PLINK 2's `.afreq`, `.gcount`, `.hardy` into a folder."""
        from genome_eu.formats.folder import FrequencyFiles

        with FrequencyFiles(Path(folder), formats) as files:
            files.append(self)
        return files.paths


def frequency_shard(
    rows: pd.DataFrame,
    contigs: Sequence[str],
    found: counts.Frequencies,
    labels: Sequence[str],
    attrs: dict[str, Any],
) -> FrequencyResult:
    """A shard of frequencies as a dataset."""
    variables = row_variables(rows, contigs)
    for prefix, group, dims in (
        ("variant", 0, (ROWS,)),
        ("cohort", slice(1, None), (ROWS, GROUPS)),
    ):

        def put(name: str, values: NDArray, more: tuple[str, ...] = ()) -> None:
            variables[f"{prefix}_{name}"] = ((*dims, *more), values)  # noqa: B023

        withheld = found.alleles_withheld[:, group]
        frequency = found.allele_frequency[:, group]
        put("n_called", found.n_called[:, group])
        put("n_missing", found.n_missing[:, group])
        put("call_rate", found.call_rate[:, group])
        put("n_hom_ref", found.n_hom_ref[:, group])
        put("n_het", found.n_het[:, group])
        put("n_hom_alt", found.n_hom_alt[:, group])
        put("allele_total", found.allele_number[:, group])
        put(
            "allele_count",
            _both_alleles(found.allele_count[:, group], found.allele_number[:, group], withheld),
            ("alleles",),
        )
        put("allele_frequency", np.stack([1.0 - frequency, frequency], axis=-1), ("alleles",))
        if found.hwe_neg_log10_p is not None:
            put("hwe_neg_log10_p", found.hwe_neg_log10_p[:, group])
            put("hwe_p_value", 10.0 ** -found.hwe_neg_log10_p[:, group])
        put("allele_withheld", withheld)
        put("genotype_withheld", found.genotypes_withheld[:, group])
    variables["cohort_id"] = (GROUPS, np.array(labels, dtype=object))
    return FrequencyResult(variables, attrs=attrs)


def _both_alleles(alt: NDArray, number: NDArray, withheld: NDArray) -> NDArray:
    """(REF, ALT) counts along a last axis."""
    return np.stack([np.where(withheld, -1, number - alt), alt], axis=-1)
