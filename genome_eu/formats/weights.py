"""Weight files of polygenic scores: the PGS Catalog's scoring files, and PLINK's three columns."""

from __future__ import annotations

import gzip
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import BadInput

_BUILDS = {"hg19": "GRCh37", "grch37": "GRCh37", "hg38": "GRCh38", "grch38": "GRCh38"}
# Lines of the Catalog that are no sum of copies of one allele.
_NOT_ADDITIVE = ("is_interaction", "is_haplotype", "is_diplotype", "is_dominant", "is_recessive")
_TEXT = {"id": ("rsID", "hm_rsID", "ID", "SNP", "id", "variant_id")}
_EFFECT = ("effect_allele", "A1", "ALLELE", "allele")
_OTHER = ("other_allele", "hm_inferOtherAllele", "reference_allele", "A2")


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of one score or several.

    `lines` has the columns effect_allele and other_allele ("" where not known), and contig and
    position, or id; `weights` is (lines, scores).
    """

    lines: pd.DataFrame
    weights: NDArray
    names: tuple[str, ...]
    build: str = "unknown"
    left_out: dict[str, int] = field(default_factory=dict)


def read_weights(path: str | Path) -> Weights:
    """Read a weight file, gzipped or not.

    Parameters
    ----------
    path : path
        A scoring file of the PGS Catalog (its `#` header names score and build; positions that
        were harmonized, `hm_chr` and `hm_pos`, come before those of the authors); or lines of id,
        allele and one weight or several, with headings or, where there are three columns, without.

    Raises
    ------
    BadInput
        The file cannot be read, or its headings do not say what is needed.
    """
    path = Path(path)
    header, text = _split(path)
    table = _table(text, path)
    said = dict(re.findall(r"^#+([A-Za-z_]+)\s*=\s*(.*?)\s*$", header, re.MULTILINE))
    table, not_additive = _additive(table)
    columns, harmonized = _lines(table, path)
    names = [str(name) for name in table.columns]
    headings = [name for name in names if name == "effect_weight" or name.startswith("weight")]
    if not headings and "id" in columns:
        # PLINK's: the columns after id and allele.
        headings = [name for name in names[2:] if name not in (*_OTHER, *_EFFECT)]
    if not headings:
        raise BadInput(f"{path} has no column effect_weight; it has {', '.join(table.columns)}")
    numbers = table[headings].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    good = np.isfinite(numbers).all(axis=1) & (columns["effect_allele"] != "").to_numpy()
    if "position" in columns:
        good &= (columns["position"] > 0).to_numpy()
    if not good.any():
        raise BadInput(f"{path} has no line with an effect allele, a place and a weight")
    build = said.get("HmPOS_build") if harmonized else said.get("genome_build")
    score = said.get("pgs_id") or _stem(path)
    scores = [score] if len(headings) == 1 else headings
    return Weights(
        lines=columns[good].reset_index(drop=True),
        weights=numbers[good],
        names=tuple(re.sub(r"[^A-Za-z0-9_.-]", "_", name) for name in scores),
        build=_BUILDS.get((build or "").lower(), "unknown"),
        left_out={
            "weights that are not additive": not_additive,
            "weights without allele, place or number": int((~good).sum()),
        },
    )


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def _split(path: Path) -> tuple[str, str]:
    """Lines that begin with #, and the others."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from None
    marked = [number for number, line in enumerate(lines) if line.startswith("#")]
    comments = [number for number in marked if _is_comment(lines[number])]
    said = [lines[number] for number in comments]
    for number in marked:
        lines[number] = lines[number].removeprefix("#")
    for number in comments:
        lines[number] = ""
    return "\n".join(said), "\n".join(line for line in lines if line and not line.isspace())


def _is_comment(line: str) -> bool:
    return line.startswith("##") or "=" in line


def _table(text: str, path: Path) -> pd.DataFrame:
    first = text.split("\n", 1)[0]
    fields = first.split("\t") if "\t" in first else first.split()
    if not fields:
        raise BadInput(f"{path} is empty")
    # Without headings the third column is a number.
    bare = len(fields) == 3 and _is_number(fields[2])
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep="\t" if "\t" in first else r"\s+",
            dtype=str,
            keep_default_na=False,
            names=["ID", "A1", "effect_weight"] if bare else None,
        )
    except ValueError as error:
        raise BadInput(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _additive(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    other = np.zeros(len(table), bool)
    for name in _NOT_ADDITIVE:
        if name in table:
            other |= table[name].str.lower().isin(["true", "1", "yes"]).to_numpy()
    return table[~other], int(other.sum())


def _lines(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, bool]:
    """Alleles with places or ids, and whether the places were harmonized."""

    def column(names: tuple[str, ...]) -> pd.Series | None:
        return next((table[name] for name in names if name in table), None)

    effect, other = column(_EFFECT), column(_OTHER)
    if effect is None:
        raise BadInput(f"{path} has no column effect_allele; it has {', '.join(table.columns)}")
    if other is None:
        other = pd.Series("", index=table.index)
    # Several candidates are no allele.
    other = other.where(~other.str.contains("/", regex=False), "")
    found = pd.DataFrame({"effect_allele": effect.str.strip(), "other_allele": other.str.strip()})
    for harmonized, contig, position in (
        (True, "hm_chr", "hm_pos"),
        (False, "chr_name", "chr_position"),
    ):
        if contig in table and (table[position] != "").any():
            places = pd.to_numeric(table[position], errors="coerce").fillna(0).astype(np.int64)
            contigs = table[contig].str.removeprefix("chr")
            return found.assign(contig=contigs, position=places), harmonized
    ids = column(_TEXT["id"])
    if ids is None:
        raise BadInput(f"{path} has neither positions (chr_name, chr_position) nor ids (rsID)")
    return found.assign(id=ids.str.strip()), False
