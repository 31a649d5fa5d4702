"""`genome-eu qc`."""

from __future__ import annotations

from typing import Annotated

import typer

from genome_eu.cli.asking import AsJson, FiltersFile, OnDask, OnDevice, Out, Unrelated, open_own
from genome_eu.cli.recording import finish


def qc(
    cohort: Annotated[str, typer.Argument(help="A cohort of one's own (*.vcz, or its URL).")],
    out: Out,
    unrelated: Unrelated = None,
    filters: FiltersFile = None,
    dask: OnDask = None,
    device: OnDevice = "auto",
    as_json: AsJson = False,
) -> None:
    """Quality of people and variants, and what limits would remove; stays at the site."""
    from genome_eu.compute import connected
    from genome_eu.federation.filters import as_filters
    from genome_eu.formats.quality import QcRowsFile, write_people

    limits = as_filters(filters if filters is not None else {}, unrelated)
    asked = open_own(cohort, out)
    with connected(dask):
        asked.use_device(device)
        run, people, shards = asked.qc_shards(limits)
        kept = rows = 0
        with QcRowsFile(out) as file:
            for shard in shards:
                file.append(shard)
                rows += shard.sizes["variants"]
                kept += int((shard["variant_removed"].values == "").sum())
    summary: dict[str, object] = {
        "people": people.sizes["samples"],
        "people kept": int((people["sample_removed"].values == "").sum()),
        "rows": rows,
        "rows kept": kept,
    }
    finish(out, run, [*write_people(people, out), file.path], summary, as_json)
