"""`genome-eu pca`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genome_eu.cli.asking import (
    AsJson,
    ExchangeOption,
    FiltersFile,
    Key,
    OnDask,
    OnDevice,
    Out,
    Rows,
    Target,
    Unrelated,
    Without,
    finish,
    limited,
    open_target,
    record,
)

if TYPE_CHECKING:
    from genome_eu.federation.questions import Questions


def pca(
    target: Target,
    out: Out,
    components: Annotated[int, typer.Option(help="Leading components to compute.")] = 10,
    tolerance: Annotated[
        float, typer.Option(help="Largest residual of a component, relative to the first.")
    ] = 1e-7,
    rows: Rows = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="LD pruning first (500kb, r² 0.2): `genome-eu prune`.")
    ] = False,
    unrelated: Unrelated = None,
    filters: FiltersFile = None,
    dask: OnDask = None,
    device: OnDevice = "auto",
    without: Without = None,
    key: Key = None,
    exchange_option: ExchangeOption = None,
    as_json: AsJson = False,
) -> None:
    """Principal components; people's scores stay where the people are."""
    from genome_eu.compute import connected

    with connected(dask):
        if prune:
            # A question of its own, with a folder of its own.
            whole = open_target(target, out / "prune", without, key, exchange_option, rows)
            whole.use_device(device)
            whole = limited(whole, filters, unrelated)
            rows = _pruned(whole, out / "prune")
        asked = open_target(target, out, without, key, exchange_option, rows)
        asked.use_device(device)
        asked = limited(asked, filters, unrelated)
        run, found = asked.pca_run(components, tolerance=tolerance)
    summary = {
        "pca_id": found.pca_id,
        "rows_used": found.attrs["rows_used"],
        "eigenvalues": [float(value) for value in found["sample_pca_explained_variance"].values],
        "residual": found.attrs["residual"],
    }
    finish(out, run, found.to_files(out), summary, as_json)


def _pruned(asked: Questions, out: Path) -> Path:
    """The folder of the rows that stay after pruning."""
    from genome_eu.cli.prune import pruned

    run, found, paths = pruned(asked, out, window="500kb")
    record(out, run, paths, {name: found.attrs[name] for name in ("rows_kept", "rows_total")})
    return out
