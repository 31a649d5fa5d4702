"""What comes back from one round: each site's answer, and their sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genome_eu.errors import BundleError
from genome_eu.federation.bundle import Bundle, EvidenceRecord
from genome_eu.federation.plan import Plan
from genome_eu.stats.aggregate import Aggregate, concatenate, dimension_sizes, merge


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
    return SiteAnswer(
        site,
        bundle.shard,
        bundle.size,
        len(manifest.members),
        manifest.policy,
        manifest.floors,
        manifest.cohort,
        manifest.evidence,
    )


class Answer:
    """The answers of all sites to one plan. Sites are summed in the order of their names."""

    def __init__(self, plan: Plan, sites: Mapping[str, SiteAnswer]) -> None:
        self.plan = plan
        self.sites = dict(sorted(sites.items()))

    def shards(self) -> Iterator[Any]:
        """Merged shards, in row order; one is in memory at a time."""
        for number, (start, stop) in enumerate(self.plan.spans()):
            parts = [answer.shard(number) for answer in self.sites.values()]
            for site, part in zip(self.sites, parts, strict=True):
                if dimension_sizes(part).get("rows", stop - start) != stop - start:
                    raise BundleError(f"site {site} answered with rows that were not asked for")
            yield merge(parts)

    def whole(self) -> Any:
        """All merged shards as one aggregate, for answers that are small or needed at once."""
        return concatenate(list(self.shards()))

    def by_site(self) -> dict[str, Any]:
        """Each site's own aggregate, for questions that are not sums."""
        spans = range(len(self.plan.spans()))
        return {
            site: concatenate([answer.shard(number) for number in spans])
            for site, answer in self.sites.items()
        }
