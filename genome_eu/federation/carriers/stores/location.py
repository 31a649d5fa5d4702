"""From where a store lies to the store."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from genome_eu.errors import BadInput, UsageError
from genome_eu.federation.carriers.stores.folder import FolderStore
from genome_eu.federation.carriers.stores.remote import RemoteStore
from genome_eu.federation.carriers.stores.sftp import SftpStore
from genome_eu.federation.carriers.stores.store import Store


def open_store(
    location: str, host_key: str | None, options: Mapping[str, Any], attempt_s: float
) -> Store:
    """The store at a path or URL; nothing is asked of it yet.

    Raises
    ------
    UsageError
        The location holds a secret, or is none that is known.
    BadInput
        There is no such folder, or no usable host key for an SFTP server.
    """
    if "://" not in location:
        return FolderStore(Path(location))
    url = urlsplit(location)
    # A roster and its errors are shown to everybody.
    if url.password is not None or url.query or url.fragment:
        raise UsageError(
            f"the exchange at {url.scheme}://{url.hostname} holds a password or a query; keep "
            "secrets out of the roster and put them into the site's own configuration"
        )
    if "::" in location or ".." in unquote(url.path).split("/"):
        raise UsageError(f"exchange {location} is not a plain location; write one without :: or ..")
    if url.scheme == "file":
        return FolderStore(Path(url2pathname(url.path)))
    if url.scheme in {"sftp", "ssh"}:
        return _sftp(location, host_key, options, attempt_s)
    return RemoteStore(location.rstrip("/"), options, attempt_s)


def _sftp(
    location: str, host_key: str | None, options: Mapping[str, Any], attempt_s: float
) -> SftpStore:
    url = urlsplit(location)
    try:
        host, port = url.hostname, url.port or 22
    except ValueError:
        host = None
    if not host:
        raise UsageError(
            f"exchange {location} names no server; write sftp://USER@SERVER:PORT/FOLDER"
        )
    if host_key is None:
        raise BadInput(
            f"{location} has no host_key in the roster; an SFTP server is reached only with the "
            "public key that its operator gave you"
        )
    if find_spec("paramiko") is None:
        raise UsageError("an exchange over SFTP needs paramiko; pip install 'genome-eu[sftp]'")
    account = {"username": unquote(url.username)} if url.username else {}
    return SftpStore(host, port, unquote(url.path), host_key, account | dict(options), attempt_s)
