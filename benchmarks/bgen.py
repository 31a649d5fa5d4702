"""A BGEN file of probabilities of 8 bits (layout 2, zlib), written as fast as zlib lets it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

_ZLIB, _LAYOUT, _NAMED = 1, 2 << 2, 1 << 31
_BITS, _MOST = 8, 255
# Of imputed genotypes, those that are not certain, and how much probability they lose on average.
_UNCERTAIN, _LOST = 1 / 3, 24.0


def uncertain(rng: np.random.Generator, dosage: NDArray) -> NDArray[np.uint8]:
    """Numerators of the probabilities of REF/REF and REF/ALT, (rows, people, 2), of dosages.

    A share of the probability goes to the genotype beside the true one. Nobody may lack a call.
    """
    lost = np.minimum(rng.exponential(_LOST, dosage.shape), _MOST / 2).astype(np.uint8)
    lost[rng.random(dosage.shape) > _UNCERTAIN] = 0
    rest = _MOST - lost
    of_ref = np.choose(dosage, [rest, lost // 2, np.uint8(0)])
    of_both = np.choose(dosage, [lost, rest, lost])
    return np.stack([of_ref, of_both], axis=-1).astype(np.uint8)


class Writer:
    """Write variants of two alleles one after the other; people are named in the file."""

    def __init__(self, path: Path, people: Sequence[str], variants: int) -> None:
        self._file = path.open("wb")
        names = b"".join(_text(one) for one in people)
        named = struct.pack("<II", 8 + len(names), len(people)) + names
        flags = _ZLIB | _LAYOUT | _NAMED
        header = struct.pack("<III4sI", 20, variants, len(people), b"bgen", flags)
        self._file.write(struct.pack("<I", len(header) + len(named)) + header + named)
        # Everybody is diploid and called.
        self._head = struct.pack("<IHBB", len(people), 2, 2, 2) + bytes([2]) * len(people)
        self._head += bytes([0, _BITS])

    def append(
        self, contig: str, position: int, name: str, alleles: tuple[str, str], numerators: NDArray
    ) -> None:
        """Add a variant whose first allele is REF; numerators are (people, 2), uint8."""
        about = _text(name) + _text(name) + _text(contig) + struct.pack("<IH", position, 2)
        for allele in alleles:
            about += struct.pack("<I", len(allele)) + allele.encode()
        content = self._head + numerators.tobytes()
        packed = zlib.compress(content, 1)
        self._file.write(about + struct.pack("<II", len(packed) + 4, len(content)) + packed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text)) + text.encode()
