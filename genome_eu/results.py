"""What a question answers: labelled datasets in sgkit's names that draw and write themselves.

Each is an `xarray.Dataset`, so everything that works on one works on it, sgkit's functions
included. The dimension `variants` has one entry per row: a variant and one of its ALT alleles.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import xarray as xr
from numpy.typing import NDArray

from genome_eu.errors import UsageError
from genome_eu.stats import counts, linear

ROWS, GROUPS, TRAITS = "variants", "cohorts", "traits"
# The CF conventions' attribute for codes that stand for words.
_MEANINGS = "flag_meanings"


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


class PcaResult(xr.Dataset):
    """Loadings and eigenvalues; for one's own cohort also the scores of its people."""

    __slots__ = ()

    @property
    def pca_id(self) -> str:
        """What names the scores that each site keeps."""
        return str(self.attrs["pca_id"])

    def scatter(self, **options: Any) -> Any:
        """Scores of one's own people; for a federation the mean score of each site."""
        from genome_eu.report import plots

        draw = plots.pca_scores if "sample_pca_projection" in self else plots.pca_site_means
        return draw(self, **options)

    def loadings(self, **options: Any) -> Any:
        """Loadings of one component along the genome."""
        from genome_eu.report.plots import pca_loadings

        return pca_loadings(self, **options)

    def to_files(self, folder: str | Path) -> list[Path]:
        """Write Parquet loadings and PLINK 2's `.eigenval` (and `.eigenvec` for a cohort)."""
        from genome_eu.formats.folder import write_pca

        return write_pca(self, Path(folder))


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


def _text(dims: Any, values: NDArray) -> xr.Variable:
    """A variable of Python strings, as it is: xarray would look whether they are dates."""
    return xr.Variable(dims, values, fastpath=True)


def row_variables(rows: pd.DataFrame, contigs: Sequence[str]) -> dict[str, Any]:
    """The variables that name rows, in sgkit's names."""
    # Arrow shares the memory of pandas' strings; an index of them would be hashed again.
    names = pa.array(rows["contig"]).cast(pa.large_string())
    index = np.asarray(pc.index_in(names, pa.array(contigs, pa.large_string())).fill_null(-1))
    alleles = np.column_stack([rows["ref"].to_numpy(object), rows["alt"].to_numpy(object)])
    return {
        "contig_id": _text("contigs", np.array(contigs, dtype=object)),
        "variant_contig": (ROWS, index.astype(np.int16)),
        "variant_position": (ROWS, rows["position"].to_numpy(np.int32)),
        "variant_allele": _text((ROWS, "alleles"), alleles),
        "variant_id": _text(ROWS, rows["id"].to_numpy(object)),
    }


def _both_alleles(alt: NDArray, number: NDArray, withheld: NDArray) -> NDArray:
    """(REF, ALT) counts along a last axis."""
    return np.stack([np.where(withheld, -1, number - alt), alt], axis=-1)


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
        "variant_linreg_errcode": (both, found.errcode, {_MEANINGS: " ".join(linear.ERRCODES)}),
    }
    return GwasResult(variables, attrs=attrs)


def join(shards: Sequence[xr.Dataset]) -> Any:
    """Shards as one dataset, keeping what does not run along the rows from the first.

    Codes whose meanings a variable declares become these words.
    """
    first = shards[0]
    variables: dict[str, Any] = {}
    for name, variable in first.variables.items():
        values = variable.values
        if len(shards) > 1 and ROWS in variable.dims:
            axis = variable.dims.index(ROWS)
            values = np.concatenate([shard[name].values for shard in shards], axis=axis)
        attrs = dict(variable.attrs)
        if _MEANINGS in attrs:
            values = np.array(attrs.pop(_MEANINGS).split(), dtype=object)[values]
        variables[str(name)] = xr.Variable(variable.dims, values, attrs, fastpath=True)
    return type(first)(variables, attrs=first.attrs)


def require_memory(needed: int, what: str, instead: str) -> None:
    """Say before a run starts that its result would not fit.

    Raises
    ------
    UsageError
        More bytes are needed than this machine has free.
    """
    free = int(psutil.virtual_memory().available)
    if needed > free:
        raise UsageError(
            f"{what} would need about {needed / 2**30:.1f} GiB of memory here, and "
            f"{free / 2**30:.1f} GiB are free; {instead}"
        )


def attributes(**values: Any) -> dict[str, Any]:
    """Dataset attributes: strings and numbers as they are, everything else as JSON."""
    return {
        name: value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)
        for name, value in values.items()
    }


__all__ = [
    "FrequencyResult",
    "GwasResult",
    "PcaResult",
    "attributes",
    "frequency_shard",
    "gwas_shard",
    "join",
    "require_memory",
    "row_variables",
]
