"""Who a party is: an Ed25519 key that signs, and an X25519 key that messages are sealed for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from genome_eu import toml
from genome_eu.atomic import write_whole
from genome_eu.errors import BadInput, SignatureError, UsageError

#: Characters that a passphrase must have: PKCS #8 slows guessing down only a little.
SHORTEST_PASSPHRASE = 12

_ED25519, _X25519 = "ed25519", "x25519"
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64
_FILE_LIMIT = 64 * 2**10
_PURPOSE = re.compile(r"[a-z]+( [a-z]+)*")
_PEM = re.compile(
    rb"-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+"
    rb"-----END (?:ENCRYPTED )?PRIVATE KEY-----\n"
)


@dataclass(frozen=True)
class PublicKeys:
    """What others know a party by; each key is its algorithm, a colon, and 32 bytes in base64."""

    signing: str
    sealing: str

    def __post_init__(self) -> None:
        check_signing(self.signing)
        check_sealing(self.sealing)

    @property
    def fingerprint(self) -> str:
        """128 bits of SHA-256 over both keys, to be compared over the telephone."""
        digest = hashlib.sha256(f"{self.signing}\n{self.sealing}\n".encode()).hexdigest()
        return " ".join(digest[at : at + 4] for at in range(0, 32, 4))

    def lines(self) -> str:
        """Both keys as TOML, as they stand in `NAME.pub` and in `federation.toml`."""
        return f'signing = "{self.signing}"\nsealing = "{self.sealing}"\n'


class SecretKeys:
    """A party's two private keys. They are never shown, logged or sent."""

    def __init__(self, signing: Ed25519PrivateKey, sealing: X25519PrivateKey) -> None:
        self._signing = signing
        self._sealing = sealing

    def __repr__(self) -> str:
        return f"<SecretKeys {self.public.fingerprint}>"

    @classmethod
    def new(cls) -> Self:
        """Fresh keys from the operating system's random numbers."""
        return cls(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path, passphrase: Callable[[], str] | None = None) -> Self:
        """Read a private key file.

        Parameters
        ----------
        path : Path
            A file that nobody but its owner may read.
        passphrase : callable, optional
            Gives the passphrase; called only where the file is protected by one.

        Raises
        ------
        BadInput
            The file is missing, open to others, not a key file, or the passphrase is wrong.
        """
        content = read_private(path, "key file")
        blocks = _PEM.findall(content)
        if len(blocks) != 2 or b"".join(blocks) != content:
            raise BadInput(
                f"{path} is not a private key file; give one made by `genome-eu keys new`"
            )
        secret = None
        if b"ENCRYPTED" in content:
            if passphrase is None:
                raise BadInput(f"key file {path} is protected by a passphrase; give it")
            secret = passphrase().encode()
        try:
            signing, sealing = (load_pem_private_key(block, secret) for block in blocks)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # What the library says may quote what it read; the reason is one of two.
            why = "or the passphrase is wrong" if secret is not None else "copy it again"
            raise BadInput(f"key file {path} cannot be opened: it is damaged; {why}") from None
        if not isinstance(signing, Ed25519PrivateKey) or not isinstance(sealing, X25519PrivateKey):
            raise BadInput(f"key file {path} holds keys of another kind; make new ones")
        return cls(signing, sealing)

    def write(self, path: Path, passphrase: str | None = None) -> None:
        """Write both keys as PEM (PKCS #8), readable by the owner only; nothing is overwritten.

        Raises
        ------
        UsageError
            The file exists, its folder does not, or the passphrase is too short.
        """
        protection: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            if len(passphrase) < SHORTEST_PASSPHRASE:
                raise UsageError(f"a passphrase needs at least {SHORTEST_PASSPHRASE} characters")
            protection = BestAvailableEncryption(passphrase.encode())
        _refuse_existing(path)
        blocks = [
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
            for key in (self._signing, self._sealing)
        ]
        write_whole(path, b"".join(blocks), private=True)

    @property
    def public(self) -> PublicKeys:
        """The keys that others may know."""
        return PublicKeys(
            encoded(_ED25519, self._signing.public_key().public_bytes_raw()),
            encoded(_X25519, self._sealing.public_key().public_bytes_raw()),
        )

    @property
    def sealing_key(self) -> bytes:
        """The private X25519 key, 32 bytes, as crypt4gh takes it."""
        return self._sealing.private_bytes_raw()

    def sign(self, purpose: str, content: bytes) -> bytes:
        """Sign content for one purpose; the signature is worth nothing for another."""
        return self._signing.sign(_signed(purpose, content))


