"""`genome-eu dosages`."""

from __future__ import annotations

from typing import Annotated

import typer

from genome_eu.cli.asking import OneRound, Question, asks, formats_of, names


@asks
def dosages(
    question: Question,
    by: Annotated[str, typer.Option(help="Columns to group people by: population,sex")] = "",
    one_round: OneRound = False,
    formats: Annotated[str, typer.Option(help="Files to write, of parquet, plink.")] = (
        "parquet,plink"
    ),
) -> None:
    """Allele frequencies by imputed dosages, and how well rows were imputed (MaCH's r²)."""
    from genome_eu.formats.folder import DosageFiles

    chosen = formats_of(DosageFiles, formats)
    with question.asked() as asked:
        asked = asked.in_one_round() if one_round else asked
        run, shards = asked.dosage_frequency_shards(names(by))
        rows = 0
        with DosageFiles(question.out, chosen) as files:
            for shard in shards:
                files.append(shard)
                rows += shard.sizes["variants"]
    question.finish(run, files.paths, {"rows": rows})
