"""`genome-eu freq`."""

from __future__ import annotations

from typing import Annotated

import typer

from genome_eu.cli.asking import (
    AsJson,
    ExchangeOption,
    Key,
    OnDask,
    OnDevice,
    Out,
    Target,
    Without,
    finish,
    formats_of,
    names,
    open_target,
)


def freq(
    target: Target,
    out: Out,
    by: Annotated[str, typer.Option(help="Columns to group people by: population,sex")] = "",
    hwe: Annotated[
        bool, typer.Option("--hwe/--no-hwe", help="Test Hardy–Weinberg proportions, or not.")
    ] = True,
    formats: Annotated[str, typer.Option(help="Files to write, of parquet, plink.")] = (
        "parquet,plink"
    ),
    dask: OnDask = None,
    device: OnDevice = "auto",
    without: Without = None,
    key: Key = None,
    exchange_option: ExchangeOption = None,
    as_json: AsJson = False,
) -> None:
    """Allele counts and frequencies, call rates, exact Hardy–Weinberg tests."""
    from genome_eu.compute import connected
    from genome_eu.formats.folder import FrequencyFiles

    chosen = formats_of(FrequencyFiles, formats)
    asked = open_target(target, out, without, key, exchange_option)
    with connected(dask):
        asked.use_device(device)
        run, shards = asked.frequency_shards(names(by), hwe=hwe)
        rows = 0
        with FrequencyFiles(out, chosen) as files:
            for shard in shards:
                files.append(shard)
                rows += shard.sizes["variants"]
    finish(out, run, files.paths, {"rows": rows}, as_json)
