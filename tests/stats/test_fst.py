from __future__ import annotations

import numpy as np
import pytest

from genome_eu.stats import fst
from tests.oracles import fst as oracle


@pytest.fixture
def counts() -> tuple[np.ndarray, np.ndarray]:
    """AC and AN of three groups at rows, some monomorphic, some hardly called, some withheld."""
    rng = np.random.default_rng(8)
    an = rng.integers(2, 200, (60, 3))
    ac = rng.binomial(an, rng.uniform(0, 1, (60, 1)))
    ac[:4], ac[4:6] = 0, an[4:6]
    an[6, 0], ac[6, 0] = 0, 0
    an[7, 1], ac[7, 1] = 1, 1
    an[8, 2] = ac[8, 2] = -1
    return ac, an


def rows_of(counts, a, b):
    ac, an = counts
    used = (an[:, a] >= 2) & (an[:, b] >= 2)
    return [
        tuple(int(one) for one in (ac[j, a], an[j, a], ac[j, b], an[j, b]))
        for j in np.flatnonzero(used)
    ]


def test_every_row_against_fractions(counts):
    ac, an = counts
    found = fst.hudson_rows(ac[:, 0], an[:, 0], ac[:, 1], an[:, 1])
    for j in range(len(ac)):
        expected = oracle.parts(*(int(one) for one in (ac[j, 0], an[j, 0], ac[j, 1], an[j, 1])))
        if expected is None:
            assert np.isnan(found.numerator[j])
            assert np.isnan(found.fst[j])
            continue
        numerator, denominator = expected
        assert found.numerator[j] == pytest.approx(float(numerator), rel=1e-13, abs=1e-16)
        assert found.denominator[j] == pytest.approx(float(denominator), rel=1e-13)
        ratio = float(numerator / denominator) if denominator else np.nan
        assert found.fst[j] == pytest.approx(ratio, rel=1e-12, abs=1e-15, nan_ok=True)


def test_ratios_of_sums(counts):
    found = fst.hudson(*counts)
    for a in range(3):
        assert found.fst[a, a] == 0.0
        for b in range(3):
            if a != b:
                used = rows_of(counts, a, b)
                assert found.fst[a, b] == pytest.approx(oracle.over_rows(used), rel=1e-12)
                assert found.rows[a, b] == len(used)


def test_shards_add_up(counts):
    ac, an = counts
    parts = [
        fst.hudson(ac[some], an[some]) for some in (slice(0, 13), slice(13, 40), slice(40, 60))
    ]
    whole, found = fst.hudson(ac, an), fst.add(parts)
    np.testing.assert_allclose(found.fst, whole.fst, rtol=1e-14)
    np.testing.assert_array_equal(found.rows, whole.rows)
    np.testing.assert_array_equal(found.varying, whole.varying)


def test_groups_that_do_not_vary_have_no_fst():
    found = fst.hudson(np.zeros((3, 2), int), np.full((3, 2), 40))
    assert np.isnan(found.fst[0, 1])
    assert (found.rows[0, 1], found.varying[0, 1]) == (3, 0)


def test_fixed_differences_are_one():
    assert fst.hudson(np.array([[0, 40]]), np.array([[40, 40]])).fst[0, 1] == 1.0
