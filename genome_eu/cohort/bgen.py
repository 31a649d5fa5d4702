"""BGEN files of layout 2 (v1.2 and v1.3): checked, and their probabilities made dosages.

The file holds whole numbers, probabilities over 2^bits − 1, and dosages are computed from those, so
that they are the very steps of 1/16,384 that PLINK 2 takes: its rounding depends on `bits`.

The libraries that read BGEN do not serve here. `bgen` 1.10.3 is safe and as fast, but does not say
`bits`, and checks no zlib checksum: half of the single bits flipped in a file gave other genotypes
without an error. `cbgen` has no wheels for Python 3.13.

References
----------
Band & Marchini (2018), BGEN: a binary file format for imputed genotype and haplotype data,
bioRxiv 308296; the specification is at https://www.chg.ox.ac.uk/~gav/bgen_format/.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numcodecs.zstd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort.calls import CallArrays
from genome_eu.cohort.oxford import read_sample_file
from genome_eu.cohort.packing import PackedStep
from genome_eu.cohort.plink import PlinkFileset
from genome_eu.cohort.probabilities import WRONG, fill_dosages
from genome_eu.errors import SourceError
from genome_eu.kernels import pack
from genome_eu.kernels.dense import code_dtype, hard_calls

_UNCOMPRESSED, _ZLIB, _ZSTD = range(3)
_MISSING_PERSON = 0x80
# Of 0, 1, 2 and -1 copies; the last is also at -1.
_ALLELES = np.array([[0, 0], [0, 1], [1, 1], [-1, -1]], dtype=np.int8)


@dataclass(frozen=True, eq=False)
class BgenFile:
    """A BGEN file whose header and variants were read; its genotypes were not yet."""

    path: Path
    compression: int
    first_is_ref: bool
    sample_id: list[str]
    sex: list[str]  # as in a .fam file: 1, 2, or 0 if unknown
    variants: pd.DataFrame  # contig, position, variant_id, reference, alternate
    genotype_start: NDArray[np.int64]  # where the bytes of each variant's genotypes begin
    genotype_bytes: NDArray[np.int64]  # as they lie in the file
    unpacked_bytes: NDArray[np.int64]

    def as_fileset(self) -> PlinkFileset:
        """Its people and variants as those of a PLINK fileset, for bio2zarr."""
        bim = self.variants.rename(columns={"alternate": "allele_1", "reference": "allele_2"})
        fam = pd.DataFrame({"individual_id": self.sample_id, "sex": self.sex})
        return PlinkFileset(self.path, bim, fam)

    def codes(self, variants: slice) -> NDArray[np.uint16]:
        """Dosages of the ALT of some variants, (variants, people), as `kernels.dense` codes them.

        A haploid counts twice, as in packed rows. Safe to call from many threads.

        Raises
        ------
        SourceError
            If the genotypes of a variant are damaged, or of more than two alleles or copies.
        """
        codes = np.empty((variants.stop - variants.start, len(self.sample_id)), dtype=code_dtype)
        with open(self.path, "rb") as file:
            for row, variant in enumerate(range(variants.start, variants.stop)):
                file.seek(self.genotype_start[variant])
                stored = file.read(self.genotype_bytes[variant])
                self._decode(variant, stored, codes[row])
        return codes

    def _decode(self, variant: int, stored: bytes, codes: NDArray) -> None:
        content = self._unpacked(variant, stored)
        people = len(self.sample_id)
        if len(content) < 10 + people:
            raise self._wrong(variant, "are too short")
        n, alleles, least, most = struct.unpack_from("<IHBB", content)
        if n != people or alleles != 2:
            raise self._wrong(variant, f"are of {n:,} people and {alleles} alleles")
        if not least <= most <= 2:
            raise self._wrong(variant, f"have a ploidy of {least} to {most}; 0 to 2 are read")
        ploidy = np.frombuffer(content, np.uint8, people, 8)
        phased, bits = content[8 + people], content[9 + people]
        if phased > 1 or not 1 <= bits <= 32:
            raise self._wrong(variant, f"have {bits} bits a probability, and phase {phased}")
        probabilities = np.frombuffer(content, np.uint8, offset=10 + people)
        numbers = int((ploidy & ~np.uint8(_MISSING_PERSON)).sum(dtype=np.int64))
        if probabilities.size != -(-numbers * bits // 8):
            raise self._wrong(variant, f"have {probabilities.size:,} bytes of probabilities")
        what = fill_dosages(ploidy, probabilities, bits, bool(phased), self.first_is_ref, codes)
        if what:
            raise self._wrong(variant, WRONG[what])

    def _unpacked(self, variant: int, stored: bytes) -> bytes:
        size = int(self.unpacked_bytes[variant])
        if len(stored) != self.genotype_bytes[variant]:
            raise self._wrong(variant, "are cut short")
        if self.compression == _UNCOMPRESSED:
            return stored
        try:
            if self.compression == _ZLIB:
                # One byte more than there should be, so that a longer one is told apart.
                stream = zlib.decompressobj()
                content = stream.decompress(stored, size + 1)
                ends = stream.eof  # and its checksum was compared
            else:
                content, ends = bytes(numcodecs.zstd.decompress(stored)), True
        except Exception as error:  # zstd's reasons have many types
            raise self._wrong(variant, "cannot be decompressed") from error
        if len(content) != size or not ends:
            raise self._wrong(variant, f"are not the {size:,} bytes that they should be")
        return content

    def _wrong(self, variant: int, what: str) -> SourceError:
        return _wrong(self.path, self.variants.iloc[variant], what)


class BgenCalls:
    """The kept people of a BGEN file: `pack` writes their hard calls, and gives their dosages.

    Parameters
    ----------
    root : zarr.Group
        The store, which has everything but the arrays of `calls.GENOTYPE_ARRAYS`.
    schema : bio2zarr.vcz.VcfZarrSchema
        What these arrays are.
    file : BgenFile
    keep : int64 array
        Positions of the people to write.
    """

    def __init__(self, root: Any, schema: Any, file: BgenFile, keep: NDArray) -> None:
        self._file = file
        self._keep = None if keep.size == len(file.sample_id) else keep
        self._arrays = CallArrays(root, schema, keep.size)

    @property
    def imputed(self) -> bool:
        """A BGEN file has nothing else."""
        return True

    def pack(self, variants: slice, n_alts: NDArray) -> PackedStep:
        """Write the hard calls of some variants, and pack them."""
        codes = self._file.codes(variants)
        if self._keep is not None:
            codes = np.ascontiguousarray(codes[:, self._keep])
        calls = hard_calls(codes)
        digest = hashlib.sha256()
        for some in self._arrays.slices:
            alleles = _ALLELES[calls[:, some]]
            digest.update(alleles.data)
            self._arrays.write_alleles(variants, some, alleles)
            self._arrays.write_mask(variants, some, alleles < 0)
        return PackedStep(pack(calls), digest.digest(), codes)


def _wrong(path: Path, variant: pd.Series, what: str) -> SourceError:
    return SourceError(
        f"{path}: the genotypes of {variant.variant_id} at {variant.contig}:{variant.position} "
        f"{what}; check the file with `plink2 --bgen {path.name} ref-first --validate`."
    )


def open_bgen(path: Path, sample_file: Path | None = None, first_is_ref: bool = True) -> BgenFile:
    """Read the header, the people and the list of variants of a BGEN file.

    Parameters
    ----------
    path : path
    sample_file : path, optional
        The people, where the file does not name them; ``NAME.sample`` beside ``NAME.bgen`` if it
        exists and the file does not name them.
    first_is_ref : bool
        The first allele of each variant is REF; else the second is. The format does not say.

    Raises
    ------
    SourceError
        If the file is damaged, of layout 1, or has variants that are not biallelic; or nobody names
        its people.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such file.")
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty; copy the file again.")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return _read(path, content, sample_file, first_is_ref)
        except (struct.error, IndexError):
            raise SourceError(f"{path} is cut short; copy the file again.") from None
        except UnicodeDecodeError:
            raise SourceError(f"{path} is damaged: names are not UTF-8; copy it again.") from None


