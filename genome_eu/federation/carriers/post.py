"""Messages in a store that everybody reaches and nobody needs to trust.

    STUDY/ROUND/NAME.KIND.000000.9f86d081884c7d65…   its parts, named by number and content
    STUDY/ROUND/NAME.KIND.cover.json                 its cover, written last: now it is there

The store may lose, repeat, swap or change what lies there; a reader finds out, since the cover is
signed and holds the digest of every part.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, TypeVar

from genome_eu.errors import BadInput, BundleError, GenomeEuError, NoAnswer
from genome_eu.federation.carriers.labels import Label, Part, above, is_place, message_of
from genome_eu.federation.carriers.patience import Patience, may_pass
from genome_eu.federation.carriers.stores import Entry, Store, open_store

#: The largest cover that is written or read.
COVER_BYTES: Final = 1 << 20

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SECRET = ("key", "secret", "token", "passw", "passphrase", "auth")

Outcome = TypeVar("Outcome")


class Post:
    """One store of messages, for one thread at a time.

    Parameters
    ----------
    location : str
        A folder, or a URL: `sftp://USER@SERVER/FOLDER`, `s3://BUCKET/FOLDER`, or what else fsspec
        knows. Never a secret.
    host_key : str, optional
        An SFTP server's public key, from the roster; needed there.
    options : mapping, optional
        Credentials and settings, from a site's own configuration: for SFTP `key_filename`,
        `passphrase`, `password`, `username`; else what fsspec takes, such as `key`, `secret` and
        `endpoint_url` of an S3 service.
    patience : Patience, optional
        How long to try.

    Raises
    ------
    NoAnswer
        By every method: the store cannot be reached within the patience.
    BadInput
        By every method: the store is reached, but it is not there, shows another host key, does
        not let us, or is full.
    """

    def __init__(
        self,
        location: str,
        *,
        host_key: str | None = None,
        options: Mapping[str, Any] | None = None,
        patience: Patience | None = None,
    ) -> None:
        options = dict(options or {})
        self.location = location
        self.patience = patience or Patience()
        self._secrets = sorted(_secrets(options), key=len, reverse=True)
        self.store: Store = open_store(location, host_key, options, self.patience.attempt_s)

    def __repr__(self) -> str:
        return f"Post({self.location!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; a later call makes another."""
        self.store.reset()

    def publish(self, name: str, sealed: Path, cover: bytes, parts: Sequence[Part]) -> None:
        """Put a message there: parts that are missing first, the cover last.

        Parameters
        ----------
        name : str
            `STUDY/ROUND/NAME.KIND`.
        sealed : Path
            What the parts are made of, in order.
        cover : bytes
            At most 1 MiB.
        parts : sequence
            Size and digest of each; at most 64 MiB.

        Raises
        ------
        BundleError
            The file is not what the parts say; it gets no cover.
        """
        label = Label.of(name)
        files = label.parts(parts)
        if len(cover) > COVER_BYTES:
            raise BundleError(f"the cover of {name} is larger than 1 MiB; it is not sent")
        there = self._files(label.folder)
        for path in label.leftovers_among(there):
            self._remove(path)
        with sealed.open("rb") as content:
            for number, (path, part) in enumerate(zip(files, parts, strict=True)):
                if there.get(path) == part.bytes:
                    content.seek(part.bytes, os.SEEK_CUR)
                    continue
                piece = content.read(part.bytes)
                _check(piece, part, f"part {number} of {sealed.name}")
                self._write(path, piece)
            if content.tell() != os.fstat(content.fileno()).st_size:
                raise BundleError(f"{sealed.name} is not as long as its cover says; seal it again")
        if label.cover not in there or self._read(label.cover, COVER_BYTES + 1) != cover:
            self._write(label.cover, cover)

    def names(self, under: str = "", *, skip: Collection[str] = ()) -> list[str]:
        """Messages that have a cover, sorted.

        Parameters
        ----------
        under : str
            `STUDY` or `STUDY/ROUND`, to look only there.
        skip : collection
            Studies and rounds, written like that, in which nothing new is expected.

        Notes
        -----
        A round is one listing; everything is one more for each study and round that is not
        skipped. An object store lists a thousand objects below `under`, parts included, at a time.
        """
        if not is_place(under):
            raise BadInput(f"{under!r} is neither STUDY nor STUDY/ROUND")
        found = []
        waiting = [under]
        while waiting:
            folder = waiting.pop()
            for entry in self._entries(folder):
                path = f"{folder}/{entry.path}".lstrip("/")
                if entry.is_folder:
                    waiting += [path] * (is_place(path) and path not in skip)
                elif (name := message_of(path)) and not any(place in skip for place in above(name)):
                    found.append(name)
        return sorted(found)

    def cover(self, name: str) -> bytes | None:
        """A message's cover, or None while it has none.

        Raises
        ------
        BundleError
            It is larger than 1 MiB; it was not read further.
        """
        content = self._read(Label.of(name).cover, COVER_BYTES + 1)
        if content is not None and len(content) > COVER_BYTES:
            raise BundleError(f"the cover of {name} is larger than 1 MiB; it is passed over")
        return content

    def fetch(self, name: str, parts: Sequence[Part], target: Path) -> None:
        """Bring a message's content, every part checked; it appears at `target` when it is whole.

        What has arrived lies in `target` + `.partial`; a later call continues there.

        Raises
        ------
        BundleError
            A part is missing or not what its cover says.
        """
        files = Label.of(name).parts(parts)
        partial = target.with_name(target.name + ".partial")
        try:
            with partial.open("r+b" if partial.exists() else "w+b") as file:
                done = _whole_parts(file, parts)
                for number in range(done, len(parts)):
                    what = f"part {number} of {name}"
                    piece = self._read(files[number], parts[number].bytes + 1)
                    if piece is None:
                        raise BundleError(f"{what} is not at {self.location}; ask for it again")
                    _check(piece, parts[number], what)
                    file.write(piece)
                    file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except GenomeEuError:
            raise
        except OSError as error:
            raise BadInput(
                f"{target} cannot be written ({error.strerror or error}); make room, then run the "
                "same again: what has arrived is kept"
            ) from error

    def discard(self, name: str) -> None:
        """Take a message away, its cover first; nothing happens where there is none."""
        label = Label.of(name)
        there = self._files(label.folder)
        cover = [label.cover] * (label.cover in there)
        for path in cover + label.parts_among(there) + label.leftovers_among(there):
            self._remove(path)

    def _files(self, folder: str) -> dict[str, int]:
        """Sizes of the plain files in a folder."""
        entries = self._entries(folder)
        return {f"{folder}/{item.path}": item.bytes for item in entries if not item.is_folder}

    def _entries(self, folder: str) -> list[Entry]:
        def call() -> list[Entry]:
            try:
                return self.store.entries(folder)
            except FileNotFoundError:
                if not folder:
                    raise
                return []

        return self._try(f"list {folder or 'messages'}", call)

    def _read(self, path: str, limit: int) -> bytes | None:
        def call() -> bytes | None:
            try:
                return self.store.read(path, limit)
            except FileNotFoundError:
                return None

        return self._try(f"read {path}", call, limit)

    def _write(self, path: str, content: bytes) -> None:
        def call() -> None:
            try:
                self.store.write(path, content)
            except FileNotFoundError:  # an empty folder was just taken away
                self.store.write(path, content)

        self._try(f"write {path}", call, len(content))

    def _remove(self, path: str) -> None:
        def call() -> None:
            try:
                self.store.remove(path)
            except FileNotFoundError:
                return

        self._try(f"remove {path}", call)

    def _try(self, what: str, call: Callable[[], Outcome], transfer: int = 0) -> Outcome:
        try:
            return self.patience.persist(call, transfer=transfer, before_next=self.store.reset)
        except GenomeEuError:
            raise
        except OSError as error:
            raise self._told(what, error) from error

    def _told(self, what: str, error: OSError) -> GenomeEuError:
        reason = self._redacted(error.strerror or str(error) or type(error).__name__)
        if may_pass(error):
            return NoAnswer(
                f"{self.location} cannot be reached ({reason}), tried for "
                f"{self.patience.total_s:g} s; check the network and the server, then run the "
                "same again: it continues"
            )
        if error.errno in _FULL:
            return BadInput(
                f"{self.location} has no room to {what}; make some, then run the same again: "
                "what has arrived is kept"
            )
        if isinstance(error, PermissionError):
            return BadInput(
                f"{self.location} does not let us {what} ({reason}); check the credentials in the "
                "site's own configuration, and what they allow"
            )
        if isinstance(error, FileNotFoundError):
            return BadInput(f"{self.location} is not there; create it or correct its address")
        return BadInput(
            f"{self.location} could not {what} ({reason}); check its disk, quota and settings"
        )

    def _redacted(self, text: str) -> str:
        line = next(iter(text.strip().splitlines()), "")
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line.rstrip(".")


def _check(piece: bytes, part: Part, what: str) -> None:
    if len(piece) != part.bytes or hashlib.sha256(piece).hexdigest() != part.sha256:
        raise BundleError(f"{what} is not what its cover says; it was changed, cut or replaced")


def _whole_parts(file: BinaryIO, parts: Sequence[Part]) -> int:
    """How many parts are there already; the file is cut and positioned after them."""
    done = end = 0
    for part in parts:
        if hashlib.sha256(file.read(part.bytes)).hexdigest() != part.sha256:
            break
        done, end = done + 1, end + part.bytes
    file.seek(end)
    file.truncate()
    return done


def _secrets(options: Mapping[str, Any], named: str = "") -> set[str]:
    """Values in the options that must not be shown."""
    found: set[str] = set()
    for name, value in options.items():
        if isinstance(value, Mapping):
            found |= _secrets(value, name)
        elif isinstance(value, str) and "filename" not in name:
            secret = any(word in f"{named}.{name}".lower() for word in _SECRET)
            found |= {value} if secret and value else set()
    return found
