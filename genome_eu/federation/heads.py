"""The newest head that each site has signed of its ledger, kept by those who ask.

A ledger is sound in itself however it was cut; that it once was longer shows only elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from genome_eu.atomic import write_whole
from genome_eu.canonical import canonical
from genome_eu.disclosure.ledger import Head
from genome_eu.errors import LedgerError

_ASKED = "heads.json"


class Heads:
    """Pinned heads of all sites, one file each.

    Parameters
    ----------
    folder : Path
        Where they are kept, for all studies together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self, site: str) -> Head | None:
        """The newest head of a site; None before its first message."""
        path = self._path(site)
        return Head.model_validate_json(path.read_bytes()) if path.exists() else None

    def ask(self, sites: Iterable[str], place: Path) -> None:
        """Write down, in the folder of a round, what is known as its question goes out."""
        if not (place / _ASKED).exists():
            heads = {site: self.newest(site) for site in sites}
            known = {site: head.model_dump() for site, head in heads.items() if head is not None}
            write_whole(place / _ASKED, canonical(known))

    def pin(self, site: str, head: Head, place: Path) -> None:
        """Remember the head of a message, in answer to the question in that folder.

        A message may come in after a newer one to another question. But it was written after its
        question went out, so its head cannot lie before the one that was known then.

        Raises
        ------
        LedgerError
            The ledger was cut short, or written anew.
        """
        newest, asked = self.newest(site), self._asked(site, place)
        cut = asked is not None and head.count < asked.count
        other = any(
            known is not None and head.count == known.count and head != known
            for known in (newest, asked)
        )
        if cut or other:
            raise LedgerError(
                f"the ledger of site {site} once had more or other entries than now; ask its data "
                f"officer why. Once that is settled, remove {self._path(site)} and ask in a new "
                f"study"
            )
        if newest is None or head.count > newest.count:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._path(site), head.model_dump_json().encode())

    def _asked(self, site: str, place: Path) -> Head | None:
        try:
            known = json.loads((place / _ASKED).read_bytes())
        except FileNotFoundError:
            return None
        return Head(**known[site]) if site in known else None

    def _path(self, site: str) -> Path:
        return self._folder / f"{site}.json"
