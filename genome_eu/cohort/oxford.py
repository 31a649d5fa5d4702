"""The people of a BGEN file, in a text file beside it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from genome_eu.errors import SourceError

# As in a .fam file: 1, 2, or 0 if unknown.
_SEX = {"1": "1", "2": "2", "m": "1", "f": "2", "male": "1", "female": "2"}


def read_sample_file(path: Path) -> tuple[list[str], list[str]]:
    """Ids and sexes of an Oxford .sample file: IID, or FID_IID where two families use the same."""
    if not path.is_file():
        raise SourceError(f"{path}: no such file.")
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not text: {error}.") from error
    if len(lines) < 3 or set(lines[1]) - set("0DCPB"):
        raise SourceError(
            f"{path} is not a .sample file: it needs a line of names, a line of types such as "
            "`0 0 0 D`, and one line for each person."
        )
    names = [name.lower() for name in lines[0]]
    for number, fields in enumerate(lines[2:], start=3):
        if len(fields) != len(names):
            raise SourceError(f"{path} line {number} has {len(fields)} of {len(names)} columns.")
    both = len(names) > 1 and names[:2] == ["id_1", "id_2"]
    ids = [fields[1 if both else 0] for fields in lines[2:]]
    if both and max(Counter(ids).values()) > 1:
        ids = [f"{fields[0]}_{fields[1]}" for fields in lines[2:]]
    sex = ["0"] * len(ids)
    if "sex" in names:
        place = names.index("sex")
        sex = [_SEX.get(fields[place].lower(), "0") for fields in lines[2:]]
    return ids, sex