def verify(signing: str, purpose: str, content: bytes, signature: bytes) -> None:
    """Check a signature made by `SecretKeys.sign`.

    Raises
    ------
    SignatureError
        It is not that of this key, over this content, for this purpose.
    """
    key = Ed25519PublicKey.from_public_bytes(decoded(_ED25519, signing, _KEY_BYTES))
    try:
        key.verify(signature, _signed(purpose, content))
    except InvalidSignature:
        raise SignatureError(
            f"the {purpose} was not signed by {signing}, or was changed since; ask for it again"
        ) from None


def write_public(path: Path, name: str, keys: PublicKeys) -> None:
    """Write `NAME.pub`; nothing is overwritten.

    Raises
    ------
    UsageError
        The file exists, or its folder does not.
    """
    _refuse_existing(path)
    head = "# Public keys, for the coordinator's federation.toml. Compare by telephone:\n"
    text = f'{head}# {keys.fingerprint}\nname = "{name}"\n{keys.lines()}'
    write_whole(path, text.encode())


def read_public(path: Path) -> tuple[str, PublicKeys]:
    """Name and keys in a file `NAME.pub`.

    Raises
    ------
    BadInput
        The file cannot be read, or is not one that `genome-eu keys new` made.
    """
    content = read_bounded(path, _FILE_LIMIT)
    try:
        found = toml.parsed(content.decode())
        if set(found) == {"name", "signing", "sealing"}:
            return str(found["name"]), PublicKeys(str(found["signing"]), str(found["sealing"]))
    except ValueError:
        pass
    raise BadInput(f"{path} is not a public key file; give one made by `genome-eu keys new`")


def check_signing(text: str) -> str:
    """A public signing key as text, or `BadInput`."""
    decoded(_ED25519, text, _KEY_BYTES)
    return text


def check_sealing(text: str) -> str:
    """A public sealing key as text, or `BadInput`."""
    key = X25519PublicKey.from_public_bytes(raw_sealing(text))
    try:
        # With a point of small order anybody could read what is sealed for it.
        X25519PrivateKey.generate().exchange(key)
    except ValueError:
        raise BadInput("a sealing key is not a safe X25519 key; make new keys") from None
    return text


def raw_sealing(text: str) -> bytes:
    """The 32 bytes of a public sealing key."""
    return decoded(_X25519, text, _KEY_BYTES)


def signature_text(signature: bytes) -> str:
    """A signature as it is written: `ed25519:` and base64."""
    return encoded(_ED25519, signature)


def signature_bytes(text: str) -> bytes:
    """The 64 bytes of a written signature, or `BadInput`."""
    return decoded(_ED25519, text, _SIGNATURE_BYTES)


def encoded(kind: str, raw: bytes) -> str:
    """A key or signature as text."""
    return f"{kind}:{base64.b64encode(raw).decode()}"


def decoded(kind: str, text: str, size: int) -> bytes:
    """What `encoded` made; every other spelling is `BadInput`."""
    try:
        raw = base64.b64decode(text.removeprefix(f"{kind}:"), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    # Base64 has several spellings of some bytes; only one is good, so that no flip goes unseen.
    if len(raw) != size or encoded(kind, raw) != text:
        raise BadInput(f"a key or signature must be {kind}: and {size} bytes in base64")
    return raw


def read_bounded(path: Path, limit: int) -> bytes:
    """A small file, whole.

    Raises
    ------
    BadInput
        It cannot be read, or is longer than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); check the path") from None
    if len(content) > limit:
        raise BadInput(f"{path} is longer than {limit:,} bytes; it is not the file that is meant")
    return content


def read_private(path: Path, what: str) -> bytes:
    """A small file that nobody but its owner may read.

    Raises
    ------
    BadInput
        It cannot be read, or others could.
    """
    try:
        with path.open("rb") as file:
            # Asked of the open file, so that no other can take its place between look and read.
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise BadInput(
                    f"{what} {path} is open to others (mode {mode:o}); run `chmod 600 {path}`, and "
                    f"replace it if anybody may have read it"
                )
            return file.read(_FILE_LIMIT)
    except OSError as error:
        raise BadInput(f"{what} {path} cannot be read ({error.strerror}); check the path") from None


def _signed(purpose: str, content: bytes) -> bytes:
    """What the Ed25519 signature is over: no two purposes share a message."""
    if not _PURPOSE.fullmatch(purpose):
        raise ValueError(f"{purpose!r} is not the purpose of a signature")
    return b"genome_eu signature 1: " + purpose.encode() + b"\n" + content


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} exists; choose another name or folder, keys are never replaced")
