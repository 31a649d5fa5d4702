"""Options of `genome-eu gwas --model wgr`, and what it keeps of one's own people for later."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genome_eu.errors import BadInput, UsageError

if TYPE_CHECKING:
    from genome_eu.federation.questions import Questions

OfWgr = Annotated[
    str | None,
    typer.Option("--wgr", help="Folder or id of an earlier regression, to go on with step 2."),
]
Binary = Annotated[
    bool, typer.Option("--binary", help="With --model wgr: traits of cases and controls.")
]
BlockRows = Annotated[
    int | None, typer.Option("--block", help="With --model wgr: rows of a block of step 1; 1000.")
]
Folds = Annotated[
    int | None, typer.Option("--folds", help="With --model wgr: folds of each site's people; 5.")
]
Step1Frequency = Annotated[
    float | None,
    typer.Option("--step1-maf", help="With --model wgr: least MAF of rows of step 1; 0.01."),
]
SmallestSite = Annotated[
    int | None,
    typer.Option(
        "--smallest-site",
        help="With --model wgr: sites with fewer people fit nothing in step 1, and are predicted "
        "for; 0.",
    ),
]

_FILE = "gwas.wgr.npz"


def wgr_of(
    asked: Questions,
    model: str,
    given: str | None,
    *,
    binary: bool,
    block: int | None,
    folds: int | None,
    min_frequency: float | None,
    smallest_site: int | None,
) -> dict[str, Any] | None:
    """What is asked of a whole-genome regression; None of another model.

    Raises
    ------
    UsageError
        Options of a regression are given for another model.
    BadInput
        A folder holds none.
    """
    settings: dict[str, Any] = {
        "block": block,
        "folds": folds,
        "min_frequency": min_frequency,
        "smallest_site": smallest_site,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    if model != "wgr":
        if given is not None or binary or settings:
            raise UsageError(
                "--wgr, --binary, --block, --folds, --step1-maf and --smallest-site: add --model "
                "wgr"
            )
        return None
    settings["binary"] = binary
    if given is not None:
        settings["id"] = _earlier(asked, given)
    return settings


def _earlier(asked: Questions, given: str) -> str:
    """The id that is given, or that of the regression whose result a folder holds."""
    if re.fullmatch(r"[0-9a-f]{16}", given):
        return given
    try:
        record = json.loads((Path(given) / "result.json").read_text(encoding="utf-8"))
        wgr_id = str(record["summary"]["wgr_id"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            f"--wgr {given}: no whole-genome regression there; give the --out folder of "
            f"`genome-eu gwas --model wgr`, or its id"
        ) from None
    from genome_eu.federation.single import Cohort

    if isinstance(asked, Cohort) and (Path(given) / _FILE).exists():
        asked.use_offsets(wgr_id, Path(given) / _FILE)
    return wgr_id


def keep_offsets(asked: Questions, wgr_id: str, out: Path) -> list[Path]:
    """Write the offsets of one's own people beside the result; a federation's stay at the sites."""
    from genome_eu.federation.single import Cohort

    if not isinstance(asked, Cohort):
        return []
    asked.write_offsets(wgr_id, out / _FILE)
    return [out / _FILE]
