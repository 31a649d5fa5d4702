from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from genome_eu.stats.inbreeding import inbreeding_coefficient


def test_against_fractions():
    rng = np.random.default_rng(1)
    for het, ref, alt in rng.integers(0, 50, (50, 3)).tolist():
        people = het + ref + alt
        p = Fraction(2 * ref + het, 2 * people)
        expected = 1 - Fraction(het) / (2 * p * (1 - p) * people)
        assert inbreeding_coefficient(het, ref, alt) == pytest.approx(
            float(expected), rel=1e-13, abs=1e-15
        )


def test_extremes():
    assert inbreeding_coefficient(10, 0, 0) == -1.0
    assert inbreeding_coefficient(0, 5, 5) == 1.0
    assert inbreeding_coefficient(50, 25, 25) == 0.0


def test_rows_without_an_answer():
    found = inbreeding_coefficient([0, 0, 0, -1], [0, 7, 0, -1], [0, 0, 7, -1])
    assert np.isnan(found).all()
