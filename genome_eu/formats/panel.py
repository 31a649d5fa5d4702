"""Lists of rows in files: what a question is asked of, and how sites' lists were joined."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from genome_eu.atomic import write_whole
from genome_eu.errors import BadInput
from genome_eu.stats.variants import COLUMNS, KEY

#: The list of rows in the folder of a result that chooses some.
ROWS_FILE = "rows.tsv"

_VCF = {"CHROM": "contig", "POS": "position", "ID": "id", "REF": "ref", "ALT": "alt"}
# Contig, id, centimorgans, position, A1 (the ALT), A2 (the REF).
_BIM = ["contig", "id", "centimorgans", "position", "alt", "ref"]


def read_rows(path: str | Path) -> pd.DataFrame:
    """Read a list of rows: columns contig, position, ref, alt, id; one row for each ALT.

    Parameters
    ----------
    path : path
        A VCF or PLINK 2 `.pvar` (its first columns are read), a PLINK 1 `.bim`, a table with the
        header contig, position, ref, alt (and id), or names such as 22:16051249:A:G, one a line;
        gzipped if it ends in .gz. Or a folder that has a `rows.tsv`.

    Raises
    ------
    BadInput
        It cannot be read, or is none of these.
    """
    path = Path(path)
    if path.is_dir():
        path /= ROWS_FILE
    header, lines = _read(path)
    names = header.lstrip("#").split()
    if header.startswith("#") and set(_VCF) <= set(names):
        table = _table(path, lines, names).rename(columns=_VCF)
    elif set(KEY) <= set(names):
        table = _table(path, lines, names)
    elif path.name.removesuffix(".gz").endswith(".bim"):
        table = _table(path, [header, *lines], _BIM)
    else:
        table = _named(path, [header, *lines])
    table = table[[column for column in COLUMNS if column in table]].reset_index(drop=True)
    table = table.assign(alt=table["alt"].str.split(",")).explode("alt", ignore_index=True)
    whole = table["position"].str.fullmatch("[0-9]{1,10}")
    if not whole.all():
        raise BadInput(f"{path}: row {int(np.argmin(whole)) + 1} has no position")
    return table.assign(
        position=table["position"].astype(np.int64), id=table.get("id", pd.Series(".", table.index))
    )[COLUMNS]


def _read(path: Path) -> tuple[str, list[str]]:
    """The line that may be a header, and all that follow it."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        lines = content.decode().splitlines()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        raise BadInput(
            f"rows {path} cannot be read; give a VCF, .pvar, .bim or a table of rows"
        ) from None
    lines = [line for line in lines if line.strip() and not line.startswith("##")]
    if not lines:
        raise BadInput(f"rows {path}: there are none; name at least one")
    return lines[0], lines[1:]


def _table(path: Path, lines: list[str], names: list[str]) -> pd.DataFrame:
    """The first columns of lines; a VCF has many more, of people."""
    needed = max(names.index(name) for name in (*KEY, *_VCF, "id") if name in names) + 1
    separator = "\t" if lines and "\t" in lines[0] else None
    cells = [line.split(separator, needed)[:needed] for line in lines]
    short = next((number for number, one in enumerate(cells, 1) if len(one) < needed), 0)
    if short:
        raise BadInput(f"rows {path}: row {short} has fewer than {needed} columns")
    return pd.DataFrame(cells, columns=names[:needed], dtype=str)


def _named(path: Path, lines: list[str]) -> pd.DataFrame:
    cells = [line.strip().split(":") for line in lines]
    wrong = next((number for number, one in enumerate(cells, 1) if len(one) != len(KEY)), 0)
    if wrong:
        raise BadInput(
            f"rows {path}: line {wrong} is not contig:position:REF:ALT, and there is no header; "
            f"give a VCF, .pvar, .bim, or a table with columns {', '.join(KEY)}"
        )
    return pd.DataFrame(cells, columns=KEY, dtype=str)


def write_rows(path: str | Path, rows: pd.DataFrame) -> Path:
    """Write rows as a table that `read_rows` reads."""
    text = rows[COLUMNS].to_csv(sep="\t", index=False, lineterminator="\n")
    write_whole(Path(path), text.encode())
    return Path(path)


def write_harmonization(path: str | Path, report: Mapping[str, Mapping[str, int]]) -> Path:
    """Write how each site's list was joined with the others: a line a site, a column a kind."""
    table = pd.DataFrame.from_dict({site: dict(told) for site, told in report.items()}, "index")
    text = table.to_csv(sep="\t", index_label="site", lineterminator="\n")
    write_whole(Path(path), text.encode())
    return Path(path)
