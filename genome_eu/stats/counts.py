"""Genotype counts by group of people: allele frequencies, call rates, Hardy–Weinberg.

A row is one ALT of a site. People called at a site are called in each of its rows, so that AN is
the site's; who has other ALTs only has no copy of this one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, count, every, same
from genome_eu.stats.block import Block
from genome_eu.stats.hwe import hardy_weinberg_neg_log10_p
from genome_eu.stats.hwe_x import hardy_weinberg_x_neg_log10_p


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
    """Genotypes by row and group, everybody being diploid. Group 0 is everybody; others are apart.

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
        """Diploid people without a copy of this ALT, int64 (rows, groups)."""
        return self.called - self.het - self.hom_alt

    @property
    def hap_ref(self) -> NDArray:
        """Haploid people without a copy of this ALT, int64 (rows, groups)."""
        return np.broadcast_to(np.int64(0), self.called.shape)

    @property
    def hap_alt(self) -> NDArray:
        """Haploid people with this ALT, int64 (rows, groups)."""
        return np.broadcast_to(np.int64(0), self.called.shape)

    def select(self, groups: slice) -> Self:
        """The same counts for some of the groups."""
        return type(self)(
            **{item.name: getattr(self, item.name)[..., groups] for item in fields(self)}
        )


@dataclass(frozen=True, eq=False)
class HaploidCounts(GenotypeCounts):
    """Genotypes at rows of one class where some people have one copy (see `stats.ploidy`).

    `people` are those of the class, males on Y; `het` and `hom_alt` are of the diploid. Calls of
    two alleles in haploid people are missing, and counted in `lost`.
    """

    statistic = "haploid_counts"

    haploid: NDArray = count("people", "rows", "groups", gate="alleles")  # of the called
    lost: NDArray = count("people", "rows", "groups", gate="genotypes")

    @property
    def allele_number(self) -> NDArray:
        """Alleles called (AN), int64 (rows, groups)."""
        return 2 * self.called - self.haploid

    @property
    def hom_ref(self) -> NDArray:
        """Diploid people without a copy of this ALT, int64 (rows, groups)."""
        return self.called - self.haploid - self.het - self.hom_alt

    @property
    def hap_ref(self) -> NDArray:
        """Haploid people without a copy of this ALT, int64 (rows, groups)."""
        return self.haploid - self.hap_alt

    @property
    def hap_alt(self) -> NDArray:
        """Haploid people with this ALT, int64 (rows, groups)."""
        return self.allele_count - self.het - 2 * self.hom_alt


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


class HaploidBlock(Block, Protocol):
    """A block that has set heterozygous calls of haploid people to missing."""

    def lost(self, groups: NDArray, n_groups: int) -> NDArray:
        """Calls that it set to missing, int64 (rows, n_groups)."""
        ...


def summarize_haploid(
    block: HaploidBlock, groups: NDArray, n_groups: int, haploid: NDArray
) -> HaploidCounts:
    """Count genotypes in a block where some people have one copy.

    Parameters
    ----------
    block : HaploidBlock
        Rows × people; haploid people have 0 or 2 copies.
    groups, n_groups
        As for `summarize`; −1 also for people who have no copy at all.
    haploid : bool array, shape (people,)
        Who has one copy.
    """
    apart = np.where(groups < 0, -1, groups + n_groups * haploid)
    tallies = block.counts(apart, 2 * n_groups).reshape(-1, 2, n_groups, 4)
    lost = block.lost(groups, n_groups)
    tallies[:, :, 0] = tallies.sum(axis=2)
    lost[:, 0] = lost.sum(axis=1)
    sizes = np.bincount(groups[groups >= 0], minlength=n_groups)
    sizes[0] = sizes.sum()
    diploid, single = tallies[:, 0], tallies[:, 1]
    of_haploid = single[..., 0] + single[..., 2]
    shown = np.ones(lost.shape, bool)
    return HaploidCounts(
        people=sizes,
        called=diploid[..., :3].sum(axis=-1) + of_haploid,
        allele_count=diploid[..., 1] + 2 * diploid[..., 2] + single[..., 2],
        het=diploid[..., 1],
        hom_alt=diploid[..., 2],
        alleles_shown=shown,
        genotypes_shown=shown,
        haploid=of_haploid,
        lost=lost,
    )


def summarize_minor(block: Block, groups: NDArray) -> NDArray:
    """Alleles on the smaller tail among the people with group 0, int64 (rows,)."""
    return minor_alleles(block.counts(groups, 1)[:, 0])


def summarize_haploid_minor(block: HaploidBlock, groups: NDArray, haploid: NDArray) -> NDArray:
    """The same where some people have one copy."""
    sums = summarize_haploid(block, groups, 1, haploid)
    alt = sums.allele_count[:, 0]
    return np.minimum(alt, sums.allele_number[:, 0] - alt)


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
    haploid: HaploidFrequencies | None = None  # None where everybody is diploid


@dataclass(frozen=True, eq=False)
class HaploidFrequencies:
    """What there is beside `Frequencies` where people have one copy, each (rows, groups)."""

    n_hap_ref: NDArray
    n_hap_alt: NDArray
    n_lost: NDArray  # haploid people with two alleles, whose call is missing
    hwe_diploid_neg_log10_p: NDArray  # NaN where it was not asked for


def finalize(sums: GenotypeCounts, *, hwe: bool = True, haploid: bool = False) -> Frequencies:
    """Frequencies, call rates and exact Hardy–Weinberg tests from summed counts.

    Where some of the people called are haploid, the test includes them (`stats.hwe_x`), and that of
    the diploid alone is given beside it. Where all are, there are no proportions to test.

    Parameters
    ----------
    sums : GenotypeCounts
        Summed over sites.
    hwe : bool
        Whether to test Hardy–Weinberg proportions.
    haploid : bool
        Give the numbers of haploid people also where everybody is diploid.
    """
    alleles, genotypes = sums.alleles_shown, sums.genotypes_shown
    called = sums.called.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency = np.where(alleles, sums.allele_count / sums.allele_number, np.nan)
        call_rate = np.where(alleles, called / sums.people, np.nan)
    exact = None
    of_diploid = np.broadcast_to(np.nan, genotypes.shape)
    if hwe:
        p = hardy_weinberg_neg_log10_p(sums.het, sums.hom_ref, sums.hom_alt)
        exact = np.where(genotypes, p, np.nan)
        if isinstance(sums, HaploidCounts):
            of_diploid = exact
            p = hardy_weinberg_x_neg_log10_p(
                sums.het, sums.hom_ref, sums.hom_alt, sums.hap_ref, sums.hap_alt
            )
            exact = np.where(genotypes & (sums.called > sums.haploid), p, np.nan)

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
        haploid=HaploidFrequencies(
            n_hap_ref=kept(sums.hap_ref, genotypes),
            n_hap_alt=kept(sums.hap_alt, genotypes),
            n_lost=getattr(sums, "lost", np.zeros(genotypes.shape, np.int64)),
            hwe_diploid_neg_log10_p=of_diploid,
        )
        if haploid or isinstance(sums, HaploidCounts)
        else None,
    )
