"""What a question about dosages answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from genome_eu.results.rows import ROWS, row_variables
from genome_eu.stats import dosages


class DosageResult(xr.Dataset):
    """Allele frequencies by dosages, and how well rows were imputed; dimension variants.

    `variant_dosage_count` has the expected copies of ALT, `variant_imputation_r2` MaCH's r². −1 and
    NaN stand where a policy withheld a number; `*_withheld` says so.
    """

    __slots__ = ()

    def to_files(
        self, folder: str | Path, formats: Collection[str] = ("parquet", "plink")
    ) -> list[Path]:
        """Write Parquet and PLINK 2's `.afreq` with its column MACH_R2 into a folder."""
        from genome_eu.formats.folder import DosageFiles

        with DosageFiles(Path(folder), formats) as files:
            files.append(self)
        return files.paths


def dosage_shard(
    rows: pd.DataFrame,
    contigs: Sequence[str],
    found: dosages.DosageFrequencies,
    attrs: dict[str, Any],
) -> DosageResult:
    """A shard of dosage frequencies as a dataset."""
    frequency = found.allele_frequency
    total = np.where(found.alleles_withheld, -1, 2 * found.n_called)
    variables = row_variables(rows, contigs) | {
        "variant_n_called": (ROWS, found.n_called),
        "variant_allele_total": (ROWS, total),
        "variant_dosage_count": (ROWS, found.allele_count),
        "variant_allele_frequency": (
            (ROWS, "alleles"),
            np.stack([1.0 - frequency, frequency], axis=-1),
        ),
        "variant_imputation_r2": (ROWS, found.imputation_r2),
        "variant_allele_withheld": (ROWS, found.alleles_withheld),
        "variant_genotype_withheld": (ROWS, found.genotypes_withheld),
    }
    return DosageResult(variables, attrs=attrs)
