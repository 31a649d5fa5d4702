"""Sums of dosages by row and group: allele frequencies, and how well rows were imputed.

The measure of imputation is the variance of the dosages over the one that known genotypes would
have: 2p(1 − p) in who has two copies (MaCH's r², PLINK 2's MACH_R2, about what others call INFO or
R²), p(1 − p) in who has one (Minimac's). Where there are both, variances are added up in units of
what is expected of each. It follows from sums over people, so that of many sites it is that of
their people together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats import counts
from genome_eu.stats.aggregate import count, total
from genome_eu.stats.block import Block
from genome_eu.stats.counts import GenotypeCounts, HaploidBlock, HaploidCounts


@dataclass(frozen=True, eq=False)
class DosageCounts(GenotypeCounts):
    """Sums of dosages beside the counts of hard calls, by row and group, everybody being diploid.

    The hard calls say of how many people a sum is: two alleles may be a hundredth of one in two
    hundred people. `dosage_square` is Σg².
    """

    statistic = "dosage_counts"

    imputed: NDArray = count("people", "rows", "groups", gate="alleles")  # who have a dosage
    dosage_sum: NDArray = total("alleles", "rows", "groups", gate="alleles")
    dosage_square: NDArray = total("dosage²", "rows", "groups", gate="genotypes")

    @property
    def dosage_number(self) -> NDArray:
        """Alleles of who have a dosage, int64 (rows, groups)."""
        return 2 * self.imputed


@dataclass(frozen=True, eq=False)
class HaploidDosageCounts(HaploidCounts):
    """The same at rows where some people have one copy, g of whom is 0 to 1.

    `dosage_square` is Σg² of the diploid and 2·Σg² of the haploid.
    """

    statistic = "haploid_dosage_counts"

    imputed: NDArray = count("people", "rows", "groups", gate="alleles")
    imputed_haploid: NDArray = count("people", "rows", "groups", gate="alleles")  # of those
    dosage_sum: NDArray = total("alleles", "rows", "groups", gate="alleles")
    dosage_square: NDArray = total("dosage²", "rows", "groups", gate="genotypes")

    @property
    def dosage_number(self) -> NDArray:
        """Alleles of who have a dosage, int64 (rows, groups)."""
        return 2 * self.imputed - self.imputed_haploid


AnyDosageCounts: TypeAlias = DosageCounts | HaploidDosageCounts
#: The kinds of counts of dosages.
DOSAGE_COUNTS = (DosageCounts, HaploidDosageCounts)


def summarize(block: Block, groups: NDArray, n_groups: int) -> DosageCounts:
    """Sum dosages in a block; groups are those of `counts.summarize`."""
    imputed, _, sums, squares = block.tally(groups, n_groups)
    for values in (imputed, sums, squares):
        values[:, 0] = values.sum(axis=1)
    calls = counts.summarize(block, groups, n_groups)
    return DosageCounts(**vars(calls), imputed=imputed, dosage_sum=sums, dosage_square=squares)


def summed(
    imputed: NDArray, dosage_sum: NDArray, dosage_square: NDArray, calls: NDArray, people: int
) -> DosageCounts:
    """Sums of everybody that exist already.

    Parameters
    ----------
    imputed : int64 array, shape (rows,)
        People with a dosage.
    dosage_sum, dosage_square : array, shape (rows,)
        Σg and Σg² over them.
    calls : int64 array, shape (rows, 4)
        People whose hard call is 0, 1 and 2 copies, and missing.
    people : int
        People who take part.
    """
    return DosageCounts(
        **vars(counts.tallied(calls[:, None], np.array([people]))),
        imputed=imputed[:, None],
        dosage_sum=dosage_sum[:, None],
        dosage_square=dosage_square[:, None],
    )


def summarize_haploid(
    block: HaploidBlock, groups: NDArray, n_groups: int, haploid: NDArray
) -> HaploidDosageCounts:
    """Sum dosages in a block where some people have one copy; see `counts.summarize_haploid`."""
    apart = np.where(groups < 0, -1, groups + n_groups * haploid)
    imputed, _, sums, squares = (
        values.reshape(-1, 2, n_groups) for values in block.tally(apart, 2 * n_groups)
    )
    # The block gives who has one copy 0 to 2.
    weight = np.array([[1.0], [0.5]])
    both = [imputed.sum(axis=1), imputed[:, 1], (weight * sums).sum(axis=1)]
    both.append((weight * squares).sum(axis=1))
    for values in both:
        values[:, 0] = values.sum(axis=1)
    calls = counts.summarize_haploid(block, groups, n_groups, haploid)
    names = ("imputed", "imputed_haploid", "dosage_sum", "dosage_square")
    return HaploidDosageCounts(**vars(calls), **dict(zip(names, both, strict=True)))


@dataclass(frozen=True, eq=False)
class DosageFrequencies:
    """Finished statistics of dosages, each (rows, groups); NaN or −1 where withheld.

    `imputation_r2` is NaN where everybody is expected to carry the same allele.
    """

    n_called: NDArray
    allele_count: NDArray
    allele_number: NDArray
    allele_frequency: NDArray
    imputation_r2: NDArray
    alleles_withheld: NDArray
    genotypes_withheld: NDArray
    n_lost: NDArray  # haploid people with two alleles, whose call is missing

    @property
    def minor_allele_frequency(self) -> NDArray:
        """Frequency of the less frequent of ALT and everything else."""
        return np.minimum(self.allele_frequency, 1.0 - self.allele_frequency)


def finalize(sums: AnyDosageCounts) -> DosageFrequencies:
    """Frequencies and imputation r² from summed dosages.

    References
    ----------
    Li, Willer, Ding, Scheet & Abecasis (2010), Genet Epidemiol 34:816–834.
    """
    people, number, alt = sums.imputed, sums.dosage_number, sums.dosage_sum
    alleles, genotypes = sums.alleles_shown, sums.genotypes_shown
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency = alt / number
        # [Σw(g − 2p)²] / 2p(1 − p)N, where who has one copy counts half with g of 0 to 2.
        varying = number / 2 * sums.dosage_square - alt**2
        r2 = number / people * varying / (alt * (number - alt))
    return DosageFrequencies(
        n_called=np.where(alleles, people, -1),
        allele_count=np.where(alleles, alt, np.nan),
        allele_number=np.where(alleles, number, -1),
        allele_frequency=np.where(alleles, frequency, np.nan),
        imputation_r2=np.where(alleles & genotypes, r2, np.nan),
        alleles_withheld=~alleles,
        genotypes_withheld=~genotypes,
        n_lost=getattr(sums, "lost", np.zeros(alleles.shape, np.int64)),
    )


def failing(found: DosageFrequencies, min_info: float, min_maf: float) -> dict[str, NDArray]:
    """Which rows fail a filter, by the reason, each bool (rows,); a row has one reason at most.

    A frequency or r² of everybody that is not known fails. Without a limit (0) nothing is asked of
    it.
    """
    with np.errstate(invalid="ignore"):
        rare = (min_maf > 0) & ~(found.minor_allele_frequency[:, 0] >= min_maf)
        poor = (min_info > 0) & ~(found.imputation_r2[:, 0] >= min_info)
    alleles, genotypes = found.alleles_withheld[:, 0], found.genotypes_withheld[:, 0]
    unknown = (rare & alleles) | (poor & (alleles | genotypes))
    return {
        "rows whose frequency or INFO is withheld by policy": unknown,
        f"rows with a minor allele frequency below {min_maf:g}": rare & ~unknown,
        f"rows with an INFO below {min_info:g}": poor & ~rare & ~unknown,
    }
