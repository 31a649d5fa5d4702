from __future__ import annotations

import numpy as np
import pytest

from genome_eu.errors import UsageError
from genome_eu.stats import spectra
from tests.oracles import spectra as oracle


@pytest.fixture
def counts() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(9)
    an = 2 * rng.integers(8, 21, 80)
    an[:30] = 40
    ac = rng.binomial(an, rng.uniform(0, 1, 80) ** 2)
    ac[70], an[70] = -1, -1
    return ac, an


def pairs(counts):
    return [(int(ac), int(an)) for ac, an in zip(*counts, strict=True) if ac >= 0]


@pytest.mark.parametrize("alleles", [2, 7, 20, 40])
@pytest.mark.parametrize("folded", [False, True])
def test_against_fractions(counts, alleles, folded):
    found = spectra.spectrum(*counts, alleles, folded=folded)
    expected = oracle.spectrum(pairs(counts), alleles)
    expected = oracle.folded(expected) if folded else expected
    np.testing.assert_allclose(found.rows, [float(one) for one in expected], rtol=1e-11, atol=1e-12)
    assert found.left_out == int((counts[1] < alleles).sum())
    assert found.rows.sum() == pytest.approx(80 - found.left_out)
    assert found.alleles == alleles


def test_rows_called_in_everybody_are_counted_as_they_are():
    found = spectra.spectrum(np.array([0, 1, 1, 4]), np.array([4, 4, 4, 4]), 4)
    assert found.rows.tolist() == [1, 2, 0, 0, 1]
    folded = spectra.spectrum(np.array([0, 1, 3, 2]), np.array([4, 4, 4, 4]), 4, folded=True)
    assert folded.rows.tolist() == [1, 2, 1, 0, 0]
    odd = spectra.spectrum(np.array([0, 1, 2]), np.array([3, 3, 3]), 3, folded=True)
    assert odd.rows.tolist() == [1, 2, 0, 0]


def test_joint_spectra_against_fractions(counts):
    ac = np.stack([counts[0], counts[0][::-1]], axis=1)
    an = np.stack([counts[1], counts[1][::-1]], axis=1)
    found, left_out = spectra.joint_spectrum(ac, an, (6, 10))
    expected = np.zeros((7, 11))
    for row in range(80):
        if (an[row] > 0).all():
            a = oracle.projected(int(ac[row, 0]), int(an[row, 0]), 6)
            b = oracle.projected(int(ac[row, 1]), int(an[row, 1]), 10)
            expected += np.outer([float(one) for one in a], [float(one) for one in b])
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    assert left_out == 2


def test_the_sides_of_a_joint_spectrum_are_the_spectra(counts):
    ac = np.stack([counts[0], counts[0][::-1]], axis=1)
    an = np.stack([counts[1], counts[1][::-1]], axis=1)
    both = (an > 0).all(axis=1)
    joint, _ = spectra.joint_spectrum(ac, an, (6, 10))
    first = spectra.spectrum(ac[both, 0], an[both, 0], 6)
    np.testing.assert_allclose(joint.sum(axis=1), first.rows, rtol=1e-11)


def test_a_spectrum_needs_two_alleles(counts):
    with pytest.raises(UsageError, match="a spectrum of 1 alleles has no counts"):
        spectra.spectrum(*counts, 1)


class TestSharing:
    AC = np.array([[1, 0, 0], [2, 3, 0], [1, 1, 1], [0, 0, 0], [-1, 2, 0], [0, 0, 5]])
    AN = np.array([[4, 4, 4], [4, 4, 4], [4, 4, 4], [4, 4, 4], [-1, 4, 4], [4, 0, 9]])

    def test_counts(self):
        found = spectra.sharing(self.AC, self.AN)
        assert found.present.tolist() == [3, 2, 1]
        assert found.private.tolist() == [1, 0, 0]
        assert found.shared.tolist() == [[3, 2, 1], [2, 2, 1], [1, 1, 1]]
        assert (found.everywhere, found.nowhere, found.unknown) == (1, 1, 2)

    def test_shards_add_up(self):
        whole = spectra.sharing(self.AC, self.AN)
        parts = spectra.sharing(self.AC[:2], self.AN[:2]) + spectra.sharing(
            self.AC[2:], self.AN[2:]
        )
        for name, values in vars(whole).items():
            np.testing.assert_array_equal(getattr(parts, name), values)
