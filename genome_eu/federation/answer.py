"""What comes back from one round: each site's answer, and their sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from genome_eu.disclosure.checks import for_haploid
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.publisher import floors_only, published
from genome_eu.errors import BundleError, Refused
from genome_eu.federation.bundle import Bundle, EvidenceRecord, SecureSum
from genome_eu.federation.plan import Plan
from genome_eu.federation.secure_sum import MOST_PEOPLE, total
from genome_eu.stats.aggregate import Aggregate, concatenate, dimension_sizes, merge

#: The name under which a secure sum speaks of everybody.
ALL_SITES = "all sites"


@dataclass(frozen=True)
class SiteAnswer:
    """One site's answer to one plan: shards on demand, and what is known of their release."""

    site: str
    shard: Callable[[int], Aggregate]
    bytes: int
    arrays: int
    policy: str | None
    floors: bool | None
    cohort: str | None
    evidence: Sequence[EvidenceRecord]
    masked: Callable[[int], Mapping[str, NDArray]] | None = None
    secure_sum: SecureSum | None = None


def from_bundle(bundle: Bundle, plan: Plan, site: str) -> SiteAnswer:
    """A bundle as the answer of `site` to `plan`.

    Raises
    ------
    BundleError
        It answers another plan, comes from another site, or has other shards than were asked for.
    """
    manifest = bundle.manifest
    if manifest.site != site or manifest.plan != plan.hash:
        raise BundleError(f"bundle {bundle.path.name} is not the answer of {site} to this plan")
    asked = (plan.statistic, plan.version, len(plan.spans()))
    if (manifest.statistic, manifest.version, manifest.shards) != asked:
        raise BundleError(f"bundle {bundle.path.name} does not answer what the plan asks")
    if (manifest.secure_sum is not None) != plan.masked:
        raise BundleError(f"bundle {bundle.path.name} is not masked as the plan asks")
    return SiteAnswer(
        site,
        bundle.shard,
        bundle.size,
        len(manifest.members),
        manifest.policy,
        manifest.floors,
        manifest.cohort,
        manifest.evidence,
        bundle.masked if manifest.secure_sum is not None else None,
        manifest.secure_sum,
    )


class Answer:
    """The answers of all sites to one plan. Sites are summed in the order of their names.

    Under a secure sum the coordinator is the publisher: it sees totals before their floors, and
    lets go on only what the strictest policy among the sites shows.
    """

    def __init__(self, plan: Plan, sites: Mapping[str, SiteAnswer]) -> None:
        self.plan = plan
        self.sites = dict(sorted(sites.items()))
        self._publisher = _agreed(self.sites) if plan.masked else None

    def shards(self, people: NDArray | None = None) -> Iterator[Any]:
        """Merged shards, in row order; one is in memory at a time.

        Parameters
        ----------
        people : int64 array, shape (groups,), optional
            People in each group of a linear model, by which floors on a total are judged.
        """
        return (merged for merged, _ in self.shards_of_sites(people))

    def shards_of_sites(
        self, people: NDArray | None = None
    ) -> Iterator[tuple[Any, list[Any] | None]]:
        """Merged shards, and with each what it was merged from, in the order of the sites.

        Under a secure sum nobody sees the latter: None.
        """
        for number, (start, stop) in enumerate(self.plan.spans()):
            if self._publisher is not None:
                masked = {
                    site: answer.masked(number)
                    for site, answer in self.sites.items()
                    if answer.masked is not None
                }
                summed = total(self.plan, masked, people_bound=MOST_PEOPLE)
                if dimension_sizes(summed).get("rows", stop - start) != stop - start:
                    raise BundleError("the sites answered with rows that were not asked for")
                policy = self._publisher
                ploidy = self.plan.parameters.get("ploidy", "diploid")
                if ploidy != "diploid":
                    halved = ploidy == "x" and self.plan.parameters.get("x_males") == "0/1"
                    if halved and policy.association_floor > 1:
                        # How many of the called have one copy is no part of the sums.
                        raise Refused(
                            "with males at 0 and 1 on X, a secure sum does not tell how many REF "
                            "alleles there are; ask with males at 0 and 2"
                        )
                    policy = for_haploid(policy)
                yield published(summed, policy, people), None
                continue
            parts = [answer.shard(number) for answer in self.sites.values()]
            for site, part in zip(self.sites, parts, strict=True):
                if dimension_sizes(part).get("rows", stop - start) != stop - start:
                    raise BundleError(f"site {site} answered with rows that were not asked for")
            yield merge(parts), parts

    def whole(self) -> Any:
        """All merged shards as one aggregate, for answers that are small or needed at once."""
        return concatenate(list(self.shards()))

    def by_site(self) -> dict[str, Any]:
        """Each site's own aggregate, for questions that are not sums.

        Under a secure sum there is one, of all sites together.
        """
        if self._publisher is not None:
            return {ALL_SITES: self.whole()}
        spans = range(len(self.plan.spans()))
        return {
            site: concatenate([answer.shard(number) for number in spans])
            for site, answer in self.sites.items()
        }


def _agreed(sites: Mapping[str, SiteAnswer]) -> Policy:
    """The publisher's floors, on which all answers under masks must agree."""
    said = {site: answer.secure_sum for site, answer in sites.items()}
    rounds = {(one.context, one.floors) for one in said.values() if one is not None}
    if len(rounds) != 1 or None in said.values():
        raise BundleError("the sites' masks belong to different rounds; ask under a new round")
    ((_, floors),) = rounds
    return floors_only(floors.model_dump())
