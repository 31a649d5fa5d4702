"""`genome-eu kinship`."""

from __future__ import annotations

from typing import Annotated

import typer

from genome_eu.cli.asking import AsJson, OnDask, OnDevice, Out, Unrelated, open_own
from genome_eu.cli.recording import finish


def kinship(
    cohort: Annotated[str, typer.Argument(help="A cohort of one's own (*.vcz, or its URL).")],
    out: Out,
    above: Annotated[
        float, typer.Option(help="List pairs of a larger kinship; 0.0442 is third degree.")
    ] = 0.0442,
    unrelated: Unrelated = None,
    dask: OnDask = None,
    device: OnDevice = "auto",
    as_json: AsJson = False,
) -> None:
    """Related people by KING-robust, and a largest set of unrelated ones; stays at the site."""
    from genome_eu.compute import connected

    asked = open_own(cohort, out)
    with connected(dask):
        asked.use_device(device)
        run, found = asked.kinship_run(above, unrelated)
    summary: dict[str, object] = {"people": found.sizes["samples"], "pairs": found.sizes["pairs"]}
    if unrelated is not None:
        summary["unrelated people"] = int(found.unrelated(unrelated).sum())
    finish(out, run, found.to_files(out, unrelated), summary, as_json)
