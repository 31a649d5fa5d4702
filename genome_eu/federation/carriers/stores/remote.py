"""Any file system that fsspec knows as a store: S3 first, WebDAV, SMB, and others."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping
from typing import Any

from genome_eu.errors import UsageError
from genome_eu.federation.carriers.stores.store import Entry, temporary_name

# Libraries below fsspec raise these for a network that failed; by name, since not all of them are
# installed and none needs to be imported to know it.
_OF_THE_NETWORK = {
    "ClientConnectionError", "ClientPayloadError", "ConnectionError", "HTTPClientError",
    "ResponseParserError", "TransportError",
}  # fmt: skip


class RemoteStore:
    """Files below a URL.

    Parameters
    ----------
    url : str
        Where it is.
    options : mapping
        For fsspec; `endpoint_url`, `key` and `secret` of an S3 service, for instance.
    attempt_s : float
        How long to wait for each answer of the service.
    """

    def __init__(self, url: str, options: Mapping[str, Any], attempt_s: float) -> None:
        import fsspec  # type: ignore[import-untyped]
        from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]

        settings = dict(options)
        if url.startswith(("s3://", "s3a://")):
            settings = _for_s3(settings, attempt_s)
        try:
            self._files, root = fsspec.core.url_to_fs(url, skip_instance_cache=True, **settings)
        except (ImportError, TypeError, ValueError) as error:
            raise UsageError(f"exchange {url} cannot be used: {error}") from error
        if url.startswith(("s3://", "s3a://")):
            self._files.retries = 1  # patience is the carrier's
        self._root = root.rstrip("/")
        # An object store has no folders and no rename, but what is put appears whole.
        self._has_folders = type(self._files).mv is not AbstractFileSystem.mv

    def entries(self, folder: str) -> list[Entry]:
        """Files of a folder; in an object store, everything below it."""
        at = self._at(folder)
        with _os_errors():
            self._files.invalidate_cache()
            if self._has_folders:
                found = self._files.ls(at, detail=True)
            else:
                found = self._files.find(at, detail=True).values()
        inside = self._files._strip_protocol(at).strip("/") + "/"
        entries = []
        for item in found:
            name = self._files._strip_protocol(item["name"]).strip("/")
            if name.startswith(inside) and item["type"] in {"file", "directory"}:
                path = name.removeprefix(inside)
                entries.append(Entry(path, item["size"] or 0, item["type"] == "directory"))
        return entries

    def read(self, path: str, limit: int) -> bytes:
        """The first bytes of a file, in one request."""
        with _os_errors():
            try:
                return self._files.cat_file(self._at(path), start=0, end=limit)[:limit]
            except OSError as error:
                # S3 knows no range of an empty object.
                if error.errno == errno.EINVAL and self._files.size(self._at(path)) == 0:
                    return b""
                raise

    def write(self, path: str, content: bytes) -> None:
        """Make or replace a file; at once where the file system renames or puts at once."""
        target = self._at(path)
        with _os_errors():
            if not self._has_folders:
                self._files.pipe_file(target, content)
                return
            folder, _, leaf = path.rpartition("/")
            temporary = self._at(f"{folder}/{temporary_name(leaf)}")
            self._files.makedirs(self._at(folder), exist_ok=True)
            try:
                self._files.pipe_file(temporary, content)
                self._files.mv(temporary, target)
            except BaseException:
                with contextlib.suppress(Exception):
                    self._files.rm_file(temporary)
                raise

    def remove(self, path: str) -> None:
        """Take a file away, and the folders that this leaves empty."""
        with _os_errors():
            self._files.rm_file(self._at(path))
        folder = path.rpartition("/")[0]
        with contextlib.suppress(Exception):
            while folder and self._has_folders:
                self._files.rmdir(self._at(folder))
                folder = folder.rpartition("/")[0]

    def reset(self) -> None:
        """Connections belong to fsspec."""

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")


def _for_s3(options: dict[str, Any], attempt_s: float) -> dict[str, Any]:
    """One attempt with timeouts, and listings as they are now; a site's own settings win."""
    quiet = {"connect_timeout": attempt_s, "read_timeout": attempt_s}
    once = {"retries": {"max_attempts": 0}}
    config = quiet | once | dict(options.get("config_kwargs") or {})
    return {"use_listings_cache": False, **options, "config_kwargs": config}


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """Whatever a library raises, as an OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        of_the_network = {kind.__name__ for kind in type(error).__mro__} & _OF_THE_NETWORK
        text = str(error) or type(error).__name__
        raise ConnectionError(text) if of_the_network else OSError(text) from error
