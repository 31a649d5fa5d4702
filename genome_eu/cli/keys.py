"""`genome-eu keys`: a party's own keys."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from genome_eu.errors import BadInput, UsageError

app = typer.Typer(help="Make and show keys: one signs, one is what messages are sealed for.")

#: Names a file that holds the passphrase, for services that nobody can be asked by.
FROM_FILE = "GENOME_EU_PASSPHRASE_FILE"


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The party's name in the federation, as FI.")],
    out: Annotated[Path, typer.Option(help="Folder to write NAME.key and NAME.pub to.")] = Path(),
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase that protects NAME.key.")
    ] = False,
) -> None:
    """Make NAME.key, which stays here, and NAME.pub, which goes to the coordinator."""
    from genome_eu.federation.keys import SecretKeys, write_public

    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name):
        raise UsageError(
            f"{name!r} cannot be a party's name: letters, digits, '.', '_' and '-', at most 64, "
            f"beginning with a letter, digit or '_'"
        )
    secret, public = out / f"{name}.key", out / f"{name}.pub"
    if public.exists():
        raise UsageError(f"{public} exists; choose another name or folder")
    out.mkdir(parents=True, exist_ok=True)
    keys = SecretKeys.new()
    keys.write(secret, _new_passphrase() if passphrase else None)
    write_public(public, name, keys.public)
    typer.echo(f"{secret} stays here, readable by you only; send {public} to the coordinator")
    typer.echo(f"fingerprint {keys.public.fingerprint}")


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="NAME.pub, or NAME.key (its public half is shown).")],
) -> None:
    """Show public keys as they stand in federation.toml, and their fingerprint."""
    from genome_eu.federation.keys import SecretKeys, read_public

    if file.suffix == ".key":
        keys = SecretKeys.read(file, ask_passphrase).public
    else:
        name, keys = read_public(file)
        typer.echo(f'name = "{name}"')
    typer.echo(f"{keys.lines()}# fingerprint {keys.fingerprint}")


def ask_passphrase() -> str:
    """The passphrase of a key file: from the file named by the environment, or asked for, hidden.

    Raises
    ------
    UsageError
        Nobody can be asked.
    """
    named = os.environ.get(FROM_FILE)
    if named:
        from genome_eu.federation.keys import read_private

        try:
            return read_private(Path(named), "passphrase file").decode().rstrip("\n")
        except UnicodeDecodeError:
            raise BadInput(f"passphrase file {named} is not UTF-8 text; write it anew") from None
    try:
        return str(typer.prompt("Passphrase", hide_input=True, err=True))
    except typer.Abort:
        raise UsageError(
            f"a passphrase is needed and nobody can be asked; set {FROM_FILE} to a file "
            f"that holds it"
        ) from None


def _new_passphrase() -> str:
    try:
        return str(
            typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
        )
    except typer.Abort:
        raise UsageError("no passphrase was given; no keys were made") from None
