"""The same variant in several studies: one effect allele, whatever order or strand each used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import UsageError

_LETTER = {"1": "A", "2": "C", "3": "G", "4": "T"}
_OTHER_STRAND = {"A": "T", "C": "G", "G": "C", "T": "A"}
# Pairs of letters in order, as they are called; the others are these on the other strand.
_CALLED = {("A", "C"), ("A", "G"), ("A", "T"), ("C", "G")}
_PALINDROMIC = {("A", "T"), ("C", "G")}


@dataclass(frozen=True, eq=False)
class Study:
    """Summary statistics of one study, all arrays of shape (rows,); NaN where not known.

    `key` is what names a variant in every study: an rs number, or what `keys_by_position` gives.
    `contig` ("" where not known) and `position` (0 where not known) go along. `beta` is the effect
    of each copy of `effect_allele`; where only its sign is known, any number of that sign (−0.0 is
    negative, 0 positive, as in METAL).
    """

    name: str
    key: NDArray  # str
    contig: NDArray  # str
    position: NDArray  # int64
    effect_allele: NDArray  # str
    other_allele: NDArray  # str
    beta: NDArray
    se: NDArray
    neg_log10_p: NDArray
    n: NDArray
    frequency: NDArray  # of the effect allele

    @property
    def rows(self) -> int:
        """Rows of the study."""
        return len(self.key)

    def select(self, rows: NDArray) -> Study:
        """Some rows of the study, by a mask or by their numbers."""
        arrays = [item.name for item in fields(self) if item.name != "name"]
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})


@dataclass(frozen=True, eq=False)
class Aligned:
    """Variants over studies, in the order in which they first appear.

    Alleles are those of the first study that has the variant. `place` is the row of a study that
    speaks of a variant, −1 where none does; `sign` is −1 where its effect is of the other allele.
    `left_out` counts rows of each study by what happened to them.
    """

    key: NDArray  # str (variants,)
    contig: NDArray
    position: NDArray
    effect_allele: NDArray
    other_allele: NDArray
    place: NDArray  # int64 (studies, variants)
    sign: NDArray  # float64 (studies, variants), 0 where absent
    left_out: dict[str, dict[str, int]]

    def gather(self, columns: Sequence[NDArray], *, signed: bool = False) -> NDArray:
        """A column of each study by variant, float64 (studies, variants); NaN where absent."""
        found = np.full(self.place.shape, np.nan)
        for line, place, column in zip(found, self.place, columns, strict=True):
            line[place >= 0] = column[place[place >= 0]]
        return found * self.sign if signed else found


def align(studies: Sequence[Study], *, palindromic: str = "keep") -> Aligned:
    """Match variants by key and alleles.

    Parameters
    ----------
    studies : sequence of Study
        Rows that can be used, in the order that decides whose alleles are named.
    palindromic : {"keep", "drop"}
        A/T and C/G read the same on both strands: take the letters as they are (METAL), or leave
        such variants out.

    Returns
    -------
    Aligned

    Raises
    ------
    UsageError
        `palindromic` is something else.

    Notes
    -----
    Alleles 1, 2, 3, 4 are A, C, G, T. Two letters that are another study's on the other strand are
    turned; alleles of several letters match as they are, in either order. The first study that has
    a key names its alleles; rows of other alleles are left out and counted, as are all but the
    first usable row of a key.
    """
    if palindromic not in ("keep", "drop"):
        raise UsageError(f"palindromic={palindromic!r}: choose keep or drop")
    keys = np.concatenate([np.asarray(study.key, object) for study in studies])
    number, names = pd.factorize(keys)
    starts = np.cumsum([0, *(study.rows for study in studies)])
    pairs: dict[tuple[str, str], int] = {}

    variants = len(names)
    pair_of = np.full(variants, -1, np.int64)
    turned_first, flipped_first = np.zeros(variants, bool), np.zeros(variants, bool)
    effect, other = np.full(variants, "", object), np.full(variants, "", object)
    contig, position = np.full(variants, "", object), np.zeros(variants, np.int64)
    place = np.full((len(studies), variants), -1, np.int64)
    sign = np.zeros((len(studies), variants))
    left_out: dict[str, dict[str, int]] = {}
    for line, study in enumerate(studies):
        own = number[starts[line] : starts[line + 1]]
        pair, turned, flipped, both_ways = _called(study, pairs)
        usable = (pair >= 0) & (own >= 0)
        if palindromic == "drop":
            usable &= ~both_ways
        new = np.flatnonzero(usable & (pair_of[own] < 0))
        ids, first = np.unique(own[new], return_index=True)
        first = new[first]
        pair_of[ids], turned_first[ids], flipped_first[ids] = (
            pair[first],
            turned[first],
            flipped[first],
        )
        effect[ids], other[ids] = study.effect_allele[first], study.other_allele[first]
        contig[ids], position[ids] = study.contig[first], study.position[first]

        fits = usable & (pair == pair_of[own])
        rows = np.flatnonzero(fits)
        ids, kept = np.unique(own[rows], return_index=True)
        kept = rows[kept]
        place[line, ids] = kept
        sign[line, ids] = np.where(turned[kept] == turned_first[ids], 1.0, -1.0)
        left_out[study.name] = {
            "rows without two alleles": int((pair < 0).sum()),
            "palindromic rows left out": int(both_ways.sum()) if palindromic == "drop" else 0,
            "rows of other alleles": int((usable & ~fits).sum()),
            "repeated rows": int(rows.size - kept.size),
            "effects turned": int((sign[line] < 0).sum()),
            "rows on the other strand": int((flipped[kept] != flipped_first[ids]).sum()),
        }
    named = pair_of >= 0
    return Aligned(
        key=np.asarray(names, object)[named],
        contig=contig[named],
        position=position[named],
        effect_allele=_spelled(effect[named]),
        other_allele=_spelled(other[named]),
        place=place[:, named],
        sign=sign[:, named],
        left_out=left_out,
    )


def _spelled(alleles: NDArray) -> NDArray:
    """Alleles in capital letters; 1 to 4 are A, C, G and T."""
    number, texts = pd.factorize(alleles)
    words = [_LETTER.get(str(text), str(text).upper()) for text in texts]
    return np.array(words, dtype=object)[number]


def keys_by_position(
    contig: NDArray, position: NDArray, effect_allele: NDArray, other_allele: NDArray
) -> NDArray:
    """Keys that are the same for a variant however its alleles are ordered and whatever strand.

    All arrays have shape (rows,); alleles that are no pair have a key of their own position.
    """
    pairs: dict[tuple[str, str], int] = {}
    numbers = _numbered(effect_allele, other_allele, pairs)[0]
    words = np.array([*("/".join(pair) for pair in pairs), "?"], dtype=object)
    parts = zip(contig.tolist(), position.tolist(), words[numbers].tolist(), strict=True)
    keys = np.empty(len(numbers), dtype=object)
    keys[:] = [f"{name}:{place}:{pair}" for name, place, pair in parts]
    return keys


def _called(study: Study, pairs: dict[tuple[str, str], int]) -> tuple[NDArray, ...]:
    """Per row: number of its pair of alleles (−1 for none), and three flags.

    The flags: the effect allele is the second of the pair, the letters are those of the other
    strand, the pair is palindromic. `pairs` numbers pairs over all studies and grows.
    """
    return _numbered(study.effect_allele, study.other_allele, pairs)


def _numbered(
    effect_allele: NDArray, other_allele: NDArray, pairs: dict[tuple[str, str], int]
) -> tuple[NDArray, ...]:
    first, firsts = pd.factorize(np.asarray(effect_allele, object))
    second, seconds = pd.factorize(np.asarray(other_allele, object))
    joint, place = np.unique(first * max(len(seconds), 1) + second, return_inverse=True)
    table = np.full((joint.size, 4), -1, np.int64)
    for line, code in enumerate(joint):
        one, other = divmod(int(code), max(len(seconds), 1))
        found = canonical(str(firsts[one]), str(seconds[other])) if code >= 0 else None
        if found is not None:
            pair, turned, flipped = found
            table[line] = (
                pairs.setdefault(pair, len(pairs)),
                turned,
                flipped,
                pair in _PALINDROMIC,
            )
    table[table[:, 0] < 0, 1:] = 0
    absent = (first < 0) | (second < 0)
    number = np.where(absent, -1, table[place, 0])
    flags = table[place, 1:].astype(bool) & ~absent[:, None]
    return number, *flags.T


def canonical(effect: str, other: str) -> tuple[tuple[str, str], bool, bool] | None:
    """A pair of alleles in order and on one strand, whether it was turned, and whether flipped.

    None where these are not two alleles.
    """
    effect, other = (_LETTER.get(allele, allele.upper()) for allele in (effect, other))
    if not effect or not other or effect == other or {effect, other} & {".", "NA", "#NA", "NAN"}:
        return None
    ordered = (effect, other) if effect < other else (other, effect)
    letters = effect in _OTHER_STRAND and other in _OTHER_STRAND
    if not letters or ordered in _CALLED:
        return ordered, effect != ordered[0], False
    effect, other = _OTHER_STRAND[effect], _OTHER_STRAND[other]
    ordered = (effect, other) if effect < other else (other, effect)
    return ordered, effect != ordered[0], True
