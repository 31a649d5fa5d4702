"""Columns of our Parquet tables, and the variables of a result that they hold."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

#: Where a file's metadata says what has no row of its own.
METADATA = b"genome_eu"
FORMAT_VERSION = 1


def _name(name: str, kind: pa.DataType | None = None) -> pa.Field:
    """A column that is never null, which makes it twice as quick to write."""
    return pa.field(name, kind or pa.string(), nullable=False)


ROWS = [
    _name("contig"),
    _name("position", pa.int32()),
    _name("id"),
    _name("ref"),
    _name("alt"),
]
# Columns whose text repeats itself.
REPEATED = ["contig", "id", "ref", "alt", "group", "trait", "method", "errcode"]
WITHHELD = ("allele", "genotype")
GENOTYPES = ("n_called", "n_missing", "n_hom_ref", "n_het", "n_hom_alt")
# Null in results whose rows are all diploid.
HAPLOID = ("n_hap_ref", "n_hap_alt")
# Of everybody alone, and only where the result has them.
SITES = tuple(f"n_sites_{state}" for state in ("observed", "hom_ref", "not_called", "suppressed"))
GRPMAX = ("grpmax_faf95", "grpmax_faf99")

FREQUENCIES = pa.schema(
    [
        *ROWS,
        _name("group"),
        *((name, pa.int64()) for name in (*GENOTYPES, *HAPLOID)),
        ("allele_count", pa.int64()),
        ("allele_number", pa.int64()),
        ("allele_frequency", pa.float64()),
        ("hwe_p", pa.float64()),
        ("hwe_neg_log10_p", pa.float64()),
        ("hwe_female_neg_log10_p", pa.float64()),
        ("inbreeding_coefficient", pa.float64()),
        ("faf95", pa.float64()),
        ("faf99", pa.float64()),
        _name("allele_withheld", pa.bool_()),
        _name("genotype_withheld", pa.bool_()),
    ]
)
GWAS = pa.schema(
    [
        *ROWS,
        _name("trait"),
        ("n", pa.int64()),
        ("df", pa.float64()),
        ("allele_frequency", pa.float64()),
        ("beta", pa.float64()),
        ("se", pa.float64()),
        ("t", pa.float64()),
        ("p", pa.float64()),
        ("neg_log10_p", pa.float64()),
        _name("errcode"),
    ]
)
DOSAGES = pa.schema(
    [
        *ROWS,
        _name("group"),
        ("n_called", pa.int64()),
        ("allele_number", pa.int64()),
        ("dosage_count", pa.float64()),
        ("allele_frequency", pa.float64()),
        ("imputation_r2", pa.float64()),
        _name("allele_withheld", pa.bool_()),
        _name("genotype_withheld", pa.bool_()),
    ]
)
LOGISTIC = pa.schema(
    [
        *ROWS,
        _name("trait"),
        ("n", pa.int64()),
        ("n_cases", pa.int64()),
        ("n_controls", pa.int64()),
        ("allele_frequency", pa.float64()),
        ("allele_frequency_cases", pa.float64()),
        ("allele_frequency_controls", pa.float64()),
        ("beta", pa.float64()),
        ("se", pa.float64()),
        ("z", pa.float64()),
        ("p", pa.float64()),
        ("neg_log10_p", pa.float64()),
        _name("method"),
        _name("errcode"),
    ]
)
PEOPLE = ("n", "n_cases", "n_controls")
_LINREG = {
    "n": "n",
    "df": "df",
    "beta": "beta",
    "se": "se",
    "t": "t_value",
    "p": "p_value",
    "neg_log10_p": "neg_log10_p",
    "allele_frequency": "allele_frequency",
}
_LOGREG = {
    **{name: name for name in PEOPLE},
    "beta": "beta",
    "se": "se",
    "z": "z_value",
    "p": "p_value",
    "neg_log10_p": "neg_log10_p",
    **{
        f"allele_frequency{whose}": f"allele_frequency{whose}"
        for whose in ("", "_cases", "_controls")
    },
}
COLUMNS: Mapping[str, Mapping[str, str]] = {"variant_linreg": _LINREG, "variant_logreg": _LOGREG}


def pca_schema(components: int) -> pa.Schema:
    """Schema of the loadings of so many components."""
    loadings = [(f"PC{k + 1}", pa.float64()) for k in range(components)]
    return pa.schema([*ROWS, ("reference_frequency", pa.float64()), *loadings])
