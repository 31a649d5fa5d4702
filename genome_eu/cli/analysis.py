"""`genome-eu freq`, `pca` and `gwas`: the same command for one cohort and for a federation."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genome_eu.errors import BadInput, UsageError

if TYPE_CHECKING:
    from genome_eu.federation.questions import Questions, Run
    from genome_eu.formats.folder import FrequencyFiles, GwasFiles

Target = Annotated[
    str, typer.Argument(help="A cohort (*.vcz, or its URL) or a federation (*.toml).")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the files of the result.")]
OnDevice = Annotated[str, typer.Option("--device", help="Kernels compute on: auto, cpu, gpu.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Without = Annotated[
    list[str] | None, typer.Option("--without", help="Go on without this site; may be repeated.")
]
Key = Annotated[
    Path | None, typer.Option("--key", help="Private key of the one who asks a federation.")
]
ExchangeOption = Annotated[
    list[str] | None,
    typer.Option(help="NAME=VALUE for the exchange's client, no secret; repeats."),
]
OnDask = Annotated[str | None, typer.Option("--dask", help="Dask scheduler, tcp://host:port.")]

_LIBRARIES = ("numpy", "dask", "zarr", "xarray", "sgkit", "bio2zarr", "numba")


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

    chosen = _formats(FrequencyFiles, formats)
    asked = _open(target, out, without, key, exchange_option)
    with connected(dask):
        asked.use_device(device)
        run, shards = asked.frequency_shards(_names(by), hwe=hwe)
        rows = 0
        with FrequencyFiles(out, chosen) as files:
            for shard in shards:
                files.append(shard)
                rows += shard.sizes["variants"]
    _finish(out, run, files.paths, {"rows": rows}, as_json)


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

    asked = _open(target, out, without, key, exchange_option)
    with connected(dask):
        asked.use_device(device)
        run, found = asked.pca_run(components, tolerance=tolerance)
    summary = {
        "pca_id": found.pca_id,
        "rows_used": found.attrs["rows_used"],
        "eigenvalues": [float(value) for value in found["sample_pca_explained_variance"].values],
        "residual": found.attrs["residual"],
    }
    _finish(out, run, found.to_files(out), summary, as_json)


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
    chosen = _formats(GwasFiles, formats)
    asked = _open(target, out, without, key, exchange_option)
    with connected(dask):
        asked.use_device(device)
        run, shards = asked.gwas_shards(
            _traits(trait),
            covariates=_names(covariates),
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
    _finish(out, run, files.paths, {"tests": tests, "tests with p <= 5e-8": hits}, as_json)


def _open(
    target: str,
    out: Path,
    without: list[str] | None,
    key: Path | None,
    exchange_option: list[str] | None,
) -> Questions:
    if "://" not in target and not Path(target).exists():
        raise BadInput(f"{target} does not exist; give a cohort (*.vcz) or a federation (*.toml)")
    if target.endswith(".toml"):
        from genome_eu.cli.keys import ask_passphrase
        from genome_eu.cli.options import pairs
        from genome_eu.federation.opening import open_federation

        asked: Questions = open_federation(
            Path(target),
            studies=out / "study",
            without=tuple(without or ()),
            key=key,
            passphrase=ask_passphrase,
            exchange_options=pairs(exchange_option),
        )
    else:
        if without or key or exchange_option:
            raise UsageError("--without, --key and --exchange-option are for a federation (*.toml)")
        from genome_eu.federation.single import open_cohort

        asked = open_cohort(target)
    asked.watch = lambda question: _claim(out, question)
    return asked


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _formats(files: type[FrequencyFiles | GwasFiles], text: str) -> tuple[str, ...]:
    try:
        return files.chosen(_names(text))
    except UsageError as error:
        raise UsageError(f"--{error}") from None


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


def _claim(out: Path, question: dict[str, Any]) -> None:
    """Refuse to write over the result of another question."""
    record = out / "result.json"
    if not record.exists():
        return
    try:
        before = json.loads(record.read_text(encoding="utf-8"))["question"]
    except (OSError, ValueError, KeyError, TypeError):
        before = None
    if before != question:
        raise BadInput(f"{out} holds the result of another question; choose another --out folder")


# Each is looked for in the folders of installed packages, which takes milliseconds.
_version = cache(version)


def _finish(
    out: Path, run: Run, paths: Sequence[Path], summary: dict[str, Any], as_json: bool
) -> None:
    """Write `result.json` last: a folder that has one is complete."""
    from genome_eu.atomic import write_whole

    record = run.provenance() | {
        "summary": summary,
        "files": sorted(path.name for path in paths),
        "versions": {name: _version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
    }
    write_whole(out / "result.json", json.dumps(record, indent=1, sort_keys=True).encode())
    if as_json:
        typer.echo(json.dumps({"out": str(out), **summary, "left_out": run.left_out}))
        return
    for name, value in summary.items():
        typer.echo(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}")
    _say_left_out(run.left_out)
    if run.without_floors:
        typer.echo(f"no floors were applied at {', '.join(sorted(run.without_floors))}")
    typer.echo(f"{len(paths)} files and result.json in {out}")


def _say_left_out(left_out: dict[str, Any], before: str = "") -> None:
    for name, value in left_out.items():
        if isinstance(value, dict):
            if name != "people analysed":
                _say_left_out(value, f"{before}{name}: ")
        elif value and isinstance(value, int):
            typer.echo(f"{before}{name}: {value:,}")
