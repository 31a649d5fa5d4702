"""Decisions on answers that wait for a person. What was approved is what leaves.

A decision names the SHA-256 of the case, and the case those of bundle, plan, cohort and policy;
where any of them has changed since, the decision is void and nothing leaves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from genome_eu.atomic import write_whole
from genome_eu.disclosure.case import Case, Decision, now, policy_digest, read
from genome_eu.disclosure.holding import (
    answer_of,
    copied,
    find,
    folder_of,
    locked,
    standing,
    unbound,
)
from genome_eu.disclosure.ledger import Ledger
from genome_eu.disclosure.policy import Policy
from genome_eu.errors import Refused, UsageError


def approve(
    state: Path,
    plan: str,
    who: str,
    ledger: Ledger,
    *,
    answer: str | None = None,
    why: str = "",
    under: str | None = None,
) -> Decision:
    """Let a held answer leave: exactly the bytes that are there now.

    Parameters
    ----------
    answer : str, optional
        The bundle's SHA-256 as it was shown in the review, or its beginning.
    under : str, optional
        Digest of the study's approval that this follows from.

    Raises
    ------
    Refused
        The bundle is not the one that was held, or not the one that was seen.
    UsageError
        It has been refused already, or there is no such case.
    """
    case = find(state, plan)
    with locked(folder_of(state, case.plan)):
        if standing(state, case)[0] == "refused":
            raise UsageError(
                f"plan {case.plan[:12]} has been refused; the coordinator must ask again"
            )
        answer_of(state, case)
        if answer is not None and not (answer and case.answer.startswith(answer)):
            raise Refused(
                f"the bundle of plan {case.plan[:12]} is {case.answer[:12]}, not {answer[:12]} as "
                f"you saw it; review it again"
            )
        return _decide(state, case, "approved", who, why, under, ledger)


def refuse(state: Path, plan: str, who: str, why: str, ledger: Ledger) -> Decision:
    """Keep a held answer at the site. Why is written in the ledger and told to nobody else.

    Raises
    ------
    UsageError
        It has left already, there is no such case, or no reason is given.
    """
    if not why.strip():
        raise UsageError("say why it is refused, with --why")
    case = find(state, plan)
    with locked(folder_of(state, case.plan)):
        if (folder_of(state, case.plan) / "left").exists():
            raise UsageError(f"the answer to plan {case.plan[:12]} has left already")
        return _decide(state, case, "refused", who, why, None, ledger)


def decided(state: Path, plan: str, *, cohort: str, policy: Policy) -> Decision | None:
    """What was decided on a plan; None while nobody has.

    Raises
    ------
    Refused
        Cohort, policy or case are not those that were held and decided on.
    """
    folder = folder_of(state, plan)
    case = read(folder / "case.json", Case)
    if case is None:
        return None
    problem = ""
    if case.cohort != cohort:
        problem = "the cohort has changed since it was held"
    elif case.policy_digest != policy_digest(policy):
        problem = "the policy has changed since it was held"
    decision = read(folder / "decision.json", Decision)
    if decision is not None:
        problem = problem or unbound(decision, case)
    if problem:
        raise Refused(f"plan {plan[:12]}: {problem}; nothing leaves before it is reviewed again")
    return decision


def collect(state: Path, plan: str, target: Path, *, cohort: str, policy: Policy) -> Decision:
    """Copy an approved bundle to `target`, to be sealed; it can no longer be refused from here on.

    Raises
    ------
    Refused
        It is not approved, or its bytes are not those that were approved.
    """
    folder = folder_of(state, plan)
    if not folder.is_dir():
        raise Refused(f"nothing is held for plan {plan[:12]}")
    with locked(folder):
        decision = decided(state, plan, cohort=cohort, policy=policy)
        if decision is None or decision.verdict != "approved":
            raise Refused(f"plan {plan[:12]} is not approved; nothing leaves")
        # The digest is that of the bytes copied, so none can be exchanged after the check.
        if copied(folder / "answer.tar", target) != decision.answer:
            target.unlink()
            raise Refused(f"the bundle of plan {plan[:12]} is not the one approved; nothing leaves")
        write_whole(folder / "left", now().encode(), private=True)
        return decision


def close(state: Path, plan: str) -> None:
    """Remove the clear bundle of a settled case; the case and its decision stay as a record."""
    (folder_of(state, plan) / "answer.tar").unlink(missing_ok=True)


def _decide(
    state: Path,
    case: Case,
    verdict: Literal["approved", "refused"],
    who: str,
    why: str,
    under: str | None,
    ledger: Ledger,
) -> Decision:
    try:
        decision = Decision(
            plan=case.plan,
            study=case.study,
            round=case.round,
            case=case.digest,
            answer=case.answer,
            cohort=case.cohort,
            policy_digest=case.policy_digest,
            verdict=verdict,
            who=who,
            why=why,
            under=under,
            time=now(),
        )
    except ValidationError as error:
        raise UsageError(f"--{error.errors()[0]['loc'][0]} must be one short line") from None
    # Written down before it takes effect: nothing leaves that the ledger does not know.
    ledger.append(
        "approval" if verdict == "approved" else "denial",
        plan=case.plan,
        study=case.study,
        round=case.round,
        answer=case.answer,
        who=who,
        why=why,
        under=under,
    )
    write_whole(folder_of(state, case.plan) / "decision.json", decision.content, private=True)
    return decision
