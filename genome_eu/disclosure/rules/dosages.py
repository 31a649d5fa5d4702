"""How many people carry an allele, where there are dosages beside hard calls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.checks import below
from genome_eu.disclosure.policy import Policy


def rare(
    alt: tuple[NDArray, NDArray],
    others: tuple[NDArray, NDArray],
    floor: int,
    policy: Policy,
) -> NDArray[np.bool_]:
    """Where too few people may carry either allele: how many there are by dosages, by hard calls.

    Dosages near 0 in many people add up, and hide none of the few who carry the allele: sums of
    products are theirs. So certain carriers are counted as well. That there are none of them does
    not say that nobody carries the allele, unless nobody's dosage does.
    """
    found = np.zeros(np.shape(alt[0]), bool)
    for dosage, hard in (alt, others):
        found |= below(dosage, floor, policy) | ((hard < floor) & (dosage > 0))
    return found
