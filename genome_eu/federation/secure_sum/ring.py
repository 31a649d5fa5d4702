"""Fixed point in the ring of integers modulo 2^(64·words): sums are exact, in any order.

An array of values is `words` planes of uint64, the least significant first. Two's complement, so
negative numbers need no care, and a uniform mask hides a value perfectly.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint64]

_WORD = 64
_ONES = np.uint64(2**64 - 1)


def encode(values: NDArray, words: int, fraction: int) -> Words:
    """Float64 values as whole multiples of 2^−fraction, the nearest ones (ties to even).

    Parameters
    ----------
    values : float64 array
        Finite; 2^fraction times each must fit in `words` words with its sign.
    words, fraction : int
        Words of a value, and its binary digits after the point.

    Returns
    -------
    uint64 array, shape (words, *values.shape)
    """
    # Multiplying by a power of two and taking leading words off are exact; only the last word,
    # which holds what is left, is rounded.
    rest = np.abs(values) * 2.0**fraction
    encoded = np.empty((words, *np.shape(values)), np.uint64)
    for place in range(words - 1, 0, -1):
        leading = np.floor(rest * 2.0 ** (-_WORD * place))
        encoded[place] = leading
        rest -= leading * 2.0 ** (_WORD * place)
    encoded[0] = np.rint(rest)
    _negate(encoded, np.signbit(values))
    return encoded


def decode(encoded: Words, fraction: int) -> NDArray[np.float64]:
    """The inverse of `encode`, correctly rounded to float64."""
    magnitude = encoded.copy()
    negative = encoded[-1] >= np.uint64(2**63)
    _negate(magnitude, negative)
    leading, dropped = magnitude[-1], np.zeros(encoded.shape[1:], np.uint64)
    for word in magnitude[-2::-1]:
        # The leading 64 bits so far. A lost bit that is set stays visible in the last place,
        # so that the one rounding below goes the right way. Shifts by 64 give 0.
        length = _bit_length(leading)
        room = np.uint64(_WORD) - length
        lost = (word << room) != 0
        leading = (leading << room) | (word >> length) | lost
        dropped += length
    return np.ldexp(
        np.where(negative, -1.0, 1.0) * leading.astype(np.float64),
        dropped.astype(np.int32) - np.int32(fraction),
    )


def add(into: Words, other: Words) -> None:
    """Add in place, modulo 2^(64·words)."""
    last = len(into) - 1
    carry: NDArray | None = None
    for place in range(last + 1):
        # The ellipsis keeps a plane of a single number an array, which can be changed in place.
        low, word = into[place, ...], other[place, ...]
        low += word
        over = low < word if place < last else None
        if carry is not None:
            low += carry
            over = over | (low < carry) if over is not None else None
        carry = over.astype(np.uint64) if over is not None else None


def subtract(into: Words, other: Words) -> None:
    """Subtract in place, modulo 2^(64·words)."""
    # ~a is −a − 1, so ~(~a + b) is a − b.
    np.invert(into, out=into)
    add(into, other)
    np.invert(into, out=into)


def _negate(words: Words, where: NDArray) -> None:
    """Change the sign of some values in place."""
    words ^= np.where(where, _ONES, np.uint64(0))
    carry = np.asarray(where, np.uint64)
    for place in range(len(words)):
        word = words[place, ...]
        word += carry
        carry = carry & (word == 0)


def _bit_length(word: Words) -> Words:
    """Binary digits of each word; 0 for 0."""
    # Without the digit that follows the first, no rounding reaches the next power of two.
    rounded = (word & ~(word >> np.uint64(1))).astype(np.float64)
    return np.frexp(rounded)[1].astype(np.uint64)
