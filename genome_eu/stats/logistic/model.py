"""One site's people in a logistic model: who takes part for which trait, and their columns.

With site effects each site has an intercept of its own, which never leaves it. Given the shared
parameters, a site solves for that intercept by itself, and takes it out of its sums by centring
columns at their weighted means: the Schur complement of the information matrix. The shared
parameters are then those of a pooled fit with one indicator per site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import BadInput, TraitError
from genome_eu.stats.aggregate import Private


@dataclass(frozen=True, eq=False)
class Design(Private):
    """One site's people: covariates on the agreed scale, traits as 0 and 1, and offsets.

    A site with an intercept of its own takes part for a trait only if it has both cases and
    controls; of anything else its intercept would be infinite, and its people say nothing.
    """

    x: NDArray  # (people, width); a common intercept, where there is one, comes first
    y: NDArray  # (people, traits), 1 for cases, 0 for everybody else
    offset: NDArray  # (people, traits), added to the linear predictor
    included: NDArray  # bool (people, traits)
    site_effects: bool

    @property
    def traits(self) -> int:
        """Number of traits."""
        return self.y.shape[1]

    @property
    def width(self) -> int:
        """Shared parameters of the null model."""
        return self.x.shape[1]

    def who(self, trait: int) -> NDArray[np.int64]:
        """The people who take part for a trait, in order."""
        return np.flatnonzero(self.included[:, trait])

    def labels(self, trait: int) -> NDArray[np.int64]:
        """Labels for counting: 1 for cases, 0 for controls, −1 for all others."""
        return np.where(self.included[:, trait], self.y[:, trait], -1).astype(np.int64)

    def with_offset(self, offset: NDArray) -> Design:
        """The same people with another offset, such as that of another chromosome.

        Parameters
        ----------
        offset : float64 array, shape (people, traits)
            NaN is refused for people who take part.
        """
        return replace(self, offset=_offset(offset, self.included))


def case_control(values: NDArray, name: str, *, coded_12: bool = False) -> NDArray:
    """A binary trait as 0 and 1, NaN where missing.

    Parameters
    ----------
    values : float64 array, shape (people,)
        NaN where missing.
    name : str
        The trait, for the message.
    coded_12 : bool
        The trait has 1 for controls and 2 for cases, as PLINK writes it.

    Raises
    ------
    TraitError
        If another value occurs.
    """
    control, case = (1.0, 2.0) if coded_12 else (0.0, 1.0)
    known = ~np.isnan(values)
    strange = known & (values != control) & (values != case)
    if strange.any():
        other = "" if coded_12 else "; if 1 is a control and 2 a case, say so (--case-control-12)"
        raise TraitError(
            f"trait {name} has a value other than {control:g} (control) and {case:g} (case){other}"
        )
    return np.where(known, values - control, np.nan)


def design(
    x: NDArray,
    y: NDArray,
    *,
    site_effects: bool,
    offset: NDArray | None = None,
    groups: Sequence[int] | None = None,
) -> Design:
    """Prepare a site's people for the sums.

    Parameters
    ----------
    x : float64 array, shape (people, covariates)
        Covariates less the agreed origin, over the agreed scale; NaN where missing.
    y : float64 array, shape (people, traits)
        1 for cases, 0 for controls, NaN where missing; see `case_control`.
    site_effects : bool
        An intercept for each site, instead of one for all.
    offset : float64 array, shape (people, traits), optional
        Added to the linear predictor, as a leave-one-chromosome-out prediction is.
    groups : sequence of int, length traits, optional
        The group of each trait: only people with every trait of its group take part. Every trait
        is a group of its own if not given.
    """
    known = ~np.isnan(x).any(axis=1)
    included = known[:, None] & ~np.isnan(y)
    if groups is not None:
        label = np.asarray(groups, np.int64)
        for group in np.unique(label):
            members = label == group
            included[:, members] = included[:, members].all(axis=1, keepdims=True)
    y = np.where(included, y, 0.0)
    if not np.isin(y, (0.0, 1.0)).all():
        raise TraitError("a binary trait has a value other than 0 and 1; check its coding")
    if site_effects:
        cases, controls = (y == 1).sum(axis=0), (included & (y == 0)).sum(axis=0)
        included &= (cases > 0) & (controls > 0)
        y = np.where(included, y, 0.0)
    columns = np.where(known[:, None], x, 0.0)
    if not site_effects:
        columns = np.column_stack([np.ones(len(x)), columns])
    if offset is None:
        offset = np.zeros(y.shape)
    return Design(columns, y, _offset(offset, included), included, site_effects)


def _offset(offset: NDArray, included: NDArray) -> NDArray:
    if offset.shape != included.shape:
        raise BadInput(
            f"the offset has shape {offset.shape}, but the model has {included.shape} people and "
            f"traits; give one value for each"
        )
    if not np.isfinite(offset[included]).all():
        raise BadInput("the offset is not a number for somebody who takes part; give one for all")
    return np.where(included, offset, 0.0)
