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
                    "seconds": round(made.seconds, 1),
                    "report": str(made.report.resolve()),
                }
            )
        )
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    left = Table(title="What left each site", title_justify="left", box=None)
    for heading in ("site", "question", "messages", "bytes", "arrays", "policy"):
        left.add_column(heading, justify="left" if heading in ("site", "question") else "right")
    left.add_column("floors applied (withheld of checked)")
    for item in released:
        floors = "; ".join(
            f"{check['check']} {check['limit']:g}: {check['withheld']:,} of {check['of']:,}"
            for check in item["checks"]
        )
        left.add_row(
            item["site"],
            item["question"],
            str(item["messages"]),
            f"{item['bytes']:,}",
            str(item["arrays"]),
            item["policy"],
            floors,
        )
    console.print(left)
    gaps = Table(title="Largest difference from the pooled answer", title_justify="left", box=None)
    gaps.add_column("number")
    gaps.add_column("largest difference", justify="right")
    gaps.add_column("compared", justify="right")
    for gap in made.differences:
        gaps.add_row(gap.what, f"{gap.largest:.2g}", f"{gap.compared:,}")
    console.print(gaps)
    typer.echo("The trait is simulated from the genotypes; it says nothing about these people.")
    typer.echo(f"done in {made.seconds:.0f} s; report: {made.report.resolve()}")
    if browser and sys.stdout.isatty():
        webbrowser.open(made.report.resolve().as_uri())
