"""Everybody's columns as the formulas take them, with an intercept for each site."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.exactness import formulas
from benchmarks.exactness.asked import COVARIATES, Asked
from benchmarks.exactness.people import Split

#: Places of the rows that others are conditioned on.
CONDITION = [5, 50]


def with_sites(at: Asked, covariates: str | list[str] = COVARIATES) -> str:
    """Covariates of a formula, with a level for each site."""
    split = at.split or Split(1)
    names = covariates if isinstance(covariates, str) else " + ".join(covariates)
    return names + (f" + C({split.column})" if split.sites > 1 else "")


@dataclass(frozen=True, eq=False)
class Pooled:
    """Dosages with the mean of the site where a call is missing, and what stands beside them."""

    at: Asked
    dosage: NDArray

    @classmethod
    def of(cls, at: Asked) -> Pooled:
        """Of hard calls on autosomes."""
        return cls(at, formulas.at_mean_of_site(at.people.dosage, at.site))

    @property
    def table(self) -> pd.DataFrame:
        """Of people."""
        return self.at.people.table

    @cached_property
    def covariates(self) -> NDArray:
        """Of variance 1."""
        return formulas.standardized(self.table, COVARIATES)

    @cached_property
    def x(self) -> NDArray:
        """Intercepts and covariates."""
        return np.column_stack([formulas.intercepts(self.at.site), self.covariates])

    @property
    def beside_rows(self) -> NDArray:
        """Intercepts, covariates and the rows of the condition."""
        return np.column_stack([self.x, self.dosage[CONDITION].T])

    @property
    def within_sites(self) -> NDArray:
        """Intercepts, and covariates with an effect at each site."""
        sites = formulas.intercepts(self.at.site)
        within = (sites[:, :, None] * self.covariates[:, None, :]).reshape(len(sites), -1)
        return np.column_stack([sites, within])

    def y(self, trait: str) -> NDArray:
        """A trait."""
        return self.table[trait].to_numpy()

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Rows in which people differ."""
        found: NDArray[np.bool_] = np.ptp(self.dosage, axis=1) > 0
        return found

    @property
    def apart(self) -> NDArray[np.bool_]:
        """The same, but for the rows of the condition."""
        return self.varies & ~np.isin(np.arange(len(self.dosage)), CONDITION)


def condition(at: Asked) -> list[str]:
    """The names of the rows that others are conditioned on."""
    rows = at.people.calls.rows.iloc[CONDITION]
    return [f"{row.contig}:{row.position}:{row.ref}:{row.alt}" for row in rows.itertuples()]
