"""The coordinator's side of an exchange: plans go out sealed and signed, answers come back so.

Every message is durable at the exchange and visible at once; who dies on either side begins again
where it stopped.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from numpy.typing import NDArray

from genome_eu.errors import BadInput, BundleError, NoAnswer, Refused
from genome_eu.federation.answer import SiteAnswer, from_bundle
from genome_eu.federation.bundle import Bundle, write_plan
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.cover import Cover, Kind, read_cover
from genome_eu.federation.envelope import seal, unseal
from genome_eu.federation.heads import Heads
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.parties import Roster
from genome_eu.federation.plan import Plan
from genome_eu.federation.study import Study

# In the folder of a round that was waited for in vain.
_LATE = "late"
# Each pause is about a sixth of the time that was waited before.
_POLL_S = 0.05
_POLL_GROWTH = 1.2
_POLL_LIMIT_S = 2.0
#: The most that an answer may take on disk once it is opened.
ANSWER_LIMIT = 64 * 2**30


class Exchange:
    """Asks sites through a message store.

    Parameters
    ----------
    post : Post
        The message store.
    roster : Roster
        Who takes part, with their keys.
    keys : SecretKeys
        Of the one who asks.
    heads : Path
        Folder that pins the newest ledger head each site has signed.
    """

    def __init__(self, post: Post, roster: Roster, keys: SecretKeys, heads: Path) -> None:
        self.post = post
        self.roster = roster
        self.keys = keys
        self.asker = roster.who(keys.public).name
        self.heads = Heads(heads)

    def ask(
        self, plan: Plan, inputs: dict[str, NDArray], study: Study, missing: tuple[str, ...]
    ) -> dict[str, SiteAnswer]:
        """Publish a plan and collect the answers of the sites in `missing`.

        Raises
        ------
        NoAnswer
            A site did not answer in time; names it.
        Refused
            A site's policy withholds the answer.
        BadInput
            A site cannot answer from its cohort.
        BundleError
            A message is damaged, forged, or not the answer to this plan.
        LedgerError
            A site's ledger has fewer entries than it had.
        """
        self._publish(plan, inputs, study, missing)
        answers: dict[str, SiteAnswer] = {}
        waiting = list(missing)
        deadline = time.monotonic() + self.roster.timeout_s
        pause = _POLL_S
        while True:
            arrived = {site: found for site in waiting if (found := self._arrived(plan, site))}
            for site, (cover, content) in arrived.items():
                answers[site] = self._take(cover, content, plan, study)
                waiting.remove(site)
            if not waiting:
                return answers
            if time.monotonic() > deadline:
                raise self._late(plan, study, waiting)
            pause = _POLL_S if arrived else min(pause * _POLL_GROWTH, _POLL_LIMIT_S)
            time.sleep(pause)

    # -- out -----------------------------------------------------------------------------------

    def _publish(
        self, plan: Plan, inputs: dict[str, NDArray], study: Study, missing: tuple[str, ...]
    ) -> None:
        """Post the plan, unless it lies there and every message about it can still be used."""
        name = _name(plan, self.asker, "plan")
        unusable = [message for site in missing for message in self._unusable(plan, site)]
        late = study.round(plan.round) / _LATE
        if self._usable(name, plan) is not None and not unusable and not late.exists():
            return
        # The plan goes first: killed before it is back, the next run finds that it must post it.
        for message in (name, *unusable):
            self.post.discard(message)
        self.heads.ask(plan.sites, study.round(plan.round))
        with tempfile.TemporaryDirectory(prefix="genome-eu-") as folder:
            clear, sealed = Path(folder) / "plan.tar", Path(folder) / "plan.c4gh"
            write_plan(clear, plan, inputs)
            cover = seal(
                clear,
                sealed,
                roster=self.roster,
                keys=self.keys,
                study=plan.study,
                round=plan.round,
                kind="plan",
                sender=self.asker,
                plan=plan.hash,
                readers=(*plan.sites, self.asker),
            )
            # Posted anew, it has sites look again: at a refusal, or at an answer that was lost.
            self.post.publish(name, sealed, cover.content, cover.parts)
        late.unlink(missing_ok=True)
        study.log("posted", round=plan.round, plan=plan.hash)

    def _unusable(self, plan: Plan, site: str) -> list[str]:
        """What an earlier run of this study left of a site: refusals, and what is damaged."""
        refusal, answer = _name(plan, site, "refusal"), _name(plan, site, "answer")
        found = [refusal] if self._lies_there(refusal) else []
        if self._lies_there(answer) and not self._is_whole(answer, plan, site):
            found.append(answer)
        return found

    def _lies_there(self, name: str) -> bool:
        try:
            return self.post.cover(name) is not None
        except BundleError:
            # Something does, larger than any cover.
            return True

    def _usable(self, name: str, plan: Plan) -> Cover | None:
        """The cover of a message about this plan, if it can be trusted."""
        try:
            content = self.post.cover(name)
            return read_cover(content, self.roster, name=name, plan=plan.hash) if content else None
        except BundleError:
            return None

    def _is_whole(self, name: str, plan: Plan, site: str) -> bool:
        cover = self._usable(name, plan)
        if cover is None:
            return False
        try:
            with tempfile.TemporaryDirectory(prefix="genome-eu-") as folder:
                bundle = self._open(cover, Path(folder))
                from_bundle(bundle, plan, site)
                bundle.verify()
        except BundleError:
            return False
        return True

    # -- in ------------------------------------------------------------------------------------

    def _arrived(self, plan: Plan, site: str) -> tuple[Cover, bytes] | None:
        """The answer or refusal of a site, once it is there."""
        kinds: tuple[Kind, ...] = ("answer", "refusal")
        for kind in kinds:
            name = _name(plan, site, kind)
            content = self.post.cover(name)
            if content is not None:
                return read_cover(content, self.roster, name=name, plan=plan.hash), content
        return None

    def _open(self, cover: Cover, folder: Path) -> Bundle:
        sealed, clear = folder / "sealed.c4gh", folder / f"{cover.sender}.tar"
        self.post.fetch(cover.name, cover.parts, sealed)
        unseal(sealed, cover, self.keys, clear, ANSWER_LIMIT)
        return Bundle(clear)

    def _take(self, cover: Cover, content: bytes, plan: Plan, study: Study) -> SiteAnswer:
        site = cover.sender
        # Beside the study, so that an answer of any size is copied and not held.
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=study.folder) as folder:
            bundle = self._open(cover, Path(folder))
            manifest = bundle.manifest
            if manifest.site != site or manifest.plan != plan.hash:
                raise BundleError(f"message {cover.name} is not the answer of {site} to this plan")
            if cover.ledger is not None:
                self.heads.pin(site, cover.ledger, study.round(plan.round))
            if manifest.kind == "refusal":
                study.log("refused", round=plan.round, site=site, reason=manifest.reason)
                if manifest.reason == "policy":
                    raise Refused(f"site {site} refuses: {manifest.message}")
                raise BadInput(f"site {site} cannot answer: {manifest.message}")
            return study.keep(plan, site, bundle.path, cover=content)

    def _late(self, plan: Plan, study: Study, waiting: list[str]) -> NoAnswer:
        held = [site for site in waiting if self._usable(_name(plan, site, "held"), plan)]
        study.log("timeout", round=plan.round, sites=waiting, held=held)
        # The next run posts the plan anew: an answer may have been lost on its way.
        (study.round(plan.round) / _LATE).touch()
        why = f"no answer from {_list(waiting)} to round {plan.round} ({plan.statistic}) within "
        why += f"{self.roster.timeout_s:g} s"
        if held:
            why += f"; {_list(held)} waits for the decision of its data officer"
        else:
            why += "; check that `genome-eu site serve` runs there"
        return NoAnswer(
            f"{why}. Ask again with the same study folder to continue, or go on with "
            f"--without {' --without '.join(waiting)}"
        )


def _name(plan: Plan, sender: str, kind: Kind) -> str:
    return f"{plan.study}/{plan.round:04d}/{sender}.{kind}"


def _list(sites: list[str]) -> str:
    return "site " + sites[0] if len(sites) == 1 else "sites " + ", ".join(sites)
