"""Small BGEN files for tests, written here so that the tests need no other program."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numcodecs.zstd
import numpy as np

UNCOMPRESSED, ZLIB, ZSTD = range(3)


@dataclass
class BgenVariant:
    """Numerators (people, 2), as the file holds them; −1 where a person is missing.

    Unphased: of two copies of the first allele and of one; phased: of the first allele on each
    haplotype. Of a haploid, whose `ploidy` is 1, the first counts.
    """

    numerators: np.ndarray
    bits: int = 8
    phased: bool = False
    ploidy: np.ndarray | None = None
    contig: str = "22"
    position: int = 1000
    name: str = "name"
    rsid: str = "rs1"
    alleles: tuple[str, ...] = ("A", "G")
    extra: dict[str, int] = field(default_factory=dict)

    def content(self) -> bytes:
        people = len(self.numerators)
        ploidy = np.full(people, 2) if self.ploidy is None else self.ploidy
        missing = self.numerators[:, 0] < 0
        text = ""
        for pair, copies in zip(
            np.where(missing[:, None], 0, self.numerators), ploidy, strict=True
        ):
            for value in pair[:copies]:
                text = f"{int(value):0{self.bits}b}{text}"
        size = -(-len(text) // 8)
        packed = int(text or "0", 2).to_bytes(size, "little")
        flags = (ploidy | missing * 128).astype(np.uint8).tobytes()
        least = self.extra.get("least", int(ploidy.min()))
        most = self.extra.get("most", int(ploidy.max()))
        head = struct.pack("<IHBB", self.extra.get("people", people), 2, least, most)
        return head + flags + bytes([self.phased, self.bits]) + packed


def write_bgen(
    path: Path,
    variants: list[BgenVariant],
    *,
    people: list[str] | None = None,
    compression: int = ZLIB,
    layout: int = 2,
) -> Path:
    """Write a BGEN file; `people` are named in it unless None."""
    number = len(variants[0].numerators)
    flags = compression | layout << 2 | (people is not None) << 31
    header = struct.pack("<III4sI", 20, len(variants), number, b"bgen", flags)
    named = b""
    if people is not None:
        names = b"".join(struct.pack("<H", len(one)) + one.encode() for one in people)
        named = struct.pack("<II", 8 + len(names), number) + names
    out = struct.pack("<I", len(header) + len(named)) + header + named
    for variant in variants:
        for text in (variant.name, variant.rsid, variant.contig):
            out += struct.pack("<H", len(text)) + text.encode()
        out += struct.pack("<IH", variant.position, len(variant.alleles))
        for allele in variant.alleles:
            out += struct.pack("<I", len(allele)) + allele.encode()
        content = variant.content()
        if compression == UNCOMPRESSED:
            out += struct.pack("<I", len(content)) + content
            continue
        packed = zlib.compress(content) if compression == ZLIB else numcodecs.zstd.compress(content)
        out += struct.pack("<II", len(packed) + 4, len(content)) + bytes(packed)
    path.write_bytes(out)
    return path


def draw(people: int, bits: int, phased: bool, seed: int, missing: float = 0.1) -> np.ndarray:
    """Numerators of any probabilities, the certain ones among them."""
    rng = np.random.default_rng(seed)
    most = 2**bits - 1
    first = rng.integers(0, most, people, endpoint=True)
    second = rng.integers(0, most, people, endpoint=True)
    if not phased:
        second = (second * ((most - first) / most)).astype(np.int64)
    certain = rng.random(people) < 0.3
    first[certain], second[certain] = rng.choice([0, most], certain.sum()), 0
    numerators = np.stack([first, second], axis=1)
    numerators[rng.random(people) < missing] = -1
    return numerators
