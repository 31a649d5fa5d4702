"""Polygenic scores by one person and one row at a time."""

from __future__ import annotations

import numpy as np


def scores(dosage, weights, counts_ref, frequency=None):
    """Σ weight × copies of the effect allele; missing calls count 2·frequency of it, or 0.

    `dosage` (rows, people) counts ALT, −1 where missing; `frequency` is of ALT.
    """
    rows, people = dosage.shape
    found = np.zeros(people)
    for i in range(people):
        for j in range(rows):
            if dosage[j, i] >= 0:
                copies = 2 - dosage[j, i] if counts_ref[j] else dosage[j, i]
            elif frequency is None:
                copies = 0.0
            else:
                copies = 2 * (1 - frequency[j] if counts_ref[j] else frequency[j])
            found[i] += weights[j] * copies
    return found
