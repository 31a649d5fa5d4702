"""Small genotype files for tests: bgzipped and indexed VCF, and PLINK 1 filesets.

Written here in a few lines each, so that the tests need neither bgzip nor tabix nor PLINK.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

HEADER = """##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="All filters passed">
##contig=<ID=chr21,length={chr21}>
##contig=<ID=chr22,length={chr22}>
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dosage">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Depths">
##SAMPLE=<ID=P0,Description="a person">
"""
GRCH37 = {"chr21": 48129895, "chr22": 51304566}
GRCH38 = {"chr21": 46709983, "chr22": 50818468}


def write_vcf(
    path: Path,
    people: list[str],
    records: list[tuple],
    *,
    header: str | None = None,
    index: bool = True,
    block: int = 400,
) -> Path:
    """Write a bgzipped VCF and its .tbi index.

    A record is (contig, position, id, ref, alt, *genotypes); genotypes may carry ":DS:AD" values.
    `block` is the number of bytes that are compressed together.
    """
    if header is None:
        header = HEADER.format(**GRCH37)
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    columns += ["FORMAT", *people] if people else []
    text = (header + "\t".join(columns) + "\n").encode()
    starts = []
    for contig, position, name, ref, alt, *calls in records:
        starts.append(len(text))
        fields = [contig, str(position), name, ref, alt, ".", "PASS", "DP=7"]
        fields += ["GT:DS:AD"] if people else []
        text += ("\t".join(fields + [str(call) for call in calls]) + "\n").encode()
    starts.append(len(text))
    compressed, block_starts = _bgzf(text, block)
    path.write_bytes(compressed)
    if index:
        offsets = [block_starts[start // block] << 16 | start % block for start in starts]
        path.with_name(path.name + ".tbi").write_bytes(_tbi(records, offsets))
    return path


def write_plink(
    prefix: Path,
    people: list[tuple[str, str, int]],
    variants: list[tuple[str, str, int, str, str]],
    dosage: np.ndarray,
) -> Path:
    """Write a PLINK fileset and return its .bed path.

    People are (FID, IID, sex); variants (contig, id, position, A1, A2); `dosage`
    (variants, people) counts A1, with -1 for missing.
    """
    fam = "".join(f"{fid} {iid} 0 0 {sex} -9\n" for fid, iid, sex in people)
    prefix.with_name(prefix.name + ".fam").write_text(fam)
    bim = "".join(f"{c}\t{name}\t0\t{pos}\t{a1}\t{a2}\n" for c, name, pos, a1, a2 in variants)
    prefix.with_name(prefix.name + ".bim").write_text(bim)
    codes = np.array([3, 2, 0, 1], dtype=np.uint8)[dosage]  # -1 takes the last, missing
    codes = np.pad(codes, ((0, 0), (0, -codes.shape[1] % 4)))
    packed = sum(codes[:, shift::4] << (2 * shift) for shift in range(4)).astype(np.uint8)
    bed = prefix.with_name(prefix.name + ".bed")
    bed.write_bytes(b"\x6c\x1b\x01" + packed.tobytes())
    return bed


def _bgzf(content: bytes, block: int) -> tuple[bytes, list[int]]:
    out = b""
    starts = []
    for first in range(0, len(content) + 1, block):
        starts.append(len(out))
        piece = content[first : first + block]
        if piece:
            out += _bgzf_block(piece)
    return out + BGZF_END, starts


def _bgzf_block(piece: bytes) -> bytes:
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
    deflated = squeeze.compress(piece) + squeeze.flush()
    head = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(deflated) + 25)
    return head + deflated + struct.pack("<2I", zlib.crc32(piece), len(piece))


def _tbi(records: list[tuple], offsets: list[int]) -> bytes:
    contigs = list(dict.fromkeys(record[0] for record in records))
    names = b"".join(name.encode() + b"\0" for name in contigs)
    out = b"TBI\1" + struct.pack("<8i", len(contigs), 2, 1, 2, 0, ord("#"), 0, len(names)) + names
    for contig in contigs:
        mine = [j for j, record in enumerate(records) if record[0] == contig]
        bins: dict[int, list[tuple[int, int]]] = {}
        linear: dict[int, int] = {}
        for j in mine:
            start = records[j][1] - 1
            stop = start + len(records[j][3])
            bins.setdefault(_bin(start, stop), []).append((offsets[j], offsets[j + 1]))
            for window in range(start >> 14, (stop - 1 >> 14) + 1):
                linear.setdefault(window, offsets[j])
        bins[37450] = [(offsets[mine[0]], offsets[mine[-1] + 1]), (len(mine), 0)]
        out += struct.pack("<i", len(bins))
        for number, chunks in bins.items():
            out += struct.pack("<Ii", number, len(chunks))
            out += b"".join(struct.pack("<2Q", *chunk) for chunk in chunks)
        windows = max(linear) + 1
        filled = []
        for window in range(windows):
            filled.append(linear.get(window, filled[-1] if filled else 0))
        out += struct.pack(f"<i{windows}Q", windows, *filled)
    return _bgzf(out, 60000)[0]


def _bin(start: int, stop: int) -> int:
    stop -= 1
    for shift, first in ((14, 4681), (17, 585), (20, 73), (23, 9), (26, 1)):
        if start >> shift == stop >> shift:
            return first + (start >> shift)
    return 0
