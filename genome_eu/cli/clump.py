"""`genome-eu clump`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genome_eu.cli.asking import Question, asks
from genome_eu.cli.prune import PairMissing


@asks
def clump(
    question: Question,
    gwas: Annotated[
        Path,
        typer.Option(
            help="The --out folder of `genome-eu gwas` or `meta`, or a table (PLINK 2's .glm.*, "
            "REGENIE, GWAS-SSF)."
        ),
    ],
    trait: Annotated[
        str | None, typer.Option(help="Which of its traits, where it has several.")
    ] = None,
    p1: Annotated[float, typer.Option(help="Largest p-value of an index row.")] = 1e-4,
    p2: Annotated[float, typer.Option(help="Largest p-value of a member that is named.")] = 0.01,
    r2: Annotated[float, typer.Option(help="Squared correlation that members exceed.")] = 0.5,
    kb: Annotated[float, typer.Option(help="Kilobases within which members lie.")] = 250.0,
    missing: PairMissing = "pairwise",
) -> None:
    """Clumps of the hits of a GWAS (PLINK's --clump), by the LD of the people asked."""
    from genome_eu.formats.p_values import read_p_values
    from genome_eu.stats.ld import ClumpRule

    rule = ClumpRule(p1, p2, r2, kb)
    tests = read_p_values(gwas, trait)
    with question.asked() as asked:
        run, found = asked.clump_run(
            tests,
            rule=rule,
            missing=missing,  # type: ignore[arg-type]
        )
    summary = {"clumps": found.attrs["clumps"], "rows_in_clumps": found.sizes["variants"]}
    question.finish(run, found.to_files(question.out), summary)
