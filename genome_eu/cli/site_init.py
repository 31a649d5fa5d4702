"""`genome-eu site init`: the files of a new site."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from genome_eu.errors import BadInput, UsageError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def init(
    folder: Annotated[Path, typer.Argument(help="Where the site's settings are written.")],
    name: Annotated[str, typer.Option(help="The site's name in the federation, for example FI.")],
    cohort: Annotated[Path, typer.Option(help="The cohort that it serves, *.vcz.")],
    exchange: Annotated[
        str | None,
        typer.Option(help="A folder or URL (sftp://, s3://); with keys, by default the roster's."),
    ] = None,
    exchange_option: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE for the exchange's client, no secret; repeats."),
    ] = None,
    state: Annotated[
        Path, typer.Option(help="Where ledger, held answers and scores are kept; private.")
    ] = Path("state"),
    policy: Annotated[str, typer.Option(help="Policy to begin with: default or open-data.")] = (
        "default"
    ),
    keys: Annotated[Path | None, typer.Option(help="The site's private key file.")] = None,
    new_keys: Annotated[
        bool, typer.Option("--new-keys", help="Make new keys: NAME.key and NAME.pub.")
    ] = False,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase that protects new keys.")
    ] = False,
    roster: Annotated[
        Path | None, typer.Option(help="Accept this signed federation.toml, after a question.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept the roster without being asked.")
    ] = False,
) -> None:
    """Write `site.toml` and a commented `policy.toml` for the data officer to edit."""
    from genome_eu.atomic import write_whole
    from genome_eu.cli import keys as key_commands
    from genome_eu.cli import roster as roster_commands
    from genome_eu.cli.options import pairs
    from genome_eu.disclosure.policy import SHIPPED, load_policy

    settings = folder / "site.toml"
    if not _NAME.fullmatch(name):
        raise BadInput(f"--name {name} may hold only letters, digits, '.', '_' and '-'")
    if not cohort.exists():
        raise BadInput(f"--cohort {cohort} does not exist; make it first")
    if policy not in SHIPPED:
        raise BadInput(f"policy {policy} is not shipped; choose one of {', '.join(SHIPPED)}")
    _check_choices(exchange, keys, new_keys, passphrase, roster)
    if settings.exists():
        raise BadInput(f"{settings} exists; edit it, or choose another folder")
    values: dict[str, object] = {"name": name, "cohort": str(cohort.resolve())}
    if exchange is not None:
        values["exchange"] = _location(exchange)
    values |= {"policy": "policy.toml", "state": str(state)}
    options = pairs(exchange_option)
    if keys is not None:
        _check_keys(keys, name, roster)
        values["keys"] = str(keys.resolve())
    folder.mkdir(parents=True, exist_ok=True)
    if new_keys:
        key_commands.new(name, out=folder, passphrase=passphrase)
        values["keys"] = f"{name}.key"
    shipped = resources.files("genome_eu.disclosure").joinpath("policies")
    # Editors of TOML check the policy by the schema that its first line names.
    write_whole(folder / "policy.schema.json", shipped.joinpath("policy.schema.json").read_bytes())
    write_whole(folder / "policy.toml", shipped.joinpath(f"{policy}.toml").read_bytes())
    load_policy(folder / "policy.toml")
    write_whole(settings, _toml(values, options).encode())
    typer.echo(f"{settings} and policy.toml written; then: genome-eu site serve {settings}")
    if roster is not None:
        roster_commands.accept(folder / state, roster, yes=yes, new_coordinator=False)


def _check_choices(
    exchange: str | None, keys: Path | None, new_keys: bool, passphrase: bool, roster: Path | None
) -> None:
    if keys is not None and new_keys:
        raise UsageError("give --keys for keys that exist, or --new-keys, not both")
    if passphrase and not new_keys:
        raise UsageError("--passphrase is for --new-keys; a key that exists keeps its own")
    if roster is not None and keys is None:
        raise UsageError(
            "--roster needs --keys: a roster can only list keys that its coordinator has been "
            "sent; accept it later with `genome-eu roster accept`"
        )
    if exchange is None and keys is None and not new_keys:
        raise UsageError("say where messages are exchanged, with --exchange")


def _check_keys(keys: Path, name: str, roster: Path | None) -> None:
    """The roster must list these keys for this site."""
    from genome_eu.cli.keys import ask_passphrase
    from genome_eu.federation.keys import SecretKeys
    from genome_eu.federation.roster import verify_roster

    if not keys.exists():
        raise BadInput(f"--keys {keys} does not exist; make keys with --new-keys")
    if roster is not None:
        verify_roster(roster).own(name, SecretKeys.read(keys, ask_passphrase).public)


def _toml(values: dict[str, object], options: dict[str, str]) -> str:
    # A JSON string is a TOML string.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    if options:
        lines += ["", "[exchange_options]"]
        lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in options.items()]
    return "\n".join(lines) + "\n"


def _location(exchange: str) -> str:
    if "://" in exchange:
        return exchange
    if not Path(exchange).exists():
        raise BadInput(f"--exchange {exchange} does not exist; make it first")
    return str(Path(exchange).resolve())
