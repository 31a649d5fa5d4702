"""What a question about dosages answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from genome_eu.results.rows import GROUPS, MEANINGS, ROWS, row_variables
from genome_eu.stats import dosages
from genome_eu.stats.ploidy import PLOIDY_CLASSES


class DosageResult(xr.Dataset):
    """Allele frequencies by dosages, and how well rows were imputed.

    `variant_*` is everybody, `cohort_*` has one entry per group. `dosage_count` has the expected
    copies of ALT, `imputation_r2` MaCH's r² (Minimac's of who has one copy; see `stats.dosages`).
    −1 and NaN stand where a policy withheld a number; `*_withheld` says so. Where not all rows lie
    on autosomes, `variant_ploidy_class` says where they do.
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
    labels: Sequence[str],
    attrs: dict[str, Any],
    ploidy: NDArray | None = None,
) -> DosageResult:
    """A shard of dosage frequencies as a dataset.

    `labels` name the groups beside everybody, `ploidy` is the class of each row where not all lie
    on autosomes.
    """
    variables = row_variables(rows, contigs)
    if ploidy is not None:
        variables["variant_ploidy_class"] = (ROWS, ploidy, {MEANINGS: " ".join(PLOIDY_CLASSES)})
    frequency = found.allele_frequency
    values = {
        "n_called": found.n_called,
        "allele_total": found.allele_number,
        "dosage_count": found.allele_count,
        "allele_frequency": np.stack([1.0 - frequency, frequency], axis=-1),
        "imputation_r2": found.imputation_r2,
        "allele_withheld": found.alleles_withheld,
        "genotype_withheld": found.genotypes_withheld,
    }
    for name, array in values.items():
        more = ("alleles",) if array.ndim == 3 else ()
        variables[f"variant_{name}"] = ((ROWS, *more), array[:, 0])
        if labels:
            variables[f"cohort_{name}"] = ((ROWS, GROUPS, *more), array[:, 1:])
    if labels:
        variables["cohort_id"] = (GROUPS, np.array(labels, dtype=object))
    return DosageResult(variables, attrs=attrs)
