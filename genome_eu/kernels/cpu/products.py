"""Products of genotypes with columns: by byte tables, or by carriers where they are few."""

from __future__ import annotations

import numpy as np

from genome_eu.compiled import compiled, popcount
from genome_eu.kernels.cpu.counts import count_everybody
from genome_eu.kernels.cpu.words import LOW_BITS, ONE, word_buffer

Array = np.ndarray

# Weight of the codes 0, 1, 2 and missing in the products.
_DOSAGE = np.array([0.0, 1.0, 2.0, 0.0])
_SQUARE = np.array([0.0, 1.0, 4.0, 0.0])
_MISSING = np.array([0.0, 0.0, 0.0, 1.0])

# Four byte columns per pass: fewer store the sums more often, more push the tables out of the
# second-level cache. For the same reason columns go through in groups.
_BYTES_PER_PASS = 4
_COLUMNS_PER_PASS = 64

# The table of a single column is so small that those of more byte columns stay in the first cache.
_BYTES_OF_ONE = 16

# More columns than these are filled up to whole vectors of so many bytes, which took 0.85 of the
# time of 14 columns as they are.
_FEW_COLUMNS = 8
_VECTOR_BYTES = 32

# Above this share of missing calls a row costs more person by person than by byte tables: the two
# met between an eighth and a sixth at widths 2 and 32.
_DENSE_MISSING = 1 / 8

# Below this share of carriers and missing calls together, a row is added person by person.
_RARE = 1 / 16

# Byte columns x fours of rows of a transposition that stay in a near cache.
_TRANSPOSE_TILE = (16, 256)


def matmul(packed: Array, people: int, q: Array) -> tuple[Array, Array]:
    """``G @ q`` and ``M @ q``; of q's type, shape (rows, k)."""
    rare, dense = _split(packed, people)
    if not rare.size:
        return _products(packed, q, q)
    dosage_product, missing_product = np.zeros((2, len(packed), q.shape[1]), dtype=q.dtype)
    products = (dosage_product, missing_product)
    _add_carriers(packed, rare, q, q, _DOSAGE, False, *word_buffer(packed), *products)
    if dense.size:
        dosage_product[dense], missing_product[dense] = _products(packed[dense], q, q)
    return dosage_product, missing_product


def square_matmul(packed: Array, people: int, q: Array) -> Array:
    """``(G * G) @ q``; of q's type, shape (rows, k)."""
    rare, dense = _split(packed, people)
    if not rare.size:
        return _table_product(packed, q, _SQUARE)
    result = np.zeros((len(packed), q.shape[1]), dtype=q.dtype)
    # Missing calls weigh nothing: they are added to no column.
    none = np.empty((2, max(people, len(packed)), 0), dtype=q.dtype)
    _add_carriers(packed, rare, q, none[0], _SQUARE, False, *word_buffer(packed), result, none[1])
    if dense.size:
        result[dense] = _table_product(packed[dense], q, _SQUARE)
    return result


def rmatmul(packed: Array, people: int, r: Array, s: Array) -> tuple[Array, Array]:
    """``G.T @ r`` and ``M.T @ s``; of r's type, shape (people, k)."""
    rare, dense = _split(packed, people)
    if not rare.size:
        return _products(transpose(packed, people), r, s)
    if dense.size:
        products = _products(transpose(packed[dense], people), r[dense], s[dense])
    else:
        products = tuple(np.zeros((2, people, r.shape[1]), dtype=r.dtype))
    _add_carriers(packed, rare, r, s, _DOSAGE, True, *word_buffer(packed), *products)
    return products


def _split(packed: Array, people: int) -> tuple[Array, Array]:
    """Rows with few carriers and missing calls, and the others."""
    tallies = count_everybody(packed).sum(axis=1)
    return np.flatnonzero(tallies <= _RARE * people), np.flatnonzero(tallies > _RARE * people)


def _products(packed: Array, q: Array, s: Array) -> tuple[Array, Array]:
    """Dosages of `packed` times `q`, and its missing calls times `s`.

    The second costs only where calls are missing: few in a row are added one by one.
    """
    dosage_product = _table_product(packed, q, _DOSAGE)
    n_missing = count_everybody(packed)[:, 2]
    missing_product = np.zeros((len(packed), s.shape[1]), dtype=s.dtype)
    dense = n_missing > _DENSE_MISSING * len(s)
    sparse = np.flatnonzero((n_missing > 0) & ~dense)
    if sparse.size:
        _add_missing(packed, sparse, s, *word_buffer(packed), missing_product)
    if dense.any():
        missing_product[dense] = _table_product(packed[dense], s, _MISSING)
    return dosage_product, missing_product