def _read(path: Path, content: mmap.mmap, sample_file: Path | None, first_is_ref: bool) -> BgenFile:
    offset, header, variants, people, magic = struct.unpack_from("<4I4s", content)
    if magic not in (b"bgen", b"\0\0\0\0") or header < 20 or offset < header:
        raise SourceError(f"{path} is not a BGEN file.")
    (flags,) = struct.unpack_from("<I", content, header)
    compression, layout = flags & 3, flags >> 2 & 15
    if layout != 2:
        raise SourceError(
            f"{path} is a BGEN file of layout {layout}, and only layout 2 is read; convert it with "
            f"`plink2 --bgen {path.name} ref-first --export bgen-1.2 bits=16 ref-first`."
        )
    if compression > _ZSTD:
        raise SourceError(f"{path} is compressed in an unknown way ({compression}).")
    if not people or not variants:
        raise SourceError(f"{path} has {people:,} people and {variants:,} variants.")
    named = flags >> 31
    beside = path.with_suffix(".sample")
    if sample_file is None and not named:
        if not beside.is_file():
            raise SourceError(f"{path} does not name its people; give its .sample file.")
        sample_file = beside
    if sample_file is not None:
        sample_id, sex = read_sample_file(sample_file)
    else:
        sample_id = _named_people(path, content, 4 + header)
        sex = ["0"] * len(sample_id)
    if len(sample_id) != people:
        raise SourceError(
            f"{sample_file or path} names {len(sample_id):,} people, but {path.name} has "
            f"{people:,}; give its own .sample file."
        )
    table, places = _read_variants(path, content, 4 + offset, variants, compression, people)
    names = ["reference", "alternate"]
    table.columns = [*table.columns[:3], *(names if first_is_ref else names[::-1])]
    return BgenFile(path, compression, first_is_ref, sample_id, sex, table, *places)


