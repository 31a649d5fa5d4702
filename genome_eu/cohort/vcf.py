"""VCF and BCF files: checked, stripped of fields that nobody asks for, then offered to bio2zarr."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort.genome import header_contig_lengths
from genome_eu.cohort.samples import check_unique
from genome_eu.errors import SourceError

# Genotypes and, where the source was imputed, dosages; everything else is for other tools.
_FORMAT_FIELDS = frozenset({"GT", "DS"})
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BGZF_HEADER = struct.Struct("<4BI2BH2BHH")
# The exploded columns live for minutes; zstd, the default, took a third of the time of an import.
_EXPLODED_COMPRESSOR = numcodecs.Blosc("lz4", clevel=1, shuffle=numcodecs.Blosc.NOSHUFFLE)


@dataclass(frozen=True)
class VcfHeader:
    """What a VCF says about itself."""

    sample_id: list[str]
    contig_lengths: dict[str, int]


def open_vcf(source: Path, show_progress: bool = False) -> VcfHeader:
    """Check a VCF or BCF from end to end, and read its header.

    Raises
    ------
    SourceError
        If the file is not compressed by bgzip, has no index, is damaged or cut short, or has no
        people, genotypes or variants.
    SampleError
        If it names a person twice.
    """
    _check_bgzf(source, show_progress)
    if not any(_index_path(source, suffix).is_file() for suffix in (".tbi", ".csi")):
        raise SourceError(f"{source} has no index; make one with `{_index_command(source)}`.")

    import cyvcf2

    try:
        vcf = cyvcf2.VCF(str(source))
    except Exception as error:  # htslib's reasons go to stderr, whatever the type
        check_unique(source.name, _text_header_people(source))
        raise SourceError(
            f"{source} cannot be opened as VCF or BCF ({_first_line(error)}); check it with "
            f"`bcftools view -h {source.name}`."
        ) from error
    with closing(vcf):
        header = vcf.raw_header
        sample_id = list(vcf.samples)
        formats = {h["ID"] for h in vcf.header_iter() if h["HeaderType"] == "FORMAT"}
        if not sample_id:
            raise SourceError(f"{source} has no people, only sites; import a VCF with genotypes.")
        if "GT" not in formats:
            raise SourceError(f"{source} has no GT field in its header; import hard calls.")
        if next(vcf, None) is None:
            raise SourceError(f"{source} has no variants that can be read.")
    return VcfHeader(sample_id, header_contig_lengths(header))


def explode_vcf(source: Path, exploded: Path, show_progress: bool = False) -> None:
    """Write the fixed columns, GT and DS of a VCF as bio2zarr's intermediate columns.

    Raises
    ------
    SourceError
        If the file has another number of variants than its index says.
    """
    from bio2zarr import vcf

    summary = vcf.explode_init(exploded, [source], compressor=_EXPLODED_COMPRESSOR)
    metadata_path = exploded / "wip" / "metadata.json"
    metadata = json.loads(metadata_path.read_text())
    metadata["fields"] = [
        field
        for field in metadata["fields"]
        if field["category"] == "fixed"
        or (field["category"] == "FORMAT" and field["name"] in _FORMAT_FIELDS)
    ]
    metadata_path.write_text(json.dumps(metadata))
    # Zero workers: spawned ones would import the caller's script again.
    writer = vcf.IntermediateColumnarFormatWriter(exploded)
    writer.explode(worker_processes=0, show_progress=show_progress)
    found = sum(part.num_records for part in writer.load_partition_summaries())
    if not np.isfinite(summary.num_variants):
        raise SourceError(
            f"{source} has an index that does not count its variants; make a new one with "
            f"`{_index_command(source)}`."
        )
    if found != summary.num_variants:
        raise SourceError(
            f"{source} has {found:,} readable variants, but its index lists "
            f"{summary.num_variants:,}; the file is damaged or was changed. Copy it again and run "
            f"`{_index_command(source)}`."
        )
    writer.finalise()


def vcf_encoding_source(exploded: Path, keep: NDArray) -> Any:
    """A bio2zarr source of the people in `keep` only, so that nobody else is ever written.

    Parameters
    ----------
    exploded : path
        What `explode_vcf` wrote.
    keep : int64 array
        Positions of the people to encode.
    """
    from bio2zarr import vcf

    class KeptPeople(vcf.IntermediateColumnarFormat):
        def __init__(self) -> None:
            super().__init__(exploded)
            self.exploded_people = len(self.metadata.samples)
            self.metadata.samples = [self.metadata.samples[j] for j in keep]

        @property
        def root_attrs(self) -> dict:
            attrs = super().root_attrs
            if len(keep) < self.exploded_people:
                # These header lines name people.
                attrs["vcf_meta_information"] = [
                    (key, value)
                    for key, value in attrs["vcf_meta_information"]
                    if key.lower() not in ("sample", "pedigree", "pedigreedb")
                ]
            return attrs

        def iter_genotypes(self, shape: tuple, start: int, stop: int) -> Any:
            everybody = (self.exploded_people, *shape[1:])
            for genotypes, phased in super().iter_genotypes(everybody, start, stop):
                yield genotypes[keep], phased[keep]

        def iter_field(self, field_name: str, shape: tuple, *args: Any) -> Any:
            if not field_name.startswith("FORMAT/"):
                yield from super().iter_field(field_name, shape, *args)
                return
            everybody = (self.exploded_people, *shape[1:])
            for values in super().iter_field(field_name, everybody, *args):
                yield values[keep]

    return KeptPeople()


def _check_bgzf(source: Path, show_progress: bool) -> None:
    """Walk the compressed blocks and check each one.

    htslib's iterators end quietly at a damaged block, and a record count cannot tell a damaged
    block from a wrong index.
    """
    import tqdm

    size = source.stat().st_size
    with (
        open(source, "rb") as file,
        tqdm.tqdm(
            total=size, desc="   Check", unit="B", unit_scale=True, disable=not show_progress
        ) as bar,
    ):
        start = file.read(5)
        file.seek(0)
        _check_kind(source, start)
        offset = 0
        end = b""
        while header := file.read(_BGZF_HEADER.size):
            block_size = _block_size(source, header, offset)
            end = header + file.read(block_size - len(header))
            if len(end) < block_size:
                raise SourceError(
                    f"{source} is cut short: its last block, at byte {offset:,}, is incomplete. "
                    "Copy the file again."
                )
            _check_block(source, end, offset)
            offset += block_size
            bar.update(block_size)
        if end != _BGZF_END:
            raise SourceError(
                f"{source} is cut short: it has no end-of-file block after byte {offset:,}. "
                "Copy the file again."
            )


def _check_kind(source: Path, start: bytes) -> None:
    if start.startswith(b"BCF"):
        raise SourceError(
            f"{source} is not compressed; run `bcftools view -Ob -o NEW.bcf {source.name} && "
            "bcftools index NEW.bcf`."
        )
    if start.startswith(b"##"):
        raise SourceError(
            f"{source} is not compressed; run `bgzip {source.name} && "
            f"tabix -p vcf {source.name}.gz`."
        )
    if not start.startswith(b"\x1f\x8b"):
        raise SourceError(
            f"{source} is neither VCF, BCF, PLINK nor BGEN; give a .vcf.gz, .bcf, .bed or .bgen "
            "file."
        )
    if start[3:4] != b"\x04":
        bare = source.name.removesuffix(".gz")
        raise SourceError(
            f"{source} is compressed by gzip; run `gunzip {source.name} && bgzip {bare} && "
            f"tabix -p vcf {bare}.gz`."
        )


def _block_size(source: Path, header: bytes, offset: int) -> int:
    if len(header) == _BGZF_HEADER.size:
        id1, id2, method, flags, *_, si1, si2, length, size = _BGZF_HEADER.unpack(header)
        bgzf = (id1, id2, method, flags, si1, si2, length) == (31, 139, 8, 4, 66, 67, 2)
        if bgzf and size + 1 > len(header) + 8:
            return size + 1
    raise _damaged(source, offset)


def _check_block(source: Path, block: bytes, offset: int) -> None:
    crc, length = struct.unpack("<2I", block[-8:])
    try:
        content = zlib.decompress(block[_BGZF_HEADER.size : -8], wbits=-15, bufsize=1 << 16)
    except zlib.error:
        raise _damaged(source, offset) from None
    if len(content) != length or zlib.crc32(content) != crc:
        raise _damaged(source, offset)


def _damaged(source: Path, offset: int) -> SourceError:
    return SourceError(f"{source} is damaged at byte {offset:,}; copy the file again.")


def _text_header_people(source: Path) -> list[str]:
    """People in the #CHROM line of a VCF whose header htslib refuses; none for a BCF."""
    with gzip.open(source, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("#CHROM"):
                return line.rstrip("\r\n").split("\t")[9:]
            if not line.startswith("##"):
                break
    return []


def _index_path(source: Path, suffix: str) -> Path:
    return source.with_name(source.name + suffix)


def _index_command(source: Path) -> str:
    if source.suffix == ".bcf":
        return f"bcftools index {source.name}"
    return f"tabix -p vcf {source.name}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
