"""Alleles as text: minimal representation, and the four ways to write one base change.

A non-palindromic single-base variant can be written with REF and ALT exchanged, on the other
strand, or both, and is still recognized. A palindromic one (A/T, C/G) cannot: on the other strand
it reads as its own swap. Nothing else is recognized in another form: the swap of an insertion is a
deletion, which may well exist beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import PanelError

_BASES = ("A", "C", "G", "T")
_SEQUENCE = re.compile(r"[ACGTN]+", re.IGNORECASE)

# Each of the sixteen ordered pairs of bases, 4·REF + ALT, as the smallest pair that is the same
# variant: itself, exchanged, complemented (the complement of base b is 3 − b), or both.
_PAIR = np.arange(16)
_REF, _ALT = np.divmod(_PAIR, 4)
_FORMS = np.stack([_PAIR, 4 * _ALT + _REF, 4 * (3 - _REF) + 3 - _ALT, 4 * (3 - _ALT) + 3 - _REF])
_AMBIGUOUS = (_REF + _ALT == 3) | (_REF == _ALT)
_SMALLEST = np.where(_AMBIGUOUS, _PAIR, _FORMS.min(axis=0))

#: How one form of a single-base variant reads as another: index by 4·REF + ALT of both.
AS_WRITTEN, EXCHANGED, OTHER_STRAND, BOTH = range(4)
RELATION = np.full((16, 16), -1)
for _relation in (BOTH, OTHER_STRAND, EXCHANGED, AS_WRITTEN):
    RELATION[_PAIR, _FORMS[_relation]] = _relation


def minimal(position: int, ref: str, alt: str) -> tuple[int, str, str]:
    """The shortest way to write a variant: bases that both alleles share at an end are cut.

    The end first, then the start, and each allele keeps at least one base. Left alignment (an
    indel within a repeat can be written at several positions) needs the reference sequence and is
    not done: sources should be left-aligned (`bcftools norm -f`) before they are imported.

    References
    ----------
    Tan, Abecasis & Kang (2015), Bioinformatics 31:2202–2204.
    """
    ref, alt = ref.upper(), alt.upper()
    end = 0
    while end < min(len(ref), len(alt)) - 1 and ref[-1 - end] == alt[-1 - end]:
        end += 1
    ref, alt = ref[: len(ref) - end], alt[: len(alt) - end]
    start = 0
    while start < min(len(ref), len(alt)) - 1 and ref[start] == alt[start]:
        start += 1
    return position + start, ref[start:], alt[start:]


@dataclass(frozen=True, eq=False)
class Forms:
    """Variants of several lists in numbers that are comparable between the lists.

    Each is int64 (rows,): `place` stands for contig and normalized position, `start` for contig
    and position as listed, `form` for place, REF and ALT in minimal representation, `variant` for
    the form or any other that is surely the same variant, `exchanged` for the form with REF and
    ALT exchanged, `anchor` for place and first base of REF. `pair` is 4·REF + ALT of a
    single-base variant, −1 for all others.
    """

    place: NDArray
    start: NDArray
    form: NDArray
    variant: NDArray
    exchanged: NDArray
    anchor: NDArray
    pair: NDArray

    def take(self, places: NDArray) -> Forms:
        """Some of the variants."""
        return Forms(**{name: values[places] for name, values in vars(self).items()})

    @property
    def repeated(self) -> NDArray:
        """Variants that are listed more than once, in whatever form, bool (rows,)."""
        return pd.Index(self.variant).duplicated(keep=False)

    @property
    def palindromic(self) -> NDArray:
        """Single-base variants that read as their own swap on the other strand."""
        return (self.pair >= 0) & _AMBIGUOUS[self.pair]


def forms(lists: list[pd.DataFrame]) -> list[Forms]:
    """Number the variants of lists (columns contig, position, ref, alt)."""
    rows = pd.concat([one[["contig", "position", "ref", "alt"]] for one in lists])
    contig = pd.factorize(rows["contig"].to_numpy(object))[0].astype(np.int64)
    listed = rows["position"].to_numpy(np.int64)
    position, ref, alt, alleles = _alleles(listed, rows["ref"], rows["alt"])

    single = (ref < 4) & (alt < 4) & (ref != alt)
    pair = np.where(single, 4 * ref + alt, -1)
    smallest = np.where(single, _SMALLEST[pair], 0)
    width = len(alleles)
    written = ref * width + alt
    known = np.where(single, smallest // 4 * width + smallest % 4, written)
    numbered, texts = pd.factorize(np.concatenate([written, known, alt * width + ref]))
    written, known, exchanged = numbered.astype(np.int64).reshape(3, -1)

    # Contig and position in one number; positions have ten digits at most.
    start, where = contig << 40 | listed, contig << 40 | position
    place, places = (one.astype(np.int64) for one in pd.factorize(where))
    if len(texts) * max(len(places), 1) >= 2**62:
        raise PanelError("the lists have too many different alleles to join; ask by chromosome")
    firsts = pd.factorize(np.array([text[:1] for text in alleles], dtype=object))[0]
    numbers = Forms(
        place=place,
        start=start,
        form=place * len(texts) + written,
        variant=place * len(texts) + known,
        exchanged=place * len(texts) + exchanged,
        anchor=place * (int(firsts.max(initial=0)) + 1) + firsts[ref],
        pair=pair,
    )
    ends = np.cumsum([len(one) for one in lists])[:-1]
    return [numbers.take(piece) for piece in np.split(np.arange(len(rows)), ends)]


def _alleles(
    position: NDArray, refs: pd.Series, alts: pd.Series
) -> tuple[NDArray, NDArray, NDArray, list[str]]:
    """Positions and allele numbers in minimal representation; A, C, G and T are 0 to 3."""
    raw = np.concatenate([refs.to_numpy(object), alts.to_numpy(object)])
    numbers, texts = pd.factorize(raw)
    sequence = np.array([bool(_SEQUENCE.fullmatch(text)) for text in texts], bool)
    upper = [text.upper() if plain else text for text, plain in zip(texts, sequence, strict=True)]
    ref, alt = numbers.reshape(2, -1)

    # Only where both alleles have several bases is there anything to cut.
    long = sequence & np.array([len(text) > 1 for text in upper], bool)
    uncut = np.flatnonzero(long[ref] & long[alt]) if len(texts) else np.empty(0, np.int64)
    cut = [minimal(int(position[i]), upper[ref[i]], upper[alt[i]]) for i in uncut]

    pieces = [text for _, *both in cut for text in both]
    renumbered, known = pd.factorize(np.array([*_BASES, *upper, *pieces], dtype=object))
    renumbered = renumbered.astype(np.int64)
    first, second = renumbered[4 : 4 + len(upper)], renumbered[4 + len(upper) :]
    ref, alt, position = first[ref], first[alt], position.copy()
    position[uncut] = [start for start, *_ in cut]
    ref[uncut], alt[uncut] = second[::2], second[1::2]
    return position, ref, alt, list(known)
