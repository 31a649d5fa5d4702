"""Who takes part in a federation, and what a roster may say."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from genome_eu.canonical import canonical
from genome_eu.disclosure.policy import Policy, load_policy, strictest
from genome_eu.errors import BadInput
from genome_eu.federation.keys import PublicKeys, check_sealing, check_signing

Role = Literal["coordinator", "analyst", "site"]

# Part of file names on the exchange, so it is never hidden, "." or "..".
PartyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
SigningKey = Annotated[str, AfterValidator(check_signing)]
SealingKey = Annotated[str, AfterValidator(check_sealing)]


def _host_key(text: str) -> str:
    """A server's key as `ssh-keyscan` prints it, without the host name."""
    kind, _, rest = text.partition(" ")
    try:
        blob = base64.b64decode(rest, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if not kind.isascii() or not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise ValueError(
            'give the server\'s key as "ssh-ed25519 AAAA...", as `ssh-keyscan` prints it'
        )
    return text


def _exchange(text: str) -> str:
    if urlsplit(text).password is not None:
        raise ValueError("holds a password, which everybody listed would read; take it out")
    return text


def _floor(values: dict[str, Any]) -> dict[str, Any]:
    """Keys of a policy, as many as are to be held everywhere."""
    named = sorted({"name", "description"} & set(values))
    if named:
        raise ValueError(f"{named[0]} cannot be prescribed; leave it out")
    try:
        Policy.model_validate(load_policy("default").model_dump() | values)
    except ValidationError as error:
        raise ValueError(f"{fault(error)}; write it as in a policy file") from None
    return values


class Party(BaseModel):
    """Somebody on the roster. Keys are needed as soon as messages travel."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: ClassVar[Role]
    name: PartyName
    signing: SigningKey | None = None
    sealing: SealingKey | None = None


class Coordinator(Party):
    """Asks, combines the answers, and signs the roster."""

    role = "coordinator"


class Analyst(Party):
    """May ask too."""

    role = "analyst"


class Member(Party):
    """A site: answers from its own cohort."""

    role = "site"
    country: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    # A site of this process, for notebooks and tests; other sites answer through the exchange.
    cohort: str | None = None
    policy: str = "default"


class Roster(BaseModel):
    """`federation.toml`, validated."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: PartyName
    serial: int = Field(default=0, ge=0, le=2**53)
    exchange: Annotated[str, AfterValidator(_exchange)] | None = None
    host_key: Annotated[str, AfterValidator(_host_key)] | None = None
    timeout_s: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    min_sites: int = Field(default=3, ge=3)
    secure_sum: bool = True
    coordinator: Coordinator | None = None
    analyst: tuple[Analyst, ...] = ()
    site: tuple[Member, ...] = Field(min_length=1)
    floor: Annotated[dict[str, Any], AfterValidator(_floor)] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of what the file says; spelling and comments do not count."""
        # Only what is written: a key added by a later version leaves older rosters as they are.
        content = self.model_dump(mode="json", exclude_unset=True)
        return hashlib.sha256(canonical(content)).hexdigest()

    @property
    def parties(self) -> tuple[Party, ...]:
        """Everybody: the coordinator, the analysts, the sites."""
        first = (self.coordinator,) if self.coordinator is not None else ()
        return (*first, *self.analyst, *self.site)

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, sorted."""
        return tuple(sorted(member.name for member in self.site))

    @property
    def keyed(self) -> bool:
        """Whether the parties have keys, so that messages can be signed and sealed."""
        return self.coordinator is not None and self.coordinator.signing is not None

    def floored(self, policy: Policy) -> Policy:
        """A site's policy, made stricter where the federation's floor is; else as it is."""
        prescribed = Policy.model_validate(policy.model_dump() | (self.floor or {}))
        found = strictest([policy, prescribed])
        own = {"name": policy.name, "description": policy.description}
        return policy if found.model_copy(update=own) == policy else found

    def party(self, name: str) -> Party:
        """Somebody by name.

        Raises
        ------
        BadInput
            Nobody of that name is listed.
        """
        for party in self.parties:
            if party.name == name:
                return party
        raise BadInput(
            f"{name} is not listed in federation {self.name} (serial {self.serial}); ask its "
            f"coordinator for the newest roster"
        )

    def who(self, keys: PublicKeys) -> Party:
        """The party that these keys are listed for.

        Raises
        ------
        BadInput
            Nobody's.
        """
        for party in self.parties:
            if (party.signing, party.sealing) == (keys.signing, keys.sealing):
                return party
        raise BadInput(
            f"federation {self.name} (serial {self.serial}) lists nobody with the keys "
            f"{keys.fingerprint}; send the public ones to its coordinator, or use the right file"
        )

    def own(self, name: str, keys: PublicKeys) -> Party:
        """Somebody by name, if these are the keys listed for them.

        Raises
        ------
        BadInput
            Nobody of that name is listed, or with other keys.
        """
        party = self.party(name)
        if party.signing is None:
            raise BadInput(
                f"federation {self.name} lists no keys, so nothing can be signed; add those that "
                f"`genome-eu keys new` made"
            )
        if (party.signing, party.sealing) != (keys.signing, keys.sealing):
            raise BadInput(
                f"federation {self.name} (serial {self.serial}) lists other keys for {name} than "
                f"those in its key file; send {name}.pub to the coordinator, or use the right file"
            )
        return party


def inconsistent(roster: Roster) -> str | None:
    """What a roster says that cannot be meant; None where all fits."""
    sites = [member.name for member in roster.site]
    if len(set(sites)) != len(sites):
        return "names a site twice"
    # Some stores do not tell upper from lower case.
    if len({party.name.lower() for party in roster.parties}) != len(roster.parties):
        return "gives two parties one name; let them differ in more than upper and lower case"
    here = [member.name for member in roster.site if member.cohort is not None]
    if here and len(here) != len(sites):
        return (
            "gives cohorts for some sites only; give all (they answer in this process) or none "
            "(they answer through the exchange)"
        )
    if not here and roster.exchange is None:
        return "has neither an exchange nor cohorts for its sites"
    if (roster.exchange or "").startswith(("sftp:", "ssh:")) and roster.host_key is None:
        return "has no host_key for its exchange; pin the server's key, as `ssh-keyscan` prints it"
    return _keys_inconsistent(roster)


def _keys_inconsistent(roster: Roster) -> str | None:
    keys = [key for party in roster.parties for key in (party.signing, party.sealing)]
    given = [key for key in keys if key is not None]
    if not given:
        return None
    for party in roster.parties:
        if party.signing is None or party.sealing is None:
            return f"lacks a key of {party.name}; copy both from {party.name}.pub"
    if len(set(given)) != len(given):
        return "lists one key for two parties; each needs keys of its own"
    if roster.coordinator is None:
        return "lists keys but no coordinator; add [coordinator] with its name and keys"
    if roster.serial < 1:
        return "lists keys but no serial; begin with serial = 1, and add one at every change"
    return None


def fault(error: ValidationError) -> str:
    """Where a model is wrong first, and how; never the value, which may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg'].lower().removeprefix('value error, ')}"
