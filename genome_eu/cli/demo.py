"""`genome-eu demo`."""

from __future__ import annotations

import json
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")] = Path("genome-eu-demo"),
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the report when it is done.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Real genotypes of four countries as four sites: one question, no genotypes exchanged."""
    from genome_eu.demo.run import by_site, run

    made = run(out, lambda line: None if as_json else typer.echo(line))
    released = by_site(made.runs)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "released": released,
                    "differences": [vars(item) for item in made.differences],
                    "default_policy": made.refusals,
                    "seconds": round(made.seconds, 1),
                    "report": str(made.report.resolve()),
                }
            )
        )
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print("\nWhat left each site", style="bold")
    for item in released:
        console.print(
            f"  {item['site']}  {item['question']:<11} {item['bytes']:>12,} bytes in "
            f"{item['messages']} messages, {item['arrays']} arrays, policy {item['policy']}"
        )
        for check in item["checks"]:
            if check["withheld"]:
                console.print(
                    f"        floor {check['limit']:g} on {check['check']}: "
                    f"{check['withheld']:,} of {check['of']:,} withheld"
                )
    console.print()
    gaps = Table(title="Largest difference from the pooled answer", title_justify="left", box=None)
    gaps.add_column("number")
    gaps.add_column("largest difference", justify="right")
    gaps.add_column("compared", justify="right")
    for gap in made.differences:
        gaps.add_row(gap.what, f"{gap.largest:.2g}", f"{gap.compared:,}")
    console.print(gaps)
    console.print("What the default policy says to the same questions", style="bold")
    for question, said in made.refusals.items():
        console.print(f"  {question:<11} {said}")
    console.print()
    typer.echo("The trait is simulated from the genotypes; it says nothing about these people.")
    typer.echo(f"done in {made.seconds:.0f} s; report: {made.report.resolve()}")
    if browser and sys.stdout.isatty():
        webbrowser.open(made.report.resolve().as_uri())
