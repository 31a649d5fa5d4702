"""From a roster file, or from cohorts that are open already, to a federation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from genome_eu.disclosure import load_policy
from genome_eu.disclosure.policy import SHIPPED
from genome_eu.errors import BadInput, UsageError
from genome_eu.federation.carriers.exchange import Exchange
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.parties import Roster
from genome_eu.federation.roster import read_roster, verify_roster
from genome_eu.federation.single import Cohort
from genome_eu.federation.site import Site, read_callable
from genome_eu.stats.regions import Regions


def open_federation(
    path: str | Path,
    *,
    studies: str | Path | None = None,
    without: str | Sequence[str] = (),
    key: str | Path | None = None,
    passphrase: Callable[[], str] | None = None,
    exchange: str | None = None,
    exchange_options: Mapping[str, object] | None = None,
) -> Federation:
    """Open a federation described by a TOML file.

    Parameters
    ----------
    path : str or Path
        `federation.toml`; paths in it are relative to its folder.
    studies : str or Path, optional
        Folder that keeps every round. The same question asked with the same folder continues
        after the last complete round. Without it each question of an exchange federation gets a
        new folder under `studies/` beside the file.
    without : str or sequence of str, optional
        Sites that are left out this time. A study that waits for a site can go on without it; its
        rounds then begin anew, because every sum changes with who takes part.
    key : str or Path, optional
        Private key file of the one who asks, the coordinator or an analyst of the roster. By
        default the environment variable `GENOME_EU_KEY`, or `NAME.key` beside the file, NAME
        being the coordinator's.
    passphrase : callable, optional
        Asked for the key's passphrase, if it has one.
    exchange : str, optional
        Where this machine reaches the exchange, if not as the roster says.
    exchange_options : mapping, optional
        What fsspec needs to open it: user names, keys, endpoints.

    Returns
    -------
    Federation

    Raises
    ------
    BadInput
        The file is not a valid roster, or what it names does not exist.
    SignatureError
        The roster is not signed by its coordinator.
    """
    path = Path(path)
    roster = read_roster(path)
    base = path.parent
    given = Path(studies) if studies is not None else None
    left_out = (without,) if isinstance(without, str) else tuple(without)
    if roster.site[0].cohort is not None:
        return Federation(
            roster.name,
            Memory(_local_sites(roster, base)),
            roster.sites,
            without=left_out,
            studies=given,
            keep=given is not None,
        )
    roster = verify_roster(path)
    keys = SecretKeys.read(_key_file(key, roster, base), passphrase)
    location = exchange or str(roster.exchange)
    post = Post(
        location if "://" in location else str(base / location),
        host_key=roster.host_key,
        options=dict(exchange_options or {}),
    )
    return Federation(
        roster.name,
        Exchange(post, roster, keys, base / "ledgers"),
        roster.sites,
        without=left_out,
        secure_sum=roster.secure_sum,
        studies=given or base / "studies",
        keep=given is not None,
    )


def _key_file(key: str | Path | None, roster: Roster, base: Path) -> Path:
    if key is not None:
        return Path(key)
    if named := os.environ.get("GENOME_EU_KEY"):
        return Path(named)
    if roster.coordinator is None:
        raise BadInput(f"federation {roster.name} names no coordinator; add one with its keys")
    return base / f"{roster.coordinator.name}.key"


def _local_sites(roster: Roster, base: Path) -> dict[str, Site]:
    sites = {}
    for member in roster.site:
        rules = load_policy(member.policy if member.policy in SHIPPED else base / member.policy)
        sites[member.name] = Site.open(
            member.name,
            base / str(member.cohort),
            rules,
            state=SiteState(base / "state" / member.name),
        )
    return sites


def federate(
    cohorts: Mapping[str, Cohort],
    *,
    policy: str | Path = "default",
    callable_regions: Mapping[str, str | Path | Regions] | None = None,
) -> Federation:
    """A federation of cohorts opened in this process; each answers through its own airlock.

    Parameters
    ----------
    cohorts : mapping of str to Cohort
        By site name.
    policy : str or Path
        A shipped policy's name, or a policy file; the same for all.
    callable_regions : mapping of str to path or Regions, optional
        By site name: BED files of where it could have called variants that its cohort lacks.

    Returns
    -------
    Federation

    Examples
    --------
    >>> eu = ge.federate({"FI": fi, "ES": es}, policy="open-data")  # doctest: +SKIP
    """
    rules = load_policy(policy)
    declared = {
        name: given if isinstance(given, Regions) else read_callable(given)
        for name, given in (callable_regions or {}).items()
    }
    for name in declared.keys() - cohorts.keys():
        raise UsageError(f"callable_regions names {name}, which is not a site of the federation")
    sites = {
        name: cohort.as_site(name, rules, declared.get(name)) for name, cohort in cohorts.items()
    }
    return Federation("in-process", Memory(sites), tuple(sites))
