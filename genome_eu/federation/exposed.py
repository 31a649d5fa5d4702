"""Whom an answer describes, and by which columns: what a site's budgets are kept by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.budget import Budget, Exposure
from genome_eu.disclosure.policy import Policy
from genome_eu.federation.plan import array_digest


class Exposed:
    """Makes the exposures of one site's people.

    Where a method takes `rows`, sums over people are shown for so many rows, and `panel` is a
    digest of what the rows are.

    Parameters
    ----------
    budget : Budget
        The site's own; it knows the key of the hashes.
    hashes : uint64 array, shape (people,)
        `Budget.hashes` of everybody in the store.
    included : bool array, shape (people,)
        Who takes part.
    policy : Policy
        Says from which size a group is described.
    """

    def __init__(self, budget: Budget, hashes: NDArray, included: NDArray, policy: Policy) -> None:
        self._budget = budget
        self._hashes = hashes
        self._included = included
        self._policy = policy

    def everybody(self) -> Exposure:
        """An answer about all who take part, without a product with genotypes."""
        return Exposure(people=(np.sort(self._hashes[self._included]),))

    def groups(
        self, labels: NDArray | None, asked: Sequence[str] | None, *, rows: int = 0, panel: str = ""
    ) -> Exposure:
        """Everybody and each group that was asked for (all of them, if None)."""
        sets = [self._included]
        if labels is not None:
            shown = np.unique(labels[labels != ""]) if asked is None else asked
            groups = [labels == name for name in shown]
            # Those in no group that was asked for can be had by subtraction.
            grouped = np.any(groups, axis=0) if groups else np.zeros(labels.size, bool)
            groups.append(self._included & ~grouped)
            sizes = [int(group.sum()) for group in groups]
            # If one is too small, the airlock describes nobody but everybody.
            if not any(0 < size < self._policy.min_people for size in sizes):
                sets += [group for group, size in zip(groups, sizes, strict=True) if size]
        # A group's count is the product with its indicator, and a column of its people alone.
        ones = [np.empty((int(members.sum()), 0)) for members in sets]
        return self._of(sets, ones, rows, panel)

    def moments(
        self, x: NDArray, y: NDArray, traits: Sequence[str], *, rows: int = 0, panel: str = ""
    ) -> Exposure:
        """Whoever has all covariates, and of those the people of each trait.

        The sum of a PCA's scores is that of chosen genotypes: each is a row.
        """
        sets, _ = self._of_traits(x, y)
        complete = self._included & ~np.isnan(x).any(axis=1)
        ones = [np.empty((int(complete.sum()), 0))] if rows else []
        return self._of([complete, *sets], ones, rows, panel)

    def model(
        self, x: NDArray, y: NDArray, traits: Sequence[str], *, rows: int = 0, panel: str = ""
    ) -> Exposure:
        """The people of each trait; and, where genotypes are multiplied, covariates and traits."""
        sets, owners = self._of_traits(x, y)
        if not rows:
            return self._of(sets, [], 0, "")
        columns = [
            np.hstack([x[members], y[np.ix_(members, np.asarray(owners) == number)]])
            for number, members in enumerate(sets)
        ]
        return self._of(sets, columns, rows, panel, tuple(traits), tuple(owners))

    def projection(self, inputs: Mapping[str, NDArray], rows: int) -> Exposure:
        """Everybody, by the columns Zᵀq: each loading vector makes one."""
        panel = _digest(inputs, "panel", "frequency")
        columns = tuple(
            hashlib.blake2b(panel.encode() + column.tobytes(), digest_size=16).digest()
            for column in inputs["loadings"].T
        )
        people = self.everybody().people
        return Exposure(people=people, columns=columns, rows=rows, panel=panel)

    def scores(self, inputs: Mapping[str, NDArray]) -> Exposure:
        """Everybody, by sums of scores and of their squares.

        Loadings on a single row make these its allele count and its genotype counts: each is a row.
        """
        rows = 2 * inputs["loadings"].shape[1]
        panel = _digest(inputs, "panel", "frequency", "loadings")
        everybody = np.empty((int(self._included.sum()), 0))
        return self._of([self._included], [everybody], rows, panel)

    def _of_traits(self, x: NDArray, y: NDArray) -> tuple[list[NDArray], list[int]]:
        """The distinct sets of people of the traits, and the set of each trait."""
        complete = self._included & ~np.isnan(x).any(axis=1)
        place: dict[bytes, int] = {}
        sets: list[NDArray] = []
        owners = []
        for values in y.T:
            members = complete & ~np.isnan(values)
            key = np.packbits(members).tobytes()
            if key not in place:
                place[key] = len(sets)
                sets.append(members)
            owners.append(place[key])
        return sets, owners

    def _of(
        self,
        sets: Sequence[NDArray],
        columns: Sequence[NDArray],
        rows: int,
        panel: str,
        traits: tuple[str, ...] = (),
        owners: tuple[int, ...] = (),
    ) -> Exposure:
        """Sets of people; of the first, an intercept and what else genotypes are multiplied by."""
        digests: list[bytes] = []
        column_people: list[int] = []
        for number, values in enumerate(columns if rows else ()):
            with_intercept = np.hstack([np.ones((len(values), 1)), values])
            found = self._budget.columns(self._hashes[sets[number]], with_intercept)
            digests += found
            column_people += [number] * len(found)
        return Exposure(
            people=tuple(np.sort(self._hashes[members]) for members in sets),
            columns=tuple(digests),
            traits=traits,
            rows=rows,
            panel=panel,
            column_people=tuple(column_people),
            trait_people=owners,
        )


def _digest(inputs: Mapping[str, NDArray], *names: str) -> str:
    return "".join(array_digest(inputs[name]) for name in names if name in inputs)
