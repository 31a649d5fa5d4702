"""What an association analysis answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from genome_eu.errors import UsageError
from genome_eu.results.rows import MEANINGS, ROWS, TRAITS, row_variables
from genome_eu.stats import linear, logistic


class GwasResult(xr.Dataset):
    """Effects, standard errors and p-values, (variants, traits). The effect allele is ALT."""

    __slots__ = ()

    def manhattan(self, trait: str | None = None, **options: Any) -> Any:
        """−log10 p along the genome."""
        from genome_eu.report.plots import manhattan

        return manhattan(self, trait=trait, **options)

    def qq(self, trait: str | None = None, **options: Any) -> Any:
        """Observed against expected −log10 p, with the genomic inflation factor."""
        from genome_eu.report.plots import qq

        return qq(self, trait=trait, **options)

    def inflation(self) -> dict[str, dict[str, Any]]:
        """Genomic control's λ and quantiles of the p-values of each trait; no linkage is used."""
        from genome_eu.stats.inflation import Inflation

        names = [str(name) for name in self["trait_id"].values]
        (tests,) = (name for name in self.data_vars if str(name).endswith("_neg_log10_p"))
        seen = Inflation(len(names), most_kept=self.sizes[ROWS])
        seen.add(self[tests].values)
        return {name: found.as_dict() for name, found in zip(names, seen.summaries(), strict=True)}

    def to_gwas_ssf(self, path: str | Path, trait: str | None = None) -> Path:
        """Write one trait as GWAS-SSF 1.0 with its metadata sidecar.

        Raises
        ------
        UsageError
            There are several traits and none is named, or the name is not among them.
        """
        from genome_eu.formats import GwasSsfWriter

        names = [str(name) for name in self["trait_id"].values]
        if trait is None and len(names) > 1:
            raise UsageError(f"name one of the {len(names)} traits, for example {names[0]}")
        if trait is not None and trait not in names:
            raise UsageError(f"trait {trait} is not in this result; it has {', '.join(names)}")
        place = names.index(trait or names[0])
        with GwasSsfWriter(Path(path)) as writer:
            writer.append(self.isel(traits=[place]))
        return Path(path)

    def to_files(
        self, folder: str | Path, formats: Collection[str] = ("parquet", "plink", "ssf")
    ) -> list[Path]:
        """Write Parquet, and per trait PLINK 2's `.glm.linear` and GWAS-SSF."""
        from genome_eu.formats.folder import GwasFiles

        with GwasFiles(Path(folder), formats) as files:
            files.append(self)
        return files.paths


def gwas_shard(
    rows: pd.DataFrame,
    contigs: Sequence[str],
    found: linear.LinearResult,
    traits: Sequence[str],
    attrs: dict[str, Any],
) -> GwasResult:
    """A shard of a linear GWAS as a dataset.

    Its `variant_linreg_errcode` holds places in the attribute `flag_meanings`: one byte a test,
    where Python's strings would take longer than the tests. `join` gives the words.
    """
    both = (ROWS, TRAITS)
    p_value = np.negative(found.neg_log10_p)
    np.power(10.0, p_value, out=p_value)
    variables = row_variables(rows, contigs)
    variables |= {
        "trait_id": (TRAITS, np.array(traits, dtype=object)),
        # Of the people analysed: traits that do not share them do not share frequencies either.
        "variant_linreg_allele_frequency": (both, found.allele_frequency),
        "variant_linreg_beta": (both, found.beta),
        "variant_linreg_se": (both, found.se),
        "variant_linreg_t_value": (both, found.t),
        "variant_linreg_p_value": (both, p_value),
        "variant_linreg_neg_log10_p": (both, found.neg_log10_p),
        "variant_linreg_n": (both, found.n),
        "variant_linreg_df": (both, found.df),
        "variant_linreg_errcode": (both, found.errcode, {MEANINGS: " ".join(linear.ERRCODES)}),
    }
    return GwasResult(variables, attrs=attrs)


def logistic_shard(
    rows: pd.DataFrame,
    contigs: Sequence[str],
    found: logistic.LogisticResult,
    traits: Sequence[str],
    attrs: dict[str, Any],
) -> GwasResult:
    """A shard of a logistic GWAS as a dataset.

    Its `variant_logreg_errcode` and `variant_logreg_method` hold places in the attribute
    `flag_meanings`, as those of `gwas_shard` do; a test that was not made has the method `none`.
    """
    both = (ROWS, TRAITS)
    p_value = np.negative(found.neg_log10_p)
    np.power(10.0, p_value, out=p_value)
    methods = (*logistic.METHODS, "none")
    method = np.where(found.method < 0, len(methods) - 1, found.method).astype(np.int8)
    n = np.where(found.n_cases < 0, -1, found.n_cases + found.n_controls)
    variables = row_variables(rows, contigs)
    variables |= {
        "trait_id": (TRAITS, np.array(traits, dtype=object)),
        "variant_logreg_allele_frequency": (both, found.allele_frequency),
        "variant_logreg_allele_frequency_cases": (both, found.allele_frequency_cases),
        "variant_logreg_allele_frequency_controls": (both, found.allele_frequency_controls),
        "variant_logreg_beta": (both, found.beta),
        "variant_logreg_se": (both, found.se),
        "variant_logreg_z_value": (both, found.z),
        "variant_logreg_p_value": (both, p_value),
        "variant_logreg_neg_log10_p": (both, found.neg_log10_p),
        "variant_logreg_n": (both, n),
        "variant_logreg_n_cases": (both, found.n_cases),
        "variant_logreg_n_controls": (both, found.n_controls),
        "variant_logreg_method": (both, method, {MEANINGS: " ".join(methods)}),
        "variant_logreg_errcode": (both, found.errcode, {MEANINGS: " ".join(logistic.ERRCODES)}),
    }
    return GwasResult(variables, attrs=attrs)
