"""The loop of pruning, and the comparisons that it asks for; see `genome_eu.stats.ld.prune`.

A compiled function calls only compiled functions of its own file (`genome_eu.kernels.cpu`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import compiled, popcount

# Rows that others are compared with at a time, so that what is read of those serves several pairs.
_AHEAD = 8


@compiled
def _h_sums(
    called: NDArray, hom: NDArray, alt: NDArray, a: int, b: int
) -> tuple[np.int64, np.int64]:
    """Sums of h of row b, and of its square, over the people called in row a."""
    homs = np.uint64(0)
    alts = np.uint64(0)
    for word in range(called.shape[1]):
        homs += popcount(called[a, word] & hom[b, word])
        alts += popcount(called[a, word] & alt[b, word])
    return 2 * np.int64(alts) - np.int64(homs), np.int64(homs)


@compiled
def _bits_above(
    a: int,
    b: int,
    hom: NDArray,
    alt: NDArray,
    called: NDArray,
    totals: NDArray,
    people: int,
    limit: float,
) -> bool:
    """Whether r² of two rows, over the people called in both, is above the limit.

    Places are looked up word by word: a slice of a row costs as much as a tenth of its words.
    """
    n, sum_a, square_a = totals[0, a], totals[1, a], totals[2, a]
    sum_b, square_b = totals[1, b], totals[2, b]
    if totals[0, a] < people:
        sum_b, square_b = _h_sums(called, hom, alt, a, b)
    if totals[0, b] < people:
        sum_a, square_a = _h_sums(called, hom, alt, b, a)
        if totals[0, a] < people:
            both_called = np.uint64(0)
            for word in range(called.shape[1]):
                both_called += popcount(called[a, word] & called[b, word])
            n = np.int64(both_called)
        else:
            n = totals[0, b]
    both = np.uint64(0)
    opposite = np.uint64(0)
    for word in range(hom.shape[1]):
        homs = hom[a, word] & hom[b, word]
        both += popcount(homs)
        opposite += popcount(homs & (alt[a, word] ^ alt[b, word]))
    product = np.int64(both) - 2 * np.int64(opposite)
    return _is_above(product, n, sum_a, square_a, sum_b, square_b, limit)


@compiled
def _is_above(
    product: np.int64,
    n: np.int64,
    sum_a: np.int64,
    square_a: np.int64,
    sum_b: np.int64,
    square_b: np.int64,
    limit: float,
) -> bool:
    covariance = float(product * n - sum_a * sum_b)
    variance_a = float(square_a * n - sum_a * sum_a)
    variance_b = float(square_b * n - sum_b * sum_b)
    return covariance * covariance > limit * variance_a * variance_b


@compiled
def _four_above(
    a: int,
    b: int,
    c: int,
    d: int,
    e: int,
    hom: NDArray,
    alt: NDArray,
    totals: NDArray,
    limit: float,
) -> int:
    """Which of four rows have an r² with the first that is above the limit, as bits.

    All are complete. What is read of the first serves four pairs.
    """
    both_b = both_c = both_d = both_e = np.uint64(0)
    opposite_b = opposite_c = opposite_d = opposite_e = np.uint64(0)
    for word in range(hom.shape[1]):
        hom_a, alt_a = hom[a, word], alt[a, word]
        homs = hom_a & hom[b, word]
        both_b += popcount(homs)
        opposite_b += popcount(homs & (alt_a ^ alt[b, word]))
        homs = hom_a & hom[c, word]
        both_c += popcount(homs)
        opposite_c += popcount(homs & (alt_a ^ alt[c, word]))
        homs = hom_a & hom[d, word]
        both_d += popcount(homs)
        opposite_d += popcount(homs & (alt_a ^ alt[d, word]))
        homs = hom_a & hom[e, word]
        both_e += popcount(homs)
        opposite_e += popcount(homs & (alt_a ^ alt[e, word]))
    n, sum_a, square_a = totals[0, a], totals[1, a], totals[2, a]
    found = 0
    product = np.int64(both_b) - 2 * np.int64(opposite_b)
    if _is_above(product, n, sum_a, square_a, totals[1, b], totals[2, b], limit):
        found |= 1
    product = np.int64(both_c) - 2 * np.int64(opposite_c)
    if _is_above(product, n, sum_a, square_a, totals[1, c], totals[2, c], limit):
        found |= 2
    product = np.int64(both_d) - 2 * np.int64(opposite_d)
    if _is_above(product, n, sum_a, square_a, totals[1, d], totals[2, d], limit):
        found |= 4
    product = np.int64(both_e) - 2 * np.int64(opposite_e)
    if _is_above(product, n, sum_a, square_a, totals[1, e], totals[2, e], limit):
        found |= 8
    return found


@compiled
def _look_ahead(
    rows: NDArray,
    group: NDArray,
    first: int,
    place: NDArray,
    hom: NDArray,
    alt: NDArray,
    called: NDArray,
    totals: NDArray,
    people: int,
    limit: float,
    ahead: NDArray,
) -> None:
    """Compare each of some rows with a group of rows that come after them, as bits of `ahead`.

    Bit k is row ``first + k``. Rows of the group are compared with each other, too.
    """
    for row in rows:
        a = place[row]
        found = 0
        at = 0
        while at < len(group):
            four = at + 4 <= len(group) and totals[0, a] == people and group[at] > row
            if four:
                for other in group[at : at + 4]:
                    four = four and totals[0, place[other]] == people
            if four:
                b, c, d, e = group[at], group[at + 1], group[at + 2], group[at + 3]
                above = _four_above(
                    a, place[b], place[c], place[d], place[e], hom, alt, totals, limit
                )
                found |= (above & 1) << (b - first)
                found |= (above >> 1 & 1) << (c - first)
                found |= (above >> 2 & 1) << (d - first)
                found |= (above >> 3 & 1) << (e - first)
                at += 4
            else:
                b = group[at]
                if b > row and _bits_above(a, place[b], hom, alt, called, totals, people, limit):
                    found |= 1 << (b - first)
                at += 1
        ahead[a] = found


@compiled
def prune_windows(
    starts: NDArray,
    stops: NDArray,
    entered: int,
    live: NDArray,
    size: int,
    removed: NDArray,
    unchecked: NDArray,
    major: NDArray,
    alleles: NDArray,
    usable: NDArray,
    place: NDArray,
    limit: float,
    marks: NDArray,
    hom: NDArray,
    alt: NDArray,
    called: NDArray,
    totals: NDArray,
    people: int,
    placed: int,
    near_words: int,
) -> tuple[int, int]:
    """Prune the windows one after the other; how many rows of `live` are in the last one.

    Rows up to `placed` - 1 have a place; `near_words` is what a near cache holds. Also returned is
    the number of pairs compared.
    """
    compared = 0
    # Rows from `first` to `last` - 1 have been compared ahead, with all rows that were there then.
    first = last = entered
    ahead = np.zeros(len(hom), dtype=np.int64)
    met = gone = 0
    for window in range(len(starts)):
        stop = stops[window]
        count = 0
        for row in live[:size]:
            if row >= starts[window] and not removed[row]:
                live[count] = row
                count += 1
        for row in range(max(entered, starts[window]), stop):
            if usable[row]:
                unchecked[row] = row + 1
                live[count] = row
                count += 1
            else:
                removed[row] = True
        begun = max(entered, starts[window])
        entered = stop
        size = count
        if len(hom) and stop > last:
            for row in range(first, last):
                met += 1
                gone += removed[row]
            # Worth it where the rows there are more than a near cache holds, and most of them stay.
            held = size * hom.shape[1]
            first, last = begun, begun
            if held > near_words and 4 * gone <= met and stop - begun < _AHEAD:
                last = min(begun + _AHEAD, placed)
                group = np.empty(_AHEAD, dtype=np.int64)
                number = 0
                for row in range(first, last):
                    if usable[row]:
                        group[number] = row
                        number += 1
                own = np.searchsorted(live[:size], first)
                rows = np.concatenate((live[:own], group[:number]))
                _look_ahead(
                    rows,
                    group[:number],
                    first,
                    place,
                    hom,
                    alt,
                    called,
                    totals,
                    people,
                    limit,
                    ahead,
                )
        changed = True
        while changed:
            changed = False
            for here in range(size):
                a = live[here]
                if removed[a]:
                    continue
                there = here + 1 + np.searchsorted(live[here + 1 : size], unchecked[a])
                unchecked[a] = stop
                while there < size:
                    b = live[there]
                    there += 1
                    if removed[b]:
                        continue
                    compared += 1
                    if marks.shape[1]:
                        above = marks[place[a], b - a] != 0
                    elif first <= b < last:
                        above = ahead[place[a]] >> (b - first) & 1 == 1
                    else:
                        above = _bits_above(
                            place[a], place[b], hom, alt, called, totals, people, limit
                        )
                    if above:
                        changed = True
                        # Frequencies as fractions, so that nothing is rounded.
                        if major[a] * alleles[b] > major[b] * alleles[a]:
                            removed[a] = True
                        else:
                            removed[b] = True
                            while there < size and removed[live[there]]:
                                there += 1
                            if there < size:
                                unchecked[a] = live[there]
                        break
    return size, compared
