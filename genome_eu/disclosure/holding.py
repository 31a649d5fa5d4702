"""The folder of answers that wait for a person: each with its case, and the decision on it.

held/PLAN/answer.tar      the clear bundle, as it would leave
held/PLAN/case.json       what it is, for whom, and why somebody must look at it
held/PLAN/decision.json   approved or refused, by whom, on which bytes (`review`)
held/PLAN/left            it was handed on: that cannot be taken back
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel

from genome_eu.atomic import AtomicFile, write_whole
from genome_eu.disclosure.case import (
    Case,
    CheckRecord,
    Decision,
    Membership,
    now,
    numbers_per_row,
    policy_digest,
    read,
)
from genome_eu.disclosure.ledger import Ledger
from genome_eu.disclosure.membership import membership_power
from genome_eu.disclosure.policy import Policy
from genome_eu.errors import Refused, UsageError
from genome_eu.stats.aggregate import Aggregate

if TYPE_CHECKING:
    from genome_eu.disclosure.airlock import Judged

#: The check of the airlock that judges membership inference.
MEMBERSHIP = "membership power"

_CHUNK = 2**20

Standing = Literal["waiting", "approved", "refused", "void"]


class _Plan(Protocol):
    """What is read of a plan; `federation.plan.Plan` lies above this room."""

    @property
    def hash(self) -> str: ...
    @property
    def study(self) -> str: ...
    @property
    def round(self) -> int: ...
    @property
    def sites(self) -> tuple[str, ...]: ...
    @property
    def reader(self) -> str: ...
    @property
    def secure_sum(self) -> bool: ...
    @property
    def parameters(self) -> dict[str, Any]: ...
    @property
    def people(self) -> BaseModel: ...
    @property
    def rows(self) -> int: ...


def case_of(
    answer: Path,
    *,
    plan: _Plan,
    judged: Judged,
    policy: Policy,
    cohort: str,
    people: int,
    sample: Aggregate,
    asker: str,
    reasons: Iterable[str] = (),
    question: str | None = None,
) -> Case:
    """What is to be known of an answer, whether it is held or leaves at once (`Case.facts`).

    Parameters
    ----------
    answer : path
        The clear bundle.
    plan : Plan
        What it answers.
    judged : Judged
        What the airlock found.
    policy : Policy
        By which it was judged.
    cohort : str
        Hash of the cohort that answers, of `people` people.
    sample : Aggregate
        One shard, by which the numbers per row are counted.
    asker : str
        Whose signature the plan bears.
    reasons : iterable of str
        Why a person must look, besides what the evidence says.
    question : str, optional
        Hash of the whole study's question.
    """
    with answer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Case(
        **_asked(plan),
        **_found(judged, policy, tuple(reasons)),
        asker=asker,
        question=question,
        cohort=cohort,
        people=people,
        columns=numbers_per_row(sample),
        bytes=answer.stat().st_size,
        answer=digest,
        time=now(),
    )


def open_case(state: Path, case: Case, answer: Path, ledger: Ledger) -> Case:
    """Hold an answer until a person has decided. Called again after a restart, it changes nothing.

    Parameters
    ----------
    state : path
        The site's private state folder.
    case : Case
        What is known of the answer.
    answer : path
        The clear bundle; it is copied.
    ledger : Ledger
        Gets a `held` entry, once.

    Returns
    -------
    Case
        As it is held: the earlier one, where it was held before.

    Raises
    ------
    Refused
        Another answer to this plan has left already.
    """
    folder = folder_of(state, case.plan)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder):
        known = read(folder / "case.json", Case)
        same = known is not None and known == case.model_copy(update={"time": known.time})
        if not same and (folder / "left").exists():
            raise Refused(f"another answer to plan {case.plan[:12]} has left already")
        arrived = folder / "arriving.tar"
        if copied(answer, arrived) != case.answer:
            arrived.unlink()
            raise Refused(f"the answer to plan {case.plan[:12]} changed while it was held")
        if known is not None and same:
            arrived.replace(folder / "answer.tar")
            return known
        # The old decision goes first, the new case comes last: a crash in between leaves no case,
        # never a decision on something else.
        for name in ("decision.json", "case.json"):
            (folder / name).unlink(missing_ok=True)
        arrived.replace(folder / "answer.tar")
        ledger.append("held", **case.facts, checks=list(case.doubts))
        write_whole(folder / "case.json", case.content, private=True)
    return case


def held(state: Path, *, decided: bool = False) -> list[Case]:
    """Cases that wait for a decision, oldest first; with `decided`, the others too.

    Raises
    ------
    BadInput
        A case is damaged.
    """
    cases = []
    for path in (state / "held").glob("*/case.json"):
        case = read(path, Case)
        if case is not None and (decided or standing(state, case)[0] in ("waiting", "void")):
            cases.append(case)
    return sorted(cases, key=lambda case: (case.time, case.study, case.round, case.plan))


def find(state: Path, plan: str) -> Case:
    """The case of a plan, by its hash or the first characters of it.

    Raises
    ------
    UsageError
        No case, or several, begin so.
    """
    found = [case for case in held(state, decided=True) if plan and case.plan.startswith(plan)]
    if len(found) == 1:
        return found[0]
    problem = "several held answers are" if found else "no held answer is"
    raise UsageError(f"{problem} to a plan {plan!r}; see `genome-eu site review`")


def standing(state: Path, case: Case) -> tuple[Standing, str]:
    """Where a case stands, and why a decision on it is void (the bundle is not read for this)."""
    decision = read(folder_of(state, case.plan) / "decision.json", Decision)
    if decision is None:
        return "waiting", ""
    problem = unbound(decision, case)
    return ("void", problem) if problem else (decision.verdict, "")


def answer_of(state: Path, case: Case) -> Path:
    """The clear bundle of a case.

    Raises
    ------
    Refused
        It is gone, or its bytes are not those that were held.
    """
    path = folder_of(state, case.plan) / "answer.tar"
    if not path.is_file():
        raise Refused(f"the answer to plan {case.plan[:12]} is no longer kept")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != case.answer:
            raise Refused(
                f"the bundle of plan {case.plan[:12]} is not the one that was held, so nothing "
                f"leaves; remove {path.parent} and the site computes the answer again"
            )
    return path


def unbound(decision: Decision, case: Case) -> str:
    """Why a decision is not on this case; empty where it is."""
    bound = (decision.case, decision.plan, decision.answer, decision.cohort, decision.policy_digest)
    if bound != (case.digest, case.plan, case.answer, case.cohort, case.policy_digest):
        return f"it is not what {decision.who} {decision.verdict} on {decision.time}"
    return ""


def folder_of(state: Path, plan: str) -> Path:
    """Where the answer to a plan is held."""
    return state / "held" / plan


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One at a time: the daemon and a person do not pass each other."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def copied(source: Path, target: Path) -> str:
    """Copy a file for its owner only; SHA-256 of the bytes copied."""
    found = hashlib.sha256()
    with AtomicFile(target, private=True) as file, source.open("rb") as content:
        while part := content.read(_CHUNK):
            found.update(part)
            file.write(part)
    return found.hexdigest()


def _asked(plan: _Plan) -> dict[str, Any]:
    """What a case says of its plan."""
    names = ("study", "round", "sites", "reader", "secure_sum", "parameters", "rows")
    said = {name: getattr(plan, name) for name in names} | {"plan": plan.hash}
    if limits := plan.people.model_dump(mode="json", exclude_defaults=True):
        said["parameters"] = {**plan.parameters, "people": limits}
    return said


def _found(judged: Judged, policy: Policy, reasons: tuple[str, ...]) -> dict[str, Any]:
    """What a case says of the airlock's checks."""
    evidence = tuple(
        CheckRecord(
            check=item.check,
            limit=item.limit,
            withheld=item.withheld,
            of=item.of,
            verdict=item.verdict,
            reason=item.reason,
            measured=getattr(item, "measured", None),
        )
        for item in judged.evidence
    )
    doubts = [item for item in evidence if item.verdict == "review"]
    return {
        "site": judged.site,
        "statistic": judged.statistic,
        "version": judged.version,
        "policy": policy.name,
        "policy_digest": policy_digest(policy),
        "evidence": evidence,
        "verdict": "review" if doubts else "pass",
        "reasons": (*reasons, *(item.reason or _plainly(item) for item in doubts)),
        "membership": _membership(judged, policy),
    }


def _membership(judged: Judged, policy: Policy) -> Membership | None:
    """The attack by which the airlock judged, on the smallest group that is described."""
    rows = [item.of for item in judged.evidence if item.check == MEMBERSHIP]
    people = [group.size for group in judged.exposure.people if group.size]
    if not rows or not people:
        return None
    alpha = policy.membership_alpha
    return Membership(
        rows=rows[0],
        people=min(people),
        alpha=alpha,
        power=membership_power(rows[0], min(people), alpha),
    )


def _plainly(item: CheckRecord) -> str:
    return f"the check “{item.check}” is beyond its limit of {item.limit:g}"
