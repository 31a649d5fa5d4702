"""`genome-eu score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genome_eu.cli.asking import Question, asks, names


@asks
def score(
    question: Question,
    weights: Annotated[
        Path,
        typer.Option(help="PGS Catalog scoring file, or lines of id, allele and weight."),
    ],
    by: Annotated[str, typer.Option(help="Groups by sample columns: population,sex")] = "",
    mean_imputation: Annotated[
        bool,
        typer.Option(
            "--mean-imputation/--no-mean-imputation",
            help="A missing call counts its expectation, or nothing.",
        ),
    ] = True,
    palindromic: Annotated[
        bool, typer.Option("--palindromic", help="Take A/T and C/G variants as they are written.")
    ] = False,
) -> None:
    """Polygenic scores: their distribution; each person's score stays at the site."""
    from genome_eu.formats.weights import read_weights

    read = read_weights(weights)
    with question.asked() as asked:
        run, found = asked.score_run(
            read,
            by=names(by),
            missing="mean" if mean_imputation else "zero",
            palindromic=palindromic,
        )
    everybody = found.summary().iloc[:: found.sizes["cohorts"]]
    summary = {
        "weights": len(read.lines),
        "rows_used": found.attrs["rows_used"],
        "people": int(found["score_people"].values[0]),
        "mean": dict(zip(everybody["score"], everybody["mean"], strict=True)),
        "sd": dict(zip(everybody["score"], everybody["sd"], strict=True)),
    }
    question.finish(run, found.to_files(question.out), summary)
