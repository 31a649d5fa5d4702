"""Commitments: a site binds itself to the numbers under its masks, and tells nothing of them."""

from __future__ import annotations

import hashlib
import hmac

from genome_eu.canonical import canonical
from genome_eu.federation.plan import Plan, array_digest
from genome_eu.federation.secure_sum.masks import derived
from genome_eu.stats.aggregate import Aggregate, declared

_DOMAIN = "genome_eu commitment 1"


def shard_salt(secret: bytes, plan: Plan, number: int) -> bytes:
    """The 32 random bytes of one shard's commitment; the site keeps them for its auditor.

    They come from the secret of the round, so a restart commits to the same. They tell nothing of
    it: the secret can be destroyed, and the salts kept.
    """
    return derived(secret, "salt", plan.hash, number)


def commit(shard: Aggregate, *, plan: Plan, number: int, salt: bytes) -> str:
    """A SHA-256 over the salt and the clear numbers of a shard, hexadecimal.

    Without the salt nobody can test a guess of the numbers against it.
    """
    arrays = {item.name: array_digest(getattr(shard, item.name)) for item in declared(shard)}
    content = [_DOMAIN, salt.hex(), plan.hash, number, shard.statistic, shard.version, arrays]
    return hashlib.sha256(canonical(content)).hexdigest()


def opens(commitment: str, shard: Aggregate, *, plan: Plan, number: int, salt: bytes) -> bool:
    """Whether these are the numbers that a site committed to."""
    return hmac.compare_digest(commitment, commit(shard, plan=plan, number=number, salt=salt))
