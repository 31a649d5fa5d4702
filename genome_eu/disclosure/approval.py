"""The approval of a whole study: what a person lets leave before it is computed.

A GWAS takes tens of rounds, so a person may approve the question instead of every answer. The
approval says how far it goes; an answer beyond it waits for a person as every other does.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from genome_eu.atomic import write_whole
from genome_eu.disclosure.case import (
    Case,
    Decision,
    Hash,
    Name,
    Person,
    Record,
    Why,
    now,
    read,
)
from genome_eu.disclosure.holding import held, standing
from genome_eu.disclosure.ledger import Ledger
from genome_eu.disclosure.review import approve
from genome_eu.errors import Refused, UsageError
from genome_eu.stats.aggregate import AGGREGATES


class StudyApproval(Record):
    """How far a study may go without being looked at again, as `approvals/STUDY.json`.

    The question is bound by its hash where the asker states one, and always by what the site sees
    of it: who takes part, who asks and reads, whether sums are masked, and which sample columns are
    named.
    """

    study: Name
    question: Hash | None
    sites: tuple[Name, ...]
    asker: Name
    reader: Name
    secure_sum: bool
    cohort: Hash
    policy_digest: Hash
    statistics: dict[Name, int]
    names: tuple[str, ...]
    doubts: tuple[str, ...]  # checks that asked for a person, and were seen to
    rounds: int = Field(ge=1, le=100_000)
    rows: int = Field(ge=0)
    columns: int = Field(ge=0)
    who: Person
    why: Why = ""
    time: str


_SAME = {
    "study": "it belongs to another study",
    "question": "the study's question is another one",
    "sites": "other sites take part",
    "asker": "somebody else asks",
    "reader": "somebody else would read the answer",
    "secure_sum": "sums are no longer masked alike",
    "cohort": "the cohort has changed",
    "policy_digest": "the policy has changed",
}


def covers(approval: StudyApproval, case: Case) -> str | None:
    """Why an approval does not reach a case; None where it does."""
    for name, problem in _SAME.items():
        if getattr(approval, name) != getattr(case, name):
            return problem
    if approval.statistics.get(case.statistic) != case.version:
        return f"{case.statistic} version {case.version} is not among the approved statistics"
    beyond = sorted(set(case.names) - set(approval.names))
    if beyond:
        return f"it asks for {', '.join(beyond)}, which was not approved"
    unseen = sorted(set(case.doubts) - set(approval.doubts))
    if unseen:
        return f"a check asks for a person that did not when the study was approved: {unseen[0]}"
    if case.round >= approval.rounds:
        return f"round {case.round} is beyond the {approval.rounds} rounds approved"
    if case.rows > approval.rows:
        return f"{case.rows:,} rows are more than the {approval.rows:,} approved"
    if case.columns > approval.columns:
        return f"{case.columns:,} numbers per row are more than the {approval.columns:,} approved"
    return None


def approve_study(
    state: Path,
    study: str,
    who: str,
    ledger: Ledger,
    *,
    rounds: int,
    rows: int | None = None,
    columns: int | None = None,
    statistics: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
    why: str = "",
) -> StudyApproval:
    """Approve a study by what is held of it, and let those answers leave that it covers.

    Parameters
    ----------
    rounds : int
        Largest number of rounds.
    rows, columns : int, optional
        Largest number of rows, and of numbers per row; by default the most of what is held.
    statistics, names : tuple of str
        Statistics and sample columns that later rounds may ask for, besides those of what is held.

    Raises
    ------
    UsageError
        Nothing of the study is held, it contradicts itself, or a statistic is not installed.
    """
    cases = [case for case in held(state, decided=True) if case.study == study]
    if not cases:
        raise UsageError(
            f"nothing of study {study} is held here; approve it when its first answer waits "
            f"(`genome-eu site review`)"
        )
    for name, problem in _SAME.items():
        if any(getattr(case, name) != getattr(cases[-1], name) for case in cases):
            raise UsageError(f"the held answers of study {study} differ: {problem}")
    unknown = [name for name in statistics if name not in AGGREGATES]
    if unknown:
        raise UsageError(f"statistic {unknown[0]} is not installed at this site")
    last = cases[-1]
    try:
        approval = StudyApproval(
            **{name: getattr(last, name) for name in _SAME},
            statistics={name: AGGREGATES[name].version for name in statistics}
            | {case.statistic: case.version for case in cases},
            names=tuple(dict.fromkeys([*(n for case in cases for n in case.names), *names])),
            doubts=tuple(dict.fromkeys(check for case in cases for check in case.doubts)),
            rounds=rounds,
            rows=max(case.rows for case in cases) if rows is None else rows,
            columns=max(case.columns for case in cases) if columns is None else columns,
            who=who,
            why=why,
            time=now(),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--{first['loc'][0]}: {first['msg'].lower()}") from None
    ledger.append("study_approval", **approval.model_dump(mode="json", exclude={"format", "time"}))
    path = _path(state, study)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, approval.content, private=True)
    for case in cases:
        if standing(state, case)[0] == "waiting":
            admit(state, case, ledger)
    return approval


def approval_of(state: Path, study: str) -> StudyApproval | None:
    """The approval of a study; None where there is none."""
    return read(_path(state, study), StudyApproval)


def admit(state: Path, case: Case, ledger: Ledger) -> str | None:
    """Approve a held case if its study's approval covers it; why not, otherwise."""
    approval = approval_of(state, case.study)
    if approval is None:
        return f"study {case.study} is not approved as a whole"
    problem = covers(approval, case) or _repeated(state, case)
    if problem is None:
        try:
            approve(state, case.plan, approval.who, ledger, under=approval.digest)
        except Refused as error:
            problem = str(error)
    return problem


def withdraw(state: Path, study: str, who: str, why: str, ledger: Ledger) -> None:
    """End the approval of a study: what has not left yet waits for a person again.

    Raises
    ------
    UsageError
        It is not approved, or no reason is given.
    """
    if not why.strip():
        raise UsageError("say why it is refused, with --why")
    approval = approval_of(state, study)
    if approval is None:
        raise UsageError(f"study {study} is not approved as a whole")
    ledger.append("withdrawn", study=study, approval=approval.digest, who=who, why=why)
    _path(state, study).unlink()
    for decision, path in _following(state, study):
        if not (path.parent / "left").exists():
            ledger.append("withdrawn", plan=decision.plan, study=study, who=who, why=why)
            path.unlink()


def _repeated(state: Path, case: Case) -> str | None:
    """A round is answered once: two plans under one number would double what was approved."""
    for decision, _ in _following(state, case.study):
        if decision.round == case.round and decision.plan != case.plan:
            return f"round {case.round} was approved for another plan ({decision.plan[:12]})"
    return None


def _following(state: Path, study: str) -> list[tuple[Decision, Path]]:
    """Decisions that followed from an approval of a study."""
    found = []
    for path in sorted((state / "held").glob("*/decision.json")):
        decision = read(path, Decision)
        if decision is not None and decision.study == study and decision.under is not None:
            found.append((decision, path))
    return found


def _path(state: Path, study: str) -> Path:
    return state / "approvals" / f"{study}.json"
