"""From a roster file, or from cohorts that are open already, to a federation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from genome_eu.disclosure import load_policy
from genome_eu.disclosure.policy import SHIPPED
from genome_eu.federation.carriers.exchange import Exchange
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Carrier, Federation, read_roster
from genome_eu.federation.single import Cohort
from genome_eu.federation.site import Site
from genome_eu.federation.state import SiteState


def open_federation(path: str | Path, *, studies: str | Path | None = None) -> Federation:
    """Open a federation described by a TOML file.

    Parameters
    ----------
    path : str or Path
        `federation.toml`; paths in it are relative to its folder.
    studies : str or Path, optional
        Folder that keeps every round. The same question asked with the same folder continues
        after the last complete round. Without it each question of an exchange federation gets a
        new folder under `studies/` beside the file.

    Returns
    -------
    Federation

    Raises
    ------
    BadInput
        The file is not a valid roster, or what it names does not exist.
    """
    path = Path(path)
    roster = read_roster(path)
    base = path.parent
    names = tuple(member.name for member in roster.site)
    given = Path(studies) if studies is not None else None
    if roster.site[0].cohort is None:
        carrier: Carrier = Exchange(base / str(roster.exchange), roster.timeout_s)
        return Federation(
            roster.name,
            carrier,
            names,
            studies=given or base / "studies",
            keep=given is not None,
        )
    sites = {}
    for member in roster.site:
        rules = load_policy(member.policy if member.policy in SHIPPED else base / member.policy)
        sites[member.name] = Site.open(
            member.name,
            base / str(member.cohort),
            rules,
            state=SiteState(base / "state" / member.name),
        )
    return Federation(roster.name, Memory(sites), names, studies=given, keep=given is not None)


def federate(cohorts: Mapping[str, Cohort], *, policy: str | Path = "default") -> Federation:
    """A federation of cohorts opened in this process; each answers through its own airlock.

    Parameters
    ----------
    cohorts : mapping of str to Cohort
        By site name.
    policy : str or Path
        A shipped policy's name, or a policy file; the same for all.

    Returns
    -------
    Federation

    Examples
    --------
    >>> eu = ge.federate({"FI": fi, "ES": es}, policy="open-data")  # doctest: +SKIP
    """
    rules = load_policy(policy)
    sites = {name: cohort.as_site(name, rules) for name, cohort in cohorts.items()}
    return Federation("in-process", Memory(sites), tuple(sites))
