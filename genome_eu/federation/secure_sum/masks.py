"""Masks: for every pair of sites a keystream that both can make, one adds and one subtracts.

X25519 of the pair's fresh keys → HKDF-SHA256 over the context, the pair, the shard and the field →
ChaCha20. A key makes one keystream, so its nonce and counter begin at 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from genome_eu.canonical import canonical
from genome_eu.errors import BundleError
from genome_eu.federation.keys import raw_sealing
from genome_eu.federation.plan import Plan
from genome_eu.federation.secure_sum.ready import FEWEST_SITES, Ready, agreed, public_key
from genome_eu.federation.secure_sum.ring import Words, add, subtract

_DOMAIN = "genome_eu secure sum 1"


def context(plan: Plan, ready: Sequence[Ready], people_bound: int) -> str:
    """What names one secure sum, 64 hexadecimal digits: the plan, and who is ready how.

    Two sites whose contexts differ share no mask. A site masks one message in one context.
    """
    messages = [message.content().decode() for message in sorted(ready, key=lambda m: m.site)]
    named = [_DOMAIN, plan.hash, people_bound, messages]
    return hashlib.sha256(canonical(named)).hexdigest()


def derived(secret: bytes, *purpose: str | int) -> bytes:
    """32 bytes that nobody can tell from random without the secret, one value per purpose."""
    info = hashlib.sha256(canonical([_DOMAIN, *purpose])).digest()
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(secret)


def keystream(key: bytes, into: Words) -> Words:
    """Fill an array with ChaCha20 as little-endian words; gives the same array back."""
    if into.size:
        plain = bytes(into.nbytes)
        Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update_into(
            plain, into.reshape(-1).view(np.uint8).data
        )
    return into


class Masks:
    """All masks of one site in one context.

    Parameters
    ----------
    plan : Plan
        What is asked.
    ready : sequence of Ready
        Everybody's messages, verified against the pinned roster.
    own, secret : str, bytes
        The site and its private key of this round.
    people_bound, min_sites : int
        As `mask`.

    Raises
    ------
    Refused, BundleError
        As `agreed`; also where the site's own message is not among them, or a key is unsafe.
    """

    def __init__(
        self,
        plan: Plan,
        ready: Sequence[Ready],
        *,
        own: str,
        secret: bytes,
        people_bound: int,
        min_sites: int = FEWEST_SITES,
    ) -> None:
        self._everyone = agreed(ready, plan, min_sites=min_sites)
        if (own, public_key(secret)) not in {(one.site, one.key) for one in self._everyone}:
            raise BundleError(f"the ready message of {own} is not this site's own")
        self._own = own
        self._secret = secret
        self.context = context(plan, ready, people_bound)

    @cached_property
    def _shared(self) -> dict[str, bytes]:
        """The secret shared with every other site."""
        key = X25519PrivateKey.from_private_bytes(self._secret)
        others = [one for one in self._everyone if one.site != self._own]
        try:
            return {
                one.site: key.exchange(X25519PublicKey.from_public_bytes(raw_sealing(one.key)))
                for one in others
            }
        except ValueError:
            raise BundleError("a site is ready with a key that hides nothing") from None

    def hide(self, words: Words, number: int, field: str) -> None:
        """Mask one field of one shard in place."""
        stream = np.empty(words.shape, "<u8")
        for other, shared in self._shared.items():
            low, high = sorted((self._own, other))
            key = derived(shared, "pair", self.context, low, high, number, field)
            # One of the two adds what the other subtracts.
            change = add if self._own == low else subtract
            change(words, keystream(key, stream))

    def own_noise(self, shape: tuple[int, ...], number: int, field: str) -> Words:
        """Uniform words that nobody else can make, the same after a restart."""
        key = derived(self._secret, "own", self.context, number, field)
        return keystream(key, np.empty(shape, "<u8"))
