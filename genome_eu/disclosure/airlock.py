"""The one door out. Only this module makes a `Release`, and carriers accept nothing else.

It fails closed: an aggregate that is private, of an unknown statistic or version, without a rule,
or with a field under a gate that no rule knows, does not leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import InitVar, dataclass, fields, replace
from typing import Any, Final, Protocol

from genome_eu.disclosure.checks import BY_ROW, GATES, RULES, Evidence, Facts
from genome_eu.disclosure.policy import Policy
from genome_eu.errors import Refused
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, Private, has_rows

_KEY: Final = object()


class Spool(Protocol):
    """Where released shards wait until they are carried (memory, or files)."""

    def put(self, shard: int, aggregate: Aggregate) -> None:
        """Keep one shard."""
        ...


@dataclass(frozen=True)
class Release:
    """What a site lets out in answer to one plan. Made by `release` and by nothing else."""

    site: str
    plan: str
    statistic: str
    version: int
    shards: int
    policy: str
    floors: bool  # whether the policy withholds anything at all
    evidence: tuple[Evidence, ...]
    spool: Any
    # Not kept, so that `dataclasses.replace` cannot make another release out of this one.
    key: InitVar[object] = None

    def __post_init__(self, key: object) -> None:
        if key is not _KEY:
            raise Refused("a release is made by the airlock only")


def _admit(statistic: str, version: int) -> type[Aggregate]:
    kind = AGGREGATES.get(statistic)
    if kind is None:
        raise Refused(f"statistic {statistic} is not installed at this site")
    if kind.version != version:
        raise Refused(
            f"statistic {statistic} is version {kind.version} at this site, the plan asks for "
            f"version {version}"
        )
    if kind not in RULES:
        raise Refused(f"statistic {statistic} has no disclosure rule")
    for item in fields(kind):
        if item.metadata.get("gate") not in GATES:
            raise Refused(f"field {statistic}.{item.name} has no disclosure rule")
    return kind


def _checked(
    parts: Iterable[tuple[Any, Facts]], kind: type[Aggregate], policy: Policy
) -> Iterator[tuple[Aggregate, list[Evidence]]]:
    for part, facts in parts:
        if isinstance(part, Private) or type(part) is not kind:
            raise Refused(f"{type(part).__name__} is not the aggregate that the plan names")
        yield RULES[kind](part, policy, facts)


def release(
    parts: Iterable[tuple[Any, Facts]],
    *,
    site: str,
    plan: str,
    statistic: str,
    version: int,
    policy: Policy,
    spool: Spool,
) -> Release:
    """Pass the shards of one answer through the policy.

    Parameters
    ----------
    parts : iterable of (aggregate, Facts)
        Row shards in order, with what the checks must know of the people behind each.
    site, plan : str
        Who answers, and the hash of the plan that is answered.
    statistic, version : str, int
        What the plan asks for.
    policy : Policy
        The site's own.
    spool : Spool
        Receives each shard after its floors are applied.

    Raises
    ------
    Refused
        Nothing of the answer may leave.
    """
    kind = _admit(statistic, version)
    evidence: dict[tuple[str, float], Evidence] = {}
    shards = 0
    for part, found in _checked(parts, kind, policy):
        spool.put(shards, part)
        shards += 1
        for item in found:
            before = evidence.get((item.check, item.limit))
            evidence[item.check, item.limit] = _joined(before, item, has_rows(kind))
    if not shards:
        raise Refused("the site computed nothing to release")
    return Release(
        site,
        plan,
        statistic,
        version,
        shards,
        policy.name,
        policy.has_floors,
        tuple(evidence.values()),
        spool,
        _KEY,
    )


def _joined(before: Evidence | None, now: Evidence, by_row: bool) -> Evidence:
    """Evidence of a check over all shards: row checks add up, checks on people repeat."""
    if before is None:
        return now
    if not by_row or now.check not in BY_ROW:
        return before
    withheld = before.withheld + now.withheld
    return replace(
        before,
        withheld=withheld,
        of=before.of + now.of,
        verdict="withheld" if withheld else "pass",
    )
