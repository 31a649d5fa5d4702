"""Inbreeding coefficient of a row: fewer heterozygotes than expected, or more."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def inbreeding_coefficient(
    n_het: ArrayLike, n_hom_ref: ArrayLike, n_hom_alt: ArrayLike
) -> NDArray[np.float64]:
    """1 − observed/expected heterozygotes (gnomAD's `inbreeding_coeff`).

    Parameters
    ----------
    n_het, n_hom_ref, n_hom_alt : int64 array, any one shape
        Diploid people with each genotype; numbers below 0 are withheld.

    Returns
    -------
    f : float64 array, the same shape
        1 − n_het / (2·p·q·n), with p and q of the same people. NaN where nobody is called, where
        all alleles are the same, and where a number is withheld.
    """
    het, ref, alt = (np.asarray(one, float) for one in (n_het, n_hom_ref, n_hom_alt))
    people = het + ref + alt
    # 2·p·q·n, without dividing before it must be.
    expected = (het + 2.0 * ref) * (het + 2.0 * alt) / (2.0 * np.where(people > 0, people, 1.0))
    known = (het >= 0) & (ref >= 0) & (alt >= 0) & (expected > 0)
    return np.where(known, 1.0 - het / np.where(known, expected, 1.0), np.nan)
