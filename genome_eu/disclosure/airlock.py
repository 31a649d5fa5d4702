"""The one door out. Only this module makes a `Release`, and carriers accept nothing else.

It fails closed: an aggregate that is private, of an unknown statistic or version, without a rule,
or with a field under a gate that no rule knows, does not leave. An answer starts as refused; it
passes only when every check says so, or when a person approved exactly these bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import InitVar, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from genome_eu.disclosure.budget import Budget, Exposure
from genome_eu.disclosure.checks import Evidence, Facts
from genome_eu.disclosure.ledger import Ledger
from genome_eu.disclosure.policy import Policy
from genome_eu.disclosure.rules import BY_ROW, GATES, RULES
from genome_eu.errors import NeedsReview, Refused
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, Private, has_rows

Verdict = Literal["refuse", "review", "pass"]

_KEY: Final = object()
_EVERY: Final = Evidence(
    "every release", 0, 0, 1, "review", "the policy has every release reviewed"
)


class Spool(Protocol):
    """Where judged shards wait until they are carried (memory, or files)."""

    def put(self, shard: int, aggregate: Aggregate) -> None:
        """Keep one shard."""
        ...


@dataclass(frozen=True)
class Judged:
    """An answer after its checks, with everything below a floor removed. It has not left."""

    site: str
    plan: str
    statistic: str
    version: int
    shards: int
    policy: str
    floors: bool  # whether the policy withholds anything at all
    evidence: tuple[Evidence, ...]
    spool: Any = field(repr=False)
    exposure: Exposure = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """`pass` if every check passes; a single doubt is enough for a review."""
        said = {item.verdict for item in self.evidence}
        if not said or said - {"pass", "withheld", "review"}:
            return "refuse"
        return "review" if "review" in said else "pass"

    @property
    def doubts(self) -> list[Evidence]:
        """The checks that a person must decide about."""
        return [item for item in self.evidence if item.verdict == "review"]


@dataclass(frozen=True)
class Release:
    """What a site lets out in answer to one plan. Made by the airlock and by nothing else."""

    judged: Judged
    approved_by: str | None = None
    # Not kept, so that `dataclasses.replace` cannot make another release out of this one.
    key: InitVar[object] = None

    def __post_init__(self, key: object) -> None:
        if key is not _KEY:
            raise Refused("a release is made by the airlock only")


class Airlock:
    """A site's policy at its door, with the memory of everything that left before.

    Parameters
    ----------
    policy : Policy
        The site's own.
    folder : Path, optional
        The site's private folder, for ledger and budgets; without it they last as long as this
        process (notebooks, tests).
    """

    def __init__(self, policy: Policy, folder: Path | None = None) -> None:
        self.policy = policy
        self.ledger = Ledger(folder / "ledger.jsonl" if folder is not None else None)
        self.budget = Budget(folder / "released" if folder is not None else None, policy)

    def judge(
        self,
        parts: Iterable[tuple[Any, Facts]],
        exposure: Exposure,
        *,
        site: str,
        plan: str,
        statistic: str,
        version: int,
        spool: Spool,
        floors: bool = True,
        doubts: Sequence[Evidence] = (),
    ) -> Judged:
        """Pass the shards of one answer through the policy.

        Parameters
        ----------
        parts : iterable of (aggregate, Facts)
            Row shards in order, with what the checks must know of the people behind each.
        exposure : Exposure
            Whom the answer describes, and by which columns; compared with earlier releases.
        site, plan : str
            Who answers, and the hash of the plan that is answered.
        statistic, version : str, int
            What the plan asks for.
        spool : Spool
            Receives each shard after its floors are applied.
        floors : bool
            Whether floors of single rows apply here. Under a secure sum they apply to the total,
            and everything that is judged by people still applies here.
        doubts : sequence of Evidence
            What the site knows besides that a person must decide about.

        Raises
        ------
        Refused
            Nothing of the answer may leave.
        """
        kind = admit(statistic, version)
        if not self.policy.allows(statistic):
            raise Refused(f"statistic {statistic} is not allowed by policy {self.policy.name}")
        policy = self.policy if floors else without_row_floors(self.policy)
        # Before anything is computed: the most that a request can cost is known from its people.
        evidence = _Evidence(self.budget.judge(plan, exposure), by_row=has_rows(kind))
        evidence.refuse(self.policy)
        shards = 0
        for part, found in _checked(parts, kind, policy):
            spool.put(shards, part)
            shards += 1
            evidence.add(found)
        if not shards:
            raise Refused("the site computed nothing to release")
        if not floors:
            evidence.require_whole(statistic, policy)
        evidence.add(self.budget.combined(plan, exposure))
        evidence.add(doubts)
        if self.policy.review == "always":
            evidence.add([_EVERY])
        evidence.refuse(self.policy)
        return Judged(
            site=site,
            plan=plan,
            statistic=statistic,
            version=version,
            shards=shards,
            policy=self.policy.name,
            floors=self.policy.has_floors,
            evidence=evidence.all(),
            spool=spool,
            exposure=exposure,
        )

    def release(self, judged: Judged) -> Release:
        """Let out what passed, after it is written down.

        Raises
        ------
        NeedsReview
            A person must decide first.
        """
        if judged.verdict == "review":
            raise NeedsReview(f"{_said(judged.doubts)}; the site's data officer must decide")
        if judged.verdict != "pass":
            raise Refused("not every check of the answer has passed")
        return self._out(judged, None)

    def approve(self, judged: Judged, by: str) -> Release:
        """Let out what a person approved (`genome_eu.disclosure.review` binds what it was)."""
        if judged.verdict == "refuse":
            raise Refused("what the policy refuses cannot be approved")
        return self._out(judged, by)

    def _out(self, judged: Judged, by: str | None) -> Release:
        # It judges once more: others may have left while this one waited for a person.
        self.budget.commit(judged.plan, judged.exposure)
        return Release(judged, by, _KEY)


def admit(statistic: str, version: int) -> type[Aggregate]:
    """The aggregate type of a statistic that is installed, in this version, with all its rules.

    Raises
    ------
    Refused
        It is not.
    """
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


def without_row_floors(policy: Policy) -> Policy:
    """The policy without floors on single rows: under a secure sum they apply to the total."""
    floors = ("allele_floor", "genotype_floor", "association_floor", "missing_floor")
    return policy.model_copy(update=dict.fromkeys(floors, 0))


def _checked(
    parts: Iterable[tuple[Any, Facts]], kind: type[Aggregate], policy: Policy
) -> Iterator[tuple[Aggregate, list[Evidence]]]:
    for part, facts in parts:
        if isinstance(part, Private) or type(part) is not kind:
            raise Refused(f"{type(part).__name__} is not the aggregate that the plan names")
        yield RULES[kind](part, policy, facts)


class _Evidence:
    """Evidence of all checks: those of rows add up over shards, those of people repeat."""

    def __init__(self, first: Sequence[Evidence], *, by_row: bool) -> None:
        self._by_row = by_row
        self._known: dict[tuple[str, float], Evidence] = {}
        self.add(first)

    def add(self, found: Iterable[Evidence]) -> None:
        for now in found:
            before = self._known.get((now.check, now.limit))
            self._known[now.check, now.limit] = self._joined(before, now)

    def _joined(self, before: Evidence | None, now: Evidence) -> Evidence:
        if before is None:
            return now
        if not self._by_row or now.check not in BY_ROW:
            return before
        withheld = before.withheld + now.withheld
        return replace(
            before,
            withheld=withheld,
            of=before.of + now.of,
            verdict="withheld" if withheld else "pass",
        )

    def require_whole(self, statistic: str, policy: Policy) -> None:
        """Under a secure sum nothing says which numbers of a site are left out of the total."""
        if any(item.verdict == "withheld" for item in self._known.values()):
            raise Refused(
                f"a part of {statistic} would be withheld here, and a secure sum would then be of "
                f"some of the people without saying so; ask without groups (policy {policy.name})"
            )

    def refuse(self, policy: Policy) -> None:
        for item in self._known.values():
            if item.verdict == "refuse":
                raise Refused(f"{_said([item])} (policy {policy.name})")
            if item.verdict == "review" and policy.review == "never":
                # Without its reason, which was written for a person at the site.
                raise Refused(
                    f"{item.check} is beyond the limit of {item.limit:g}, and no person is asked "
                    f"(policy {policy.name})"
                )

    def all(self) -> tuple[Evidence, ...]:
        return tuple(self._known.values())


def _said(evidence: Sequence[Evidence]) -> str:
    return "; ".join(item.reason or f"{item.check}, limit {item.limit:g}" for item in evidence)
