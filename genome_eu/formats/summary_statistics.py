"""Summary statistics of other studies, read for a meta-analysis.

Tables of GWAS-SSF, REGENIE, PLINK 2 (`.glm.*`), METAL and this package are known by their headings;
any other needs to be told which column is what.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from genome_eu.errors import BadInput, UsageError
from genome_eu.stats.meta import Study

#: What a column of a table may be.
MEANINGS = (
    "id",
    "contig",
    "position",
    "effect_allele",
    "other_allele",
    "beta",
    "odds_ratio",
    "se",
    "p",
    "neg_log10_p",
    "n",
    "frequency",
)
_MISSING = ["", "NA", "#NA", "NaN", "nan", ".", "NULL", "null", "-nan"]
_CHROMOSOMES = {"23": "X", "24": "Y", "25": "MT", "26": "MT", "M": "MT"}


@dataclass(frozen=True)
class Layout:
    """Headings of a known kind of table: the first that is there counts."""

    name: str
    recognized_by: frozenset[str]
    columns: Mapping[str, tuple[str, ...]]


LAYOUTS = (
    Layout(
        "GWAS-SSF",
        frozenset({"chromosome", "base_pair_location", "effect_allele", "other_allele"}),
        {
            "id": ("rsid", "variant_id"),
            "contig": ("chromosome",),
            "position": ("base_pair_location",),
            "effect_allele": ("effect_allele",),
            "other_allele": ("other_allele",),
            "beta": ("beta",),
            "odds_ratio": ("odds_ratio",),
            "se": ("standard_error",),
            "p": ("p_value",),
            "neg_log10_p": ("neg_log_10_p_value",),
            "n": ("n",),
            "frequency": ("effect_allele_frequency",),
        },
    ),
    Layout(
        "REGENIE",
        frozenset({"CHROM", "GENPOS", "ALLELE0", "ALLELE1"}),
        {
            "id": ("ID",),
            "contig": ("CHROM",),
            "position": ("GENPOS",),
            "effect_allele": ("ALLELE1",),
            "other_allele": ("ALLELE0",),
            "beta": ("BETA",),
            "se": ("SE",),
            "neg_log10_p": ("LOG10P",),
            "n": ("N",),
            "frequency": ("A1FREQ",),
        },
    ),
    Layout(
        "PLINK 2",
        frozenset({"#CHROM", "POS", "REF", "ALT", "A1"}),
        {
            "id": ("ID",),
            "contig": ("#CHROM",),
            "position": ("POS",),
            "effect_allele": ("A1",),
            "beta": ("BETA", "LOG(OR)"),
            "odds_ratio": ("OR",),
            "se": ("SE", "LOG(OR)_SE"),
            "p": ("P",),
            "neg_log10_p": ("NEG_LOG10_P", "LOG10_P"),
            "n": ("OBS_CT",),
            "frequency": ("A1_FREQ",),
        },
    ),
    Layout(
        "METAL",
        frozenset({"MarkerName", "Allele1", "Allele2"}),
        {
            "id": ("MarkerName",),
            "effect_allele": ("Allele1",),
            "other_allele": ("Allele2",),
            "beta": ("Effect", "Zscore"),
            "se": ("StdErr",),
            "p": ("P-value",),
            "n": ("Weight",),
            "frequency": ("Freq1",),
        },
    ),
)


def read_study(
    path: str | Path,
    *,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    n: float | None = None,
) -> Study:
    """Summary statistics of one study.

    Parameters
    ----------
    path : path
        A text table, gzipped or not, separated by tabs, spaces or commas.
    name : str, optional
        What to call the study; the name of the file unless given.
    columns : mapping of str to str, optional
        What is in which column, for example ``{"id": "SNP", "se": "SE"}``: any of `MEANINGS`. Comes
        before what the headings say.
    n : float, optional
        People of the study, where no column says so.

    Returns
    -------
    Study
        Its `key` is the id; `genome_eu.meta` joins by position where all studies have positions.

    Raises
    ------
    BadInput
        The file cannot be read, or its headings do not say what is needed.
    UsageError
        `columns` names what no column can be.
    """
    path = Path(path)
    unknown = sorted(set(columns or {}) - set(MEANINGS))
    if unknown:
        raise UsageError(f"no column is {unknown[0]}; columns may be {', '.join(MEANINGS)}")
    table = _table(path)
    found = _found(table, dict(columns or {}), path)
    if "TEST" in table and "REF" in table:
        # PLINK gives covariates a line each.
        table = table[table["TEST"].isin(["ADD", "ADD-INT"])]
    other = _other_allele(table, found, path)
    beta, se = _effects(table, found)
    rows = len(table)
    return Study(
        name=name or path.name.removesuffix(".gz").rpartition(".")[0] or path.name,
        key=_text(table, found.get("id"), rows),
        contig=_contigs(table, found.get("contig"), rows),
        position=_positions(table, found.get("position"), rows),
        effect_allele=_text(table, found["effect_allele"], rows),
        other_allele=other,
        beta=beta,
        se=se,
        neg_log10_p=_neg_log10_p(table, found),
        n=_numbers(table, found.get("n"), rows) if n is None else np.full(rows, float(n)),
        frequency=_numbers(table, found.get("frequency"), rows),
    )


def _table(path: Path) -> pd.DataFrame:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            heading = next((line for line in lines if not line.startswith("##")), "")
        skipped = 0
        with opened(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                if not line.startswith("##"):
                    break
                skipped += 1
        separator = "\t" if "\t" in heading else "," if "," in heading else r"\s+"
        table = pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            na_values=_MISSING,
            keep_default_na=False,
            skiprows=skipped,
            compression="gzip" if path.suffix == ".gz" else None,
            engine="c",
        )
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from None
    if table.empty:
        raise BadInput(f"{path} has no line below its headings")
    return table


def _found(table: pd.DataFrame, given: dict[str, str], path: Path) -> dict[str, str]:
    """The heading of each meaning."""
    for meaning, heading in given.items():
        if heading not in table:
            raise BadInput(
                f"{path} has no column {heading} ({meaning}); it has {', '.join(table.columns)}"
            )
    found: dict[str, str] = {}
    for layout in LAYOUTS:
        if layout.recognized_by <= set(table.columns):
            for meaning, headings in layout.columns.items():
                present = [one for one in headings if one in table]
                if present:
                    found[meaning] = present[0]
            break
    # What is told of an effect or a p-value replaces what the headings say of it, in either form.
    for pair in (("beta", "odds_ratio"), ("p", "neg_log10_p")):
        if set(pair) & set(given):
            found = {meaning: one for meaning, one in found.items() if meaning not in pair}
    found |= given
    for needed, either in (
        ("effect_allele", ("effect_allele",)),
        ("id or contig and position", ("id", "contig")),
        ("beta or odds_ratio", ("beta", "odds_ratio")),
        ("se, p or neg_log10_p", ("se", "p", "neg_log10_p")),
    ):
        if not set(either) & set(found):
            raise BadInput(
                f"the headings of {path} do not say which column is {needed}; name it "
                f"(it has {', '.join(table.columns)})"
            )
    return found


def _other_allele(table: pd.DataFrame, found: dict[str, str], path: Path) -> NDArray:
    if "other_allele" in found:
        return _text(table, found["other_allele"], len(table))
    if "OMITTED" in table:
        return _text(table, "OMITTED", len(table))
    if {"REF", "ALT", "A1"} <= set(table.columns):
        # Of a site with several ALTs PLINK names all of them; A1 is one, the rest is not an allele.
        effect, ref, alt = (table[name].to_numpy(object) for name in ("A1", "REF", "ALT"))
        return np.where(effect == ref, alt, ref)
    raise BadInput(f"the headings of {path} do not say which column is other_allele; name it")


def _effects(table: pd.DataFrame, found: dict[str, str]) -> tuple[NDArray, NDArray]:
    """Effects and standard errors; odds ratios become logarithms."""
    rows = len(table)
    se = _numbers(table, found.get("se"), rows)
    if "beta" in found:
        return _numbers(table, found["beta"], rows), se
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.log(_numbers(table, found["odds_ratio"], rows))
    return np.where(np.isfinite(beta), beta, np.nan), se


def _neg_log10_p(table: pd.DataFrame, found: dict[str, str]) -> NDArray:
    rows = len(table)
    if "neg_log10_p" in found:
        # PLINK's LOG10_P of some versions has its sign.
        values = _numbers(table, found["neg_log10_p"], rows)
        return np.abs(values) if found["neg_log10_p"] == "LOG10_P" else values
    p = _numbers(table, found.get("p"), rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        found_p = np.where((p > 0) & (p <= 1), -np.log10(p), np.nan)
    # p-values below the smallest float are written as text that says more than the number.
    small = np.flatnonzero(p == 0)
    if small.size:
        text = table[found["p"]].to_numpy(object)
        found_p[small] = [_of_text(str(text[row])) for row in small]
    return found_p


def _of_text(text: str) -> float:
    """−log10 of a number such as 3.2e-412; NaN for a zero."""
    digits, _, exponent = text.lower().partition("e")
    try:
        value = float(digits)
        return -np.log10(value) - float(exponent or 0) if value > 0 else float("nan")
    except ValueError:
        return float("nan")


def _numbers(table: pd.DataFrame, heading: str | None, rows: int) -> NDArray[np.float64]:
    if heading is None:
        return np.full(rows, np.nan)
    try:
        # Ten times faster than the other, but all or nothing.
        read = pa.array(table[heading], pa.string(), from_pandas=True).cast(pa.float64())
        return np.asarray(read.to_numpy(zero_copy_only=False), float)
    except pa.ArrowInvalid:
        return np.asarray(pd.to_numeric(table[heading], errors="coerce"), float)


def _text(table: pd.DataFrame, heading: str | None, rows: int) -> NDArray:
    if heading is None:
        return np.full(rows, "", object)
    return table[heading].fillna("").to_numpy(object)


def _contigs(table: pd.DataFrame, heading: str | None, rows: int) -> NDArray:
    contigs = pd.Series(_text(table, heading, rows)).str.removeprefix("chr")
    return contigs.replace(_CHROMOSOMES).to_numpy(object)


def _positions(table: pd.DataFrame, heading: str | None, rows: int) -> NDArray[np.int64]:
    return np.nan_to_num(_numbers(table, heading, rows)).astype(np.int64)
