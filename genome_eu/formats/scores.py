"""The files of polygenic scores: distributions as tables, and PLINK 2's `.sscore` of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from genome_eu.atomic import AtomicFile, write_whole


def write_scores(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """`score.summary.tsv`, `score.histogram.tsv`, and for a cohort `score.sscore`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "score.summary.tsv", folder / "score.histogram.tsv"]
    for path, table in zip(paths, (dataset.summary(), dataset.histogram()), strict=True):
        text = table.to_csv(sep="\t", index=False, float_format="%.10g", lineterminator="\n")
        write_whole(path, text.encode())
    if "sample_score_sum" in dataset:
        paths.append(folder / "score.sscore")
        with AtomicFile(paths[-1], private=True) as file:
            file.write(_sscore(dataset).encode())
    return paths


def _sscore(dataset: xr.Dataset) -> str:
    """PLINK 2's table with the columns `+denom,+scoresums`, six digits a number."""
    names = [str(name) for name in dataset["score_id"].values]
    headings = ["#IID", "ALLELE_CT", "DENOM", "NAMED_ALLELE_DOSAGE_SUM"]
    headings += [f"{name}_{kind}" for kind in ("AVG", "SUM") for name in names]
    columns = [
        dataset[f"sample_{name}"].values
        for name in ("allele_count", "score_denominator", "named_dosage")
    ]
    averages, sums = (
        np.asarray(dataset[f"sample_score_{name}"].values) for name in ("average", "sum")
    )
    lines = ["\t".join(headings)]
    for person, name in enumerate(dataset["sample_id"].values):
        numbers = [f"{column[person]:.6g}" for column in columns]
        numbers += [f"{value:.6g}" for value in (*averages[person], *sums[person])]
        lines.append("\t".join([str(name), *numbers]))
    return "\n".join(lines) + "\n"
