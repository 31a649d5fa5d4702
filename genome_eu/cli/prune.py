"""`genome-eu prune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genome_eu.cli.asking import Question, asks

if TYPE_CHECKING:
    from genome_eu.federation.questions import Questions, Run
    from genome_eu.results import PruneResult

PairMissing = Annotated[
    str,
    typer.Option(
        help="Missing calls: pairwise (PLINK's r²), or fill with each site's commonest genotype."
    ),
]
KeepLongRange = Annotated[
    bool,
    typer.Option("--keep-long-range", help="Keep the regions of long-range LD of the build."),
]


@asks
def prune(
    question: Question,
    window: Annotated[
        str, typer.Option(help="Where rows are compared: 500kb, or a number of rows.")
    ] = "500kb",
    r2: Annotated[
        float, typer.Option(help="Of two rows with a larger squared correlation one goes.")
    ] = 0.2,
    step: Annotated[int, typer.Option(help="Rows that a window of rows moves on by.")] = 1,
    keep_long_range: KeepLongRange = False,
    missing: PairMissing = "pairwise",
) -> None:
    """LD pruning (PLINK 2's --indep-pairwise); the folder is what --rows of others takes."""
    with question.asked() as asked:
        run, found, paths = pruned(
            asked,
            question.out,
            window=window,
            r2=r2,
            step=step,
            keep_long_range=keep_long_range,
            missing=missing,
        )
    summary = {"rows_kept": found.attrs["rows_kept"], "rows_total": found.attrs["rows_total"]}
    question.finish(run, paths, summary)


def pruned(
    asked: Questions, out: Path, *, window: str, **options: Any
) -> tuple[Run, PruneResult, list[Path]]:
    """Prune and write the files of the result, all but its record."""
    run, found = asked.prune_run(window, **options)
    return run, found, found.to_files(out)
