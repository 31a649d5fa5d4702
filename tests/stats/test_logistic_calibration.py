"""Under the null with one case in a thousand, p-values are what they say.

Fifty thousand tests are enough for the suite; `GENOME_EU_WHOLE=1` makes a million.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.stats import binom

from tests.stats.logistic_rounds import Study

WHOLE = bool(os.environ.get("GENOME_EU_WHOLE"))
PEOPLE, CASES, TRAITS = 200_000, 200, 50
ROWS, BLOCK = 20_000 if WHOLE else 1_000, 500
SMALL = 1e-4
# No test with a smaller |z| has such a p-value by any method, so those are not followed up.
LEAST = 3.0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_case_in_a_thousand(record_property):
    """Tests of alleles of 5 to 50 %; score tests alone, beside them, are off.

    Without covariates the score is the cases' share of the alleles, which says cheaply which rows
    are worth a model.
    """
    rng = np.random.default_rng(41)
    cases = [rng.choice(PEOPLE, CASES, replace=False) for _ in range(TRAITS)]
    none, site = np.empty((PEOPLE, 0)), np.zeros(PEOPLE)
    share = CASES / PEOPLE
    below = {"score": 0, "spa": 0, "firth": 0}
    for _ in range(ROWS // BLOCK):
        frequency = rng.uniform(0.05, 0.5, (BLOCK, 1))
        alleles = rng.integers(0, 2**16, (2, BLOCK, PEOPLE), np.uint16) < 2**16 * frequency
        dosage = alleles.sum(axis=0, dtype=np.int8)
        mean, spread = dosage.mean(axis=1), dosage.std(axis=1)
        for members in cases:
            score = dosage[:, members].sum(axis=1) - CASES * mean
            z = score / (spread * np.sqrt(PEOPLE * share * (1 - share)))
            rows = np.flatnonzero(np.abs(z) > LEAST)
            if not rows.size:
                continue
            y = np.zeros((PEOPLE, 1))
            y[members] = 1.0
            study = Study(dosage[rows], none, y, site)
            np.testing.assert_allclose(study.score.z[:, 0], z[rows], rtol=1e-9)
            for test in below:
                found = study.test(test, cutoff=LEAST)
                assert (found.errcode_words == ".").all()
                below[test] += int((found.neg_log10_p > -np.log10(SMALL)).sum())
    tests = ROWS * TRAITS
    low, high = binom.interval(0.999, tests, SMALL)
    for test, number in below.items():
        record_property(f"p < {SMALL:g} of {tests} tests by {test}", number)
    assert low <= below["spa"] <= high, below
    assert low <= below["firth"] <= high, below
    assert not WHOLE or below["score"] > below["spa"], below
