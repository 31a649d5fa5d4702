"""A site's part in one secure sum: be ready, wait until everybody is, answer under masks.

The secret of a round is made once and kept until the answer lies at the exchange, so that a site
that was killed sends the same bytes. Nobody masks before it has everybody's signed message.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genome_eu.atomic import write_whole
from genome_eu.canonical import canonical
from genome_eu.disclosure.policy import Policy
from genome_eu.errors import BundleError, Refused
from genome_eu.federation import secure_sum
from genome_eu.federation.bundle import Bundle, SecureSum, write_masked
from genome_eu.federation.plan import Plan
from genome_eu.federation.secure_sum import Floors, Ready

_KEY = "ready.key"


class SecureRound:
    """One plan's secure sum, as a site takes part in it.

    Parameters
    ----------
    place : Path
        The site's private folder for the plan.
    plan : Plan
        What is asked.
    site : str
        This site.
    policy : Policy
        Its policy: fewest sites, and the floors that it asks of the publisher.
    """

    def __init__(self, place: Path, plan: Plan, *, site: str, policy: Policy) -> None:
        self._place = place
        self._plan = plan
        self._site = site
        self._policy = policy

    @property
    def begun(self) -> bool:
        """Whether this site has said that it is ready, or is about to."""
        return self._kept(self._site).exists()

    def message(self) -> Path:
        """This site's ready message, made once and kept."""
        kept = self._kept(self._site)
        if not kept.exists():
            secret = self._place / _KEY
            if not secret.exists():
                write_whole(secret, secure_sum.new_secret(), private=True)
            message = Ready(
                plan=self._plan.hash,
                participants=tuple(sorted(self._plan.sites)),
                site=self._site,
                key=secure_sum.public_key(secret.read_bytes()),
                policy=Floors.of(self._policy),
            )
            write_whole(kept, message.content())
        return kept

    def take(self, sender: str, content: bytes) -> None:
        """Keep the ready message of another site, whose signature has been checked."""
        message = secure_sum.read_ready(content)
        if message.site != sender or message.plan != self._plan.hash:
            raise BundleError(f"the ready message of {sender} is of another site or plan")
        write_whole(self._kept(sender), content)

    def missing(self) -> list[str]:
        """Sites whose ready message is not here yet."""
        return [site for site in self._plan.sites if not self._kept(site).exists()]

    def everybody(self) -> Sequence[Ready]:
        """All ready messages, which must agree with each other and with this site's policy.

        Raises
        ------
        Refused
            Too few sites take part, or the others were told other floors than this site has now.
        BundleError
            The messages do not agree with each other.
        """
        kept = {site: self._kept(site).read_bytes() for site in self._plan.sites}
        messages = {site: secure_sum.read_ready(content) for site, content in kept.items()}
        if messages[self._site].policy != Floors.of(self._policy):
            raise Refused(
                f"its policy {self._policy.name} has other floors than when it was ready for this "
                f"sum; ask in a new study"
            )
        return secure_sum.agreed(
            list(messages.values()), self._plan, min_sites=self._policy.min_sites
        )

    def write(self, clear: Bundle, wire: Path) -> None:
        """Write a judged answer under masks.

        Raises
        ------
        Refused
            It was answered before, and its secret is destroyed.
        """
        ready = self.everybody()
        try:
            secret = (self._place / _KEY).read_bytes()
        except FileNotFoundError:
            raise Refused(
                "this sum was answered before and its secret is destroyed; ask in a new study"
            ) from None
        shards = range(clear.manifest.shards)

        def masked(number: int) -> Any:
            return secure_sum.mask(
                clear.shard(number),
                plan=self._plan,
                number=number,
                own=self._site,
                secret=secret,
                ready=ready,
                people_bound=secure_sum.MOST_PEOPLE,
                min_sites=self._policy.min_sites,
            )

        def committed(number: int) -> str:
            salt = secure_sum.shard_salt(secret, self._plan, number)
            return secure_sum.commit(clear.shard(number), plan=self._plan, number=number, salt=salt)

        said = SecureSum(
            context=secure_sum.context(self._plan, ready, secure_sum.MOST_PEOPLE),
            floors=Floors.strictest(message.policy for message in ready),
            commitments=tuple(committed(number) for number in shards),
        )
        write_masked(wire, clear, masked, said)

    def forget(self, shards: int) -> None:
        """Destroy the secret once the answer lies at the exchange; the salts stay for an auditor.

        Nobody who comes to this folder later can take the masks off an old answer.
        """
        key = self._place / _KEY
        if not key.exists():
            return
        secret = key.read_bytes()
        salts = [secure_sum.shard_salt(secret, self._plan, n).hex() for n in range(shards)]
        write_whole(self._place / "salts.json", canonical(salts), private=True)
        key.unlink()

    def _kept(self, site: str) -> Path:
        return self._place / f"ready-{site}.json"
