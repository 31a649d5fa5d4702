"""`genome-eu roster`: who takes part, signed by the coordinator and accepted by each site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genome_eu.errors import BadInput, UsageError

if TYPE_CHECKING:
    from genome_eu.federation.roster import Party, Roster

app = typer.Typer(help="Sign a federation.toml, check its signature, accept it at a site.")

RosterFile = Annotated[Path, typer.Argument(help="federation.toml; its signature lies beside it.")]


@app.command()
def sign(
    file: RosterFile,
    key: Annotated[Path, typer.Option(help="The coordinator's private key file.")],
) -> None:
    """Check federation.toml and write federation.toml.sig with the coordinator's key."""
    from genome_eu.cli.keys import ask_passphrase
    from genome_eu.federation.keys import SecretKeys
    from genome_eu.federation.roster import sign_roster

    roster = sign_roster(file, SecretKeys.read(key, ask_passphrase))
    typer.echo(f"{file}.sig written: send both files to every site")
    _show(roster)


@app.command()
def verify(file: RosterFile) -> None:
    """Check that the coordinator named in federation.toml has signed it, and show who is listed."""
    from genome_eu.federation.roster import verify_roster

    _show(verify_roster(file))


@app.command()
def accept(
    site: Annotated[Path, typer.Argument(help="The site's site.toml, or its state folder.")],
    file: RosterFile,
    yes: Annotated[bool, typer.Option("--yes", help="Accept without being asked.")] = False,
    new_coordinator: Annotated[
        bool,
        typer.Option("--new-coordinator", help="Accept another coordinator's key than before."),
    ] = False,
) -> None:
    """Show a signed roster, or what changes in it, and take it into use at this site."""
    from genome_eu.federation.roster import accept_roster

    state, name = _state(site)

    def agree(pinned: Roster | None, roster: Roster) -> None:
        if name is not None and name not in roster.sites:
            raise BadInput(f"{file} does not list site {name}; ask its coordinator to add it")
        _show(roster)
        for change in _changes(pinned, roster):
            typer.echo(change)
        if not yes:
            _confirm()

    roster = accept_roster(state, file, agree=agree, new_coordinator=new_coordinator)
    typer.echo(f"accepted: federation {roster.name}, serial {roster.serial}")


def _state(site: Path) -> tuple[Path, str | None]:
    """The state folder, and the site's name where that is told."""
    if site.suffix != ".toml":
        return site, None
    from genome_eu.federation.daemon.serve import read_settings

    settings = read_settings(site)
    return site.parent / settings.state, settings.name


def _confirm() -> None:
    try:
        if typer.confirm("Have you compared the coordinator's fingerprint, and accept this?"):
            return
    except typer.Abort:
        pass
    raise UsageError("the roster was not accepted; what was in use before stays (see --yes)")


def _show(roster: Roster) -> None:
    typer.echo(f"federation {roster.name}, serial {roster.serial}, digest {roster.digest}")
    for party in roster.parties:
        typer.echo(f"{party.role:<11}  {party.name:<12}  {_fingerprint(party)}")


def _changes(pinned: Roster | None, roster: Roster) -> list[str]:
    if pinned is None:
        return ["no roster was accepted here before"]
    before = {party.name: party for party in pinned.parties}
    now = {party.name: party for party in roster.parties}
    lines = [f"new: {name}" for name in sorted(set(now) - set(before))]
    lines += [f"gone: {name}" for name in sorted(set(before) - set(now))]
    for name in sorted(set(before) & set(now)):
        if before[name].role != now[name].role:
            lines.append(f"changed: {name} is {now[name].role}, was {before[name].role}")
        if _fingerprint(before[name]) != _fingerprint(now[name]):
            lines.append(f"changed: the keys of {name}")
    for rule in ("exchange", "host_key", "timeout_s", "min_sites", "secure_sum", "floor"):
        old, new = getattr(pinned, rule), getattr(roster, rule)
        if old != new:
            lines.append(f"changed: {rule} is {new}, was {old}")
    return lines or ["nothing changes"]


def _fingerprint(party: Party) -> str:
    from genome_eu.federation.keys import PublicKeys

    if party.signing is None or party.sealing is None:
        return "no keys"
    return PublicKeys(party.signing, party.sealing).fingerprint
