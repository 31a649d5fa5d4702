"""Read the tables back as the Datasets that they were."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xarray as xr

from genome_eu.errors import BadInput
from genome_eu.formats.parquet.schemas import (
    COLUMNS,
    FORMAT_VERSION,
    GENOTYPES,
    GRPMAX,
    HAPLOID,
    METADATA,
    PEOPLE,
    REPEATED,
    ROWS,
    SITES,
    WITHHELD,
)


def _open(path: str | os.PathLike[str], kind: str) -> tuple[pa.Table, dict[str, Any]]:
    try:
        table = pq.read_table(os.fspath(path), read_dictionary=REPEATED)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    described = json.loads((table.schema.metadata or {}).get(METADATA, b"{}"))
    if described.get("kind") != kind:
        found = described.get("kind", "something else")
        raise BadInput(
            f"{path} holds {found}, not {kind}. Read it with read_{found}()."
            if described
            else f"{path} was not written by genome_eu; read it as an ordinary Parquet file."
        )
    if described["format_version"] != FORMAT_VERSION:
        raise BadInput(
            f"{path} has format version {described['format_version']}; this version reads "
            f"{FORMAT_VERSION}. Install the version of genome_eu that wrote it."
        )
    return table, described


def _dataset_of_rows(table: pa.Table, described: dict[str, Any], step: int) -> xr.Dataset:
    first = table.select([item.name for item in ROWS])
    if step > 1:
        first = first.unify_dictionaries().take(pa.array(np.arange(0, len(table), step)))
    first = first.cast(pa.schema(ROWS))
    contig_id = described["contig_id"]
    contig = pc.index_in(first["contig"], pa.array(contig_id, pa.string())).to_numpy()
    alleles = [np.asarray(first[name].to_numpy(), dtype=object) for name in ("ref", "alt")]
    return xr.Dataset(
        {
            "variant_contig": ("variants", contig.astype(np.int16)),
            "contig_id": ("contigs", np.array(contig_id, dtype=object)),
            "variant_position": ("variants", first["position"].to_numpy().astype(np.int32)),
            "variant_allele": (("variants", "alleles"), np.stack(alleles, axis=1)),
            "variant_id": ("variants", np.asarray(first["id"].to_numpy(), dtype=object)),
        },
        attrs=described["attrs"],
    )


def read_frequencies(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a frequencies table that `ParquetWriter` wrote."""
    table, described = _open(path, "frequencies")
    groups = described["order"]
    out = _dataset_of_rows(table, described, len(groups))

    def wide(name: str, absent: Any) -> np.ndarray:
        return table[name].fill_null(absent).to_numpy().reshape(-1, len(groups))

    found = {name: wide(name, -1) for name in (*GENOTYPES, "allele_count", "allele_number")}
    found.update({f"{kind}_withheld": wide(f"{kind}_withheld", False) for kind in WITHHELD})
    hwe = {name: wide(name, np.nan) for name in ("hwe_p", "hwe_neg_log10_p")}
    frequency = wide("allele_frequency", np.nan)
    count, number = found["allele_count"], found["allele_number"]
    reference = np.where(count < 0, -1, number - count)
    with np.errstate(invalid="ignore", divide="ignore"):
        reference_frequency = np.where(number > 0, reference / number, np.nan)
    blocks = {
        **{name: found[name] for name in GENOTYPES},
        "allele_count": np.stack([reference, count], axis=-1),
        "allele_total": number,
        "allele_frequency": np.stack([reference_frequency, frequency], axis=-1),
        "hwe_p_value": hwe["hwe_p"],
        "hwe_neg_log10_p": hwe["hwe_neg_log10_p"],
        **{f"{kind}_withheld": found[f"{kind}_withheld"] for kind in WITHHELD},
    }
    if table[HAPLOID[0]].null_count < len(table):
        blocks |= {name: wide(name, -1) for name in HAPLOID}
        blocks["hwe_female_neg_log10_p"] = wide("hwe_female_neg_log10_p", np.nan)
    for name in ("inbreeding_coefficient", "faf95", "faf99"):
        blocks[name] = wide(name, np.nan)
    for name in (*SITES, *GRPMAX):
        if name in table.column_names:
            absent = -1 if name in SITES else np.nan
            out[f"variant_{name}"] = ("variants", wide(name, absent)[:, 0])
        if f"{name}_group" in table.column_names:
            whose = table[f"{name}_group"].cast(pa.string()).fill_null("").to_numpy()
            first = whose.reshape(-1, len(groups))[:, 0]
            out[f"variant_{name}_group"] = ("variants", first.astype(object))
    _put_groups(out, blocks, groups)
    called, missing = blocks["n_called"][:, 0], blocks["n_missing"][:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(called + missing > 0, called / (called + missing), np.nan)
    out["variant_call_rate"] = ("variants", rate)
    return out


def _put_groups(out: xr.Dataset, blocks: dict[str, np.ndarray], groups: list[str]) -> None:
    """Put arrays (variants, groups, …) into a dataset, those of everybody apart."""
    for name, block in blocks.items():
        last = ("alleles",) if block.ndim == 3 else ()
        out[f"variant_{name}"] = (("variants", *last), block[:, 0])
        if len(groups) > 1:
            out[f"cohort_{name}"] = (("variants", "cohorts", *last), block[:, 1:])
    if len(groups) > 1:
        out["cohort_id"] = ("cohorts", np.array(groups[1:], dtype=object))


def read_dosages(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a table of dosage frequencies that `ParquetWriter` wrote."""
    table, described = _open(path, "dosages")
    groups = described["order"]
    out = _dataset_of_rows(table, described, len(groups))

    def wide(name: str, absent: Any) -> np.ndarray:
        return table[name].fill_null(absent).to_numpy().reshape(-1, len(groups))

    frequency = wide("allele_frequency", np.nan)
    blocks = {
        "n_called": wide("n_called", -1),
        "allele_total": wide("allele_number", -1),
        "allele_frequency": np.stack([1.0 - frequency, frequency], axis=-1),
        **{name: wide(name, np.nan) for name in ("dosage_count", "imputation_r2")},
        **{f"{kind}_withheld": wide(f"{kind}_withheld", False) for kind in WITHHELD},
    }
    _put_groups(out, blocks, groups)
    return out


def read_gwas(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a linear association that `ParquetWriter` wrote."""
    return _read_association(path, "gwas", "variant_linreg")


def read_logistic(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a logistic association that `ParquetWriter` wrote."""
    return _read_association(path, "logistic", "variant_logreg")


def _read_association(path: str | os.PathLike[str], kind: str, model: str) -> xr.Dataset:
    table, described = _open(path, kind)
    traits = described["order"]
    out = _dataset_of_rows(table, described, len(traits))
    for column, name in COLUMNS[model].items():
        values = table[column].fill_null(-1 if column in PEOPLE else np.nan).to_numpy()
        out[f"{model}_{name}"] = (("variants", "traits"), values.reshape(-1, len(traits)))
    for name in ("errcode", "method") if "method" in table.column_names else ("errcode",):
        # One string object for each word, not for each test.
        words = [
            np.array(part.dictionary.to_pylist(), dtype=object)[part.indices.to_numpy()]
            for part in table[name].chunks
        ]
        word = np.concatenate([np.empty(0, dtype=object), *words]).reshape(-1, len(traits))
        out[f"{model}_{name}"] = (("variants", "traits"), word)
    out["trait_id"] = ("traits", np.array(traits, dtype=object))
    return out


def read_pca(path: str | os.PathLike[str]) -> xr.Dataset:
    """The Dataset of a loadings table that `ParquetWriter` wrote; it has no people."""
    table, described = _open(path, "pca")
    out = _dataset_of_rows(table, described, 1)
    columns = [f"PC{k + 1}" for k in range(described["order"])]
    loadings = [table[name].fill_null(np.nan).to_numpy() for name in columns]
    out["sample_pca_component"] = (("variants", "components"), np.stack(loadings, axis=1))
    reference = table["reference_frequency"].fill_null(np.nan).to_numpy()
    out["variant_reference_frequency"] = ("variants", reference)
    for name, dims in (
        ("sample_pca_explained_variance", ("components",)),
        ("site_pca_mean", ("sites", "components")),
        ("site_n", ("sites",)),
    ):
        if name in described:
            out[name] = (dims, np.asarray(described[name]))
    if "site_id" in described:
        out["site_id"] = ("sites", np.array(described["site_id"], dtype=object))
    return out
