"""`genome-eu pca`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genome_eu.cli.asking import Question, asks
from genome_eu.cli.recording import record

if TYPE_CHECKING:
    from genome_eu.federation.questions import Questions


@asks
def pca(
    question: Question,
    components: Annotated[int, typer.Option(help="Leading components to compute.")] = 10,
    tolerance: Annotated[
        float, typer.Option(help="Largest residual of a component, relative to the first.")
    ] = 1e-11,
    prune: Annotated[
        bool, typer.Option("--prune", help="LD pruning first (500kb, r² 0.2): `genome-eu prune`.")
    ] = False,
) -> None:
    """Principal components; people's scores stay where the people are."""
    if prune:
        # A question of its own, with a folder of its own.
        first = replace(question, out=question.out / "prune")
        with first.asked() as whole:
            question = replace(question, rows=_pruned(whole, first.out))
    with question.asked() as asked:
        run, found = asked.pca_run(components, tolerance=tolerance)
    summary = {
        "pca_id": found.pca_id,
        "rows_used": found.attrs["rows_used"],
        "eigenvalues": [float(value) for value in found["sample_pca_explained_variance"].values],
        "residual": found.attrs["residual"],
    }
    question.finish(run, found.to_files(question.out), summary)


def _pruned(asked: Questions, out: Path) -> Path:
    """The folder of the rows that stay after pruning."""
    from genome_eu.cli.prune import pruned

    run, found, paths = pruned(asked, out, window="500kb")
    record(out, run, paths, {name: found.attrs[name] for name in ("rows_kept", "rows_total")})
    return out
