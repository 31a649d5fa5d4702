"""`genome-eu site`: what the operator of a site runs."""

from __future__ import annotations

import json
import logging
import re
import signal
import threading
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from genome_eu.errors import BadInput

app = typer.Typer(help="Run a site: it answers plans from its own cohort, through its policy.")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where the site's settings are written.")],
    name: Annotated[str, typer.Option(help="The site's name in the federation, for example FI.")],
    cohort: Annotated[Path, typer.Option(help="The cohort that it serves, *.vcz.")],
    exchange: Annotated[Path, typer.Option(help="The folder shared with the coordinator.")],
    state: Annotated[
        Path, typer.Option(help="Where scores of people are kept between rounds; private.")
    ] = Path("state"),
    policy: Annotated[str, typer.Option(help="Policy to begin with: default or open-data.")] = (
        "default"
    ),
) -> None:
    """Write `site.toml` and a commented `policy.toml` for the data officer to edit."""
    from genome_eu.atomic import write_whole
    from genome_eu.disclosure.policy import SHIPPED

    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise BadInput(f"--name {name} may hold only letters, digits, '.', '_' and '-'")
    for option, path in (("--cohort", cohort), ("--exchange", exchange)):
        if not path.exists():
            raise BadInput(f"{option} {path} does not exist; make it first")
    if policy not in SHIPPED:
        raise BadInput(f"policy {policy} is not shipped; choose one of {', '.join(SHIPPED)}")
    settings = folder / "site.toml"
    if settings.exists():
        raise BadInput(f"{settings} exists; edit it, or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    rules = resources.files("genome_eu.disclosure").joinpath("policies", f"{policy}.toml")
    values = {
        "name": name,
        "cohort": str(cohort.resolve()),
        "exchange": str(exchange.resolve()),
        "policy": "policy.toml",
        "state": str(state),
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    write_whole(folder / "policy.toml", rules.read_bytes())
    write_whole(settings, lines.encode())
    typer.echo(f"{settings} and policy.toml written; then: genome-eu site serve {settings}")


@app.command()
def serve(
    settings: Annotated[Path, typer.Argument(help="The site's site.toml.")] = Path("site.toml"),
    idle_exit: Annotated[
        float | None, typer.Option(help="Stop after this many seconds without a plan.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option(help="Dask scheduler to compute on, tcp://host:port.")
    ] = None,
    device: Annotated[str, typer.Option(help="Kernels compute on: auto, cpu, gpu.")] = "auto",
) -> None:
    """Answer plans from the exchange until stopped (Ctrl-C or SIGTERM)."""
    from genome_eu.compute import connected
    from genome_eu.federation.serve import open_served
    from genome_eu.federation.serve import serve as serve_site

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("genome_eu").setLevel(logging.INFO)
    stop = threading.Event()
    # Finish the plan in hand, then leave.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    site, inbox = open_served(settings)
    with connected(dask):
        site.use_device(device)
        serve_site(site, inbox, stop=stop, idle_exit_s=idle_exit)
