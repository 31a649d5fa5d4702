"""What a site knows of each row: four states.

A row is observed (somebody has the ALT), homozygous for the reference (people are called, and
nobody has it), not called, or suppressed. The last is neither zero nor missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.counts import GenotypeCounts

AnyCounts = TypeVar("AnyCounts", bound=GenotypeCounts)


@dataclass(frozen=True, eq=False)
class SiteAlleles:
    """Alleles of everybody at each site, int64 (rows, sites); below 0 where a site withholds them.

    States are never sent: they follow from what a site shows.
    """

    allele_count: NDArray
    allele_number: NDArray

    @property
    def observed(self) -> NDArray:
        """Sites at which somebody has the ALT, int64 (rows,)."""
        return (self.allele_count > 0).sum(axis=1)

    @property
    def hom_ref(self) -> NDArray:
        """Sites at which people are called and nobody has it, int64 (rows,)."""
        return ((self.allele_count == 0) & (self.allele_number > 0)).sum(axis=1)

    @property
    def not_called(self) -> NDArray:
        """Sites at which nobody is called, int64 (rows,)."""
        return (self.allele_number == 0).sum(axis=1)

    @property
    def suppressed(self) -> NDArray:
        """Sites that withhold the row, int64 (rows,)."""
        return (self.allele_number < 0).sum(axis=1)


def site_alleles(parts: Sequence[GenotypeCounts]) -> SiteAlleles:
    """Alleles at each site, from its answer before it is added to those of the others.

    Under a secure sum nobody sees these answers.
    """

    def of_everybody(name: str) -> NDArray:
        return np.stack(
            [np.where(part.alleles_shown, getattr(part, name), -1)[:, 0] for part in parts], axis=1
        )

    return SiteAlleles(of_everybody("allele_count"), of_everybody("allele_number"))


def with_absent(
    part: AnyCounts, absent: NDArray, called: NDArray, haploid: NDArray | None = None
) -> AnyCounts:
    """Counts in which rows that a site does not have say so, whatever was counted for them.

    Parameters
    ----------
    part : GenotypeCounts
        Counts of a block; not changed.
    absent : bool array, shape (rows,)
        Rows that the site does not have: nobody is called, and there are no alleles.
    called : bool array, shape (rows,)
        Those of them in which everybody could be called: all are homozygous for the reference.
    haploid : int64 array, shape (groups,), optional
        People with one copy, where some have one.
    """
    gone = absent[:, None]
    changes = {
        item.name: np.where(gone, 0, getattr(part, item.name))
        for item in fields(part)
        if item.metadata["merge"] == "total" and "rows" in item.metadata["dims"]
    }
    reference = (absent & called)[:, None]
    for name, people in (
        ("called", part.people),
        ("imputed", part.people),
        ("haploid", haploid),
        ("imputed_haploid", haploid),
    ):
        if name in changes and people is not None:
            changes[name] = np.where(reference, people, changes[name])
    return replace(part, **changes)


def silenced(part: AnyCounts, silent: NDArray) -> AnyCounts:
    """Counts with some rows withheld in all groups, `silent` bool (rows,)."""
    shown = ~silent[:, None]
    return replace(
        with_absent(part, silent, np.zeros_like(silent)),
        alleles_shown=part.alleles_shown & shown,
        genotypes_shown=part.genotypes_shown & shown,
    )
