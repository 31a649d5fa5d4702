"""The p-values of an association, whoever made it: what clumps are formed of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
from numpy.typing import NDArray

from genome_eu.errors import BadInput, UsageError
from genome_eu.formats.headings import Columns
from genome_eu.formats.parquet import read_gwas, read_logistic
from genome_eu.formats.parquet.schemas import METADATA
from genome_eu.formats.rows import association, row_table, trait_names
from genome_eu.stats.variants import COLUMNS

#: Tables that the folder of a result may have, the first that is there counts.
_OF_A_FOLDER = ("gwas.parquet", "meta.parquet")
_READERS = {"gwas": read_gwas, "logistic": read_logistic}
_NEEDED = {
    "contig": ("contig",),
    "position": ("position",),
    "effect_allele": ("effect_allele",),
    "p or neg_log10_p": ("p", "neg_log10_p"),
}
# −log10 p of what is written as 0, which says only that it is below the smallest float.
_ZERO = float(-np.log10(np.finfo(float).smallest_subnormal))


@dataclass(frozen=True, eq=False)
class PValues:
    """Tests of rows, one a row, in genome order.

    Attributes
    ----------
    rows : DataFrame
        Columns contig, position, ref, alt, id.
    neg_log10_p : float64 array, shape (rows,)
        NaN where there is no test.
    """

    rows: pd.DataFrame
    neg_log10_p: NDArray[np.float64]


def p_values_of(found: xr.Dataset | PValues, trait: str | None = None) -> PValues:
    """The p-values of one trait of an association, or of a meta-analysis.

    Raises
    ------
    UsageError
        It has no such trait, or several and none is named.
    BadInput
        It is no association.
    """
    if isinstance(found, PValues):
        return found
    if "variant_meta_neg_log10_p" in found:
        _place(trait, ())
        # The effect allele is ALT in every table that this package writes.
        names = ("contig_name", "position", "other_allele", "effect_allele", "id")
        rows = {
            column: found[f"variant_{name}"].values
            for column, name in zip(COLUMNS, names, strict=True)
        }
        return _in_order(pd.DataFrame(rows), found["variant_meta_neg_log10_p"].values)
    place = _place(trait, trait_names(found))
    p = found[f"{association(found)}_neg_log10_p"].values[:, place]
    return PValues(row_table(found), np.asarray(p, dtype=np.float64))


def read_p_values(path: str | Path, trait: str | None = None) -> PValues:
    """Read the p-values of an association.

    Parameters
    ----------
    path : path
        The folder of a GWAS or of a meta-analysis of this package, or a table: one of their Parquet
        files, PLINK 2's `.glm.*`, REGENIE's, GWAS-SSF, or whatever has their headings.
    trait : str, optional
        Which one, where there are several.

    Raises
    ------
    BadInput
        There is no such table, or it has no p-values of named variants.
    UsageError
        It has no such trait, or several and none is named.
    """
    path = Path(path)
    if path.is_dir():
        there = [path / name for name in _OF_A_FOLDER if (path / name).exists()]
        if not there:
            raise BadInput(
                f"{path}: no {' or '.join(_OF_A_FOLDER)} there; give the --out folder of a GWAS or "
                f"of a meta-analysis, or a table"
            )
        path = there[0]
    if path.suffix != ".parquet":
        _place(trait, ())
        return _of_text(path)
    described = _described(path)
    if "scheme" in described:
        _place(trait, ())
        return _of_meta(path)
    reader = _READERS.get(str(described.get("kind")))
    if reader is None:
        raise BadInput(f"{path} is no association that this package wrote; give one, or a table")
    return p_values_of(reader(path), trait)


def _described(path: Path) -> dict[str, object]:
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    found: dict[str, object] = json.loads(metadata.get(METADATA, b"{}"))
    return found


def _of_meta(path: Path) -> PValues:
    names = ["contig", "position", "other_allele", "effect_allele", "id"]
    table = pq.read_table(path, columns=[*names, "neg_log10_p"]).to_pandas()
    p = table.pop("neg_log10_p").to_numpy(np.float64)
    return _in_order(table[names].set_axis(COLUMNS, axis=1), p)


def _of_text(path: Path) -> PValues:
    table = Columns(path, {}, _NEEDED)
    alleles = table.reference()
    if alleles is None:
        alleles = table.other_allele(), table.text("effect_allele")
    p = table.neg_log10_p()
    if "neg_log10_p" not in table.headings:
        p[(table.numbers("p") == 0) & np.isnan(p)] = _ZERO
    ids = table.text("id")
    values = (table.contigs(), table.positions(), *alleles, np.where(ids == "", ".", ids))
    rows = pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))
    return _in_order(rows, p)


def _in_order(rows: pd.DataFrame, neg_log10_p: NDArray) -> PValues:
    """Rows with a test by contig, as these appear, and position."""
    named = ((rows["position"] > 0) & (rows["contig"] != "")).to_numpy() & ~np.isnan(neg_log10_p)
    contig = pd.factorize(rows["contig"])[0]
    order = np.lexsort([rows["position"].to_numpy(), contig])
    order = order[named[order]]
    if not order.size:
        raise BadInput("the association has no p-value of a row with contig and position")
    return PValues(rows.iloc[order].reset_index(drop=True), neg_log10_p[order])


def _place(trait: str | None, names: Sequence[str]) -> int:
    """The place of a trait among those there are; of a table that names none, `trait` is None."""
    if trait is None and len(names) <= 1:
        return 0
    if trait not in names:
        raise UsageError(
            f"name one of the GWAS's traits: {', '.join(names[:10])}"
            if names
            else "a table has one trait; leave --trait out"
        )
    return names.index(trait)
