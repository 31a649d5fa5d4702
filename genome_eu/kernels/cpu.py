"""The kernels for one CPU thread, compiled by numba; they work on the packed bits directly.

Integers come from population counts on 64-bit words. Products come from byte tables: the 256
sums that a byte of four people can contribute are worked out once per byte column and then only
added, row by row; the transposed product does the same on transposed codes. Rows with few
carriers, most rows of a whole genome, are added carrier by carrier instead. On 10,000 people x
4,000 rows and one thread this took 0.6 to 0.75 (transposed: 0.45 to 0.75) of the time of decoding
tiles to float64 and calling BLAS, at widths 2, 8, 12, 32, 64 and 128. At width 1 BLAS was ahead
(1.3; transposed 1.5), but tables serve every width: they fix the order of every sum, which a
threaded BLAS does not promise. On the same rows, banded grams took a third of the time of a
single float32 product, and pair counts (of 2,000 people) under a fifth of that of float32 products.

Helpers stay in this file because numba's disk cache watches only the file of the function it
caches: a helper edited elsewhere would leave stale machine code behind.
"""

from __future__ import annotations

import numpy as np

from genome_eu.compiled import compiled, popcount
from genome_eu.kernels.block import BandedGram, PairCounts
from genome_eu.kernels.packed import packed_width

Array = np.ndarray

# Weight of the codes 0, 1, 2 and missing in the two products.
_DOSAGE = np.array([0.0, 1.0, 2.0, 0.0])
_MISSING = np.array([0.0, 0.0, 0.0, 1.0])

# Four byte columns per pass: fewer store the sums more often, more push the tables out of the
# second-level cache. For the same reason columns go through in groups.
_BYTES_PER_PASS = 4
_COLUMNS_PER_PASS = 64

# Above this share of missing calls a row costs more person by person than by byte tables: the two
# met between an eighth and a sixth at widths 2 and 32.
_DENSE_MISSING = 1 / 8

# Below this share of carriers and missing calls together, a row is added person by person.
_RARE = 1 / 16

# Tiles that stay in a near cache: byte columns x fours of rows, and people by their bit planes.
_TRANSPOSE_TILE = (16, 256)
_PAIR_TILE = 32

_LOW_BITS = np.uint64(0x5555555555555555)
_ONE = np.uint64(1)


def hold(packed: Array) -> Array:
    """Compute where the rows are."""
    return packed


def counts(packed: Array, people: int, groups: Array, n_groups: int) -> Array:
    """Genotype counts per row and group; int64, shape (rows, n_groups, 4)."""
    result = np.zeros((len(packed), n_groups, 4), dtype=np.int64)
    size = np.bincount(groups + 1, minlength=n_groups + 1)[1:]
    if people and (size == people).any():
        result[:, int(np.argmax(size)), 1:] = _count_everybody(packed)
    else:
        masks = _group_masks(groups, n_groups)
        # People of a group often stand together in a file, so a group visits only its own words.
        used = masks != 0
        start = used.argmax(axis=1) if used.size else size
        stop = masks.shape[1] - used[:, ::-1].argmax(axis=1) if used.size else size
        stop = np.where(size > 0, stop, 0)
        _count_groups(packed, masks, start, stop, *_word_buffer(packed), result)
    result[:, :, 0] = size - result[:, :, 1:].sum(axis=2)
    return result


def matmul(packed: Array, people: int, q: Array) -> tuple[Array, Array]:
    """``G @ q`` and ``M @ q``; of q's type, shape (rows, k)."""
    rare, dense = _split(packed, people)
    if not rare.size:
        return _products(packed, q, q)
    dosage_product, missing_product = np.zeros((2, len(packed), q.shape[1]), dtype=q.dtype)
    _add_carriers(packed, rare, q, *_word_buffer(packed), dosage_product, missing_product)
    if dense.size:
        dosage_product[dense], missing_product[dense] = _products(packed[dense], q, q)
    return dosage_product, missing_product


def rmatmul(packed: Array, people: int, r: Array, s: Array) -> tuple[Array, Array]:
    """``G.T @ r`` and ``M.T @ s``; of r's type, shape (people, k)."""
    rare, dense = _split(packed, people)
    if not rare.size:
        return _products(_transpose(packed, people), r, s)
    if dense.size:
        products = _products(_transpose(packed[dense], people), r[dense], s[dense])
    else:
        products = tuple(np.zeros((2, people, r.shape[1]), dtype=r.dtype))
    _add_to_carriers(packed, rare, r, s, *_word_buffer(packed), *products)
    return products


