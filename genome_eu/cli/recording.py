"""What a command leaves in its folder beside the files of the result: the record, written last."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from genome_eu.errors import BadInput

if TYPE_CHECKING:
    from genome_eu.federation.questions import Run

_LIBRARIES = ("numpy", "dask", "zarr", "xarray", "sgkit", "bio2zarr", "numba")


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
