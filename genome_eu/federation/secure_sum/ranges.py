"""What the fields of a secure sum can hold: how large a site's value can be, and how fine it is.

The bounds follow from the mathematics of each field. Dosages g are 0 … 2 and the missing plane m is
0 or 1, so over at most N people Σg² ≤ 4N and Σm ≤ N. Covariates and traits are divided by their
pooled standard deviations, so Σx² ≤ N over all sites; twice those deviations are allowed for
(Σx² ≤ 4N), as scales may come from elsewhere. Products follow by Cauchy and Schwarz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass
from math import isqrt
from typing import Any

import numpy as np

from genome_eu.errors import Refused, UsageError
from genome_eu.federation.plan import Plan

#: Most people that a secure sum may be asked for.
MOST_PEOPLE = 2**32

# Binary digits after the point of a product of standardized columns: at most 2^-47 is lost at each
# site, where one person's product is about 1.
_PRODUCT = 46


@dataclass(frozen=True)
class Range:
    """|value| ≤ factor · √(people^people · rows^rows), in steps of 2^−fraction."""

    factor: int
    people: int = 0  # exponents of the squared bound, so that roots are exact
    rows: int = 0
    fraction: int = 0

    def bound(self, people: int, rows: int) -> int:
        """The largest size of one site's value."""
        square = self.factor**2 * people**self.people * rows**self.rows
        return isqrt(square - 1) + 1


def _counted(factor: int) -> Range:
    return Range(factor, people=2)


