"""Sums of dosages by row: allele frequencies, and how well rows were imputed.

The measure of imputation is MaCH's r², the variance of the dosages over the 2p(1 − p) that known
genotypes would have: PLINK 2's MACH_R2, and about what others call INFO or R². It follows from two
sums over people, so that of many sites it is that of their people together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, count, every, total
from genome_eu.stats.block import Block


@dataclass(frozen=True, eq=False)
class DosageCounts(Aggregate):
    """Sums of dosages of everybody, and their hard calls, by row.

    The hard calls say of how many people a sum is: two alleles may be a hundredth of one in two
    hundred people. Where a site withholds a number it is 0 here and its `_shown` flag is false.
    """

    statistic = "dosage_counts"

    people: NDArray = count("people", gate="people")
    called: NDArray = count("people", "rows", gate="alleles")
    dosage_sum: NDArray = total("alleles", "rows", gate="alleles")
    dosage_square: NDArray = total("dosage²", "rows", gate="genotypes")
    hard_called: NDArray = count("people", "rows", gate="alleles")
    hard_count: NDArray = count("alleles", "rows", gate="alleles")
    het: NDArray = count("people", "rows", gate="genotypes")
    alleles_shown: NDArray = every("flag", "rows")
    genotypes_shown: NDArray = every("flag", "rows")

    @property
    def hom_alt(self) -> NDArray:
        """People whose hard call is two copies, int64 (rows,)."""
        return (self.hard_count - self.het) // 2

    @property
    def hom_ref(self) -> NDArray:
        """People whose hard call is no copy, int64 (rows,)."""
        return self.hard_called - self.het - self.hom_alt


def summarize(block: Block, everybody: NDArray) -> DosageCounts:
    """Sum dosages in a block.

    Parameters
    ----------
    block : Block
        Rows × people.
    everybody : int array, shape (people,)
        0 for the people who take part, −1 for all others.
    """
    called, _, dosage_sum, dosage_square = block.tally(everybody, 1)
    calls = block.counts(everybody, 1)[:, 0]
    return summed(
        called[:, 0], dosage_sum[:, 0], dosage_square[:, 0], calls, int((everybody == 0).sum())
    )


def summed(
    called: NDArray, dosage_sum: NDArray, dosage_square: NDArray, calls: NDArray, people: int
) -> DosageCounts:
    """Sums that exist already.

    Parameters
    ----------
    called : int64 array, shape (rows,)
        People with a dosage.
    dosage_sum, dosage_square : array, shape (rows,)
        Σg and Σg² over them.
    calls : int64 array, shape (rows, 4)
        People whose hard call is 0, 1 and 2 copies, and missing.
    people : int
        People who take part.
    """
    shown = np.ones(called.size, bool)
    return DosageCounts(
        people=np.array(people),
        called=called,
        dosage_sum=dosage_sum,
        dosage_square=dosage_square,
        hard_called=calls[:, :3].sum(axis=1),
        hard_count=calls[:, 1] + 2 * calls[:, 2],
        het=calls[:, 1],
        alleles_shown=shown,
        genotypes_shown=shown,
    )


@dataclass(frozen=True, eq=False)
class DosageFrequencies:
    """Finished statistics of dosages, each (rows,); NaN or −1 where withheld.

    `imputation_r2` is NaN where everybody is expected to carry the same allele twice.
    """

    n_called: NDArray
    allele_count: NDArray
    allele_frequency: NDArray
    imputation_r2: NDArray
    alleles_withheld: NDArray
    genotypes_withheld: NDArray

    @property
    def minor_allele_frequency(self) -> NDArray:
        """Frequency of the less frequent of ALT and everything else."""
        return np.minimum(self.allele_frequency, 1.0 - self.allele_frequency)


def finalize(sums: DosageCounts) -> DosageFrequencies:
    """Frequencies and MaCH's r² from summed dosages.

    References
    ----------
    Li, Willer, Ding, Scheet & Abecasis (2010), Genet Epidemiol 34:816–834.
    """
    n, alt = sums.called.astype(float), sums.dosage_sum
    alleles, genotypes = sums.alleles_shown, sums.genotypes_shown
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency = alt / (2 * n)
        r2 = 2 * (n * sums.dosage_square - alt**2) / (alt * (2 * n - alt))
    return DosageFrequencies(
        n_called=np.where(alleles, sums.called, -1),
        allele_count=np.where(alleles, alt, np.nan),
        allele_frequency=np.where(alleles, frequency, np.nan),
        imputation_r2=np.where(alleles & genotypes, r2, np.nan),
        alleles_withheld=~alleles,
        genotypes_withheld=~genotypes,
    )


def failing(found: DosageFrequencies, min_info: float, min_maf: float) -> dict[str, NDArray]:
    """Which rows fail a filter, by the reason, each bool (rows,); a row has one reason at most.

    A frequency or r² that is not known fails. Without a limit (0) nothing is asked of it.
    """
    with np.errstate(invalid="ignore"):
        rare = (min_maf > 0) & ~(found.minor_allele_frequency >= min_maf)
        poor = (min_info > 0) & ~(found.imputation_r2 >= min_info)
    unknown = (rare & found.alleles_withheld) | (
        poor & (found.alleles_withheld | found.genotypes_withheld)
    )
    return {
        "rows whose frequency or INFO is withheld by policy": unknown,
        f"rows with a minor allele frequency below {min_maf:g}": rare & ~unknown,
        f"rows with an INFO below {min_info:g}": poor & ~rare & ~unknown,
    }
