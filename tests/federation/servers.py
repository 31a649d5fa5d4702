"""Real servers on loopback for tests: OpenSSH's SFTP, an S3 service, and a bad network."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

START_S = 30.0
STOP_S = 10.0
BUCKET = "exchange"
_SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@dataclass(frozen=True)
class Server:
    """How a store that runs on this machine is reached."""

    url: str
    port: int = 0
    host_key: str | None = None
    options: dict = field(default_factory=dict)
    #: What it serves, for a test that looks behind its back; None where that is no folder.
    folder: Path | None = None
    log: Path | None = None

    def below(self, name: str) -> Server:
        """A place of its own on the same server."""
        folder = None if self.folder is None else self.folder / name
        if folder is not None:
            folder.mkdir()
        return replace(self, url=f"{self.url}/{name}", folder=folder)

    def through(self, port: int) -> Server:
        """The same server behind another port."""
        options = dict(self.options)
        if "endpoint_url" in options:
            options["endpoint_url"] = f"http://127.0.0.1:{port}"
        url = self.url.replace(f":{self.port}/", f":{port}/")
        return replace(self, url=url, port=port, options=options)


@contextlib.contextmanager
def sftp_server(folder: Path) -> Iterator[Server]:
    """OpenSSH's server as the current user, with keys made for it; serves `folder/exchange`."""
    if _SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("needs OpenSSH's server: apt-get install openssh-server")
    if os.getuid() == 0:
        # Where Debian's service would make it.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    exchange = folder / "exchange"
    exchange.mkdir()
    host, user = new_key(folder / "host"), new_key(folder / "user")
    (folder / "authorized").write_text(public_key(user) + "\n")
    port = _free_port()
    config = _sshd_config(folder, host, port)
    log = folder / "sshd.log"
    with _running([_SSHD, "-D", "-f", str(config), "-E", str(log)], log, port):
        name = pwd.getpwuid(os.getuid()).pw_name
        url = f"sftp://{name}@127.0.0.1:{port}{exchange}"
        options = {"key_filename": str(user)}
        yield Server(url, port, public_key(host), options, exchange, log)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[Server]:
    """An S3 service over HTTP with an empty bucket."""
    for package in ("moto", "flask", "s3fs"):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}: pip install 'genome-eu[test]'")
    import s3fs
    from aiobotocore.session import AioSession

    port, log = _free_port(), folder / "moto.log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, log, port):
        options = {
            "key": "a-site",
            "secret": "a-secret-of-the-site",
            "endpoint_url": f"http://127.0.0.1:{port}",
            "session": AioSession(),  # one for all tests: each would read the API's definition
        }
        s3fs.S3FileSystem(skip_instance_cache=True, **options).mkdir(BUCKET)
        yield Server(f"s3://{BUCKET}/federation", port, None, options, None, log)


class BadNetwork:
    """A loopback port that leads to another one, and fails as it is told.

    Attributes
    ----------
    cut_after : int or None
        Connections break after so many more bytes in either direction; each break lifts the limit.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._lock = threading.Lock()
        self.cut_after: int | None = None
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> BadNetwork:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown wakes the thread that waits in accept; close alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to), timeout=START_S)
                far.settimeout(None)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (content := source.recv(65536)) and not self._is_cut(len(content)):
                target.sendall(content)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _is_cut(self, size: int) -> bool:
        with self._lock:
            if self.cut_after is None:
                return False
            self.cut_after -= size
            if self.cut_after > 0:
                return False
            self.cut_after = None
            self.cuts += 1
            return True


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port where nobody listens."""
    return _free_port()


def new_key(path: Path) -> Path:
    """A new Ed25519 key pair in OpenSSH's format."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, timeout=START_S)
    return path


def public_key(path: Path) -> str:
    """The public half, as it stands in a roster."""
    return path.with_name(path.name + ".pub").read_text().strip()


def _sshd_config(folder: Path, host: Path, port: int) -> Path:
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {host}",
        f"PidFile {folder / 'sshd.pid'}",
        f"AuthorizedKeysFile {folder / 'authorized'}",
        "PubkeyAuthentication yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "StrictModes no",
        "UsePAM no",
        "MaxStartups 100",
        "LogLevel DEBUG1",
        "Subsystem sftp internal-sftp",
    ]
    config = folder / "sshd_config"
    # Newer servers lock out an address after some refusals, which tests provoke; older ones do
    # not know the word.
    for extra in (["PerSourcePenalties no"], []):
        config.write_text("\n".join(lines + extra) + "\n")
        check = [str(_SSHD), "-t", "-f", str(config)]
        tried = subprocess.run(check, capture_output=True, text=True, timeout=START_S, check=False)
        if tried.returncode == 0:
            return config
    pytest.fail(f"sshd does not take its configuration: {tried.stderr}")


@contextlib.contextmanager
def _running(command: list[str], log: Path, port: int) -> Iterator[None]:
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL) as server,
    ):
        try:
            _wait_until_open(port, server, log)
            yield
        finally:
            server.terminate()
            try:
                server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(STOP_S)


def _wait_until_open(port: int, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        if server.poll() is not None or time.monotonic() > end:
            pytest.fail(f"{server.args} did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
