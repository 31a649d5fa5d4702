"""`genome-eu gwas`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genome_eu.cli.asking import OneRound, Question, asks, formats_of, names
from genome_eu.cli.wgr import (
    Binary,
    BlockRows,
    Folds,
    OfWgr,
    SmallestSite,
    Step1Frequency,
    keep_offsets,
    wgr_of,
)
from genome_eu.errors import BadInput, UsageError

if TYPE_CHECKING:
    from genome_eu.federation.questions import Questions


@asks
def gwas(
    question: Question,
    trait: Annotated[
        list[str], typer.Option(help="Trait column; may be repeated, or @file with one a line.")
    ],
    covariates: Annotated[
        str, typer.Option(help="Covariate columns, age,sex, or a formula: age+C(batch)+age:sex")
    ] = "",
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
    transform: Annotated[
        str | None,
        typer.Option(help="Traits on another scale: rint (ranks at each site), log, standardize."),
    ] = None,
    condition_on: Annotated[
        str, typer.Option(help="Rows whose dosages are covariates: 22:16051249:A:G[,...]")
    ] = "",
    one_round: OneRound = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=MEAN,SD with --one-round, for units that are very small."),
    ] = None,
    dosages: Annotated[
        bool, typer.Option("--dosages", help="Imputed dosages, not hard calls.")
    ] = False,
    min_info: Annotated[
        float, typer.Option(help="Least imputation r² of a row, with --dosages: 0.3")
    ] = 0.0,
    min_maf: Annotated[
        float, typer.Option(help="Least minor allele frequency of a row, with --dosages: 0.01")
    ] = 0.0,
    x_males: Annotated[
        str, typer.Option(help="Dosages of males on X: 0/2, as if homozygous, or 0/1.")
    ] = "0/2",
    model: Annotated[
        str, typer.Option(help="linear, logistic (cases 1 and controls 0), or wgr.")
    ] = "linear",
    test: Annotated[
        str,
        typer.Option(
            help="Of a logistic model: firth or spa (beyond the cutoff), score, wald, firth-full, "
            "or hybrid (PLINK's: firth-full where wald does not converge). With only tens of "
            "cases firth and spa are conservative."
        ),
    ] = "firth",
    cutoff: Annotated[
        float | None,
        typer.Option(help="Rows with a smaller |z| keep their score test; 2 for firth and spa."),
    ] = None,
    case_control_12: Annotated[
        bool, typer.Option("--case-control-12", help="Traits have 2 for cases, 1 for controls.")
    ] = False,
    wgr: OfWgr = None,
    binary: Binary = False,
    block: BlockRows = None,
    folds: Folds = None,
    step1_maf: Step1Frequency = None,
    smallest_site: SmallestSite = None,
    formats: Annotated[
        str, typer.Option(help="Files to write, of parquet, plink, regenie, ssf.")
    ] = "parquet,plink,ssf",
) -> None:
    """Regression of traits on dosage, with covariates and principal components."""
    import numpy as np

    from genome_eu.formats.folder import GwasFiles
    from genome_eu.formats.rows import association, error_codes

    if missing not in ("mean", "drop"):
        raise UsageError(f"--missing {missing}: choose mean or drop")
    if x_males not in ("0/2", "0/1"):
        raise UsageError(f"--x-males {x_males}: choose 0/2 or 0/1")
    chosen = formats_of(GwasFiles, formats)
    with question.asked() as asked:
        asked = asked.in_one_round() if one_round else asked
        run, shards = asked.gwas_shards(
            _traits(trait),
            covariates=names(covariates),
            pcs=_pcs(asked, pcs),
            missing=missing,
            site_effects=site_effects,
            transform=transform,
            condition_on=names(condition_on),
            origins=_origins(origin),
            dosages=dosages,
            min_info=min_info,
            min_maf=min_maf,
            x_males=x_males,
            model=model,
            test=test,
            cutoff=cutoff,
            case_control_12=case_control_12,
            wgr=wgr_of(
                asked,
                model,
                wgr,
                binary=binary,
                block=block,
                folds=folds,
                min_frequency=step1_maf,
                smallest_site=smallest_site,
            ),
        )
        said: dict[str, Any] = {}
        tests = hits = 0
        with GwasFiles(question.out, chosen) as files:
            for shard in shards:
                files.append(shard)
                said = {name: shard.attrs[name] for name in ("wgr_id",) if name in shard.attrs}
                codes, meanings = error_codes(shard)
                tests += int(np.count_nonzero(codes == meanings.index(".")))
                p = shard[f"{association(shard)}_neg_log10_p"].values
                hits += int(np.count_nonzero(p >= 7.30103))
    paths = files.paths + (keep_offsets(asked, said["wgr_id"], question.out) if said else [])
    summary = {"tests": tests, "tests with p <= 5e-8": hits} | _inflation(run.inflation) | said
    question.finish(run, paths, summary)


def _origins(given: list[str] | None) -> dict[str, tuple[float, float]] | None:
    """Means and standard deviations that `--origin` names."""
    if not given:
        return None
    found = {}
    for item in given:
        name, _, numbers = item.rpartition("=")
        try:
            mean, spread = map(float, numbers.split(","))
        except ValueError:
            raise UsageError(f"--origin {item}: write COLUMN=MEAN,SD") from None
        found[name] = (mean, spread)
    return found


def _inflation(found: dict[str, Any]) -> dict[str, Any]:
    """λ of one trait, or of how many the largest; the rest is in `result.json`."""
    inflated = [one["lambda_gc"] for one in found.values() if one["tests"]]
    if not inflated:
        return {}
    if len(inflated) == 1:
        return {"lambda_gc": round(inflated[0], 4)}
    return {"largest lambda_gc": round(max(inflated), 4)}


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
