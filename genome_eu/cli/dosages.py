"""`genome-eu dosages`."""

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
    open_target,
)


def dosages(
    target: Target,
    out: Out,
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
    """Allele frequencies by imputed dosages, and how well rows were imputed (MaCH's r²)."""
    from genome_eu.compute import connected
    from genome_eu.formats.folder import DosageFiles

    chosen = formats_of(DosageFiles, formats)
    asked = open_target(target, out, without, key, exchange_option)
    with connected(dask):
        asked.use_device(device)
        run, shards = asked.dosage_frequency_shards()
        rows = 0
        with DosageFiles(out, chosen) as files:
            for shard in shards:
                files.append(shard)
                rows += shard.sizes["variants"]
    finish(out, run, files.paths, {"rows": rows}, as_json)
