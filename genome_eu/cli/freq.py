"""`genome-eu freq`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from genome_eu.cli.asking import (
    AsJson,
    ExchangeOption,
    FiltersFile,
    Key,
    OnDask,
    OnDevice,
    OneRound,
    Out,
    Rows,
    Target,
    Unrelated,
    Without,
    finish,
    formats_of,
    limited,
    names,
    open_target,
)
from genome_eu.errors import UsageError

if TYPE_CHECKING:
    from genome_eu.results import BetweenGroups


def freq(
    target: Target,
    out: Out,
    by: Annotated[str, typer.Option(help="Columns to group people by: population,sex")] = "",
    hwe: Annotated[
        bool, typer.Option("--hwe/--no-hwe", help="Test Hardy–Weinberg proportions, or not.")
    ] = True,
    panel: Annotated[
        str, typer.Option(help="Variants that any site lists (union), or all do (intersection).")
    ] = "union",
    rows: Rows = None,
    one_round: OneRound = False,
    grpmax: Annotated[
        str, typer.Option(help="Groups that the highest filtering frequency is of; default all.")
    ] = "",
    fst: Annotated[
        bool, typer.Option("--fst", help="Hudson's F_ST, private and shared variants, of groups.")
    ] = False,
    site_fst: Annotated[
        bool, typer.Option("--site-fst", help="The same of the sites of a federation.")
    ] = False,
    sfs: Annotated[
        int | None,
        typer.Option(help="Site-frequency spectra of groups, projected to so many alleles."),
    ] = None,
    formats: Annotated[str, typer.Option(help="Files to write, of parquet, plink.")] = (
        "parquet,plink"
    ),
    unrelated: Unrelated = None,
    filters: FiltersFile = None,
    dask: OnDask = None,
    device: OnDevice = "auto",
    without: Without = None,
    key: Key = None,
    exchange_option: ExchangeOption = None,
    as_json: AsJson = False,
) -> None:
    """Allele counts and frequencies, call rates, exact Hardy–Weinberg tests, FAF, F_ST."""
    from genome_eu.compute import connected
    from genome_eu.formats.between import write_between
    from genome_eu.formats.folder import FrequencyFiles

    chosen = formats_of(FrequencyFiles, formats)
    among = _among(fst, site_fst, sfs, by)
    asked = open_target(target, out, without, key, exchange_option, rows)
    with connected(dask):
        asked.use_device(device)
        asked = limited(asked, filters, unrelated)
        asked = asked.in_one_round() if one_round else asked
        run, shards = asked.frequency_shards(
            names(by),
            hwe=hwe,
            panel=panel,  # type: ignore[arg-type]
            grpmax=names(grpmax) if grpmax else None,
            by_site=site_fst,
        )
        number = 0
        with FrequencyFiles(out, chosen) as files:
            for shard in shards:
                files.append(shard)
                for one in among:
                    one.add(shard)
                number += shard.sizes["variants"]
    paths = list(files.paths)
    for one in among:
        spectra = None if one.alleles is None else one.spectra()
        stem = "frequencies" if one.among == "groups" else "frequencies.sites"
        paths += write_between(out, one.fst(), one.sharing(), spectra, stem=stem)
    finish(out, run, paths, {"rows": number}, as_json)


def _among(fst: bool, site_fst: bool, sfs: int | None, by: str) -> list[BetweenGroups]:
    """What is compared while shards pass."""
    from genome_eu.results import BetweenGroups

    if (fst or sfs is not None) and not by:
        raise UsageError("--fst and --sfs are of groups; name their columns with --by")
    groups = [BetweenGroups("groups", sfs)] if fst or sfs is not None else []
    return groups + ([BetweenGroups("sites")] if site_fst else [])