def _split(packed: Array, people: int) -> tuple[Array, Array]:
    """Rows with few carriers and missing calls, and the others."""
    tallies = _count_everybody(packed).sum(axis=1)
    return np.flatnonzero(tallies <= _RARE * people), np.flatnonzero(tallies > _RARE * people)


def gram(packed: Array, people: int, window: int, include: Array) -> BandedGram:
    """Sums over the included people called in both rows of each pair (j, j + d)."""
    planes = _bit_planes(packed, include)
    totals = np.stack([np.bitwise_count(plane).sum(axis=1, dtype=np.int64) for plane in planes])
    result = np.zeros((6, len(packed), window), dtype=np.int64)
    _fill_gram(*planes, totals, int(include.sum()), result)
    return BandedGram(*result)


def pair_counts(packed: Array, people: int) -> PairCounts:
    """Counts over the rows called in both people of each pair."""
    every_row = np.ones(len(packed), dtype=bool)
    het, hom_alt, called = _bit_planes(_transpose(packed, people), every_row)
    result = np.empty((4, people, people), dtype=np.int64)
    _fill_pair_counts(called & ~het & ~hom_alt, het, hom_alt, called, result)
    return PairCounts(*result)


def _products(packed: Array, q: Array, s: Array) -> tuple[Array, Array]:
    """Dosages of `packed` times `q`, and its missing calls times `s`.

    The second costs only where calls are missing: few in a row are added one by one.
    """
    dosage_product = _table_product(packed, q, _DOSAGE)
    n_missing = _count_everybody(packed)[:, 2]
    missing_product = np.zeros((len(packed), s.shape[1]), dtype=s.dtype)
    dense = n_missing > _DENSE_MISSING * len(s)
    sparse = np.flatnonzero((n_missing > 0) & ~dense)
    if sparse.size:
        _add_missing(packed, sparse, s, *_word_buffer(packed), missing_product)
    if dense.any():
        missing_product[dense] = _table_product(packed[dense], s, _MISSING)
    return dosage_product, missing_product


def _table_product(packed: Array, q: Array, weights: Array) -> Array:
    """Sum over people of ``weights[code] * q[person]``; of q's type, shape (rows, k)."""
    weights = weights.astype(q.dtype)
    parts = [
        np.ascontiguousarray(q[:, left : left + _COLUMNS_PER_PASS])
        for left in range(0, max(q.shape[1], 1), _COLUMNS_PER_PASS)
    ]
    results = []
    for part in parts:
        tables = np.empty((_BYTES_PER_PASS, 256, part.shape[1]), dtype=q.dtype)
        result = np.zeros((len(packed), part.shape[1]), dtype=q.dtype)
        _add_table_products(packed, part, weights, tables, result)
        results.append(result)
    return results[0] if len(results) == 1 else np.concatenate(results, axis=1)


