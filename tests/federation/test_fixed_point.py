"""The ring against Python's integers and fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.federation.secure_sum import ring

#: Words, fraction, and the power of two that bounds the values.
FORMS = ((1, 0, 62), (1, 40, 22), (2, 46, 80), (4, 128, 126))
forms = st.sampled_from(FORMS)


def integers(words: np.ndarray) -> list[int]:
    """Each value as the whole number that its words spell, in two's complement."""
    width = 64 * len(words)
    values = words.reshape(len(words), -1).T.tolist()
    whole = [sum(word << (64 * place) for place, word in enumerate(v)) for v in values]
    return [value - (value >> (width - 1) << width) for value in whole]


@st.composite
def values(draw, bits: int):
    number = st.floats(-(2.0**bits), 2.0**bits)
    special = st.sampled_from(
        [0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 0.5, 1.5, -0.5, 2.0**bits, -(2.0**bits)]
    )
    exponent = st.integers(-140, bits - 1)
    anywhere = st.builds(lambda m, e: m * 2.0**e, st.floats(-1, 1), exponent)
    return np.array(draw(st.lists(number | special | anywhere, min_size=1, max_size=20)))


@given(form=forms, data=st.data())
@settings(deadline=None)
def test_a_value_becomes_the_nearest_step(form, data):
    words, fraction, bits = form
    given = data.draw(values(bits))
    found = integers(ring.encode(given, words, fraction))
    assert found == [round(Fraction(value) * 2**fraction) for value in given.tolist()]


@given(form=forms, data=st.data())
@settings(deadline=None)
def test_words_become_the_nearest_float(form, data):
    words, fraction, _ = form
    # Words of few or many ones are where rounding and carries go wrong.
    word = st.sampled_from([0, 1, 2**64 - 1, 2**63, 2**63 - 1, 2**53, 2**53 + 1]) | st.integers(
        0, 2**64 - 1
    )
    planes = data.draw(st.lists(st.tuples(*[word] * words), min_size=1, max_size=20))
    encoded = np.array(planes, np.uint64).T.copy()
    # Dividing Python's integers rounds correctly.
    expected = [value / 2**fraction for value in integers(encoded)]
    assert ring.decode(encoded, fraction).tolist() == expected


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 2)])
@pytest.mark.parametrize("words", [1, 2, 3])
def test_sums_and_differences_wrap_around(words, shape):
    rng = np.random.default_rng(words)
    a, b = rng.integers(0, 2**64, (2, words, *shape), np.uint64)
    a[..., :1] |= np.uint64(2**64 - 2**20)
    whole = 2 ** (64 * words)
    added, taken = a.copy(), a.copy()
    ring.add(added, b)
    ring.subtract(taken, b)
    pairs = list(zip(integers(a), integers(b), strict=True))
    assert [value % whole for value in integers(added)] == [(x + y) % whole for x, y in pairs]
    assert [value % whole for value in integers(taken)] == [(x - y) % whole for x, y in pairs]


def test_carries_pass_through_every_word():
    ones = np.full((4, 1), 2**64 - 1, np.uint64)
    one = np.array([[1], [0], [0], [0]], np.uint64)
    ring.add(ones, one)
    assert not ones.any()
    ring.subtract(ones, one)
    assert (ones == 2**64 - 1).all()
