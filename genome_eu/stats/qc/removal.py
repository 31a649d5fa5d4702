"""Who and what quality control removes, by limits that the question states, and why.

Who is removed is of single people, so it is `Private`; how many, by reason, is what a result shows.
Somebody who fails several limits is counted once, under the first reason in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import BadInput
from genome_eu.stats.aggregate import Private
from genome_eu.stats.qc.people import PersonMeasures

PersonReason = Literal["call_rate", "heterozygosity", "f", "sex", "related"]
VariantReason = Literal["withheld", "call_rate", "maf", "hwe", "mendel"]

#: Why people are removed, in the order that limits apply.
PERSON_REASONS: tuple[PersonReason, ...] = ("call_rate", "heterozygosity", "f", "sex", "related")
#: Why rows are removed, in order; "withheld" are those whose counts a site did not show.
VARIANT_REASONS: tuple[VariantReason, ...] = ("withheld", "call_rate", "maf", "hwe", "mendel")


@dataclass(frozen=True)
class PeopleLimits:
    """Limits on people; a limit of None does not apply.

    Attributes
    ----------
    min_call_rate
        Least share of called rows.
    max_heterozygosity_sd
        Most standard deviations that the share of heterozygous calls may lie from the mean of the
        people of the site whose call rate passes.
    min_f, max_f
        Bounds of the inbreeding coefficient F.
    sex_check
        Whether people whose genotypes on X do not show the sex that the table gives are removed;
        people without a sex in the table stay.
    unrelated
        Kinship above which one of two people is removed, after all other limits.
    """

    min_call_rate: float | None = None
    max_heterozygosity_sd: float | None = None
    min_f: float | None = None
    max_f: float | None = None
    sex_check: bool = False
    unrelated: float | None = None

    @property
    def measured(self) -> bool:
        """Whether people must be measured; kinship is another matter."""
        bounds = (self.min_call_rate, self.max_heterozygosity_sd, self.min_f, self.max_f)
        return self.sex_check or any(bound is not None for bound in bounds)


@dataclass(frozen=True)
class VariantLimits:
    """Limits on rows; a limit of None does not apply.

    Attributes
    ----------
    min_call_rate
        Least share of people called.
    min_maf
        Least frequency of the rarer allele.
    hwe
        Least p of Hardy–Weinberg proportions, in each group that they are tested in.
    max_mendel_error_rate
        Most impossible calls, as a share of the trios of the site.
    """

    min_call_rate: float | None = None
    min_maf: float | None = None
    hwe: float | None = None
    max_mendel_error_rate: float | None = None


@dataclass(frozen=True, eq=False)
class RowMeasures:
    """What is known of rows.

    Attributes
    ----------
    call_rate, allele_frequency : float64 array, shape (rows,)
        Of everybody.
    withheld : bool array, shape (rows,)
        Where a policy does not show them.
    hwe_neg_log10_p : float64 array, shape (rows, tests)
        Of each group that Hardy–Weinberg proportions are tested in: people of several ancestries
        together do not have them. NaN where there is nothing to test.
    mendel_errors : int64 array, shape (rows,)
        Impossible calls of the trios.
    trios : int
        How many there are.
    """

    call_rate: NDArray
    allele_frequency: NDArray
    withheld: NDArray
    hwe_neg_log10_p: NDArray
    mendel_errors: NDArray
    trios: int = 0


@dataclass(frozen=True, eq=False)
class RemovedPeople(Private):
    """Why each person is removed.

    Attributes
    ----------
    included : bool array, shape (people,)
        Who was there to begin with.
    reason : int8 array, shape (people,)
        Place in `PERSON_REASONS`, −1 for who is kept.
    """

    included: NDArray
    reason: NDArray

    @property
    def keep(self) -> NDArray[np.bool_]:
        """Who is left."""
        return self.included & (self.reason < 0)

    def counts(self) -> dict[str, int]:
        """People removed, by reason."""
        return {
            name: int((self.included & (self.reason == place)).sum())
            for place, name in enumerate(PERSON_REASONS)
        }


def removed_people(
    measures: PersonMeasures | None, sex: NDArray, limits: PeopleLimits, included: NDArray
) -> RemovedPeople:
    """People who fail a limit, kinship apart.

    Parameters
    ----------
    measures : PersonMeasures, optional
        Of all people of the site; not needed where no limit is on them.
    sex : str array, shape (people,)
        M, F or anything else, by the table of people.
    limits : PeopleLimits
    included : bool array, shape (people,)
        Who is there to begin with.

    Returns
    -------
    removed : RemovedPeople
        A person without the calls that a measure needs fails a limit on it.

    Raises
    ------
    BadInput
        The sex is to be checked, and nobody is called in rows of X that vary.
    """
    removed = RemovedPeople(included, np.full(len(included), -1, np.int8))
    if measures is None:
        return removed
    if limits.min_call_rate is not None:
        removed = _without(removed, "call_rate", ~(measures.call_rate >= limits.min_call_rate))
    if limits.max_heterozygosity_sd is not None:
        far = _outliers(measures.heterozygosity, removed.keep, limits.max_heterozygosity_sd)
        removed = _without(removed, "heterozygosity", far)
    if limits.min_f is not None:
        removed = _without(removed, "f", ~(measures.f >= limits.min_f))
    if limits.max_f is not None:
        removed = _without(removed, "f", ~(measures.f <= limits.max_f))
    if limits.sex_check:
        if not measures.x_observed.any():
            raise BadInput(
                "sex_check needs variants on X outside the pseudo-autosomal regions, and there are "
                "none here; leave it out, or import chromosome X too"
            )
        known = np.isin(sex, ("M", "F"))
        removed = _without(removed, "sex", known & (measures.inferred_sex != sex))
    return removed


def removed_relatives(removed: RemovedPeople, unrelated: NDArray) -> RemovedPeople:
    """The same and who is related to others that stay; `unrelated` bool (people,)."""
    return _without(removed, "related", ~unrelated)


def _without(removed: RemovedPeople, reason: PersonReason, failed: NDArray) -> RemovedPeople:
    place = np.int8(PERSON_REASONS.index(reason))
    return RemovedPeople(
        removed.included, np.where(removed.keep & failed, place, removed.reason).astype(np.int8)
    )


def _outliers(values: NDArray, among: NDArray, most: float) -> NDArray[np.bool_]:
    """Who lies more than `most` standard deviations from the mean of some; NaN does."""
    known = values[among & ~np.isnan(values)]
    if known.size < 2:
        return np.isnan(values)
    return ~(np.abs(values - known.mean()) <= most * known.std(ddof=1))


def removed_rows(measures: RowMeasures, limits: VariantLimits) -> NDArray[np.int8]:
    """Why each row is removed: its place in `VARIANT_REASONS`, −1 for rows that are kept.

    A row whose call rate or frequency is limited and not known is removed. Proportions that are not
    known are not held against it: there is nothing to test where everybody is alike.
    """
    reason = np.full(len(measures.call_rate), -1, np.int8)

    def remove(name: VariantReason, failed: NDArray) -> None:
        reason[(reason < 0) & failed] = VARIANT_REASONS.index(name)

    if limits.min_call_rate is not None or limits.min_maf is not None:
        remove("withheld", measures.withheld)
    if limits.min_call_rate is not None:
        remove("call_rate", ~(measures.call_rate >= limits.min_call_rate))
    if limits.min_maf is not None:
        frequency = measures.allele_frequency
        remove("maf", ~(np.minimum(frequency, 1.0 - frequency) >= limits.min_maf))
    if limits.hwe is not None:
        least = -np.log10(limits.hwe) if limits.hwe > 0 else np.inf
        remove("hwe", (measures.hwe_neg_log10_p > least).any(axis=1))
    if limits.max_mendel_error_rate is not None and measures.trios:
        remove("mendel", measures.mendel_errors > limits.max_mendel_error_rate * measures.trios)
    return reason


def count_reasons(reason: NDArray) -> dict[str, int]:
    """Rows removed, by reason."""
    return {name: int((reason == place).sum()) for place, name in enumerate(VARIANT_REASONS)}
