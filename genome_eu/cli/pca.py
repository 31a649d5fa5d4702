"""`genome-eu pca`."""

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
    open_target,
)


def pca(
    target: Target,
    out: Out,
    components: Annotated[int, typer.Option(help="Leading components to compute.")] = 10,
    tolerance: Annotated[
        float, typer.Option(help="Largest residual of a component, relative to the first.")
    ] = 1e-7,
    dask: OnDask = None,
    device: OnDevice = "auto",
    without: Without = None,
    key: Key = None,
    exchange_option: ExchangeOption = None,
    as_json: AsJson = False,
) -> None:
    """Principal components; people's scores stay where the people are."""
    from genome_eu.compute import connected

    asked = open_target(target, out, without, key, exchange_option)
    with connected(dask):
        asked.use_device(device)
        run, found = asked.pca_run(components, tolerance=tolerance)
    summary = {
        "pca_id": found.pca_id,
        "rows_used": found.attrs["rows_used"],
        "eigenvalues": [float(value) for value in found["sample_pca_explained_variance"].values],
        "residual": found.attrs["residual"],
    }
    finish(out, run, found.to_files(out), summary, as_json)
