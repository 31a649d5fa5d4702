"""PLINK 1 filesets (.bed, .bim, .fam): checked, then offered to bio2zarr."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import SourceError

_FAM = ("family_id", "individual_id", "paternal_id", "maternal_id", "sex", "phenotype")
_BIM = ("contig", "variant_id", "cm_position", "position", "allele_1", "allele_2")
_VARIANT_MAJOR = b"\x6c\x1b\x01"
_SAMPLE_MAJOR = b"\x6c\x1b\x00"
_SEX = {"1": "M", "2": "F"}


@dataclass(frozen=True, eq=False)
class PlinkFileset:
    """A fileset whose three files agree with each other."""

    bed: Path
    bim: pd.DataFrame
    fam: pd.DataFrame

    @property
    def sample_id(self) -> list[str]:
        """IID; or FID_IID for everybody, where two families use the same IID."""
        iids = self.fam["individual_id"].tolist()
        if max(Counter(iids).values()) == 1:
            return iids
        return [f"{fid}_{iid}" for fid, iid in zip(self.fam["family_id"], iids, strict=True)]

    @property
    def sex(self) -> NDArray:
        """M, F or unknown for each person."""
        return np.array([_SEX.get(code, "unknown") for code in self.fam["sex"]], dtype=object)


def plink_bed_path(source: Path) -> Path | None:
    """The .bed file that `source` names, as itself, by its prefix or by its .bim or .fam."""
    if source.suffix in (".bed", ".bim", ".fam"):
        return source.with_suffix(".bed")
    bed = source.with_name(source.name + ".bed")
    return bed if bed.exists() else None


def open_plink(bed: Path) -> PlinkFileset:
    """Read .fam and .bim, and check that the .bed file belongs to them.

    Raises
    ------
    SourceError
        If a file is absent or cannot be parsed, or the .bed file is not variant-major or has
        another size than its people and variants need.
    """
    for path in (bed, bed.with_suffix(".bim"), bed.with_suffix(".fam")):
        if not path.is_file():
            raise SourceError(
                f"{path}: no such file; a PLINK source needs .bed, .bim and .fam side by side."
            )
    fam = _read_columns(bed.with_suffix(".fam"), _FAM, "person")
    bim = _read_columns(bed.with_suffix(".bim"), _BIM, "variant")
    position = pd.to_numeric(bim["position"], errors="coerce")
    bad = np.flatnonzero(~(position.between(0, 2**31 - 1) & (position % 1 == 0)))
    if bad.size:
        raise SourceError(
            f"{bed.with_suffix('.bim')} line {bad[0] + 1}: position "
            f"{bim['position'].iloc[bad[0]]!r} is not a whole number; correct it."
        )
    bim["position"] = position.astype("int32")
    # PLINK's 0 is an allele that nobody carries and nobody named: a dot, as in VCF.
    for allele in ("allele_1", "allele_2"):
        bim[allele] = bim[allele].where(bim[allele] != "0", ".")

    with open(bed, "rb") as file:
        magic = file.read(3)
    if magic == _SAMPLE_MAJOR:
        raise SourceError(
            f"{bed} is sample-major; rewrite it with `plink --make-bed` of PLINK 1.9."
        )
    if magic != _VARIANT_MAJOR:
        raise SourceError(f"{bed} is not a PLINK .bed file: it starts with {magic.hex(' ')}.")
    expected = 3 + len(bim) * ((len(fam) + 3) // 4)
    found = bed.stat().st_size
    if found != expected:
        raise SourceError(
            f"{bed} has {found:,} bytes, but {len(fam):,} people and {len(bim):,} variants need "
            f"{expected:,}; the file is damaged, or its .bim or .fam is another's. Copy it again."
        )
    return PlinkFileset(bed, bim, fam)


def plink_encoding_source(fileset: PlinkFileset, sample_id: list[str], keep: NDArray) -> Any:
    """A bio2zarr source that knows contigs, the people in `keep` and how many variants there are.

    The variants themselves are `variant_columns`, their genotypes `BedCalls`.

    Parameters
    ----------
    fileset : PlinkFileset
    sample_id : list of str
        Ids of all people of the fileset.
    keep : int64 array
        Positions of the people to encode.
    """
    from bio2zarr import plink, vcz

    class KeptPeople(plink.PlinkFormat):
        # The parent's __init__ parses the two text files again, and reads an allele or id NA
        # as missing.
        def __init__(self) -> None:
            self.prefix = str(fileset.bed.with_suffix(""))
            self.bim = fileset.bim
            self.fam = fileset.fam.iloc[keep]
            self._num_records = len(fileset.bim)
            self._num_samples = len(keep)

        @property
        def samples(self) -> list:
            return [vcz.Sample(id=sample_id[j]) for j in keep]

    return KeptPeople()


def variant_columns(fileset: PlinkFileset) -> dict[str, NDArray]:
    """Everything that a VCF Zarr store says of variants, by the names of its arrays."""
    bim = fileset.bim
    return {
        "variant_contig": pd.factorize(bim["contig"])[0],
        "variant_position": bim["position"].to_numpy(),
        "variant_id": bim["variant_id"].to_numpy(object),
        "variant_id_mask": np.zeros(len(bim), dtype=bool),
        "variant_allele": bim[["allele_2", "allele_1"]].to_numpy(object),
        "variant_length": bim["allele_2"].str.len().to_numpy(),
    }


def _read_columns(path: Path, names: tuple[str, ...], what: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(
            path, sep=r"\s+", header=None, dtype=str, na_filter=False, quoting=3, comment=None
        )
    except pd.errors.EmptyDataError:
        raise SourceError(f"{path} is empty; it needs one line for each {what}.") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{path} does not parse: {reason}") from error
    if table.shape[1] == len(names):
        short = (table[table.columns[-1]].isna() | (table[table.columns[-1]] == "")).to_numpy()
        if not short.any():
            table.columns = pd.Index(names)
            return table
        line = int(np.flatnonzero(short)[0]) + 1
        raise SourceError(f"{path} line {line} has fewer than {len(names)} columns.")
    raise SourceError(
        f"{path} has {table.shape[1]} columns, but a .{path.suffix[1:]} file has {len(names)}."
    )
