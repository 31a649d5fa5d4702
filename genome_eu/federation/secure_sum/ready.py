"""Ready messages: who takes part in one secure sum, under which fresh keys and which floors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from genome_eu.canonical import canonical
from genome_eu.disclosure.policy import Policy
from genome_eu.errors import BundleError, Refused
from genome_eu.federation.keys import check_sealing, encoded
from genome_eu.federation.parameters.types import Hash, Name
from genome_eu.federation.plan import Plan

#: Fewest participants: of two, each knows the other's numbers from the total.
FEWEST_SITES = 3

_LIMIT = 2**20


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Floors(_Strict):
    """The floors of a site's policy that can be applied to a total only, so by the publisher."""

    min_people: int = Field(ge=1)
    allele_floor: int = Field(ge=0)
    genotype_floor: int = Field(ge=0)
    association_floor: int = Field(ge=0)
    missing_floor: int = Field(ge=0)
    show_zero: bool

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """The floors of a policy."""
        return cls(**{name: getattr(policy, name) for name in cls.model_fields})

    @classmethod
    def strictest(cls, floors: Iterable[Self]) -> Self:
        """Floors that satisfy every one of those given."""
        given = list(floors)
        most = {
            name: max(getattr(item, name) for item in given)
            for name in cls.model_fields
            if name != "show_zero"
        }
        return cls(**most, show_zero=all(item.show_zero for item in given))


class Ready(_Strict):
    """One participant is ready: it will answer this plan, with these others, under this key."""

    format: Literal[1] = 1
    plan: Hash
    participants: Annotated[tuple[Name, ...], Field(strict=False)]
    site: Name
    key: Annotated[str, AfterValidator(check_sealing)]  # X25519, of this round only
    policy: Floors

    def content(self) -> bytes:
        """The message as bytes, of which there is one spelling."""
        return canonical(self.model_dump(mode="json"))


def read_ready(content: bytes) -> Ready:
    """The inverse of `Ready.content`. Signatures are checked before, by the envelope.

    Raises
    ------
    BundleError
        The bytes are not a ready message in its one spelling.
    """
    try:
        if len(content) <= _LIMIT:
            message = Ready.model_validate(json.loads(content))
            if message.content() == content:
                return message
    except (ValidationError, ValueError, RecursionError):
        pass
    raise BundleError("a ready message is not what its sender's software writes; ask for it again")


def new_secret() -> bytes:
    """A fresh private X25519 key, 32 bytes, for one plan; never a site's sealing key."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_key(secret: bytes) -> str:
    """The public key of a secret, as a ready message holds it."""
    key = X25519PrivateKey.from_private_bytes(secret).public_key()
    return encoded("x25519", key.public_bytes_raw())


def agreed(
    ready: Sequence[Ready], plan: Plan, *, min_sites: int = FEWEST_SITES
) -> tuple[Ready, ...]:
    """The ready messages of a plan sorted by site, once they are complete and agree.

    Raises
    ------
    Refused
        Fewer sites take part than this site asks for.
    BundleError
        The plan asks for no secure sum; a message is of another plan or names other participants;
        a site is missing, there twice, or not asked; two sites show the same key.
    """
    participants = tuple(sorted(plan.sites))
    if not plan.secure_sum:
        raise BundleError("the plan does not ask for a secure sum")
    least = max(min_sites, FEWEST_SITES)
    if len(set(participants)) < least:
        raise Refused(f"{len(set(participants))} sites take part, a secure sum needs {least} here")
    for message in ready:
        if message.plan != plan.hash or message.participants != participants:
            raise BundleError(f"the ready message of {message.site} is not one for this plan")
    if tuple(sorted(message.site for message in ready)) != participants:
        raise BundleError("the ready messages are not one of each site that the plan names")
    if len({message.key for message in ready}) < len(ready):
        raise BundleError("two sites are ready with the same key; ask under a new round")
    return tuple(sorted(ready, key=lambda message: message.site))
