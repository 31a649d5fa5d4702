"""Pairs of people, and each person's genotypes, counted on codes transposed to people x rows."""

from __future__ import annotations

import numpy as np

from genome_eu.compiled import compiled, popcount
from genome_eu.kernels.block import PairCounts
from genome_eu.kernels.cpu.counts import count_everybody
from genome_eu.kernels.cpu.counts import counts as count_rows
from genome_eu.kernels.cpu.pairs import bit_planes
from genome_eu.kernels.cpu.products import transpose
from genome_eu.kernels.packed import PEOPLE_PER_BYTE

Array = np.ndarray

# Words of a plane, and people on either side, that stay in the near caches: 12 kB a person of one
# side, of which two are in use, and 200 kB of the other.
_WORDS = 128
_FIRST_TILE = 16
_OTHER_TILE = 64


def rcounts(packed: Array, people: int, groups: Array, n_groups: int) -> Array:
    """Genotype counts per person and group of rows; int64, shape (people, n_groups, 4)."""
    return count_rows(transpose(packed, people), len(packed), groups, n_groups)


def pair_counts(packed: Array, people: int, first: range, others: range) -> PairCounts:
    """Counts over the rows called in both people of each pair, one of `first`, one of `others`.

    Rows without a missing call need two populations per pair, others five.
    """
    same = first == others
    mine = _columns(packed, first)
    theirs = mine if same else _columns(packed, others)
    incomplete = count_everybody(mine)[:, 2] > 0
    if not same:
        incomplete |= count_everybody(theirs)[:, 2] > 0
    # Two people at a time on either side: an odd one has a neighbour of zeros, cut off below.
    result = np.zeros((5, len(first) + len(first) % 2, len(others) + len(others) % 2), np.int64)
    for rows, complete in ((incomplete, False), (~incomplete, True)):
        if rows.any():
            planes = _planes(mine, first, rows)
            other_planes = planes if same else _planes(theirs, others, rows)
            _fill_pairs(planes, other_planes, same, complete, result)
            if complete:
                _fill_complete(planes, other_planes, int(rows.sum()), result)
    if same:
        _mirror(result)
    return PairCounts(*result[:, : len(first), : len(others)])


