"""What a carrier needs of a store: four operations on small files."""

from __future__ import annotations

import secrets
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """Something that lies in a store."""

    #: Relative to the folder that was listed.
    path: str
    bytes: int
    is_folder: bool


class Store(Protocol):
    """Files below one root, by relative paths with `/`.

    Errors are OSErrors: FileNotFoundError, PermissionError, ConnectionError and TimeoutError for
    what may pass, or one with the errno of a full disk. Nothing here retries.
    """

    def entries(self, folder: str) -> list[Entry]:
        """Folders and plain files in a folder, never links.

        A store without folders lists everything below at once instead.
        """
        ...

    def read(self, path: str, limit: int) -> bytes:
        """The first bytes of a file, `limit` at most."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Make or replace a file; it appears whole or not at all. Folders are made on the way."""
        ...

    def remove(self, path: str) -> None:
        """Take a file away, and the folders below the root that this leaves empty."""
        ...

    def reset(self) -> None:
        """Drop the connection, if there is one; the next operation makes another."""
        ...


def temporary_name(leaf: str) -> str:
    """A name of its own beside the final one, as AtomicFile gives it."""
    return f".{leaf}.{secrets.token_hex(4)}.partial"
