"""A site's desk: every plan that comes in is judged, held or answered, and no step is lost.

Killed at any instant, the desk goes on from what lies in the plan's tray. The ledger is written
before anything leaves, and what has left once leaves again as the same bytes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from genome_eu.disclosure import review
from genome_eu.disclosure.case import policy_digest
from genome_eu.errors import (
    BadInput,
    GenomeEuError,
    LedgerError,
    NoAnswer,
    PanelError,
    Refused,
    TraitError,
)
from genome_eu.federation.bundle import Bundle, write_refusal
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.daemon.book import Book
from genome_eu.federation.daemon.doorway import Doorway
from genome_eu.federation.daemon.inbox import Inbox
from genome_eu.federation.daemon.outbox import Outbox
from genome_eu.federation.daemon.tray import Tray, digest
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.parties import Roster
from genome_eu.federation.plan import Plan
from genome_eu.federation.site import Site

log = logging.getLogger("genome_eu.site")

# How long others are expected to be ready at any moment; later they are waited for patiently.
_SOON_S = 30.0

Reason = Literal["policy", "input", "fault"]


class Desk:
    """Works on plans for one site.

    Parameters
    ----------
    site : Site
        The cohort, behind its airlock.
    roster : Roster
        The one that this site has accepted.
    keys : SecretKeys
        The site's own.
    post : Post
        The message store.
    folder : Path
        The site's private folder.
    """

    def __init__(
        self, site: Site, *, roster: Roster, keys: SecretKeys, post: Post, folder: Path
    ) -> None:
        if site.airlock is None:
            raise Refused(f"site {site.name} has no disclosure policy; nothing leaves without one")
        roster.own(site.name, keys.public)
        self.site = site
        self.roster = roster
        self.post = post
        self.folder = folder
        self.airlock = site.airlock
        self._book = Book(site.airlock.ledger)
        policy = site.airlock.policy
        self._book.opens(
            site.cohort_digest,
            policy=(policy.name, policy_digest(policy)),
            roster=(roster.name, roster.digest),
        )
        common: dict[str, Any] = {"roster": roster, "keys": keys, "post": post, "book": self._book}
        self._inbox = Inbox(site.name, folder=folder / "plans", **common)
        self._outbox = Outbox(site.name, **common)
        self._doorway = Doorway(site, site.airlock, self._book, folder)
        self._ready_since: dict[str, float] = {}

    def tell(self, says: Callable[[Plan, str], None]) -> None:
        """Have it said what is being done, for the status of the daemon."""
        self._doorway.says = says

    @property
    def waiting(self) -> int:
        """Plans that are not answered yet: held, or waiting for other sites."""
        return sum(not tray.sent.exists() for tray in self._inbox.trays.values())

    @property
    def expects(self) -> bool:
        """Whether other sites' ready messages may come at any moment."""
        return any(time.monotonic() - since < _SOON_S for since in self._ready_since.values())

    def attend(self) -> int:
        """Look at the exchange once, and do all that can be done; how many answers left.

        Raises
        ------
        NoAnswer
            The exchange is out of reach.
        BadInput, OSError
            Something is wrong with one plan, a disk or the ledger; the other plans went on.
        """
        sent = 0
        trouble: BadInput | OSError | None = None
        try:
            self._inbox.look()
        except BadInput as error:
            trouble = error
        for tray in list(self._inbox.trays.values()):
            try:
                sent += self._advance(tray)
            except NoAnswer:
                raise
            except (BadInput, OSError) as error:
                trouble = trouble or error
        if trouble is not None:
            raise trouble
        return sent

    # -- one plan ------------------------------------------------------------------------------

    def _advance(self, tray: Tray) -> int:
        """Do the next steps of a plan; how many answers left."""
        if tray.sent.exists():
            return 0
        plan = tray.plan
        if plan.masked and (mine := self._doorway.secure_round(tray, plan)).begun:
            # Lies there already, except under a new roster: then the others need it anew.
            self._outbox.ready(tray, plan, mine.message())
        cover = self._outbox.sealed(tray)
        if cover is None:
            if not (self._promised(tray, plan) or self._settled(tray, plan)):
                return 0
            cover = self._outbox.seal(tray, plan)
        self._outbox.deliver(tray, cover)
        review.close(self.folder, plan.hash)
        said = Bundle(tray.leaving).manifest
        if said.kind == "answer" and plan.masked:
            self._doorway.secure_round(tray, plan).forget(said.shards)
        tray.settle()
        return 1

    def _promised(self, tray: Tray, plan: Plan) -> bool:
        """Whether the ledger has promised what lies there: then nothing is asked any more."""
        promised = self._book.promised(plan)
        for path in (tray.leaving, tray.answer):
            if promised and path.exists() and digest(path) in promised:
                path.replace(tray.leaving)
                return True
        return False

    def _settled(self, tray: Tray, plan: Plan) -> bool:
        """Work on a plan until an answer or a refusal is promised; whether one is."""
        if self._refused(tray, plan, self._doorway.require_allowed, plan, self.roster):
            return True
        if plan.masked and not self._everybody_ready(tray, plan):
            return False
        # Whatever a person or an earlier verdict says, it ends at the second look.
        for _ in range(2):
            decision = self._doorway.decision(tray, plan)
            if decision is None and tray.held.exists():
                break
            if self._refused(tray, plan, self._doorway.let_out, tray, plan, decision):
                return True
            if decision is not None or not tray.held.exists():
                return True
        self._outbox.held(tray, plan)
        return False

    def _refused(self, tray: Tray, plan: Plan, step: Callable[..., None], *args: Any) -> bool:
        """Take a step; whether it ended in a refusal, which then is promised."""
        what = f"plan {plan.hash[:12]}: {plan.statistic}"
        try:
            step(*args)
        except Refused as error:
            log.warning("%s refused: %s", what, error)
            self._refuse(tray, plan, "policy", str(error))
        except (TraitError, PanelError) as error:
            # These speak of columns and rows that the plan itself names, never of a value.
            log.warning("%s cannot be answered: %s", what, error)
            self._refuse(tray, plan, "input", str(error))
        except (LedgerError, OSError):
            # A full disk, say: nobody is to blame who asked. The daemon waits, and tries again.
            self.site.state.finished(plan.hash)
            raise
        except GenomeEuError as error:
            log.error("%s cannot be answered: %s", what, error)
            message = f"its cohort or the plan of {plan.statistic} cannot be used; see its log"
            self._refuse(tray, plan, "input", message)
        except Exception:
            # The daemon outlives a bug of ours; the coordinator learns only that there was one.
            log.exception("%s failed", what)
            self._refuse(tray, plan, "fault", "internal error; see its log")
        else:
            return False
        return True

    def _refuse(self, tray: Tray, plan: Plan, reason: Reason, message: str) -> None:
        write_refusal(tray.leaving, self.site.name, plan.hash, reason, message)
        cohort, why = self.site.cohort_digest, message[:500]
        bundle = digest(tray.leaving)
        self._book.promise("refusal", plan, bundle, cohort=cohort, reason=reason, why=why)
        tray.judge_again()
        self.site.state.finished(plan.hash)

    def _everybody_ready(self, tray: Tray, plan: Plan) -> bool:
        """Say that this site is ready, and collect what the others say; whether all have."""
        mine = self._doorway.secure_round(tray, plan)
        if not mine.begun:
            self._outbox.ready(tray, plan, mine.message())
        self._inbox.ready_messages(tray, plan, mine.missing(), mine.take)
        if mine.missing():
            self._ready_since.setdefault(plan.hash, time.monotonic())
            return False
        self._ready_since.pop(plan.hash, None)
        return True
