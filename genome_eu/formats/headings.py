"""Tables of associations as other programs and this package write them, known by their headings.

GWAS-SSF, REGENIE, PLINK 2 (`.glm.*`) and METAL; of any other one has to be told which column is
what.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from genome_eu.errors import BadInput, UsageError

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


class Columns:
    """The columns of a table of text by what they hold.

    Parameters
    ----------
    path : path
        A text table, gzipped or not, separated by tabs, spaces or commas; lines that begin with
        ``##`` before its headings are left out.
    given : mapping of str to str
        What is in which column: any of `MEANINGS`. Comes before what the headings say.
    needed : mapping of str to tuple of str
        Meanings of which at least one must be there, by what they are called together.

    Raises
    ------
    BadInput
        The file cannot be read, or its headings do not say what is needed.
    UsageError
        `given` names what no column can be.
    """

    def __init__(
        self, path: Path, given: Mapping[str, str], needed: Mapping[str, tuple[str, ...]]
    ) -> None:
        unknown = sorted(set(given) - set(MEANINGS))
        if unknown:
            raise UsageError(f"no column is {unknown[0]}; columns may be {', '.join(MEANINGS)}")
        self.path = path
        self._table = _table(path)
        names = self._table.column_names
        self.headings = _headings(names, given, path)
        for called, either in needed.items():
            if not set(either) & set(self.headings):
                raise BadInput(
                    f"the headings of {path} do not say which column is {called}; name it "
                    f"(it has {', '.join(names)})"
                )
        if "TEST" in names and "REF" in names:
            # PLINK gives covariates a line each.
            tests = self._table["TEST"]
            self._table = self._table.filter(pc.is_in(tests, pa.array(["ADD", "ADD-INT"])))

    def __len__(self) -> int:
        return len(self._table)

    def text(self, meaning: str) -> NDArray[np.object_]:
        """A column as it is written, "" where nothing is."""
        heading = self.headings.get(meaning)
        return np.full(len(self), "", object) if heading is None else self._text(heading)

    def numbers(self, meaning: str) -> NDArray[np.float64]:
        """A column of numbers, NaN where there is none."""
        heading = self.headings.get(meaning)
        if heading is None:
            return np.full(len(self), np.nan)
        column = self._table[heading]
        try:
            # Ten times faster than the other, but all or nothing.
            return np.asarray(column.cast(pa.float64()).to_numpy(), float)
        except pa.ArrowInvalid:
            return np.asarray(pd.to_numeric(column.to_pandas(), errors="coerce"), float)

    def contigs(self) -> NDArray[np.object_]:
        """Names of contigs as in cohorts: chr1 is 1, 23 is X, M is MT."""
        number, names = pd.factorize(self.text("contig"))
        bare = [str(name).removeprefix("chr") for name in names]
        return np.array([_CHROMOSOMES.get(name, name) for name in bare], dtype=object)[number]

    def positions(self) -> NDArray[np.int64]:
        """Positions, 0 where there is none."""
        return np.nan_to_num(self.numbers("position")).astype(np.int64)

    def reference(self) -> tuple[NDArray, NDArray] | None:
        """REF and ALT, where the headings say which alleles these are."""
        names = set(self._table.column_names)
        if {"REF", "ALT", "A1"} <= names:
            ref, alt, tested = (self._text(name) for name in ("REF", "ALT", "A1"))
            # Of a site with several ALTs PLINK names all of them; A1 is one of them.
            several = np.array(["," in one for one in alt], dtype=bool)
            return ref, np.where(several & (tested != ref), tested, alt)
        return None

    def other_allele(self) -> NDArray[np.object_]:
        """The allele that is not the effect allele; raises `BadInput` where nothing says."""
        names = set(self._table.column_names)
        if "other_allele" in self.headings:
            return self.text("other_allele")
        if "OMITTED" in names:
            return self._text("OMITTED")
        if {"REF", "ALT", "A1"} <= names:
            # Of a site with several ALTs PLINK names all of them; A1 is one, the rest is no allele.
            effect, ref, alt = (self._text(name) for name in ("A1", "REF", "ALT"))
            return np.where(effect == ref, alt, ref)
        raise BadInput(
            f"the headings of {self.path} do not say which column is other_allele; name it"
        )

    def neg_log10_p(self) -> NDArray[np.float64]:
        """−log10 p, NaN where there is none; also of p-values below the smallest float."""
        heading = self.headings.get("neg_log10_p")
        if heading is not None:
            # PLINK's LOG10_P of some versions has its sign.
            values = self.numbers("neg_log10_p")
            return np.abs(values) if heading == "LOG10_P" else values
        p = self.numbers("p")
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where((p > 0) & (p <= 1), -np.log10(p), np.nan)
        # p-values below the smallest float are written as text that says more than the number.
        small = np.flatnonzero(p == 0)
        if small.size:
            text = self.text("p")
            found[small] = [_of_text(str(text[row])) for row in small]
        return found

    def _text(self, heading: str) -> NDArray[np.object_]:
        column = self._table[heading].fill_null("").combine_chunks()
        encoded = column.dictionary_encode()
        if 2 * len(encoded.dictionary) > len(column):
            whole: NDArray[np.object_] = column.to_numpy(zero_copy_only=False)
            return whole
        # Words that repeat themselves are one object each, which is quicker to compare.
        words = encoded.dictionary.to_numpy(zero_copy_only=False)
        return np.asarray(words[encoded.indices.to_numpy()], dtype=object)


def _table(path: Path) -> pa.Table:
    """A table of which every column is text."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            skipped, heading = next(
                (n, line) for n, line in enumerate(chain(lines, [""])) if not line.startswith("##")
            )
        table = _quickly(path, skipped, heading)
        if table is None:
            table = _patiently(path, skipped, heading)
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from None
    if not len(table):
        raise BadInput(f"{path} has no line below its headings")
    return table


