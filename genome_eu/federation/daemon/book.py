"""A site's ledger as its desk writes it: every step once, however often the desk is killed.

An entry comes before the step that it speaks of. A desk that died in between finds the entry, and
takes the step without writing it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from genome_eu.disclosure.case import Decision
from genome_eu.disclosure.ledger import Entry, Head, Ledger
from genome_eu.errors import Refused
from genome_eu.federation.participants import Participants
from genome_eu.federation.plan import Plan

_DECISIONS = ("approval", "denial", "withdrawn")


class Book:
    """What an earlier run has written down, and what this one adds.

    Parameters
    ----------
    ledger : Ledger
        Read once, from its beginning, and checked on the way.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        #: Who took part in the secure sums that this site has answered.
        self.participants = Participants()
        self._rules: dict[str, str] = {}
        self._requests: set[str] = set()
        self._ready: set[str] = set()
        self._released: dict[str, str] = {}  # bundle by plan
        self._refused: dict[str, str] = {}  # since the plan was asked last
        self._delivered: set[str] = set()
        for entry in ledger.entries():
            self._note(entry.event, entry.fields)

    def _note(self, event: str, fields: Mapping[str, Any]) -> None:
        if event in ("policy", "roster"):
            self._rules[event] = fields["digest"]
        elif event == "request":
            self._requests.add(fields.get("message", ""))
            self._refused.pop(fields["plan"], None)
        elif event == "ready":
            self._ready.add(fields["plan"])
        elif event == "release":
            self._released[fields["plan"]] = fields["bundle"]
            self.participants.note(fields)
        elif event == "refusal":
            self._refused[fields["plan"]] = fields["bundle"]
        elif event == "delivered":
            self._delivered.add(fields["message"])

    def _append(self, event: str, **fields: Any) -> None:
        self.ledger.append(event, **fields)
        self._note(event, fields)

    @property
    def head(self) -> Head:
        """Where the ledger stands."""
        return self.ledger.head

    def opens(self, cohort: str, **rules: tuple[str, str]) -> None:
        """The desk opens; under which policy and roster, name and digest, where they are new."""
        self._append("opened", cohort=cohort)
        for event, (name, digest) in rules.items():
            if self._rules.get(event) != digest:
                self._append(event, digest=digest, name=name)

    def request(self, plan: Plan, message: str) -> None:
        """A plan came, in a message of this digest."""
        if message not in self._requests:
            self._append(
                "request",
                plan=plan.hash,
                study=plan.study,
                round=plan.round,
                statistic=plan.statistic,
                reader=plan.reader,
                sites=list(plan.sites),
                secure_sum=plan.secure_sum,
                message=message,
            )

    def ready(self, plan: Plan) -> None:
        """The site is about to say that it takes part in a secure sum."""
        if plan.hash not in self._ready:
            self._append("ready", plan=plan.hash, sites=list(plan.sites), statistic=plan.statistic)

    def promise(
        self, event: Literal["release", "refusal"], plan: Plan, bundle: str, **fields: Any
    ) -> None:
        """These bytes will leave, and no others.

        Raises
        ------
        Refused
            Another answer to this plan was let out before.
        """
        if event == "release" and self._released.get(plan.hash, bundle) != bundle:
            raise Refused(f"another answer to plan {plan.hash[:12]} was let out before")
        if bundle not in self.promised(plan):
            self._append(event, **fields, plan=plan.hash, statistic=plan.statistic, bundle=bundle)

    def promised(self, plan: Plan) -> set[str]:
        """Digests of what may leave in answer to a plan: the release, and a refusal of now."""
        found = (self._released.get(plan.hash), self._refused.get(plan.hash))
        return {digest for digest in found if digest is not None}

    def delivered(self, plan: str, message: str) -> None:
        """A sealed message lies at the exchange."""
        if message not in self._delivered:
            self._append("delivered", plan=plan, message=message)

    def has(self, decision: Decision) -> bool:
        """Whether an approval is the last thing that the ledger says of its plan.

        `decision.json` alone proves nothing: a file is easily written, a line of the ledger stays.
        """
        last: Entry | None = None
        for entry in self.ledger.entries():
            if entry.event in _DECISIONS and entry.fields.get("plan") == decision.plan:
                last = entry
        if last is None or last.event != "approval":
            return False
        said = {name: last.fields.get(name) for name in ("answer", "who", "under")}
        return said == {"answer": decision.answer, "who": decision.who, "under": decision.under}