#: By the name of the field, which means the same in every statistic.
RANGES: Mapping[str, Range] = {
    "people": _counted(1),
    "called": _counted(1),
    "missing": _counted(1),
    "imputed": _counted(1),
    "imputed_haploid": _counted(1),
    # Whole for hard calls; of dosages they are multiples of 2^-15, and of 2^-29 where squared.
    "allele_count": Range(2, people=2, fraction=_PRODUCT),
    "dosage_sum": Range(2, people=2, fraction=_PRODUCT),
    "dosage_square": Range(4, people=2, fraction=_PRODUCT),
    "hard_called": _counted(1),
    "hard_count": _counted(2),
    "het": _counted(1),
    "hom_alt": _counted(1),
    "haploid": _counted(1),
    "lost": _counted(1),
    # Of two rows: Σg ≤ 2N, and Σg², Σg·g' ≤ 4N.
    "dosage_a": _counted(2),
    "dosage_b": _counted(2),
    "square_a": _counted(4),
    "square_b": _counted(4),
    "dosage_product": _counted(4),
    "trait_people": _counted(1),
    "covariate_people": _counted(1),
    "intercepts": Range(1),
    # As the tables hold them, in any unit: sums of squares from 1e-12² to 10¹² times 10⁹ people.
    "trait_sum": Range(2**112, fraction=128),
    "trait_square": Range(2**112, fraction=128),
    "covariate_sum": Range(2**112, fraction=128),
    "covariate_square": Range(2**112, fraction=128),
    "gg": Range(4, people=2, fraction=_PRODUCT),
    "gx": Range(4, people=2, fraction=_PRODUCT),
    "gy": Range(4, people=2, fraction=_PRODUCT),
    "mx": Range(2, people=2, fraction=_PRODUCT),
    "my": Range(2, people=2, fraction=_PRODUCT),
    "xx": Range(4, people=2, fraction=_PRODUCT),
    "xy": Range(4, people=2, fraction=_PRODUCT),
    "yy": Range(4, people=2, fraction=_PRODUCT),
    # Centred dosages are at most 2 in size.
    "gram": Range(4, people=2, fraction=_PRODUCT),
    # Predictions explain a part of a trait, for which Σy² ≤ 4N; what exceeds that is refused.
    "z": Range(2, people=2, fraction=_PRODUCT),
    "zz": Range(4, people=2, fraction=_PRODUCT),
    "zy": Range(4, people=2, fraction=_PRODUCT),
    "square": Range(4, people=2, fraction=_PRODUCT),
    "y": Range(2, people=2, fraction=_PRODUCT),
    # −ln of a probability; one below e^−700 is none that a ridge comes to.
    "loss": Range(700, people=2, fraction=_PRODUCT),
    "held_out": Range(700, people=2, fraction=_PRODUCT),
    # Residuals and Firth's penalty are at most 1.5 in size, weights 1/4, and leverages 1.
    "cases": _counted(1),
    "controls": _counted(1),
    "sites": Range(1),
    "score": Range(4, people=2, fraction=_PRODUCT),
    "information": Range(4, people=2, fraction=_PRODUCT),
    "curvature": Range(4, people=2, fraction=_PRODUCT),
    "called_cases": _counted(1),
    "called_controls": _counted(1),
    "hard_called_cases": _counted(1),
    "hard_called_controls": _counted(1),
    "hard_cases": _counted(2),
    "hard_controls": _counted(2),
    "alleles_cases": Range(2, people=2, fraction=_PRODUCT),
    "alleles_controls": Range(2, people=2, fraction=_PRODUCT),
    "squares": Range(4, people=2, fraction=_PRODUCT),
    "gr": Range(4, people=2, fraction=_PRODUCT),
    "mr": Range(2, people=2, fraction=_PRODUCT),
    "cube": Range(16, people=2, fraction=_PRODUCT),
    "fourth": Range(64, people=2, fraction=_PRODUCT),
    # Log-likelihoods and cumulants grow with the linear predictor; what exceeds 1,000 a person is
    # refused. A sum of weights below e^−1000 is none.
    "loglik": Range(2**10, people=2, fraction=_PRODUCT),
    "log_weight": Range(2**10, fraction=_PRODUCT),
    "cumulant": Range(2**10, people=2, fraction=_PRODUCT),
    "slope": Range(4, people=2, fraction=_PRODUCT),
    "spread": Range(16, people=2, fraction=_PRODUCT),
    "least": Range(4, people=2, fraction=_PRODUCT),
    "most": Range(4, people=2, fraction=_PRODUCT),
    # A row of Z has Σz² ≤ 2N, as no variance of g exceeds 4p(1−p), and loadings have unit norm:
    # |z·ZᵀQ| ≤ ‖z‖·‖Z‖ ≤ 2N√rows. Twice that is allowed for.
    "projected": Range(4, people=2, rows=1, fraction=_PRODUCT),
    "polygenic_bins": _counted(1),
    # In expected standard deviations, but weights and frequencies come from outside.
    "polygenic_sum": Range(2**112, fraction=128),
    "polygenic_square": Range(2**112, fraction=128),
    # Scores are divided by the root of the eigenvalue: Σs² ≤ 1. Four times that is allowed for.
    "score_sum": Range(2, people=1, fraction=60),
    "score_square": Range(4, fraction=60),
}


@dataclass(frozen=True)
class Agreed:
    """The range of one field in one round: the same at every site."""

    bound: int  # of one site's value
    fraction: int
    participants: int

    @property
    def words(self) -> int:
        """64-bit words of a value: the sum of all sites fits, with its sign."""
        largest = (self.participants * self.bound) << self.fraction
        return -(-(largest.bit_length() + 1) // 64)

    @property
    def error(self) -> float:
        """The most that the total can be off, before it is rounded to float64 once."""
        return self.participants * 2.0 ** (-self.fraction - 1) if self.fraction else 0.0


def agreed_range(plan: Plan, field: Field[Any], people_bound: int) -> Agreed:
    """The range of a declared field of the plan's statistic; whole numbers have no fraction.

    Raises
    ------
    Refused
        The field has no range, so it cannot be summed in secret.
    UsageError
        The bound on people is out of range.
    """
    if not 1 <= people_bound <= MOST_PEOPLE:
        raise UsageError(f"a secure sum is over 1 to {MOST_PEOPLE:,} people, not {people_bound:,}")
    known = RANGES.get(field.name)
    if known is None:
        raise Refused(
            f"field {plan.statistic}.{field.name} has no range, so no secure sum can hold it"
        )
    fraction = 0 if field.metadata["dtype"] is np.int64 else known.fraction
    return Agreed(known.bound(people_bound, max(plan.rows, 1)), fraction, len(plan.sites))
