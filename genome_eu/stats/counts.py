"""Genotype counts by group of people: allele frequencies, call rates, Hardy–Weinberg."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, count, every, same
from genome_eu.stats.block import Block
from genome_eu.stats.hwe import hardy_weinberg_neg_log10_p


@dataclass(frozen=True, eq=False)
class GroupSizes(Aggregate):
    """People in all, and in each group of a site. Never merged: sites have groups of their own.

    `labels` is UTF-8, one group a line.
    """

    statistic = "group_sizes"

    people_total: NDArray = count("people", gate="people")
    people: NDArray = count("people", "groups", gate="people")
    labels: NDArray = same("byte", "bytes", gate="people", dtype=np.uint8)

    @property
    def names(self) -> list[str]:
        """The groups' names."""
        return bytes(self.labels).decode("utf-8", errors="replace").splitlines()


def group_sizes(names: list[str], people: NDArray, total: int) -> GroupSizes:
    """Group sizes of one site, in the order of `names`."""
    labels = np.frombuffer("\n".join(names).encode(), np.uint8)
    return GroupSizes(people_total=np.array(total), people=people, labels=labels)


@dataclass(frozen=True, eq=False)
class GenotypeCounts(Aggregate):
    """Genotypes by row and group. Group 0 is everybody; the others do not overlap.

    Where a site withholds a number it is 0 here and its `_shown` flag is false.
    """

    statistic = "genotype_counts"

    people: NDArray = count("people", "groups", gate="people")
    called: NDArray = count("people", "rows", "groups", gate="alleles")
    allele_count: NDArray = count("alleles", "rows", "groups", gate="alleles")
    het: NDArray = count("people", "rows", "groups", gate="genotypes")
    hom_alt: NDArray = count("people", "rows", "groups", gate="genotypes")
    alleles_shown: NDArray = every("flag", "rows", "groups")
    genotypes_shown: NDArray = every("flag", "rows", "groups")

    @property
    def allele_number(self) -> NDArray:
        """Alleles called (AN), int64 (rows, groups)."""
        return 2 * self.called

    @property
    def hom_ref(self) -> NDArray:
        """People homozygous for anything but this ALT, int64 (rows, groups)."""
        return self.called - self.het - self.hom_alt

    def select(self, groups: slice) -> GenotypeCounts:
        """The same counts for some of the groups."""
        return GenotypeCounts(
            **{item.name: getattr(self, item.name)[..., groups] for item in fields(self)}
        )


def summarize(block: Block, groups: NDArray, n_groups: int) -> GenotypeCounts:
    """Count genotypes in a block.

    Parameters
    ----------
    block : Block
        Rows × people.
    groups : int array, shape (people,)
        1 … n_groups − 1 for the members of a group, 0 for people in no group, −1 for people who
        are left out of the question altogether.
    n_groups : int
        Groups including group 0, everybody.
    """
    tallies = block.counts(groups, n_groups)
    tallies[:, 0] = tallies.sum(axis=1)
    sizes = np.bincount(groups[groups >= 0], minlength=n_groups)
    sizes[0] = sizes.sum()
    return tallied(tallies, sizes)


def tallied(tallies: NDArray, people: NDArray) -> GenotypeCounts:
    """Genotype counts from tallies that exist already.

    Parameters
    ----------
    tallies : int64 array, shape (rows, groups, 4)
        People with 0, 1 and 2 copies of the ALT, and with a missing call.
    people : int64 array, shape (groups,)
        People of each group.
    """
    shown = np.ones(tallies.shape[:2], bool)
    return GenotypeCounts(
        people=people,
        called=tallies[..., 0] + tallies[..., 1] + tallies[..., 2],
        allele_count=tallies[..., 1] + 2 * tallies[..., 2],
        het=tallies[..., 1],
        hom_alt=tallies[..., 2],
        alleles_shown=shown,
        genotypes_shown=shown,
    )


def summarize_minor(block: Block, groups: NDArray) -> NDArray:
    """Alleles on the smaller tail among the people with group 0, int64 (rows,)."""
    return minor_alleles(block.counts(groups, 1)[:, 0])


def minor_alleles(tallies: NDArray) -> NDArray:
    """Alleles on the smaller tail, int64 (rows,), from tallies of one group, (rows, 4)."""
    alt = tallies[:, 1] + 2 * tallies[:, 2]
    called = tallies[:, 0] + tallies[:, 1] + tallies[:, 2]
    return np.minimum(alt, 2 * called - alt)


@dataclass(frozen=True, eq=False)
class Frequencies:
    """Finished frequency statistics, each (rows, groups); NaN or −1 where withheld."""

    n_called: NDArray
    n_missing: NDArray
    n_hom_ref: NDArray
    n_het: NDArray
    n_hom_alt: NDArray
    allele_count: NDArray
    allele_number: NDArray
    allele_frequency: NDArray
    call_rate: NDArray
    hwe_neg_log10_p: NDArray | None  # None where it was not asked for
    alleles_withheld: NDArray
    genotypes_withheld: NDArray


def finalize(sums: GenotypeCounts, *, hwe: bool = True) -> Frequencies:
    """Frequencies, call rates and exact Hardy–Weinberg tests from summed counts."""
    alleles, genotypes = sums.alleles_shown, sums.genotypes_shown
    called = sums.called.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency = np.where(alleles, sums.allele_count / sums.allele_number, np.nan)
        call_rate = np.where(alleles, called / sums.people, np.nan)
    exact = None
    if hwe:
        p = hardy_weinberg_neg_log10_p(sums.het, sums.hom_ref, sums.hom_alt)
        exact = np.where(genotypes, p, np.nan)

    def kept(values: NDArray, shown: NDArray) -> NDArray:
        return np.where(shown, values, -1)

    return Frequencies(
        n_called=kept(sums.called, alleles),
        n_missing=kept(sums.people - sums.called, alleles),
        n_hom_ref=kept(sums.hom_ref, genotypes),
        n_het=kept(sums.het, genotypes),
        n_hom_alt=kept(sums.hom_alt, genotypes),
        allele_count=kept(sums.allele_count, alleles),
        allele_number=kept(sums.allele_number, alleles),
        allele_frequency=frequency,
        call_rate=call_rate,
        hwe_neg_log10_p=exact,
        alleles_withheld=~alleles,
        genotypes_withheld=~genotypes,
    )
