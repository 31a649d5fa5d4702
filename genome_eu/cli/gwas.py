"""`genome-eu gwas`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from genome_eu.errors import BadInput, UsageError

if TYPE_CHECKING:
    from genome_eu.federation.questions import Questions


def gwas(
    target: Target,
    out: Out,
    trait: Annotated[
        list[str], typer.Option(help="Trait column; may be repeated, or @file with one a line.")
    ],
    covariates: Annotated[str, typer.Option(help="Covariate columns: age,sex")] = "",
    pcs: Annotated[
        str | None,
        typer.Option(help="Folder or id of an earlier PCA, or a number of components to compute."),
    ] = None,
    missing: Annotated[
        str, typer.Option(help="Missing calls: mean (impute) or drop (PLINK's fit).")
    ] = "mean",
    site_effects: Annotated[
        bool,
        typer.Option(
            "--site-effects/--no-site-effects", help="One intercept per site, or one for all."
        ),
    ] = True,
    formats: Annotated[str, typer.Option(help="Files to write, of parquet, plink, ssf.")] = (
        "parquet,plink,ssf"
    ),
    dask: OnDask = None,
    device: OnDevice = "auto",
    without: Without = None,
    key: Key = None,
    exchange_option: ExchangeOption = None,
    as_json: AsJson = False,
) -> None:
    """Linear regression of traits on dosage, with covariates and principal components."""
    import numpy as np

    from genome_eu.compute import connected
    from genome_eu.formats.folder import GwasFiles
    from genome_eu.formats.rows import error_codes

    if missing not in ("mean", "drop"):
        raise UsageError(f"--missing {missing}: choose mean or drop")
    chosen = formats_of(GwasFiles, formats)
    asked = open_target(target, out, without, key, exchange_option)
    with connected(dask):
        asked.use_device(device)
        run, shards = asked.gwas_shards(
            _traits(trait),
            covariates=names(covariates),
            pcs=_pcs(asked, pcs),
            missing=missing,  # type: ignore[arg-type]
            site_effects=site_effects,
        )
        tests = hits = 0
        with GwasFiles(out, chosen) as files:
            for shard in shards:
                files.append(shard)
                codes, meanings = error_codes(shard)
                tests += int(np.count_nonzero(codes == meanings.index(".")))
                p = shard["variant_linreg_neg_log10_p"].values
                hits += int(np.count_nonzero(p >= 7.30103))
    finish(out, run, files.paths, {"tests": tests, "tests with p <= 5e-8": hits}, as_json)


def _traits(given: Sequence[str]) -> list[str]:
    names: list[str] = []
    for item in given:
        if not item.startswith("@"):
            names.append(item)
            continue
        try:
            lines = Path(item[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise BadInput(f"trait file {item[1:]} cannot be read; check the path") from None
        names += [line.strip() for line in lines if line.strip()]
    return names


def _pcs(asked: Questions, given: str | None) -> str | int | None:
    """A number of components, an id, or the folder of an earlier PCA."""
    if given is None:
        return None
    if re.fullmatch(r"\d{1,4}", given):
        return int(given)
    if re.fullmatch(r"[0-9a-f]{16}", given):
        return given
    record = Path(given) / "result.json"
    try:
        pca_id = str(json.loads(record.read_text(encoding="utf-8"))["summary"]["pca_id"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            f"--pcs {given}: no PCA there; give the --out folder of `genome-eu pca`, the PCA's "
            f"id, or a number of components"
        ) from None
    scores = Path(given) / "pca.scores.npz"
    if scores.exists():
        import numpy as np

        from genome_eu.federation.single import Cohort

        if isinstance(asked, Cohort):
            with np.load(scores, allow_pickle=False) as kept:
                asked.use_scores(pca_id, kept["sample_id"], kept["scores"])
    return pca_id
