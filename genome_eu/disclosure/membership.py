"""How well it can be told who is in a cohort, from its allele frequencies alone.

Someone who holds a genome compares it with the released frequencies and with those of the
population. No floor on small counts closes this: people, rows or noise decide.
"""

from __future__ import annotations

from math import inf, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from genome_eu.disclosure.checks import Evidence
from genome_eu.disclosure.policy import Policy
from genome_eu.errors import BadInput

_NORMAL = NormalDist()


def membership_power(rows: int, people: int, alpha: float) -> float:
    """Power of the best test of membership that finds a stranger a member with probability alpha.

    √(rows / people) = z(1 − alpha) + z(power), for an attacker who knows the population's
    frequencies exactly. A reference of r people leaves √(1 / (1 + people/r)) of that distance.

    Parameters
    ----------
    rows : int
        Independent rows shown. Where linkage disequilibrium is not known, all rows shown: an upper
        bound. An effective number (`effective_rows`) is that of an attacker who ignores LD; one who
        models it comes closer to the bound. Where each row shows several sums over the same people
        (products with covariates and traits, projections), the bound counts each of them.
    people : int
        People behind each frequency.
    alpha : float
        False-positive rate.

    References
    ----------
    Sankararaman et al. (2009), Nat Genet 41:965–967.
    """
    if rows < 0 or people < 1 or not 0 < alpha < 1:
        raise BadInput(
            f"power of membership inference needs rows ≥ 0, people ≥ 1 and 0 < alpha < 1, "
            f"not {rows}, {people} and {alpha:g}"
        )
    return _NORMAL.cdf(sqrt(rows / people) - _NORMAL.inv_cdf(1.0 - alpha))


def most_rows(people: int, alpha: float, power: float) -> int:
    """Independent rows that may be shown of so many people before the power exceeds `power`."""
    return int(people * rows_per_person(alpha, power))


def rows_per_person(alpha: float, power: float) -> float:
    """Independent rows for each person at which the power is `power`; infinite where it is 1."""
    if power >= 1.0:
        return inf
    if power <= 0.0:
        return 0.0
    return max(_NORMAL.inv_cdf(1.0 - alpha) + _NORMAL.inv_cdf(power), 0.0) ** 2


def effective_rows(genotypes: ArrayLike) -> float:
    """Rows that would distinguish people as well if they were independent: rows² / Σr².

    Parameters
    ----------
    genotypes : int8 array, shape (rows, people)
        Complete genotypes, of a reference or of the site's own people.

    Notes
    -----
    The sum of squared correlations over pairs of rows is that over pairs of people of the same
    standardized matrix, less the rows²/people that independent rows would show by chance.
    """
    dosage = np.asarray(genotypes, float)
    centred = dosage - dosage.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1))
    z = centred[spread > 0] / spread[spread > 0, None]
    rows, people = z.shape
    squares = float(((z.T @ z / people) ** 2).sum()) - rows * (rows - 1) / (people - 1)
    return min(rows**2 / max(squares, rows), float(rows))


def membership_evidence(rows: int, people: int, policy: Policy) -> Evidence:
    """What a data officer is told of membership inference, for a release of sums by row.

    Parameters
    ----------
    rows : int
        Rows shown of these people, times the columns that each is shown for, in this release and in
        earlier ones: a site that looked at each release by itself would let any number of rows out,
        a few at a time. Each counts as independent, so that the power is an upper bound.
    people : int
        People in the smallest group that is described.
    policy : Policy
        Reviews a power above `membership_power` at false-positive rate `membership_alpha`.
    """
    power = membership_power(rows, people, policy.membership_alpha)
    if power <= policy.membership_power:
        return Evidence("membership power", policy.membership_power, 0, rows)
    return Evidence(
        "membership power",
        policy.membership_power,
        0,
        rows,
        "review",
        f"whoever holds a genome could tell whether it is among the {people:,} people described, "
        f"with power {power:.2f} at {policy.membership_alpha:.0%} false positives ({rows:,} sums "
        f"by row so far, taken as independent; policy {policy.name} asks a person above "
        f"{policy.membership_power:g})",
    )
