"""A site: its cohort on one side, plans and releases on the other."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from genome_eu.cohort import open_store
from genome_eu.disclosure import Evidence, Judged, Policy, Release
from genome_eu.disclosure.airlock import Spool
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError, Refused, SampleError
from genome_eu.federation.answers import ANSWERING
from genome_eu.federation.answers.answering import Part
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.inside.quality import removed_by
from genome_eu.federation.parameters import INPUTS, check_inputs
from genome_eu.federation.parameters.filters import PeopleFilters
from genome_eu.federation.plan import Plan
from genome_eu.federation.site.names_only import NamesOnly
from genome_eu.federation.site.own import Own


class Site(Own):
    """Answers plans from one cohort.

    Parameters
    ----------
    name : str
        The site's name in the federation.
    store : CohortStore
        Its genotypes and sample table.
    policy : Policy, optional
        Needed to release anything; a cohort that is asked directly has none.
    people : bool array, shape (people,), optional
        The people of the store who take part; all of them by default.
    callable_regions : Regions, optional
        Where the site could have called a variant that its store lacks.
    state : SiteState, optional
        Where scores are kept.
    backend : str
        Kernel backend.
    """

    @classmethod
    def open(cls, name: str, path: str | Path, policy: Policy | None = None, **more: Any) -> Self:
        """A site on the cohort stored at `path`."""
        return cls(name, open_store(path), policy, **more)

    def answer(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        """Compute what a plan asks, shard by shard. Nothing of it has passed the airlock yet."""
        self._admit(plan, inputs)
        yield from ANSWERING[plan.statistic].answer(self.among(plan.people), plan, inputs)

    def _admit(self, plan: Plan, inputs: dict[str, NDArray]) -> None:
        """Refuse a question that no site of this version is asked."""
        if plan.statistic not in ANSWERING:
            raise Refused(f"statistic {plan.statistic} is not installed at this site")
        check_inputs(plan.statistic, inputs)
        if "loadings" in INPUTS.get(plan.statistic, {}) and "loadings" not in inputs:
            raise BundleError(f"the plan of {plan.statistic} has no loadings")

    def judge(
        self,
        plan: Plan,
        inputs: dict[str, NDArray],
        spool: Spool,
        doubts: Sequence[Evidence] = (),
    ) -> Judged:
        """Compute what a plan asks and judge it by the policy. It has not left.

        Raises
        ------
        Refused
            The policy withholds the answer, or there is no policy.
        """
        if self.airlock is None:
            raise Refused(f"site {self.name} has no disclosure policy; nothing leaves without one")
        return self.airlock.judge(
            self.answer(plan, inputs),
            self.exposure(plan, inputs),
            site=self.name,
            plan=plan.hash,
            statistic=plan.statistic,
            version=plan.version,
            spool=NamesOnly(spool) if plan.secure_sum and not plan.masked else spool,
            floors=not plan.masked,
            doubts=doubts,
        )

    def exposure(self, plan: Plan, inputs: dict[str, NDArray]) -> Exposure:
        """Whom the answer to a plan describes, and by which columns; it stays here."""
        if self.airlock is None:
            raise Refused(f"site {self.name} has no disclosure policy; nothing leaves without one")
        self._admit(plan, inputs)
        budget = self.airlock.budget
        if self._hashes is None:
            self._hashes = budget.hashes(self.store.sample_id)
        among = self.among(plan.people)
        exposed = Exposed(budget, self._hashes, among.included, self.airlock.policy)
        return ANSWERING[plan.statistic].exposure(among, exposed, plan, inputs)

    def release(self, plan: Plan, inputs: dict[str, NDArray], spool: Spool) -> Release:
        """Compute what a plan asks and pass it through the airlock.

        Raises
        ------
        Refused
            The policy withholds the answer, there is no policy, or a person must decide first.
        """
        judged = self.judge(plan, inputs, spool)
        assert self.airlock is not None  # noqa: S101 - `judge` has refused otherwise
        return self.airlock.release(judged)

    def among(self, limits: PeopleFilters) -> Self:
        """The site as it is without the people whom limits remove; itself where there are none.

        Raises
        ------
        Refused
            Fewer people are left than the policy lets be described.
        SampleError
            Nobody is left of one's own.
        """
        if not limits:
            return self
        if limits not in self._narrowed:
            removed = removed_by(self, limits)
            left = int(removed.keep.sum())
            if self.policy is not None and left < self.policy.min_people:
                # In the words for any question of too few people, whether it is of some or nobody.
                raise Refused(
                    f"fewer than {self.policy.min_people} people would be described "
                    f"(policy {self.policy.name})"
                )
            if not left:
                raise SampleError(f"the limits on people leave nobody of {self.name}; loosen them")
            narrowed = copy.copy(self)
            narrowed.included, narrowed.removed = removed.keep, removed
            narrowed._panels, narrowed._minor_alleles, narrowed._narrowed = {}, None, {}
            narrowed._measures = narrowed._relatives = narrowed._found = None
            narrowed.__dict__.pop("table", None)
            # One at a time: a study keeps to its own.
            self._narrowed = {limits: narrowed}
        return self._narrowed[limits]
