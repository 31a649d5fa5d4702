"""What a site says of rows that it does not have, or does not list.

A row that nobody here carries and one that a few carry must look alike to whoever may not know the
few. So a site speaks of rows that it does not list only where its policy has no allele floor, where
the numbers leave under masks, or where it has declared in which regions it could call and its
policy shows zeros. Everywhere else such a row is withheld, whether it is here or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genome_eu.federation.answers.answering import Inputs
from genome_eu.federation.plan import Plan
from genome_eu.stats import variants
from genome_eu.stats.states import AnyCounts, silenced, with_absent

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


@dataclass(frozen=True, eq=False)
class PanelRows:
    """The rows of a panel as they are counted here; all (rows,).

    `rows` are to be read, with any other row where one is `absent`; `called` are the absent rows
    in which people could be called, and `silent` rows are withheld.
    """

    rows: NDArray
    absent: NDArray
    called: NDArray
    silent: NDArray

    @property
    def complete(self) -> bool:
        """Whether the site has all of the rows and speaks of them."""
        return not (self.absent.any() or self.silent.any())

    def fill(self, part: AnyCounts, start: int, haploid: NDArray | None = None) -> AnyCounts:
        """Counts of the rows from `start` on, with what is said of those that are not here."""
        here = slice(start, start + part.rows)
        if self.absent[here].any():
            part = with_absent(part, self.absent[here], self.called[here], haploid)
        return silenced(part, self.silent[here]) if self.silent[here].any() else part


def panel_rows(site: Site, plan: Plan, inputs: Inputs) -> PanelRows:
    """The rows of a plan's panel, those that the site lacks among them."""
    found = site.located(plan, inputs)
    absent = ~found.here
    nowhere = np.zeros_like(absent)
    silent = nowhere if _speaks(site, plan) else ~found.listed & found.absent
    if not absent.any():
        return PanelRows(found.rows, absent, nowhere, silent)
    called = nowhere
    if site.callable_regions is not None:
        asked = variants.decode(inputs["panel"])
        called = absent & found.absent & site.callable_regions.covers(asked)
    # In place of a row that is not here the one before it is read, which is at hand.
    before = np.maximum.accumulate(np.where(absent, -1, np.arange(absent.size)))
    stand_in = np.append(found.rows, site.own_rows[:1])
    return PanelRows(stand_in[before], absent, called, silent)


def _speaks(site: Site, plan: Plan) -> bool:
    """Whether the site tells rows that nobody carries from rows that a few do."""
    policy = site.policy
    if policy is None or plan.masked:
        return True
    return policy.show_zero and (policy.allele_floor <= 1 or site.callable_regions is not None)
