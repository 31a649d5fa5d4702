"""What the commands that ask a question share: whom they ask, and what they write at the end."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from genome_eu.errors import BadInput, UsageError

if TYPE_CHECKING:
    from genome_eu.federation.questions import Questions, Run
    from genome_eu.federation.single import Cohort
    from genome_eu.formats.folder import DosageFiles, FrequencyFiles, GwasFiles

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
Rows = Annotated[
    Path | None,
    typer.Option(
        "--rows", help="Only these rows: a VCF, .pvar, .bim, a table, or a folder with rows.tsv."
    ),
]
OneRound = Annotated[
    bool, typer.Option("--one-round", help="Ask once, for sites that release only once.")
]
OnDask = Annotated[str | None, typer.Option("--dask", help="Dask scheduler, tcp://host:port.")]
Unrelated = Annotated[
    float | None,
    typer.Option("--unrelated", help="At each site, keep nobody of a larger kinship: 0.0884"),
]
FiltersFile = Annotated[
    Path | None,
    typer.Option("--filters", help="TOML file of limits on [people] and [variants]."),
]

_LIBRARIES = ("numpy", "dask", "zarr", "xarray", "sgkit", "bio2zarr", "numba")


def open_target(
    target: str,
    out: Path,
    without: list[str] | None,
    key: Path | None,
    exchange_option: list[str] | None,
    rows: Path | None = None,
) -> Questions:
    """The cohort or federation that a command names, and the rows that it is asked of.

    Raises
    ------
    BadInput
        There is none, or `out` holds the result of another question.
    UsageError
        An option does not fit what the target is.
    """
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
    if rows is not None:
        from genome_eu.formats.panel import read_rows

        asked = asked.on_rows(read_rows(rows))
    asked.watch = lambda question: claim(out, question)
    return asked


def open_own(cohort: str, out: Path) -> Cohort:
    """One's own cohort, for questions about single people.

    Raises
    ------
    UsageError
        It is a federation: what is asked of single people never leaves their site.
    BadInput
        As `open_target`.
    """
    if cohort.endswith(".toml"):
        raise UsageError(
            f"{cohort} is a federation; numbers of single people never leave a site, so give one's "
            f"own cohort (*.vcz)"
        )
    return cast("Cohort", open_target(cohort, out, None, None, None))


def limited(asked: Questions, filters: Path | None, unrelated: float | None) -> Questions:
    """The same without the people and rows that limits remove."""
    if filters is None and unrelated is None:
        return asked
    from genome_eu.federation.filters import as_filters

    return asked.filtered(as_filters(filters if filters is not None else {}, unrelated))


def names(text: str) -> tuple[str, ...]:
    """Names of a list with commas."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def formats_of(files: type[DosageFiles | FrequencyFiles | GwasFiles], text: str) -> tuple[str, ...]:
    """The formats that `--formats` names; raises UsageError where one is unknown."""
    try:
        return files.chosen(names(text))
    except UsageError as error:
        raise UsageError(f"--{error}") from None


def claim(out: Path, question: dict[str, Any]) -> None:
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


def finish(
    out: Path, run: Run, paths: Sequence[Path], summary: dict[str, Any], as_json: bool
) -> None:
    """Write `result.json` last, and say what was found."""
    paths = record(out, run, paths, summary)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **summary, "left_out": run.left_out}))
        return
    for name, value in summary.items():
        typer.echo(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}")
    _say_left_out(run.left_out)
    if run.without_floors:
        typer.echo(f"no floors were applied at {', '.join(sorted(run.without_floors))}")
    typer.echo(f"{len(paths)} files and result.json in {out}")


def record(out: Path, run: Run, paths: Sequence[Path], summary: dict[str, Any]) -> Sequence[Path]:
    """Write `result.json`, and with it a folder is complete; all other files of it."""
    from genome_eu.atomic import write_whole

    if run.panel and run.panel.report:
        from genome_eu.formats.panel import write_harmonization

        paths = [*paths, write_harmonization(out / "harmonization.tsv", run.panel.report)]
    said = run.provenance() | {
        "summary": summary,
        "files": sorted(path.name for path in paths),
        "versions": {name: _version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
    }
    write_whole(out / "result.json", json.dumps(said, indent=1, sort_keys=True).encode())
    return paths


def _say_left_out(left_out: dict[str, Any], before: str = "") -> None:
    for name, value in left_out.items():
        if isinstance(value, dict):
            if name != "people analysed":
                _say_left_out(value, f"{before}{name}: ")
        elif value and isinstance(value, int):
            typer.echo(f"{before}{name}: {value:,}")
        elif isinstance(value, str):
            typer.echo(f"{before}{name}: {value}")