def _columns(packed: Array, chosen: range) -> Array:
    """The bytes that hold these people, and up to three neighbours on either side."""
    last = -(-chosen.stop // PEOPLE_PER_BYTE)
    return np.ascontiguousarray(packed[:, chosen.start // PEOPLE_PER_BYTE : last])


def _planes(columns: Array, chosen: range, rows: Array) -> Array:
    """Bit planes of people, one bit a row: heterozygous, homozygous for the ALT, called.

    uint64, shape (3, people, words), of the `rows` chosen; a person without calls is added to an
    odd number of people.
    """
    skipped = chosen.start % PEOPLE_PER_BYTE
    columns = columns if rows.all() else columns[rows]
    codes = transpose(columns, skipped + len(chosen))[skipped:]
    planes = np.stack(bit_planes(codes, np.ones(int(rows.sum()), dtype=bool)))
    return np.pad(planes, ((0, 0), (0, len(chosen) % 2), (0, 0)))


@compiled
def _fill_pairs(first: Array, others: Array, same: bool, complete: bool, result: Array) -> None:
    """Add to the fields of `PairCounts`, a tile of people by a tile of people.

    Where both sides are the `same`, pairs below the diagonal are left to `_mirror`. On `complete`
    rows only ``ibs0`` and ``het_het`` are counted; the others follow from totals.
    """
    _, n_first, n_words = first.shape
    n_others = others.shape[1]
    for top in range(0, n_first, _FIRST_TILE):
        for left in range(0, n_others, _OTHER_TILE):
            for start in range(0, n_words, _WORDS):
                stop = min(start + _WORDS, n_words)
                for i in range(top, min(top + _FIRST_TILE, n_first), 2):
                    begin = max(left, i) if same else left
                    for j in range(begin, min(left + _OTHER_TILE, n_others), 2):
                        if complete:
                            _add_four_complete(first, others, i, j, start, stop, result)
                        else:
                            _add_four(first, others, i, j, start, stop, result)


@compiled
def _add_four(
    first: Array, others: Array, i: int, j: int, start: int, stop: int, result: Array
) -> None:
    """All fields of the pairs of two people and two others.

    Every word that is read serves two pairs, and the twenty sums stay in registers.
    """
    het_a, alt_a, call_a = first[0, i, start:stop], first[1, i, start:stop], first[2, i, start:stop]
    het_b, alt_b = first[0, i + 1, start:stop], first[1, i + 1, start:stop]
    call_b = first[2, i + 1, start:stop]
    het_c, alt_c = others[0, j, start:stop], others[1, j, start:stop]
    call_c = others[2, j, start:stop]
    het_d, alt_d = others[0, j + 1, start:stop], others[1, j + 1, start:stop]
    call_d = others[2, j + 1, start:stop]
    n_ac = n_ad = n_bc = n_bd = np.uint64(0)
    ibs0_ac = ibs0_ad = ibs0_bc = ibs0_bd = np.uint64(0)
    both_ac = both_ad = both_bc = both_bd = np.uint64(0)
    first_ac = first_ad = first_bc = first_bd = np.uint64(0)
    other_ac = other_ad = other_bc = other_bd = np.uint64(0)
    for word in range(len(het_a)):
        ha, aa, ca = het_a[word], alt_a[word], call_a[word]
        hb, ab, cb = het_b[word], alt_b[word], call_b[word]
        hc, ac, cc = het_c[word], alt_c[word], call_c[word]
        hd, ad, cd = het_d[word], alt_d[word], call_d[word]
        n_ac += popcount(ca & cc)
        n_ad += popcount(ca & cd)
        n_bc += popcount(cb & cc)
        n_bd += popcount(cb & cd)
        ibs0_ac += popcount((aa ^ ac) & ca & cc & ~ha & ~hc)
        ibs0_ad += popcount((aa ^ ad) & ca & cd & ~ha & ~hd)
        ibs0_bc += popcount((ab ^ ac) & cb & cc & ~hb & ~hc)
        ibs0_bd += popcount((ab ^ ad) & cb & cd & ~hb & ~hd)
        both_ac += popcount(ha & hc)
        both_ad += popcount(ha & hd)
        both_bc += popcount(hb & hc)
        both_bd += popcount(hb & hd)
        first_ac += popcount(ha & cc)
        first_ad += popcount(ha & cd)
        first_bc += popcount(hb & cc)
        first_bd += popcount(hb & cd)
        other_ac += popcount(ca & hc)
        other_ad += popcount(ca & hd)
        other_bc += popcount(cb & hc)
        other_bd += popcount(cb & hd)
    _add_square(result[0], i, j, n_ac, n_ad, n_bc, n_bd)
    _add_square(result[1], i, j, ibs0_ac, ibs0_ad, ibs0_bc, ibs0_bd)
    _add_square(result[2], i, j, both_ac, both_ad, both_bc, both_bd)
    _add_square(result[3], i, j, first_ac, first_ad, first_bc, first_bd)
    _add_square(result[4], i, j, other_ac, other_ad, other_bc, other_bd)


@compiled
def _add_four_complete(
    first: Array, others: Array, i: int, j: int, start: int, stop: int, result: Array
) -> None:
    """``ibs0`` and ``het_het`` of the same four pairs, on rows that everybody is called in."""
    het_a, alt_a = first[0, i, start:stop], first[1, i, start:stop]
    het_b, alt_b = first[0, i + 1, start:stop], first[1, i + 1, start:stop]
    het_c, alt_c = others[0, j, start:stop], others[1, j, start:stop]
    het_d, alt_d = others[0, j + 1, start:stop], others[1, j + 1, start:stop]
    ibs0_ac = ibs0_ad = ibs0_bc = ibs0_bd = np.uint64(0)
    both_ac = both_ad = both_bc = both_bd = np.uint64(0)
    for word in range(len(het_a)):
        ha, aa = het_a[word], alt_a[word]
        hb, ab = het_b[word], alt_b[word]
        hc, ac = het_c[word], alt_c[word]
        hd, ad = het_d[word], alt_d[word]
        ibs0_ac += popcount((aa ^ ac) & ~ha & ~hc)
        ibs0_ad += popcount((aa ^ ad) & ~ha & ~hd)
        ibs0_bc += popcount((ab ^ ac) & ~hb & ~hc)
        ibs0_bd += popcount((ab ^ ad) & ~hb & ~hd)
        both_ac += popcount(ha & hc)
        both_ad += popcount(ha & hd)
        both_bc += popcount(hb & hc)
        both_bd += popcount(hb & hd)
    _add_square(result[1], i, j, ibs0_ac, ibs0_ad, ibs0_bc, ibs0_bd)
    _add_square(result[2], i, j, both_ac, both_ad, both_bc, both_bd)


@compiled
def _add_square(
    field: Array, i: int, j: int, ac: np.uint64, ad: np.uint64, bc: np.uint64, bd: np.uint64
) -> None:
    field[i, j] += np.int64(ac)
    field[i, j + 1] += np.int64(ad)
    field[i + 1, j] += np.int64(bc)
    field[i + 1, j + 1] += np.int64(bd)


def _fill_complete(first: Array, others: Array, rows: int, result: Array) -> None:
    """What `_fill_pairs` leaves out of complete rows: each person has the same calls with all."""
    result[0] += rows
    result[3] += np.bitwise_count(first[0]).sum(axis=1, dtype=np.int64)[:, np.newaxis]
    result[4] += np.bitwise_count(others[0]).sum(axis=1, dtype=np.int64)


@compiled
def _mirror(result: Array) -> None:
    """Fill below the diagonal from above it; ``het`` there is ``het_other`` here."""
    for i in range(result.shape[1]):
        for j in range(i):
            for field in range(3):
                result[field, i, j] = result[field, j, i]
            result[3, i, j] = result[4, j, i]
            result[4, i, j] = result[3, j, i]
