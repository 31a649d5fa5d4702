"""Whoever is asked: the sites of a split, or everybody as one cohort; and what a question is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from benchmarks.exactness.people import People, Split

#: Answers, each with the title of its line.
Answers: TypeAlias = dict[str, xr.Dataset | pd.DataFrame]

COVARIATES = ["age", "sex"]
#: Without an intercept for each site.
ONE = {"site_effects": False}


@dataclass(frozen=True, eq=False)
class Asked:
    """Federations of the sites of a split, or the cohorts of everybody where there is none."""

    people: People
    split: Split | None = None

    @cached_property
    def calls(self) -> Any:
        """Rows on autosomes."""
        return self._of("calls")

    @cached_property
    def haploid(self) -> Any:
        """Rows on X, Y and MT."""
        return self._of("haploid")

    @cached_property
    def imputed(self) -> Any:
        """Dosages."""
        return self._of("imputed")

    @cached_property
    def harmonized(self) -> Any:
        """Rows that all stores have; every other site has written them in another way."""
        if self.split is None:
            return self.people.calls.on_rows(self._common)
        sites = self.split.sites
        stores = ["exchanged" if number % 2 == (sites > 1) else "calls" for number in range(sites)]
        return self._of(*stores).on_rows(self._common)

    @property
    def once(self) -> Any:
        """Rows on autosomes, in a single round."""
        return self.calls.on_rows(self.people.calls.rows).in_one_round()

    @property
    def site(self) -> NDArray:
        """The site of each person."""
        split = self.split or Split(1)
        return self.people.table[split.column].to_numpy()

    @property
    def everybody(self) -> Asked:
        """The same people as one cohort."""
        return Asked(self.people)

    @property
    def _common(self) -> pd.DataFrame:
        rows, others = self.people.calls.rows, self.people.exchanged.rows
        places = ["contig", "position"]
        return rows.merge(others[places], on=places).reset_index(drop=True)

    def _of(self, *stores: str) -> Any:
        import genome_eu

        if self.split is None:
            return getattr(self.people, stores[0])
        column = self.split.column
        return genome_eu.federate(
            {
                name: getattr(self.people, stores[number % len(stores)]).where(**{column: name})
                for number in range(self.split.sites)
                for name in [f"S{number + 1}"]
            },
            policy="open-data",
        )


@dataclass(frozen=True)
class Question:
    """One question, or several that share their rounds; each answer has a line of its own.

    `of_everybody` answers it for the pooled people, by default by asking their cohort the same;
    it is told of the split where it `knows_sites`. What takes many rounds and resembles another
    question is `thinned`: it is asked of fewer splits.
    """

    name: str
    ask: Callable[[Asked], Answers]
    of_everybody: Callable[[Asked], Answers] | None = None
    thinned: bool = False

    @property
    def knows_sites(self) -> bool:
        """Whether the pooled answer depends on the split."""
        return self.of_everybody is not None

    def pooled(self, asked: Asked) -> Answers:
        """The answer for everybody."""
        return (self.of_everybody or self.ask)(asked if self.knows_sites else asked.everybody)