def _quickly(path: Path, skipped: int, heading: str) -> pa.Table | None:
    """By Arrow, ten times faster; None of a table that is not as plain as it wants."""
    separator = next((one for one in "\t, " if one in heading), None)
    names = heading.strip("\r\n").split(separator)
    plain = len(set(names)) == len(names) and all(names) and '"' not in heading
    if separator is None or not plain:
        return None
    try:
        return csv.read_csv(
            path,
            csv.ReadOptions(column_names=names, skip_rows=skipped + 1),
            csv.ParseOptions(delimiter=separator),
            csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=_MISSING,
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None


def _patiently(path: Path, skipped: int, heading: str) -> pa.Table:
    table = pd.read_csv(
        path,
        sep="\t" if "\t" in heading else "," if "," in heading else r"\s+",
        dtype=str,
        na_values=_MISSING,
        keep_default_na=False,
        skiprows=skipped,
        compression="gzip" if path.suffix == ".gz" else None,
        engine="c",
    )
    return pa.table({name: pa.array(table[name], pa.string(), from_pandas=True) for name in table})


def _headings(names: Sequence[str], given: Mapping[str, str], path: Path) -> dict[str, str]:
    """The heading of each meaning."""
    for meaning, heading in given.items():
        if heading not in names:
            raise BadInput(f"{path} has no column {heading} ({meaning}); it has {', '.join(names)}")
    found: dict[str, str] = {}
    for layout in LAYOUTS:
        if layout.recognized_by <= set(names):
            for meaning, headings in layout.columns.items():
                present = [one for one in headings if one in names]
                if present:
                    found[meaning] = present[0]
            break
    # What is told of an effect or a p-value replaces what the headings say of it, in either form.
    for pair in (("beta", "odds_ratio"), ("p", "neg_log10_p")):
        if set(pair) & set(given):
            found = {meaning: one for meaning, one in found.items() if meaning not in pair}
    return found | dict(given)


def _of_text(text: str) -> float:
    """−log10 of a number such as 3.2e-412; NaN for a zero."""
    digits, _, exponent = text.lower().partition("e")
    try:
        value = float(digits)
        return -np.log10(value) - float(exponent or 0) if value > 0 else float("nan")
    except ValueError:
        return float("nan")
