"""PLINK 2, run as a program, and its tables as text."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

needs_plink2 = pytest.mark.skipif(
    shutil.which("plink2") is None,
    reason="needs plink2 on PATH; install it (apt-get install plink2)",
)


def plink2(*arguments: str | Path, out: Path) -> Path:
    """Run PLINK 2 and return its output prefix."""
    command = ["plink2", *map(str, arguments), "--threads", "2", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return out


def write_columns(path: Path, fid: list[str], table: pd.DataFrame) -> Path:
    """A phenotype or covariate file for PLINK, every digit kept."""
    lines = ["\t".join(["#FID", "IID", *table.columns])]
    for family, (person, *values) in zip(fid, table.itertuples(), strict=True):
        texts = ["NA" if np.isnan(value) else repr(float(value)) for value in values]
        lines.append("\t".join([family, str(person), *texts]))
    path.write_text("\n".join(lines) + "\n")
    return path


def table(path: Path) -> pd.DataFrame:
    """A PLINK table, every column text."""
    return pd.read_csv(path, sep="\t", dtype=str, na_filter=False)


def digits(values: np.ndarray) -> np.ndarray:
    """Six significant digits, as C's %.6g."""
    return np.array([f"{value:.6g}" for value in np.asarray(values, float)])


def units_apart(a: str, b: str) -> float:
    """How many units of the sixth significant digit two printed numbers differ by."""
    one, other = float(a), float(b)
    exponent = np.floor(np.log10(max(abs(one), abs(other))))
    return abs(one - other) / 10.0 ** (exponent - 5)
