"""What a question about frequencies answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from genome_eu.results.between_groups import Among, BetweenGroups
from genome_eu.results.rows import GROUPS, MEANINGS, ROWS, row_variables, text_variable
from genome_eu.stats import counts
from genome_eu.stats.faf import LEVELS, filtering_allele_frequency, group_max
from genome_eu.stats.inbreeding import inbreeding_coefficient
from genome_eu.stats.ploidy import PLOIDY_CLASSES
from genome_eu.stats.states import SiteAlleles


class FrequencyResult(xr.Dataset):
    """Genotype counts, allele frequencies and Hardy–Weinberg tests.

    `variant_*` is everybody, `cohort_*` has one entry per group. −1 and NaN stand where a policy
    withheld a number; `*_withheld` says so.

    A row is one ALT of a site: `n_hom_ref` (and `n_hap_ref`) are of people without a copy of it,
    who may have another ALT. Where not all rows lie on autosomes, `variant_ploidy_class` says where
    they do, `n_hap_ref` and `n_hap_alt` count people with one copy, the other genotypes are of
    those with two, and `hwe_*` of X includes males (`stats.hwe_x`); `hwe_female_neg_log10_p` does
    not. On X, people of unknown sex count as having two copies.
    """

    __slots__ = ()

    def compare(self, **options: Any) -> Any:
        """Allele frequencies of the groups against each other."""
        from genome_eu.report.plots import frequency_comparison

        return frequency_comparison(self, **options)

    def fst(self, among: Among = "groups") -> pd.DataFrame:
        """Hudson's F_ST of each pair of groups, or of sites (see `BetweenGroups.fst`)."""
        return self._between(among).fst()

    def sharing(self, among: Among = "groups") -> pd.DataFrame:
        """Private and shared variants of groups, or of sites (see `BetweenGroups.sharing`)."""
        return self._between(among).sharing()

    def spectra(self, alleles: int, among: Among = "groups") -> pd.DataFrame:
        """Site-frequency spectra of groups, or of sites, projected to so many alleles.

        See `BetweenGroups.spectra` and `genome_eu.stats.spectra`.
        """
        return self._between(among, alleles).spectra()

    def joint_spectra(self, alleles: int, among: Among = "groups") -> pd.DataFrame:
        """Joint site-frequency spectra of each pair (see `BetweenGroups.joint_spectra`)."""
        return self._between(among, alleles, joint=True).joint_spectra()

    def _between(
        self, among: Among, alleles: int | None = None, *, joint: bool = False
    ) -> BetweenGroups:
        found = BetweenGroups(among, alleles, joint=joint)
        found.add(self)
        return found

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
    sites: SiteAlleles | None = None,
    site_names: Sequence[str] = (),
    grpmax: Sequence[str] = (),
    ploidy: NDArray | None = None,
) -> FrequencyResult:
    """A shard of frequencies as a dataset.

    `sites` are the alleles of each site, whose states are counted; they are in the result if
    `site_names` are given. `grpmax` are groups among which the highest FAF is looked for.
    `ploidy` is the class of each row, where not all lie on autosomes.
    """
    variables = row_variables(rows, contigs)
    if ploidy is not None:
        variables["variant_ploidy_class"] = (ROWS, ploidy, {MEANINGS: " ".join(PLOIDY_CLASSES)})
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
        if found.haploid is not None:
            put("n_hap_ref", found.haploid.n_hap_ref[:, group])
            put("n_hap_alt", found.haploid.n_hap_alt[:, group])
            if found.hwe_neg_log10_p is not None:
                of_females = found.haploid.hwe_diploid_neg_log10_p[:, group]
                put("hwe_female_neg_log10_p", of_females)
        put("allele_withheld", withheld)
        put("genotype_withheld", found.genotypes_withheld[:, group])
        diploid = found.n_het[:, group], found.n_hom_ref[:, group], found.n_hom_alt[:, group]
        put("inbreeding_coefficient", inbreeding_coefficient(*diploid))
        for level in LEVELS:
            alleles = found.allele_count[:, group], found.allele_number[:, group]
            put(f"faf{100 * level:.0f}", filtering_allele_frequency(*alleles, level))
    variables |= _grpmax(variables, labels, grpmax) | _sites(sites, site_names)
    variables["cohort_id"] = (GROUPS, np.array(labels, dtype=object))
    return FrequencyResult(variables, attrs=attrs)


def _grpmax(
    variables: dict[str, Any], labels: Sequence[str], groups: Sequence[str]
) -> dict[str, Any]:
    """The highest FAF among some groups, and whose it is ("" where there is none)."""
    if not groups:
        return {}
    chosen = [labels.index(name) for name in groups]
    more: dict[str, Any] = {}
    for level in LEVELS:
        name = f"faf{100 * level:.0f}"
        highest = group_max(variables[f"cohort_{name}"][1][:, chosen], groups)
        words = np.array([*groups, ""], dtype=object)[highest.group]
        more[f"variant_grpmax_{name}"] = (ROWS, highest.faf)
        more[f"variant_grpmax_{name}_group"] = text_variable(ROWS, words)
    return more


def _sites(sites: SiteAlleles | None, names: Sequence[str]) -> dict[str, Any]:
    """How many sites are in which state, and the alleles of each site that is named."""
    if sites is None:
        return {}
    variables: dict[str, Any] = {
        f"variant_n_sites_{state}": (ROWS, getattr(sites, state))
        for state in ("observed", "hom_ref", "not_called", "suppressed")
    }
    if names:
        withheld = sites.allele_number < 0
        both = _both_alleles(sites.allele_count, sites.allele_number, withheld)
        variables["site_id"] = ("sites", np.array(names, dtype=object))
        variables["site_allele_count"] = ((ROWS, "sites", "alleles"), both)
        variables["site_allele_total"] = ((ROWS, "sites"), sites.allele_number)
    return variables


def _both_alleles(alt: NDArray, number: NDArray, withheld: NDArray) -> NDArray:
    """(REF, ALT) counts along a last axis."""
    return np.stack([np.where(withheld, -1, number - alt), alt], axis=-1)
