"""`genome-eu import` and `genome-eu info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from genome_eu.errors import BadInput


def import_(
    source: Annotated[
        Path, typer.Argument(help="VCF/BCF (bgzipped, indexed), PLINK .bed, or BGEN.")
    ],
    cohort: Annotated[Path, typer.Argument(help="The store to make, for example fi.vcz.")],
    samples: Annotated[
        Path | None,
        typer.Option(help="Sample table, TSV or Parquet, with a column sample_id."),
    ] = None,
    sample_file: Annotated[
        Path | None, typer.Option(help="The .sample file of a BGEN that does not name its people.")
    ] = None,
    ref_last: Annotated[
        bool, typer.Option("--ref-last", help="The second allele of a BGEN is REF, not the first.")
    ] = False,
    build: Annotated[
        str | None, typer.Option(help="GRCh37 or GRCh38, where the file does not say.")
    ] = None,
    allow_unlisted: Annotated[
        bool,
        typer.Option("--allow-unlisted", help="Leave out people whom the table does not list."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing store, once the new is whole.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Convert genotypes to a cohort: a VCF Zarr store with packed rows, and dosages if imputed."""
    from genome_eu.cohort import import_genotypes
    from genome_eu.compute.progress import watched

    store = import_genotypes(
        source,
        cohort,
        samples=samples,
        sample_file=sample_file,
        ref_last=ref_last,
        allow_unlisted=allow_unlisted,
        build=build,
        overwrite=overwrite,
        show_progress=watched(),
    )
    _show(store.describe(), as_json)


def info(
    target: Annotated[
        str, typer.Argument(help="A cohort (*.vcz, or its URL) or a federation (*.toml).")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a cohort holds, or who takes part in a federation."""
    if target.endswith(".toml"):
        from genome_eu.federation.roster import read_roster

        _show(read_roster(Path(target)).model_dump(mode="json"), as_json)
        return
    from genome_eu.federation.single import open_cohort

    if "://" not in target and not Path(target).exists():
        raise BadInput(f"{target} does not exist; make a cohort with `genome-eu import`")
    _show(open_cohort(target).info(), as_json)


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, default=str))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        table.add_row(str(name).replace("_", " "), _text(value))
    Console(soft_wrap=True).print(table)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(_text(inner) for inner in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
