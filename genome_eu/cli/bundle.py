"""`genome-eu bundle`: look into what travels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look into a bundle: what it says, and whether it is whole.")


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A plan or an answer, *.tar.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole manifest.")] = False,
) -> None:
    """Show the manifest of a bundle: who, which question, which arrays, which checks."""
    from genome_eu.federation.bundle import Bundle

    manifest = Bundle(file).manifest
    if as_json:
        typer.echo(json.dumps(manifest.model_dump(mode="json", exclude_none=True)))
        return
    typer.echo(f"{manifest.kind} of plan {manifest.plan} ({manifest.software})")
    if manifest.site:
        typer.echo(f"site {manifest.site}, policy {manifest.policy or 'none'}")
    if manifest.content:
        typer.echo(f"asks {manifest.content.statistic} of {', '.join(manifest.content.sites)}")
    if manifest.message:
        typer.echo(f"refused ({manifest.reason}): {manifest.message}")
    for check in manifest.evidence:
        typer.echo(
            f"check: {check.check}, limit {check.limit:g}, "
            f"{check.withheld:,} of {check.of:,} withheld"
        )
    for member in manifest.members:
        typer.echo(f"{member.bytes:>12,}  {member.sha256[:16]}  {member.name}")


@app.command()
def verify(file: Annotated[Path, typer.Argument(help="A plan or an answer, *.tar.")]) -> None:
    """Read every array of a bundle and check its digest."""
    from genome_eu.federation.bundle import Bundle

    bundle = Bundle(file)
    for member in bundle.manifest.members:
        bundle.array(member.name)
    typer.echo(f"{file}: {len(bundle.manifest.members)} arrays, all whole")
