"""From a plan to what may leave: allowed, computed, judged, then promised or held for a person.

Nothing here touches the exchange. An exception of any kind means that nothing leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genome_eu.disclosure import approval, holding, review
from genome_eu.disclosure.airlock import Airlock, Judged
from genome_eu.disclosure.case import Case, Decision, policy_digest, read
from genome_eu.errors import BadInput, NeedsReview, Refused
from genome_eu.federation.bundle import Bundle, FileArrays, judged_from, write_answer
from genome_eu.federation.daemon.book import Book
from genome_eu.federation.daemon.secure_round import SecureRound
from genome_eu.federation.daemon.tray import Tray, digest
from genome_eu.federation.parties import Roster
from genome_eu.federation.plan import Plan
from genome_eu.federation.site import Site

log = logging.getLogger("genome_eu.site")

# A plan that ended the daemon this often (memory, a crash below Python) is refused unanswered. A
# machine that is switched off now and then must not come near it.
_MOST_ATTEMPTS = 20


class Doorway:
    """Brings one site's answers through its airlock.

    Parameters
    ----------
    site : Site
        The cohort.
    airlock : Airlock
        The site's own.
    book : Book
        Gets every promise.
    folder : Path
        The site's private folder: held answers, approvals.
    """

    def __init__(self, site: Site, airlock: Airlock, book: Book, folder: Path) -> None:
        self._site = site
        self._airlock = airlock
        self._policy = airlock.policy
        self._book = book
        self._folder = folder
        #: Told what is being done.
        self.says: Callable[[Plan, str], None] = _silent

    # -- what the policy says ------------------------------------------------------------------

    def require_allowed(self, plan: Plan, roster: Roster) -> None:
        """What policy and roster say of secure sums."""
        asks, policy = self._policy.secure_sum, f"(policy {self._policy.name})"
        if not plan.secure_sum:
            if asks == "required" or (asks == "allowed" and roster.secure_sum):
                raise Refused(f"numbers leave this site only in a secure sum over sites {policy}")
            return
        if asks == "off":
            raise Refused(f"this site takes part in no secure sum {policy}")
        least = max(self._policy.min_sites, roster.min_sites)
        if len(set(plan.sites)) < least:
            raise Refused(
                f"{len(set(plan.sites))} sites take part, a secure sum needs {least} here {policy}"
            )

    def _rules(self, plan: Plan) -> dict[str, Any]:
        """All that a verdict rests on besides the answer itself."""
        doubts = self._book.participants.doubts(plan, self._site.cohort_digest)
        return {
            "policy": policy_digest(self._policy),
            "cohort": self._site.cohort_digest,
            "participants": [item.reason for item in doubts],
        }

    def _stands(self, tray: Tray, plan: Plan) -> bool:
        """Whether a verdict from before still stands: nothing that it rests on has changed."""
        found = tray.rules
        return all(found.get(name) == value for name, value in self._rules(plan).items())

    # -- the answer ----------------------------------------------------------------------------

    def let_out(self, tray: Tray, plan: Plan, decision: Decision | None) -> None:
        """Pass an answer through the door; it is promised then, or held for a person."""
        if decision is not None:
            if decision.verdict == "refused":
                raise Refused("the site's data officer does not let the answer out")
            cohort = self._site.cohort_digest
            review.collect(self._folder, plan.hash, tray.answer, cohort=cohort, policy=self._policy)
        elif not (tray.answer.exists() and self._stands(tray, plan)):
            self._compute(tray, plan)
        judged = self._judged(tray, plan)
        case = self._case(tray, plan, judged)
        approver = decision.who if decision is not None else None
        try:
            if approver is None:
                self._airlock.release(judged)
            else:
                self._airlock.approve(judged, approver)
        except NeedsReview as error:
            log.warning("plan %s: %s waits for a review: %s", plan.hash[:12], plan.statistic, error)
            holding.open_case(self._folder, case, tray.answer, self._airlock.ledger)
            tray.held.touch()
            tray.answer.unlink()
            return
        leaves = tray.answer
        if plan.masked:
            self.secure_round(tray, plan).write(Bundle(tray.answer), tray.leaving)
            leaves = tray.leaving
        said = case.facts | {"secure_sum": plan.masked, "approved_by": approver}
        self._book.promise("release", plan, digest(leaves), **_without(said, "plan", "statistic"))
        leaves.replace(tray.leaving)

    def _compute(self, tray: Tray, plan: Plan) -> None:
        """Compute and judge the answer."""
        self.says(plan, "computing")
        tray.judge_again()
        if self._site.state.begin(plan.hash) >= _MOST_ATTEMPTS:
            raise RuntimeError(f"begun {_MOST_ATTEMPTS} times and never finished")
        inputs = Bundle(tray.asked).inputs()
        doubts = self._book.participants.doubts(plan, self._site.cohort_digest)
        with tray.workplace() as folder:
            arrays, answer = folder / "arrays", folder / "answer.tar"
            arrays.mkdir()
            judged = self._site.judge(plan, inputs, FileArrays(arrays), doubts)
            write_answer(answer, judged, self._site.cohort_digest)
            # Reasons are for the people here; they do not travel with the evidence.
            reasons = {item.check: item.reason for item in judged.evidence if item.reason}
            tray.keep_rules(self._rules(plan) | {"reasons": reasons})
            answer.replace(tray.answer)
        self._site.state.finished(plan.hash)

    def _judged(self, tray: Tray, plan: Plan) -> Judged:
        """The answer that lies there, as it was judged."""
        exposure = self._site.exposure(plan, Bundle(tray.asked).inputs())
        return judged_from(Bundle(tray.answer), exposure, tray.rules.get("reasons", {}))

    def _case(self, tray: Tray, plan: Plan, judged: Judged) -> Case:
        """What is said of a release, to a person and to the ledger."""
        return holding.case_of(
            tray.answer,
            plan=plan,
            judged=judged,
            policy=self._policy,
            cohort=self._site.cohort_digest,
            people=self._site.among(plan.people).people,
            sample=Bundle(tray.answer).shard(0),
            asker=plan.reader,
        )

    # -- a person decides ----------------------------------------------------------------------

    def decision(self, tray: Tray, plan: Plan) -> Decision | None:
        """What was decided on a held answer; None where nobody has, or nothing is held.

        Raises
        ------
        BadInput
            The decision is not on what is held, or the ledger does not have it. Nothing leaves.
        """
        if not tray.held.exists():
            return None
        folder = holding.folder_of(self._folder, plan.hash)
        case = read(folder / "case.json", Case)
        if case is None or not (folder / "answer.tar").exists() or not self._stands(tray, plan):
            log.warning("plan %s: what was held is void, and judged again", plan.hash[:12])
            tray.judge_again()
            return None
        if holding.standing(self._folder, case)[0] == "waiting":
            approval.admit(self._folder, case, self._airlock.ledger)
        try:
            decision = review.decided(
                self._folder, plan.hash, cohort=self._site.cohort_digest, policy=self._policy
            )
        except Refused as error:
            raise BadInput(str(error)) from None
        if decision is not None and decision.verdict == "approved" and not self._book.has(decision):
            raise BadInput(
                f"plan {plan.hash[:12]}: its approval by {decision.who} does not stand in the "
                f"ledger; nothing leaves before it is approved again"
            )
        return decision

    def secure_round(self, tray: Tray, plan: Plan) -> SecureRound:
        """This site's part in the secure sum of a plan."""
        return SecureRound(tray.folder, plan, site=self._site.name, policy=self._policy)


def _without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _silent(plan: Plan, step: str) -> None:
    """Nobody listens."""
