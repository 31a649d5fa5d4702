"""What goes out of a site: sealed, signed, kept, and posted as the same bytes however often."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from genome_eu.atomic import write_whole
from genome_eu.errors import BundleError
from genome_eu.federation.bundle import Bundle, write_refusal
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.cover import Cover, Kind, read_cover
from genome_eu.federation.daemon.book import Book
from genome_eu.federation.daemon.tray import Tray
from genome_eu.federation.envelope import seal
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.parties import Roster
from genome_eu.federation.plan import Plan

log = logging.getLogger("genome_eu.site")


class Outbox:
    """Seals and posts what one site says. It decides nothing.

    Parameters
    ----------
    name : str
        The site.
    roster, keys, post
        As of the desk.
    book : Book
        Its head is signed with every message; it is told what was delivered.
    """

    def __init__(
        self, name: str, *, roster: Roster, keys: SecretKeys, post: Post, book: Book
    ) -> None:
        self._name = name
        self._roster = roster
        self._keys = keys
        self._post = post
        self._book = book

    def ready(self, tray: Tray, plan: Plan, message: Path) -> None:
        """Say to everybody who takes part that this site is ready for a secure sum."""
        cover = self._signed(tray.ready_cover)
        if cover is None:
            self._book.ready(plan)
            readers = (*plan.sites, plan.reader)
            cover = self._seal(plan, message, "ready", tray.ready, tray.ready_cover, readers)
        self._publish(tray.ready, cover)

    def held(self, tray: Tray, plan: Plan) -> None:
        """Say, once, that an answer waits for a person."""
        if tray.told.exists():
            return
        with tray.workplace() as folder:
            notice, sealed = folder / "notice.tar", folder / "notice.c4gh"
            write_refusal(notice, self._name, plan.hash, "review", "waits for its data officer")
            target = folder / "notice.cover.json"
            cover = self._seal(plan, notice, "held", sealed, target, (plan.reader,))
            self._publish(sealed, cover)
        tray.told.touch()

    def sealed(self, tray: Tray) -> Cover | None:
        """The cover of what leaves, once it is sealed under the roster of now."""
        return self._signed(tray.cover)

    def seal(self, tray: Tray, plan: Plan) -> Cover:
        """Seal what leaves for the one who asked."""
        kind: Kind = "answer" if Bundle(tray.leaving).manifest.kind == "answer" else "refusal"
        return self._seal(plan, tray.leaving, kind, tray.sealed, tray.cover, (plan.reader,))

    def deliver(self, tray: Tray, cover: Cover) -> None:
        """Post what was sealed, and write down that it lies there."""
        self._publish(tray.sealed, cover)
        self._book.delivered(cover.plan, cover.sha256)
        if tray.told.exists():
            self._post.discard(f"{cover.study}/{cover.round:04d}/{self._name}.held")
            tray.told.unlink()
        said = (cover.study, cover.round, cover.kind, cover.bytes)
        log.info("study %s round %d: %s sent, %d bytes", *said)

    def _seal(
        self, plan: Plan, clear: Path, kind: Kind, sealed: Path, target: Path, to: Iterable[str]
    ) -> Cover:
        cover = seal(
            clear,
            sealed,
            roster=self._roster,
            keys=self._keys,
            study=plan.study,
            round=plan.round,
            kind=kind,
            sender=self._name,
            plan=plan.hash,
            readers=to,
            ledger=self._book.head,
        )
        write_whole(target, cover.content)
        return cover

    def _signed(self, path: Path) -> Cover | None:
        """A cover that this site has signed; None where there is none under the roster of now."""
        if not path.exists():
            return None
        try:
            return read_cover(path.read_bytes(), self._roster)
        except BundleError:
            # Sealed under an earlier roster, which nobody takes any more: sealed again.
            path.unlink()
            return None

    def _publish(self, sealed: Path, cover: Cover) -> None:
        """Post a sealed message, unless it lies there: the same bytes however often."""
        try:
            there = self._post.cover(cover.name)
        except BundleError:
            # Larger than any cover: not ours.
            there = None
        if there != cover.content:
            self._post.publish(cover.name, sealed, cover.content, cover.parts)