def _table_product(packed: Array, q: Array, weights: Array) -> Array:
    """Sum over people of ``weights[code] * q[person]``; of q's type, shape (rows, k)."""
    weights = weights.astype(q.dtype)
    results = []
    for left in range(0, max(q.shape[1], 1), _COLUMNS_PER_PASS):
        part = _whole_vectors(q[:, left : left + _COLUMNS_PER_PASS])
        result = np.zeros((len(packed), part.shape[1]), dtype=q.dtype)
        if part.shape[1] == 1:
            tables = np.empty((_BYTES_OF_ONE, 256, 1), dtype=q.dtype)
            _add_table_product(packed, part, weights, tables, result)
        else:
            tables = np.empty((_BYTES_PER_PASS, 256, part.shape[1]), dtype=q.dtype)
            _add_table_products(packed, part, weights, tables, result)
        results.append(result)
    whole = results[0] if len(results) == 1 else np.concatenate(results, axis=1)
    return np.ascontiguousarray(whole[:, : q.shape[1]])


def _whole_vectors(columns: Array) -> Array:
    """Columns of which each person's are whole vectors, where they are many, filled up with 0."""
    width = columns.shape[1]
    lanes = _VECTOR_BYTES // columns.itemsize
    if width <= _FEW_COLUMNS or width % lanes == 0:
        return np.ascontiguousarray(columns)
    return np.pad(columns, ((0, 0), (0, lanes - width % lanes)))


def transpose(packed: Array, people: int) -> Array:
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
def _add_table_product(
    packed: Array, q: Array, weights: Array, tables: Array, result: Array
) -> None:
    """The same for a single column, in the same order."""
    rows, width = packed.shape
    for first in range(0, width, _BYTES_OF_ONE):
        bytes_here = min(_BYTES_OF_ONE, width - first)
        for byte in range(bytes_here):
            _fill_table(q, 4 * (first + byte), weights, tables[byte])
        if bytes_here == _BYTES_OF_ONE:
            for row in range(rows):
                line = packed[row, first : first + _BYTES_OF_ONE]
                total = result[row, 0]
                for byte in range(0, _BYTES_OF_ONE, _BYTES_PER_PASS):
                    a, b = tables[byte, line[byte], 0], tables[byte + 1, line[byte + 1], 0]
                    c, d = tables[byte + 2, line[byte + 2], 0], tables[byte + 3, line[byte + 3], 0]
                    total += (a + b) + (c + d)
                result[row, 0] = total
        else:
            whole = bytes_here - bytes_here % _BYTES_PER_PASS
            for row in range(rows):
                line = packed[row, first : first + bytes_here]
                for byte in range(0, whole, _BYTES_PER_PASS):
                    a, b = tables[byte, line[byte], 0], tables[byte + 1, line[byte + 1], 0]
                    c, d = tables[byte + 2, line[byte + 2], 0], tables[byte + 3, line[byte + 3], 0]
                    result[row, 0] += (a + b) + (c + d)
                for byte in range(whole, bytes_here):
                    result[row, 0] += tables[byte, line[byte], 0]


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
            missing = words[index] & (words[index] >> ONE) & LOW_BITS
            while missing:
                below = popcount((missing & (~missing + ONE)) - ONE)
                person = np.int64(32 * index) + np.int64(below >> ONE)
                for column in range(result.shape[1]):
                    result[row, column] += s[person, column]
                missing &= missing - ONE


@compiled
def _add_carriers(
    packed: Array,
    rows: Array,
    r: Array,
    s: Array,
    weights: Array,
    to_people: bool,
    words: Array,
    word_bytes: Array,
    dosage_product: Array,
    missing_product: Array,
) -> None:
    """Add columns of `r` for each carrier by weight, and of `s` for each missing call.

    They go from the row's place to the person's, or the other way.
    """
    # Twice (or four times) a number is exact, whichever way it is worked out.
    twice = r.dtype.type(weights[2])
    for row in rows:
        for byte in range(packed.shape[1]):
            word_bytes[byte] = packed[row, byte]
        for index in range(len(words)):
            word = words[index]
            found = (word | (word >> ONE)) & LOW_BITS
            while found:
                below = popcount((found & (~found + ONE)) - ONE)
                person = np.int64(32 * index) + np.int64(below >> ONE)
                code = (word >> below) & np.uint64(3)
                source, target = (row, person) if to_people else (person, row)
                if code == 1:
                    for column in range(r.shape[1]):
                        dosage_product[target, column] += r[source, column]
                elif code == 2:
                    for column in range(r.shape[1]):
                        dosage_product[target, column] += twice * r[source, column]
                else:
                    for column in range(s.shape[1]):
                        missing_product[target, column] += s[source, column]
                found &= found - ONE


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
