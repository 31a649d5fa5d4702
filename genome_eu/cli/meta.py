"""`genome-eu meta`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from genome_eu.cli.asking import AsJson, Out
from genome_eu.cli.recording import claim, finish


def meta(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Summary statistics (GWAS-SSF, REGENIE, PLINK 2, METAL), or one *.toml that lists "
            "studies with their columns."
        ),
    ],
    out: Out,
    scheme: Annotated[
        str, typer.Option(help="ivw: inverse-variance weights; samplesize: z by people (METAL).")
    ] = "ivw",
    genomic_control: Annotated[
        bool, typer.Option("--genomic-control", help="Divide each study's chi-squares by lambda.")
    ] = False,
    palindromic: Annotated[str, typer.Option(help="A/T and C/G variants: keep or drop.")] = "keep",
    as_json: AsJson = False,
) -> None:
    """Meta-analysis of summary statistics, for sites that can only send results."""
    from genome_eu.federation.questions.run import Run
    from genome_eu.meta import meta_analysis, read_studies

    studies = [
        study
        for path in files
        for study in (read_studies(path) if path.suffix == ".toml" else [path])
    ]
    found = meta_analysis(
        studies,
        scheme=scheme,  # type: ignore[arg-type]
        genomic_control=genomic_control,
        palindromic=palindromic,  # type: ignore[arg-type]
    )
    p = found["variant_meta_neg_log10_p"].values
    summary = {
        "studies": found.sizes["studies"],
        "variants": found.sizes["variants"],
        "variants in one study only": int((found["variant_meta_n_studies"].values == 1).sum()),
        "joined_by": found.attrs["joined_by"],
        "tests with p <= 5e-8": int((p >= 7.30103).sum()),
        "lambda_gc": round(found.inflation, 4),
    }
    if genomic_control:
        names, values = found["study_id"].values, found["study_inflation"].values
        summary["lambda_gc by study"] = {
            str(name): round(float(value), 4) for name, value in zip(names, values, strict=True)
        }
    left_out = json.loads(found.attrs["left_out"])
    question = json.loads(found.attrs["question"])
    run = Run(question, left_out={name: rows for name, rows in left_out.items() if rows})
    claim(out, question)
    finish(out, run, found.to_files(out), summary, as_json)
