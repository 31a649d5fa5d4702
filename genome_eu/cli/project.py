"""`genome-eu project`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genome_eu.cli.asking import AsJson, OnDask, OnDevice, Out, open_own
from genome_eu.cli.recording import finish
from genome_eu.errors import BadInput


def project(
    cohort: Annotated[
        str,
        typer.Argument(help="A cohort (*.vcz, or its URL); or the site.toml that will be asked."),
    ],
    out: Out,
    pca: Annotated[Path, typer.Option(help="The --out folder of `genome-eu pca`.")],
    dask: OnDask = None,
    device: OnDevice = "auto",
    as_json: AsJson = False,
) -> None:
    """Scores of people on an earlier PCA; they stay here, and --pcs takes the folder.

    With a site.toml the site keeps them as well, for a GWAS that names the PCA's id.
    """
    from genome_eu.compute import connected
    from genome_eu.federation.single import open_site_cohort
    from genome_eu.formats.parquet import read_pca

    loadings = pca / "pca.parquet"
    if not loadings.exists():
        raise BadInput(f"--pca {pca}: no pca.parquet there; give the --out folder of a PCA")
    site = cohort.endswith(".toml")
    asked = open_site_cohort(cohort) if site else open_own(cohort, out)
    with connected(dask):
        asked.use_device(device)
        run, found = asked.project_run(read_pca(loadings))
    summary = {
        "pca_id": found.pca_id,
        "rows_found": found.attrs["rows_found"],
        "rows_absent": found.attrs["rows_absent"],
    }
    finish(out, run, found.to_files(out), summary, as_json)