def _named_people(path: Path, content: mmap.mmap, start: int) -> list[str]:
    _, number = struct.unpack_from("<II", content, start)
    names, start = [], start + 8
    if number > len(content):
        raise SourceError(f"{path} is cut short; copy the file again.")
    for _ in range(number):
        name, start = _text(content, start, "<H")
        names.append(name)
    return names


def _text(content: mmap.mmap, start: int, length: str) -> tuple[str, int]:
    """Some text after its length, and where it ends."""
    (size,) = struct.unpack_from(length, content, start)
    start += struct.calcsize(length)
    if start + size > len(content):
        raise IndexError
    return content[start : start + size].decode(), start + size


def _read_variants(
    path: Path, content: mmap.mmap, start: int, number: int, compression: int, people: int
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Go from variant to variant, past the genotypes of each, whose places are (3, variants)."""
    columns: dict[str, list] = {
        name: [] for name in ("contig", "position", "variant_id", "first", "second")
    }
    if number > len(content):
        raise IndexError
    places = np.empty((3, number), dtype=np.int64)
    starts, stored, unpacked = places
    # At most eight bytes a probability, two for each person: a size beyond that is a damaged one.
    most = 10 + 9 * people
    for variant in range(number):
        name, start = _text(content, start, "<H")
        rsid, start = _text(content, start, "<H")
        contig, start = _text(content, start, "<H")
        position, alleles = struct.unpack_from("<IH", content, start)
        start += 6
        texts = []
        for _ in range(alleles):
            allele, start = _text(content, start, "<I")
            texts.append(allele)
        chosen = rsid if rsid not in ("", ".") else name
        if alleles != 2:
            raise SourceError(
                f"{path}: {chosen} at {contig}:{position} has {alleles} alleles; split such "
                "variants first (`bcftools norm -m -any` before the conversion to BGEN)."
            )
        (size,) = struct.unpack_from("<I", content, start)
        starts[variant], stored[variant], unpacked[variant] = start + 4, size, size
        if compression != _UNCOMPRESSED:
            (unpacked[variant],) = struct.unpack_from("<I", content, start + 4)
            starts[variant], stored[variant] = start + 8, size - 4
        start += 4 + size
        if start > len(content) or stored[variant] < 0:
            raise SourceError(
                f"{path} is cut short or damaged at variant {variant + 1:,} of {number:,}, "
                f"{chosen}; copy the file again."
            )
        if unpacked[variant] > most or position > 2**31 - 1:
            raise SourceError(
                f"{path} is damaged at variant {variant + 1:,}, {chosen}; copy the file again."
            )
        values = (_contig(path, contig, chosen), position, chosen or ".", *texts)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return pd.DataFrame(columns).astype({"position": "int32"}), places


def _contig(path: Path, contig: str, variant: str) -> str:
    """Contigs as UK Biobank writes them, 01 to 09, as everybody else does."""
    if not contig or contig == "NA":
        raise SourceError(f"{path}: {variant} names no contig; write it with one.")
    return contig[1:] if len(contig) == 2 and contig[0] == "0" else contig