def _transpose(packed: Array, people: int) -> Array:
    """Packed people x rows: the same two-bit codes, four rows to a byte."""
    rows, width = packed.shape
    result = np.zeros((4 * width, -(-rows // 4)), dtype=np.uint8)
    fours = np.empty(_TRANSPOSE_TILE, dtype=np.uint32)
    whole = rows - rows % 4
    _transpose_fours(packed[:whole], 0, fours, result)
    if whole < rows:
        rest = np.zeros((4, width), dtype=np.uint8)
        rest[: rows - whole] = packed[whole:]
        _transpose_fours(rest, whole // 4, fours, result)
    return result[:people]


def _word_buffer(packed: Array) -> tuple[Array, Array]:
    """64-bit words that hold one packed row and zeros, and the same memory as bytes."""
    words = np.zeros(_word_count(packed.shape[1]), dtype=np.uint64)
    return words, words.view(np.uint8)


def _word_count(width: int) -> int:
    return -(-width // 8)


def _group_masks(groups: Array, n_groups: int) -> Array:
    """Both bits set at the people of each group; uint64, shape (n_groups, words)."""
    masks = np.zeros((n_groups, _word_count(packed_width(len(groups)))), dtype=np.uint64)
    _fill_group_masks(groups, masks)
    return masks


def _count_everybody(packed: Array) -> Array:
    """People with code 1, 2 and missing; int64, shape (rows, 3)."""
    result = np.empty((len(packed), 3), dtype=np.int64)
    _fill_counts(packed, *_word_buffer(packed), result)
    return result


def _bit_planes(packed: Array, include: Array) -> tuple[Array, Array, Array]:
    """One bit per included person: heterozygous, homozygous for the ALT, called.

    Half the words of the packed layout, each of 64 people; bits of other people are 0.
    """
    mask = _group_masks(np.where(include, 0, -1), 1)[0]
    words, word_bytes = _word_buffer(packed)
    planes = np.zeros((3, len(packed), -(-len(words) // 2)), dtype=np.uint64)
    het, hom_alt, called = planes
    _fill_bit_planes(packed, mask, words, word_bytes, het, hom_alt, called)
    return het, hom_alt, called


@compiled
def _add_table_products(
    packed: Array, q: Array, weights: Array, tables: Array, result: Array
) -> None:
    rows, width = packed.shape
    columns = result.shape[1]
    for first in range(0, width, _BYTES_PER_PASS):
        bytes_here = min(_BYTES_PER_PASS, width - first)
        for byte in range(bytes_here):
            _fill_table(q, 4 * (first + byte), weights, tables[byte])
        if bytes_here == _BYTES_PER_PASS:
            for row in range(rows):
                a = packed[row, first]
                b = packed[row, first + 1]
                c = packed[row, first + 2]
                d = packed[row, first + 3]
                for column in range(columns):
                    result[row, column] += (tables[0, a, column] + tables[1, b, column]) + (
                        tables[2, c, column] + tables[3, d, column]
                    )
        else:
            for row in range(rows):
                for byte in range(bytes_here):
                    value = packed[row, first + byte]
                    for column in range(columns):
                        result[row, column] += tables[byte, value, column]


@compiled
def _fill_table(q: Array, first_person: int, weights: Array, table: Array) -> None:
    """The contribution of each value that a byte of four people can have.

    A person doubles the known bits: an entry is that of the earlier people plus one term.
    """
    last_person = q.shape[0] - 1
    columns = table.shape[1]
    for column in range(columns):
        table[0, column] = 0.0
    known = 1
    person = first_person
    while known < table.shape[0]:
        # Padding has code 0 only, so what its other codes weigh is never used.
        terms = q[min(person, last_person)]
        for code in range(1, len(weights)):
            for earlier in range(known):
                start = table[earlier]
                entry = table[code * known + earlier]
                for column in range(columns):
                    entry[column] = start[column] + weights[code] * terms[column]
        known *= len(weights)
        person += 1


@compiled
def _add_missing(
    packed: Array, rows: Array, s: Array, words: Array, word_bytes: Array, result: Array
) -> None:
    """Add the columns of each missing person, skipping words without one."""
    for row in rows:
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        for index in range(len(words)):
            missing = words[index] & (words[index] >> _ONE) & _LOW_BITS
            while missing:
                below = popcount((missing & (~missing + _ONE)) - _ONE)
                person = np.int64(32 * index) + np.int64(below >> _ONE)
                for column in range(result.shape[1]):
                    result[row, column] += s[person, column]
                missing &= missing - _ONE


@compiled
def _add_carriers(
    packed: Array,
    rows: Array,
    q: Array,
    words: Array,
    word_bytes: Array,
    dosage_product: Array,
    missing_product: Array,
) -> None:
    """Add each carrier's columns to the first product, each missing call's to the second."""
    for row in rows:
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        for index in range(len(words)):
            word = words[index]
            found = (word | (word >> _ONE)) & _LOW_BITS
            while found:
                below = popcount((found & (~found + _ONE)) - _ONE)
                person = np.int64(32 * index) + np.int64(below >> _ONE)
                code = (word >> below) & np.uint64(3)
                if code == 1:
                    for column in range(q.shape[1]):
                        dosage_product[row, column] += q[person, column]
                elif code == 2:
                    for column in range(q.shape[1]):
                        dosage_product[row, column] += q[person, column] + q[person, column]
                else:
                    for column in range(q.shape[1]):
                        missing_product[row, column] += q[person, column]
                found &= found - _ONE


@compiled
def _add_to_carriers(
    packed: Array,
    rows: Array,
    r: Array,
    s: Array,
    words: Array,
    word_bytes: Array,
    dosage_product: Array,
    missing_product: Array,
) -> None:
    """Add a row's columns of `r` to each of its carriers, of `s` to whoever lacks the call."""
    for row in rows:
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        for index in range(len(words)):
            word = words[index]
            found = (word | (word >> _ONE)) & _LOW_BITS
            while found:
                below = popcount((found & (~found + _ONE)) - _ONE)
                person = np.int64(32 * index) + np.int64(below >> _ONE)
                code = (word >> below) & np.uint64(3)
                if code == 1:
                    for column in range(r.shape[1]):
                        dosage_product[person, column] += r[row, column]
                elif code == 2:
                    for column in range(r.shape[1]):
                        dosage_product[person, column] += r[row, column] + r[row, column]
                else:
                    for column in range(s.shape[1]):
                        missing_product[person, column] += s[row, column]
                found &= found - _ONE


@compiled
def _transpose_fours(packed: Array, first: int, fours: Array, result: Array) -> None:
    """Transpose whole fours of rows into the bytes of `result` from `first` on.

    `fours` gathers a byte column of four rows, four people each, as 32-bit words; from those
    each person's codes are squeezed into bytes. The slices spare an index check per byte.
    """
    n_fours, width = packed.shape[0] // 4, packed.shape[1]
    most_bytes, most_fours = fours.shape
    for start in range(0, n_fours, most_fours):
        here = min(most_fours, n_fours - start)
        for left in range(0, width, most_bytes):
            right = min(left + most_bytes, width)
            for four in range(here):
                row = 4 * (start + four)
                a = packed[row][left:right]
                b = packed[row + 1][left:right]
                c = packed[row + 2][left:right]
                d = packed[row + 3][left:right]
                for byte in range(right - left):
                    fours[byte, four] = (
                        np.uint32(a[byte])
                        | (np.uint32(b[byte]) << np.uint32(8))
                        | (np.uint32(c[byte]) << np.uint32(16))
                        | (np.uint32(d[byte]) << np.uint32(24))
                    )
            for byte in range(right - left):
                source = fours[byte]
                for slot in range(4):
                    target = result[4 * (left + byte) + slot]
                    target = target[first + start : first + start + here]
                    for four in range(here):
                        codes = (source[four] >> np.uint32(2 * slot)) & np.uint32(0x03030303)
                        codes |= codes >> np.uint32(6)
                        target[four] = (codes | (codes >> np.uint32(12))) & np.uint32(255)


@compiled
def _fill_group_masks(groups: Array, masks: Array) -> None:
    for person in range(len(groups)):
        if groups[person] >= 0:
            masks[groups[person], person // 32] |= np.uint64(3) << np.uint64(2 * (person % 32))


@compiled
def _fill_counts(packed: Array, words: Array, word_bytes: Array, result: Array) -> None:
    for row in range(packed.shape[0]):
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        low = np.uint64(0)
        high = np.uint64(0)
        both = np.uint64(0)
        for index in range(len(words)):
            word = words[index]
            low += popcount(word & _LOW_BITS)
            high += popcount(word & ~_LOW_BITS)
            both += popcount(word & (word >> _ONE) & _LOW_BITS)
        result[row, 0] = low - both
        result[row, 1] = high - both
        result[row, 2] = both


@compiled
def _count_groups(
    packed: Array,
    masks: Array,
    start: Array,
    stop: Array,
    words: Array,
    word_bytes: Array,
    result: Array,
) -> None:
    """Fill ``result[:, :, 1:]`` with the people of each group with code 1, 2 and missing."""
    for row in range(packed.shape[0]):
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        for group in range(masks.shape[0]):
            low = np.uint64(0)
            high = np.uint64(0)
            both = np.uint64(0)
            for index in range(start[group], stop[group]):
                word = words[index] & masks[group, index]
                low += popcount(word & _LOW_BITS)
                high += popcount(word & ~_LOW_BITS)
                both += popcount(word & (word >> _ONE) & _LOW_BITS)
            result[row, group, 1] = low - both
            result[row, group, 2] = high - both
            result[row, group, 3] = both


@compiled
def _even_bits(word: np.uint64) -> np.uint64:
    """The 32 bits at even places, moved together."""
    word &= _LOW_BITS
    word = (word | (word >> np.uint64(1))) & np.uint64(0x3333333333333333)
    word = (word | (word >> np.uint64(2))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    word = (word | (word >> np.uint64(4))) & np.uint64(0x00FF00FF00FF00FF)
    word = (word | (word >> np.uint64(8))) & np.uint64(0x0000FFFF0000FFFF)
    return (word | (word >> np.uint64(16))) & np.uint64(0x00000000FFFFFFFF)


@compiled
def _fill_bit_planes(
    packed: Array,
    mask: Array,
    words: Array,
    word_bytes: Array,
    het: Array,
    hom_alt: Array,
    called: Array,
) -> None:
    for row in range(packed.shape[0]):
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        for index in range(len(words)):
            low = words[index]
            high = words[index] >> _ONE
            place = np.uint64(32 * (index % 2))
            het[row, index // 2] |= _even_bits(low & ~high & mask[index]) << place
            hom_alt[row, index // 2] |= _even_bits(~low & high & mask[index]) << place
            called[row, index // 2] |= _even_bits(~(low & high) & mask[index]) << place


@compiled
def _overlap(a: Array, b: Array) -> np.int64:
    total = np.uint64(0)
    for index in range(len(a)):
        total += popcount(a[index] & b[index])
    return np.int64(total)


@compiled
def _product(het_a: Array, hom_a: Array, het_b: Array, hom_b: Array) -> np.int64:
    """Sum of the products of two rows' dosages."""
    one = np.uint64(0)
    two = np.uint64(0)
    four = np.uint64(0)
    for index in range(len(het_a)):
        one += popcount(het_a[index] & het_b[index])
        # A person has one genotype per row, so the two mixed cases never share a bit.
        two += popcount((het_a[index] & hom_b[index]) | (hom_a[index] & het_b[index]))
        four += popcount(hom_a[index] & hom_b[index])
    return np.int64(one + (two << _ONE) + (four << np.uint64(2)))


@compiled
def _fill_gram(
    het: Array, hom_alt: Array, called: Array, totals: Array, people: int, result: Array
) -> None:
    """Fill the fields of `BandedGram`, one after the other; shape (6, rows, window)."""
    n_het, n_hom, n_called = totals
    _, rows, window = result.shape
    for a in range(rows):
        for b in range(a, min(a + window, rows)):
            # A row without missing calls leaves the other's people as they are.
            if n_called[a] == people:
                n = n_called[b]
                het_b, hom_b = n_het[b], n_hom[b]
            else:
                n = _overlap(called[a], called[b])
                het_b, hom_b = _overlap(het[b], called[a]), _overlap(hom_alt[b], called[a])
            if n_called[b] == people:
                n = n_called[a]
                het_a, hom_a = n_het[a], n_hom[a]
            else:
                het_a, hom_a = _overlap(het[a], called[b]), _overlap(hom_alt[a], called[b])
            result[0, a, b - a] = n
            result[1, a, b - a] = het_a + 2 * hom_a
            result[2, a, b - a] = het_b + 2 * hom_b
            result[3, a, b - a] = het_a + 4 * hom_a
            result[4, a, b - a] = het_b + 4 * hom_b
            result[5, a, b - a] = _product(het[a], hom_alt[a], het[b], hom_alt[b])


@compiled
def _fill_pair_counts(
    hom_ref: Array, het: Array, hom_alt: Array, called: Array, result: Array
) -> None:
    """Fill the fields of `PairCounts`, one after the other; shape (4, people, people)."""
    people, n_words = het.shape
    for tile in range(0, people, _PAIR_TILE):
        for i in range(min(tile + _PAIR_TILE, people)):
            for j in range(max(i, tile), min(tile + _PAIR_TILE, people)):
                observed = np.uint64(0)
                ibs0 = np.uint64(0)
                het_het = np.uint64(0)
                het_i = np.uint64(0)
                het_j = np.uint64(0)
                for index in range(n_words):
                    observed += popcount(called[i, index] & called[j, index])
                    ibs0 += popcount(
                        (hom_ref[i, index] & hom_alt[j, index])
                        | (hom_alt[i, index] & hom_ref[j, index])
                    )
                    het_het += popcount(het[i, index] & het[j, index])
                    het_i += popcount(het[i, index] & called[j, index])
                    het_j += popcount(called[i, index] & het[j, index])
                result[0, i, j] = observed
                result[1, i, j] = ibs0
                result[2, i, j] = het_het
                result[3, i, j] = het_i
                result[0, j, i] = observed
                result[1, j, i] = ibs0
                result[2, j, i] = het_het
                result[3, j, i] = het_j
