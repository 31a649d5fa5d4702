"""Tables of groups beside each other: PLINK 2's `.fst.summary`, shared variants, spectra."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from genome_eu.atomic import write_whole


def write_between(
    folder: Path,
    fst: pd.DataFrame,
    sharing: pd.DataFrame,
    spectra: pd.DataFrame | None = None,
    joint: pd.DataFrame | None = None,
    *,
    stem: str = "frequencies",
) -> list[Path]:
    """Write what was found between groups, or between sites, into a folder.

    Parameters
    ----------
    folder : Path
        It exists.
    fst, sharing, spectra, joint : DataFrame
        As `genome_eu.results.BetweenGroups` gives them.
    stem : str
        How the files' names begin. `STEM.fst.summary` has PLINK 2's columns and digits,
        `STEM.fst.tsv` all digits and the rows behind them.
    """
    summary = pd.DataFrame(
        {
            "#POP1": fst["group_1"],
            "POP2": fst["group_2"],
            "HUDSON_FST": [f"{value:.6g}" for value in fst["fst"]],
        }
    )
    tables = {f"{stem}.fst.summary": summary, f"{stem}.fst.tsv": fst}
    tables[f"{stem}.sharing.tsv"] = sharing
    if spectra is not None:
        tables[f"{stem}.spectra.tsv"] = spectra
    if joint is not None:
        tables[f"{stem}.joint-spectra.tsv"] = joint
    return [_write(folder / name, table) for name, table in tables.items()]


def _write(path: Path, table: pd.DataFrame) -> Path:
    write_whole(path, table.to_csv(sep="\t", index=False, lineterminator="\n").encode())
    return path
