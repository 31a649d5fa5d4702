"""What comes in at a site: plans, and other sites' ready messages; checked, then believed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from genome_eu.atomic import write_whole
from genome_eu.errors import BadInput, BundleError
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.carriers.labels import above
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.cover import Cover, read_cover
from genome_eu.federation.daemon.book import Book
from genome_eu.federation.daemon.tray import Tray, digest
from genome_eu.federation.envelope import unseal
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.parties import Roster
from genome_eu.federation.plan import Plan

log = logging.getLogger("genome_eu.site")

#: The most that a plan may take on disk once it is opened, and a ready message.
PLAN_LIMIT = 16 * 2**30
READY_LIMIT = 2**20
# Messages met before that are looked at again in one visit: each costs a round trip.
_AGAIN = 8


class Inbox:
    """Fetches what is meant for one site.

    Parameters
    ----------
    name : str
        The site.
    roster, keys, post
        As of the desk.
    folder : Path
        Where the trays of plans stand.
    book : Book
        Gets every request.
    """

    def __init__(
        self, name: str, *, roster: Roster, keys: SecretKeys, post: Post, folder: Path, book: Book
    ) -> None:
        self._name = name
        self._roster = roster
        self._keys = keys
        self._post = post
        self._folder = folder
        self._book = book
        self._met: dict[str, None] = {}  # names of plans, in the order in which they are looked at
        self._seen: set[str] = set()  # digests of covers that were taken in or passed over
        self._said: set[str] = set()
        #: The plans that were taken in, by their hashes.
        self.trays: dict[str, Tray] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for place in sorted(folder.iterdir()):
            tray = Tray(place)
            tray.sweep()
            if tray.asked_cover.exists():
                self._seen.add(digest(tray.asked_cover))
                self.trays[place.name] = tray

    def look(self) -> None:
        """Take in the plans that are new, or were posted anew.

        Raises
        ------
        BadInput
            One of them cannot be kept here; the others have been taken in.
        """
        # In turn: a plan that was met before may have been posted anew. Rounds in which none is
        # looked at are not listed either, so that a look costs the same after a thousand rounds.
        met = list(self._met)
        again, later = met[:_AGAIN], met[_AGAIN:]
        rests = {above(name)[1] for name in later} - {above(name)[1] for name in again}
        there = [name for name in self._post.names(skip=rests) if name.endswith(".plan")]
        new = [name for name in there if name not in self._met]
        again = [name for name in again if name in there]
        trouble: BadInput | None = None
        for name in (*new, *again):
            try:
                self._take(name)
            except BadInput as error:
                trouble = trouble or error
        self._met = dict.fromkeys((*later, *new, *again))
        if trouble is not None:
            raise trouble

    def _take(self, name: str) -> None:
        """Take in one plan. One that cannot be trusted is passed over, and said so."""
        seen = name
        try:
            content = self._post.cover(name)
            if content is None:
                return
            # By its content: another message may yet come under this name.
            seen = hashlib.sha256(content).hexdigest()
            if seen not in self._seen:
                cover = read_cover(content, self._roster, name=name)
                if self._name in cover.readers:
                    self._fetch(cover, content)
                self._seen.add(seen)
        except BundleError as error:
            self._pass_over(name, error)
            self._seen.add(seen)

    def _pass_over(self, name: str, error: BundleError) -> None:
        said = f"message {name} is passed over: {error}"
        if said not in self._said:
            log.warning("%s", said)
        self._said.add(said)

    def _fetch(self, cover: Cover, content: bytes) -> None:
        tray = Tray(self._folder / cover.plan)
        tray.folder.mkdir(exist_ok=True, mode=0o700)
        self._open(cover, tray.asked, PLAN_LIMIT, self._check_plan)
        self._book.request(tray.plan, hashlib.sha256(content).hexdigest())
        tray.ask_again()
        # Last: without it the message counts as new, and all of this is done once more.
        write_whole(tray.asked_cover, content)
        self.trays[cover.plan] = tray

    def _open(
        self,
        cover: Cover,
        target: Path,
        limit: int,
        check: Callable[[Cover, Path], None] | None = None,
    ) -> None:
        """Fetch and unseal a message; it appears at `target` once it is checked."""
        # Beside the target, so that a transfer that broke off goes on where it stopped.
        sealed = target.with_name(f"{target.name}.sealed")
        clear = target.with_name(f"{target.name}.clear")
        try:
            self._post.fetch(cover.name, cover.parts, sealed)
            unseal(sealed, cover, self._keys, clear, limit)
            if check is not None:
                check(cover, clear)
        except BundleError:
            clear.unlink(missing_ok=True)
            raise
        finally:
            sealed.unlink(missing_ok=True)
        clear.replace(target)

    def _check_plan(self, cover: Cover, clear: Path) -> None:
        bundle = Bundle(clear)
        plan = bundle.manifest.content
        if bundle.manifest.kind != "plan" or plan is None:
            raise BundleError("it holds no plan")
        said = (cover.study, cover.round, cover.plan, cover.sender)
        if (plan.study, plan.round, plan.hash, plan.reader) != said:
            raise BundleError("its plan is not the one that its author signed for")
        if self._name not in plan.sites:
            raise BundleError(f"its plan does not ask site {self._name}")
        unknown = set(plan.sites) - set(self._roster.sites)
        if unknown:
            raise BundleError(f"its plan asks {sorted(unknown)[0]}, who is not in the roster")

    def ready_messages(
        self, tray: Tray, plan: Plan, sites: Iterable[str], take: Callable[[str, bytes], None]
    ) -> None:
        """Fetch what sites say that are ready for a secure sum; `take` is given each message.

        One that is damaged, forged or out of place is passed over: a true one may yet come.
        """
        for site in sites:
            name = f"{plan.study}/{plan.round:04d}/{site}.ready"
            try:
                content = self._post.cover(name)
                if content is None:
                    continue
                cover = read_cover(content, self._roster, name=name, plan=plan.hash)
                target = tray.folder / f"message-{site}.json"
                self._open(cover, target, READY_LIMIT)
                take(site, target.read_bytes())
            except BundleError as error:
                self._pass_over(name, error)
