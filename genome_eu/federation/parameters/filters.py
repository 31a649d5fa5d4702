"""Who and what is removed before a question is answered: limits as validated numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from genome_eu.federation.parameters.types import Columns, Frozen, Input
from genome_eu.stats.kinship import DEGREES
from genome_eu.stats.qc.removal import PeopleLimits, VariantLimits

_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

#: Below the kinship of third-degree relatives there are pairs in every site, related or not.
LEAST_KINSHIP = round(DEGREES["third"], 4)


class PeopleFilters(Frozen):
    """Limits on people, which each site applies to its own; None does not apply.

    Parameters
    ----------
    min_call_rate
        Least share of called rows; PLINK's ``--mind`` is 1 less this.
    max_heterozygosity_sd
        Most standard deviations from the mean share of heterozygous calls of the site.
    min_f, max_f
        Bounds of the inbreeding coefficient F, by the site's own frequencies.
    sex_check
        Remove people whose genotypes on X do not show the sex of the table (F below 0.2 is a
        woman's, above 0.8 a man's).
    unrelated
        Of two people with a larger kinship one is removed; 0.0884 leaves no relatives of second
        degree or nearer. Relatives at different sites are not found.
    """

    min_call_rate: _Share | None = None
    max_heterozygosity_sd: Annotated[float, Field(gt=0, le=1000)] | None = None
    min_f: Annotated[float, Field(ge=-1, le=1)] | None = None
    max_f: Annotated[float, Field(ge=-1, le=1)] | None = None
    sex_check: bool = False
    unrelated: Annotated[float, Field(ge=LEAST_KINSHIP, le=0.5)] | None = None

    @model_validator(mode="after")
    def _bounds_leave_somebody(self) -> Self:
        if self.min_f is not None and self.max_f is not None and self.min_f > self.max_f:
            raise ValueError("min_f is above max_f")
        return self

    @property
    def limits(self) -> PeopleLimits:
        """The same as statistics know them."""
        return PeopleLimits(**self.model_dump())

    def __bool__(self) -> bool:
        return self != PeopleFilters()


class VariantFilters(Frozen):
    """Limits on rows, by sums over the sites; None does not apply.

    Parameters
    ----------
    min_call_rate
        Least share of people called; PLINK's ``--geno`` is 1 less this.
    min_maf
        Least frequency of the rarer allele.
    hwe
        Least p of Hardy–Weinberg proportions, within each group of `hwe_by`; without it within
        each site, or over all of them where sites sum in secret.
    hwe_by
        Columns that name groups.
    max_mendel_error_rate
        Most impossible calls as a share of the trios (columns ``father`` and ``mother`` of the
        table of people); of one's own cohort only, since trios are few people.
    """

    min_call_rate: _Share | None = None
    min_maf: Annotated[float, Field(ge=0, le=0.5)] | None = None
    hwe: _Share | None = None
    hwe_by: Columns = ()
    max_mendel_error_rate: _Share | None = None

    @model_validator(mode="after")
    def _groups_are_tested(self) -> Self:
        if self.hwe_by and self.hwe is None:
            raise ValueError("hwe_by needs hwe")
        return self

    @property
    def limits(self) -> VariantLimits:
        """The same as statistics know them."""
        return VariantLimits(**self.model_dump(exclude={"hwe_by"}))

    def __bool__(self) -> bool:
        return self != VariantFilters()


class Filters(Frozen):
    """A filter file: its tables ``[people]`` and ``[variants]``."""

    people: PeopleFilters = PeopleFilters()
    variants: VariantFilters = VariantFilters()

    def __bool__(self) -> bool:
        return bool(self.people) or bool(self.variants)

    @property
    def said(self) -> dict[str, dict[str, object]]:
        """The limits that apply, as JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)


class RemovedPeopleParameters(Frozen):
    """How many people do the plan's limits remove, and why?"""


PARAMETERS: Mapping[str, type[Frozen]] = {"removed_people": RemovedPeopleParameters}
INPUTS: Mapping[str, Mapping[str, Input]] = {}
