"""A server that speaks SFTP as a store; its host key is known beforehand or it is refused.

fsspec's own SFTP client trusts any key that it meets, tries every key that it finds on this
machine, and waits without end; so paramiko is used directly.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genome_eu.errors import BadInput, UsageError
from genome_eu.federation.carriers.patience import may_pass
from genome_eu.federation.carriers.stores.store import Entry, temporary_name

if TYPE_CHECKING:
    import paramiko  # type: ignore[import-untyped]

# Without a handler of its own, paramiko's tracebacks would reach the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_OPTIONS = {"username", "password", "key_filename", "passphrase"}
# What every server takes and sends at once; all of a part is on its way at a time. paramiko copies
# what is larger again and again.
_PIECE = 32768


class SftpStore:
    """Files below a folder of an SFTP server.

    Parameters
    ----------
    host, port, root
        Where it is.
    host_key : str
        The server's public key as OpenSSH writes it: `ssh-ed25519 AAAA…`.
    options : mapping
        `username`, and `key_filename` (with `passphrase`) or `password`. No other key of this
        machine and no agent is tried.
    attempt_s : float
        How long to wait for each answer of the server.
    """

    def __init__(
        self,
        host: str,
        port: int,
        root: str,
        host_key: str,
        options: Mapping[str, Any],
        attempt_s: float,
    ) -> None:
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise UsageError(
                f"sftp knows no option {unknown[0]}; it takes {', '.join(sorted(_OPTIONS))}"
            )
        if not options.get("username"):
            raise UsageError(f"sftp://{host}: name the account: sftp://USER@{host}/FOLDER")
        self.host, self.port, self.root = host, port, root.rstrip("/")
        self._attempt_s = attempt_s
        self._host_key = _public_key(host_key)
        self._username = options["username"]
        self._password = options.get("password")
        self._key = _private_key(options.get("key_filename"), options.get("passphrase"))
        self._litter: set[str] = set()
        self._client: paramiko.SSHClient | None = None
        self._files: paramiko.SFTPClient | None = None

    def entries(self, folder: str) -> list[Entry]:
        """Folders and plain files in a folder; the server describes links as links."""
        with self._connected() as files:
            return [
                Entry(about.filename, about.st_size or 0, stat.S_ISDIR(about.st_mode or 0))
                for about in files.listdir_iter(self._at(folder))
                if stat.S_ISDIR(about.st_mode or 0) or stat.S_ISREG(about.st_mode or 0)
            ]

    def read(self, path: str, limit: int) -> bytes:
        """The first bytes of a file."""
        with self._connected() as files, files.open(self._at(path), "rb") as file:
            size = min(file.stat().st_size or 0, limit)
            pieces = [(at, min(_PIECE, size - at)) for at in range(0, size, _PIECE)]
            content = b"".join(file.readv(pieces))
        # paramiko takes the end of a connection for the end of the file.
        if len(content) < size:
            raise ConnectionError("the connection ended within a file")
        return content

    def write(self, path: str, content: bytes) -> None:
        """Make or replace a file at once."""
        folder, _, leaf = path.rpartition("/")
        target, temporary = self._at(path), self._at(f"{folder}/{temporary_name(leaf)}")
        with self._connected() as files:
            self._tidy(files)
            self._litter.add(temporary)
            try:
                try:
                    _put(files, temporary, content)
                except FileNotFoundError:
                    self._make(files, folder)
                    _put(files, temporary, content)
                _rename(files, temporary, target)
            except OSError as error:
                if not may_pass(error):
                    self._tidy(files)
                raise
            self._litter.discard(temporary)

    def remove(self, path: str) -> None:
        """Take a file away, and the folders that this leaves empty."""
        with self._connected() as files:
            files.remove(self._at(path))
            folder = path.rpartition("/")[0]
            with contextlib.suppress(OSError):
                while folder:
                    files.rmdir(self._at(folder))
                    folder = folder.rpartition("/")[0]

    def reset(self) -> None:
        """Drop the connection."""
        client, self._client, self._files = self._client, None, None
        if client is not None:
            client.close()

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}".rstrip("/") or "/"

    @contextlib.contextmanager
    def _connected(self) -> Iterator[paramiko.SFTPClient]:
        import paramiko
        from paramiko.ssh_exception import (  # type: ignore[import-untyped]
            NoValidConnectionsError,
        )

        files = None
        try:
            files = self._files or self._connect()
            yield files
        except paramiko.BadHostKeyException as error:
            raise self._another_key(error.key) from None
        except paramiko.AuthenticationException as error:
            raise PermissionError(f"the server does not let {self._username} in") from error
        except (paramiko.SSHException, paramiko.SFTPError, NoValidConnectionsError) as error:
            raise ConnectionError(str(error)) from error
        except EOFError as error:
            raise ConnectionError("the connection ended") from error
        except OSError as error:
            # A broken line has no errno with paramiko; nor has a server's "failure".
            if error.errno is None and files is not None and files.get_channel().closed:
                raise ConnectionError(str(error)) from error
            raise

    def _connect(self) -> paramiko.SFTPClient:
        import paramiko

        self.reset()
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        known_as = self.host if self.port == 22 else f"[{self.host}]:{self.port}"
        client.get_host_keys().add(known_as, self._host_key.get_name(), self._host_key)
        try:
            client.connect(
                self.host,
                self.port,
                self._username,
                self._password,
                self._key,
                timeout=self._attempt_s,
                banner_timeout=self._attempt_s,
                auth_timeout=self._attempt_s,
                channel_timeout=self._attempt_s,
                allow_agent=False,
                look_for_keys=False,
            )
            channel = client.get_transport().open_session(timeout=self._attempt_s)
            channel.settimeout(self._attempt_s)
            channel.invoke_subsystem("sftp")
            files = paramiko.SFTPClient(channel)
        except BaseException:
            client.close()
            raise
        self._client, self._files = client, files
        return files

    def _another_key(self, key: paramiko.PKey) -> BadInput:
        return BadInput(
            f"{self.host}:{self.port} shows host key {key.get_name()} {key.fingerprint}, but the "
            f"roster says {self._host_key.get_name()} {self._host_key.fingerprint}; nothing was "
            f"sent. Ask who runs the server which is right before you change the roster"
        )

    def _tidy(self, files: paramiko.SFTPClient) -> None:
        """Remove what this side began to write; a lost connection leaves it to the next one."""
        for path in tuple(self._litter):
            try:
                files.remove(path)
            except FileNotFoundError:
                pass
            except (OSError, EOFError):  # the line is gone
                return
            self._litter.discard(path)

    def _make(self, files: paramiko.SFTPClient, folder: str) -> None:
        made = self.root
        for name in folder.split("/"):
            made = f"{made}/{name}"
            try:
                files.mkdir(made)
            except OSError:
                # Servers answer "failure" where it is there already.
                try:
                    files.stat(made)
                except FileNotFoundError:
                    above = made.rpartition("/")[0] or "/"
                    files.stat(above)
                    raise PermissionError(f"no folder may be made in {above}") from None


def _put(files: paramiko.SFTPClient, path: str, content: bytes) -> None:
    with files.open(path, "wx") as file:
        file.set_pipelined(True)
        for at in range(0, len(content), _PIECE):
            file.write(content[at : at + _PIECE])
    if files.stat(path).st_size != len(content):
        raise ConnectionError("the server kept less than it was sent")


def _rename(files: paramiko.SFTPClient, temporary: str, target: str) -> None:
    try:
        files.posix_rename(temporary, target)
    except OSError as error:
        if error.errno is not None or may_pass(error) or files.get_channel().closed:
            raise
        # A server without OpenSSH's extension renames only onto nothing.
        with contextlib.suppress(FileNotFoundError):
            files.remove(target)
        files.rename(temporary, target)


def _public_key(text: str) -> paramiko.PKey:
    import paramiko

    try:
        kind, content = text.split()[:2]
        return paramiko.PKey.from_type_string(kind, base64.b64decode(content, validate=True))
    except Exception as error:
        raise BadInput(
            "host_key is not a public key as OpenSSH writes it (ssh-ed25519 AAAA…); copy the "
            "server's /etc/ssh/ssh_host_ed25519_key.pub, and not through the network that it "
            "protects"
        ) from error


def _private_key(path: str | None, passphrase: str | None) -> paramiko.PKey | None:
    import paramiko

    if path is None:
        return None
    if not Path(path).expanduser().is_file():
        raise BadInput(f"key_filename {path} does not exist; name the account's private key")
    try:
        return paramiko.PKey.from_path(path, passphrase.encode() if passphrase else None)
    except Exception as error:
        raise BadInput(
            f"key_filename {path} cannot be read as a private key; check it and its passphrase"
        ) from error
