"""PLINK 2's tables of rows and people: .afreq, .gcount, .hardy, .hardy.x, .eigenvec, .eigenval.

Columns, tabs and numbers (six significant digits) are those of PLINK 2.00a3.5. Withheld
rows hold NA; rows at which nobody is called hold what PLINK prints there (``nan``, 0).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from genome_eu.atomic import write_whole
from genome_eu.errors import BadInput
from genome_eu.formats.rows import TOTAL, Shard, of_group, row_names
from genome_eu.formats.streams import ResultWriter, write_lines
from genome_eu.formats.text import (
    constant,
    header,
    integers,
    masked,
    p_values,
    significant,
    strings,
    tab_separated,
)

AFREQ = ("#CHROM", "ID", "REF", "ALT", "ALT_FREQS", "OBS_CT")
GCOUNT = (
    "#CHROM",
    "ID",
    "REF",
    "ALT",
    "HOM_REF_CT",
    "HET_REF_ALT_CTS",
    "TWO_ALT_GENO_CTS",
    "HAP_REF_CT",
    "HAP_ALT_CTS",
    "MISSING_CT",
)
HARDY = (
    "#CHROM",
    "ID",
    "A1",
    "AX",
    "HOM_A1_CT",
    "HET_A1_CT",
    "TWO_AX_CT",
    "O(HET_A1)",
    "E(HET_A1)",
    "P",
)
HARDY_X = (
    "#CHROM",
    "ID",
    "A1",
    "AX",
    "FEMALE_HOM_A1_CT",
    "FEMALE_HET_A1_CT",
    "FEMALE_TWO_AX_CT",
    "MALE_A1_CT",
    "MALE_AX_CT",
    "O(FEMALE_HET_A1)",
    "E(FEMALE_HET_A1)",
    "FEMALE_A1_FREQ",
    "MALE_A1_FREQ",
    "P",
)
_NOT_IN_HARDY = ("X", "Y", "MT")


class _GroupWriter(ResultWriter):
    """One file about everybody, or about one group of a frequencies result."""

    columns: Sequence[str]

    def __init__(self, path: str | os.PathLike[str], *, group: str = TOTAL) -> None:
        super().__init__()
        self.group = group
        self._file = self._create(path)
        self._file.write(header(self.columns))

    def _values(self, dataset: xr.Dataset, name: str) -> np.ndarray:
        values = of_group(dataset, name, self.group)
        if values is None:
            prefix = "variant_" if self.group == TOTAL else "cohort_"
            raise BadInput(
                f"the result has no {prefix}{name}, which {self._file.target.name} needs. "
                "Give a Dataset made by frequencies()."
            )
        return np.asarray(values)

    def _withheld(self, dataset: xr.Dataset, kind: str) -> np.ndarray:
        flags = of_group(dataset, f"{kind}_withheld", self.group)
        if flags is None:
            return np.zeros(dataset.sizes["variants"], dtype=bool)
        return np.asarray(flags, dtype=bool)


class AfreqWriter(_GroupWriter):
    """``.afreq``: frequency of the ALT allele and number of alleles observed.

    Parameters
    ----------
    path : path
        The file, usually ``<stem>.afreq``.
    group : str
        A name in ``cohort_id``, or "Total" for everybody.
    """

    columns = AFREQ

    def _append(self, shard: Shard) -> None:
        dataset, rows = shard.dataset, shard.names
        total = self._values(dataset, "allele_total")
        withheld = self._withheld(dataset, "allele") | (total < 0)
        frequency = significant(self._values(dataset, "allele_frequency")[:, 1], missing="nan")
        text = tab_separated(
            [
                rows.contig,
                rows.id,
                rows.ref,
                rows.alt,
                masked(frequency, withheld),
                masked(integers(total), withheld),
            ],
            self._file.target.name,
        )
        write_lines(self._file, text)


class DosageAfreqWriter(_GroupWriter):
    """``.afreq`` of dosages, with PLINK 2's column MACH_R2 (``--freq cols=+machr2``).

    The column has NA on X and MT, as PLINK has it. The parameters are those of `AfreqWriter`.
    """

    columns = (*AFREQ[:-1], "MACH_R2", AFREQ[-1])

    def _append(self, shard: Shard) -> None:
        dataset, rows = shard.dataset, shard.names
        total = self._values(dataset, "allele_total")
        hidden = self._withheld(dataset, "allele") | (total < 0)
        without_r2 = hidden | self._withheld(dataset, "genotype")
        without_r2 |= _of_class(dataset, "x") | _of_class(dataset, "mt")
        frequency = significant(self._values(dataset, "allele_frequency")[:, 1], missing="nan")
        r2 = significant(self._values(dataset, "imputation_r2"), missing="nan")
        columns = [rows.contig, rows.id, rows.ref, rows.alt, masked(frequency, hidden)]
        columns += [masked(r2, without_r2), masked(integers(total), hidden)]
        write_lines(self._file, tab_separated(columns, self._file.target.name))


class GcountWriter(_GroupWriter):
    """``.gcount``: people with each genotype. The parameters are those of `AfreqWriter`.

    A row is one ALT: HOM_REF_CT and HAP_REF_CT are of people without a copy of it, who may have
    another ALT of the site, as PLINK counts sites that were split into rows.
    """

    columns = GCOUNT

    def _append(self, shard: Shard) -> None:
        dataset, rows = shard.dataset, shard.names
        withheld = self._withheld(dataset, "genotype")
        hom_ref, het, hom_alt, missing = (
            masked(integers(self._values(dataset, name)), withheld)
            for name in ("n_hom_ref", "n_het", "n_hom_alt", "n_missing")
        )
        hap_ref = hap_alt = masked(constant("0", len(rows)), withheld)
        if "variant_n_hap_ref" in dataset:
            hap_ref, hap_alt = (
                masked(integers(self._values(dataset, name)), withheld)
                for name in ("n_hap_ref", "n_hap_alt")
            )
        genotypes = [hom_ref, het, hom_alt, hap_ref, hap_alt, missing]
        text = tab_separated(
            [rows.contig, rows.id, rows.ref, rows.alt, *genotypes],
            self._file.target.name,
        )
        write_lines(self._file, text)


class HardyWriter(_GroupWriter):
    """``.hardy``: Hardy-Weinberg test of diploid rows; A1 is REF, as PLINK has it.

    Rows on X, Y and MT are left out, because PLINK keeps them in `HardyXWriter`'s file or in none;
    `close` returns how many. The parameters are those of `AfreqWriter`.
    """

    columns = HARDY

    def __init__(self, path: str | os.PathLike[str], *, group: str = TOTAL) -> None:
        super().__init__(path, group=group)
        self.rows_left_out = 0

    def _append(self, shard: Shard) -> None:
        dataset, rows = shard.dataset, shard.names
        diploid = _is_diploid(dataset)
        if not diploid.all():
            self.rows_left_out += int(np.count_nonzero(~diploid))
            dataset = dataset.isel(variants=np.flatnonzero(diploid))
            rows = row_names(dataset)
        hom_ref, het, hom_alt = (
            self._values(dataset, name).astype(np.int64)
            for name in ("n_hom_ref", "n_het", "n_hom_alt")
        )
        withheld = self._withheld(dataset, "genotype") | (np.minimum(hom_ref, het) < 0)
        called = np.where(withheld, 0, hom_ref + het + hom_alt)
        with np.errstate(invalid="ignore", divide="ignore"):
            observed = het / np.where(called > 0, called, np.nan)
            p_ref = (2 * hom_ref + het) / np.where(called > 0, 2 * called, np.nan)
        # PLINK expects no heterozygotes where nobody is called, and prints P = 1 there.
        nobody = (called == 0) & ~withheld
        expected = np.where(nobody, 0.0, 2 * p_ref * (1 - p_ref))
        p = np.where(nobody, 1.0, self._values(dataset, "hwe_p_value"))
        exact = of_group(dataset, "hwe_neg_log10_p", self.group)
        columns = [rows.contig, rows.id, rows.ref, rows.alt]
        columns += [masked(integers(n), withheld) for n in (hom_ref, het, hom_alt)]
        columns += [
            masked(significant(observed, missing="nan"), withheld),
            masked(significant(expected), withheld),
            masked(p_values(p, exact), withheld),
        ]
        write_lines(self._file, tab_separated(columns, self._file.target.name))

    def _finish(self) -> int:
        return self.rows_left_out


class HardyXWriter(_GroupWriter):
    """``.hardy.x``: the test of Graffelman & Weir on X, males included; A1 is REF.

    The file appears only if there are such rows: `close` returns how many. People of unknown sex
    count as females here; PLINK leaves them out. The parameters are those of `AfreqWriter`.
    """

    columns = HARDY_X

    def __init__(self, path: str | os.PathLike[str], *, group: str = TOTAL) -> None:
        super().__init__(path, group=group)
        self.rows_written = 0

    def _append(self, shard: Shard) -> None:
        dataset, rows = shard.dataset, shard.names
        chosen = _of_class(dataset, "x")
        if not chosen.any():
            return
        self.rows_written += int(np.count_nonzero(chosen))
        if not chosen.all():
            dataset = dataset.isel(variants=np.flatnonzero(chosen))
            rows = row_names(dataset)
        counts = [
            self._values(dataset, name).astype(np.int64)
            for name in ("n_hom_ref", "n_het", "n_hom_alt", "n_hap_ref", "n_hap_alt")
        ]
        withheld = self._withheld(dataset, "genotype") | (np.minimum.reduce(counts) < 0)
        hom_ref, het, hom_alt, hap_ref, hap_alt = (np.where(withheld, 0, n) for n in counts)
        females, males = hom_ref + het + hom_alt, hap_ref + hap_alt
        with np.errstate(invalid="ignore", divide="ignore"):
            observed = het / np.where(females > 0, females, np.nan)
            of_females = (2 * hom_ref + het) / np.where(females > 0, 2 * females, np.nan)
            of_males = hap_ref / np.where(males > 0, males, np.nan)
        p = self._values(dataset, "hwe_p_value")
        exact = of_group(dataset, "hwe_neg_log10_p", self.group)
        columns = [rows.contig, rows.id, rows.ref, rows.alt]
        columns += [masked(integers(n), withheld) for n in counts]
        columns += [
            masked(significant(values, missing="nan"), withheld)
            for values in (observed, 2 * of_females * (1 - of_females), of_females, of_males)
        ]
        columns.append(masked(p_values(p, exact), withheld))
        write_lines(self._file, tab_separated(columns, self._file.target.name))

    def _finish(self) -> int:
        if not self.rows_written:
            self._file.abort()
            self._files.remove(self._file)
        return self.rows_written


def _of_class(dataset: xr.Dataset, name: str) -> np.ndarray:
    """Rows of one class of ploidy; none where the result does not say, being of autosomes."""
    if "variant_ploidy_class" not in dataset:
        return np.zeros(dataset.sizes["variants"], dtype=bool)
    values = dataset["variant_ploidy_class"]
    words = str(values.attrs.get("flag_meanings", "")).split()
    return np.asarray(values.values == (words.index(name) if words else name))


def _is_diploid(dataset: xr.Dataset) -> np.ndarray:
    if "variant_ploidy_class" in dataset:
        return _of_class(dataset, "autosomal") | _of_class(dataset, "pseudoautosomal")
    names = np.asarray(dataset["contig_id"].values).astype(str)
    return ~np.isin(names, _NOT_IN_HARDY)[np.asarray(dataset["variant_contig"].values)]


def write_eigenvec(
    path: str | os.PathLike[str],
    sample_id: Sequence[str] | np.ndarray,
    projection: np.ndarray,
    *,
    family_id: Sequence[str] | np.ndarray | None = None,
) -> None:
    """Write a cohort's own principal components, one person a line.

    The file holds people: it stays at the site that made it.

    Parameters
    ----------
    path : path
        The file, usually ``<stem>.eigenvec``.
    sample_id : strings, shape (people,)
    projection : float array, shape (people, components)
        Unit norm over people.
    family_id : strings, shape (people,), optional
        Adds the column ``#FID``, which PLINK writes for .fam files that have families.
    """
    scores = np.asarray(projection, dtype=np.float64)
    ids = np.asarray(sample_id)
    if scores.ndim != 2 or len(scores) != len(ids):
        raise BadInput(
            f"projection has shape {scores.shape}, but there are {len(ids)} sample ids. "
            "Give one line of components for each person."
        )
    components = [f"PC{k + 1}" for k in range(scores.shape[1])]
    columns = [strings(ids)] + [significant(scores[:, k]) for k in range(scores.shape[1])]
    names = ["#IID", *components]
    if family_id is not None:
        columns.insert(0, strings(np.asarray(family_id)))
        names = ["#FID", "IID", *components]
    content = header(names) + b"".join(tab_separated(columns, Path(path).name))
    write_whole(path, content, private=True)


def write_eigenval(path: str | os.PathLike[str], eigenvalues: np.ndarray) -> None:
    """Write the eigenvalues, one a line."""
    text = significant(np.asarray(eigenvalues))
    write_whole(path, "".join(f"{value}\n" for value in text.to_pylist()).encode())
