"""Whom an answer describes, and by which columns: what a site's budgets are kept by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

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
        sets, owners = self._of_traits(x, y)
        complete = self._included & ~np.isnan(x).any(axis=1)
        ones = [np.empty((int(complete.sum()), 0))] if rows else []
        found = self._of([complete, *sets], ones, rows, panel)
        if any(members.any() for members in sets):
            # As a model of these traits has them; of all the people of the covariates there would
            # be as many columns on the few who lack a trait.
            first = found.values or (np.empty((int(complete.sum()), 0)),)
            own = self._values(sets, self._columns(sets, owners, x, y))
            return replace(found, values=(*first, *own))
        return replace(found, values=self._values([complete], [x[complete]]))

    def model(
        self,
        x: NDArray,
        y: NDArray,
        traits: Sequence[str],
        *,
        rows: int = 0,
        panel: str = "",
        offsets: NDArray | None = None,
    ) -> Exposure:
        """The people of each trait; and, where genotypes are multiplied, covariates and traits.

        Without genotypes, `offsets` of the traits are compared with other columns as well.
        """
        sets, owners = self._of_traits(x, y)
        columns = self._columns(sets, owners, x, y, offsets)
        if not rows:
            return replace(self._of(sets, [], 0, ""), values=self._values(sets, columns))
        return self._of(sets, columns, rows, panel, tuple(traits), tuple(owners))

    def projection(self, inputs: Mapping[str, NDArray], rows: int, scores: NDArray) -> Exposure:
        """Everybody, by the columns Zᵀq: each loading vector makes one."""
        panel = _digest(inputs, "panel", "frequency")
        columns = tuple(
            hashlib.blake2b(panel.encode() + column.tobytes(), digest_size=16).digest()
            for column in inputs["loadings"].T
        )
        people = self.everybody().people
        found = Exposure(people=people, columns=columns, rows=rows, panel=panel)
        return self.combined(found, scores)

    def combined(self, found: Exposure, scores: NDArray) -> Exposure:
        """With scores of everybody, (people of the store, scores), that sums may be combined to."""
        sets = [self._included]
        return replace(found, values=self._values(sets, [scores[self._included]]))

    def divided(self, found: Exposure, parts: Sequence[NDArray]) -> Exposure:
        """With sets of people, bool (people of the store,), who are counted and nothing else."""
        sets = tuple(np.sort(self._hashes[members]) for members in parts if members.any())
        return replace(found, people=(*found.people, *sets))

    def pairs(self, inputs: Mapping[str, NDArray], rows: int, columns: int) -> Exposure:
        """Everybody, by products of rows with so many columns, most of them other rows."""
        panel = _digest(inputs, "panel")
        digests = tuple(
            hashlib.blake2b(f"{panel} pair {number}".encode(), digest_size=16).digest()
            for number in range(columns)
        )
        people = self.everybody().people
        return Exposure(people=people, columns=digests, rows=rows, panel=panel)

    def scores(self, inputs: Mapping[str, NDArray], scores: NDArray) -> Exposure:
        """Everybody, by sums of scores and of their squares.

        Loadings on a single row make these its allele count and its genotype counts: each is a row.
        """
        rows = 2 * inputs["loadings"].shape[1]
        panel = _digest(inputs, "panel", "frequency", "loadings")
        everybody = np.empty((int(self._included.sum()), 0))
        return self.combined(self._of([self._included], [everybody], rows, panel), scores)

    def folds(
        self,
        x: NDArray,
        y: NDArray,
        divide: Callable[[NDArray], NDArray],
        *,
        rows: int,
        panel: str,
        own: int,
        counted: bool,
    ) -> Exposure:
        """The people of a whole-genome regression and of each of its folds.

        Parameters
        ----------
        divide : callable
            Gives the fold of each person, −1 for those who do not take part.
        own : int
            Columns that are rows, or predictions, of the answer itself: with how many others of
            them each is multiplied.
        counted : bool
            Whether rows are only counted, and multiplied by no column of the model.
        """
        everybody = self._members(x, y)
        fold = divide(everybody)
        sets = [fold == number for number in np.unique(fold[fold >= 0])]
        if not rows:
            return self._of([*sets, everybody], [], 0, "")
        columns = [np.hstack([x, y])[members][:, : 0 if counted else None] for members in sets]
        found = self._of([*sets, everybody], columns, rows, panel)
        digests, owners = list(found.columns), list(found.column_people)
        for number, members in enumerate(sets):
            digests += self._numbered(panel, members, own)
            owners += [number] * own
        return replace(found, columns=tuple(digests), column_people=tuple(owners))

    def beside(
        self,
        x: NDArray,
        y: NDArray,
        traits: Sequence[str],
        name: str,
        *,
        rows: int,
        panel: str,
        own: int | None = None,
        offsets: NDArray | None = None,
    ) -> Exposure:
        """The people of traits beside predictions: what is left of each trait is a column.

        Or there are `own` such columns. Their numbers and `name` tell them apart. What is left is
        made of x, y and `offsets` (chromosomes, traits, people of the store).
        """
        sets, owners = self._of_traits(x, y)
        of_traits = tuple(owners) if traits else ()
        found = self._of(
            sets, [x[members] for members in sets], rows, panel, tuple(traits), of_traits
        )
        if offsets is not None:
            of_sets = self._columns(sets, owners, x, y, offsets)
            found = replace(found, values=self._values(sets, of_sets))
        digests, places = list(found.columns), list(found.column_people)
        for number, members in enumerate(sets):
            columns = owners.count(number) if own is None else own
            digests += self._numbered(name, members, columns)
            places += [number] * columns
        return replace(found, columns=tuple(digests), column_people=tuple(places))

    def with_offsets(self, found: Exposure, x: NDArray, y: NDArray, offsets: NDArray) -> Exposure:
        """What `folds` gave, with what is left of the traits of everybody beside predictions.

        `offsets` are (chromosomes, traits, people of the store).
        """
        members = self._members(x, y)
        columns = np.hstack([x[members], y[members], _flat(offsets[..., members])])
        return replace(found, values=(*found.values, *self._values([members], [columns])))

    def weighted(
        self,
        included: NDArray,
        columns: Sequence[NDArray],
        traits: Sequence[str],
        *,
        rows: int,
        panel: str,
    ) -> Exposure:
        """The people of each trait, by columns of its own that genotypes are multiplied by.

        Parameters
        ----------
        included : bool array, shape (people, traits)
        columns : sequence of float64 arrays, shape (people, columns)
            One for each trait.
        """
        sets, owners = self._distinct(included)
        of_sets = [
            np.hstack(
                [one[members] for one, owner in zip(columns, owners, strict=True) if owner == n]
            )
            for n, members in enumerate(sets)
        ]
        return self._of(sets, of_sets, rows, panel, tuple(traits), tuple(owners))

    def tests(
        self,
        included: NDArray,
        asked: NDArray,
        name: str,
        own: int,
        traits: Sequence[str],
        *,
        rows: int,
        panel: str,
    ) -> Exposure:
        """The people of the traits asked about, by sums of which each counts as a column.

        Parameters
        ----------
        included : bool array, shape (people, traits)
        asked : int array
            Places of the traits.
        name : str
            Names the sums: the same name, the same numbers.
        own : int
            Numbers of each row.
        """
        sets, owners = self._distinct(included[:, asked])
        found = self._of(sets, [], 0, "", tuple(traits[place] for place in asked), tuple(owners))
        digests = [one for members in sets for one in self._numbered(name, members, own)]
        places = [number for number in range(len(sets)) for _ in range(own)]
        return replace(
            found, columns=tuple(digests), column_people=tuple(places), rows=rows, panel=panel
        )

    def _distinct(self, included: NDArray) -> tuple[list[NDArray], list[int]]:
        """The distinct sets of people among columns, and the set of each column."""
        place: dict[bytes, int] = {}
        sets: list[NDArray] = []
        owners = []
        for members in included.T:
            key = np.packbits(members).tobytes()
            if key not in place:
                place[key] = len(sets)
                sets.append(members)
            owners.append(place[key])
        return sets, owners

    def _members(self, x: NDArray, y: NDArray) -> NDArray:
        return self._included & ~np.isnan(x).any(axis=1) & ~np.isnan(y).any(axis=1)

    def _numbered(self, name: str, members: NDArray, number: int) -> list[bytes]:
        """Digests of columns that have a number and no values here, on some people."""
        people = np.sort(self._hashes[members]).tobytes()
        return [
            hashlib.blake2b(f"{name} {place} ".encode() + people, digest_size=16).digest()
            for place in range(number)
        ]

    def _of_traits(self, x: NDArray, y: NDArray) -> tuple[list[NDArray], list[int]]:
        """The distinct sets of people of the traits, and the set of each trait."""
        complete = self._included & ~np.isnan(x).any(axis=1)
        return self._distinct(complete[:, None] & ~np.isnan(y))

    def _columns(
        self,
        sets: Sequence[NDArray],
        owners: Sequence[int],
        x: NDArray,
        y: NDArray,
        offsets: NDArray | None = None,
    ) -> list[NDArray]:
        """Of each set of people, its covariates, traits, and the offsets of these."""
        columns = []
        for number, members in enumerate(sets):
            mine = np.asarray(owners) == number
            own = [x[members], y[np.ix_(members, mine)]]
            if offsets is not None:
                own.append(_flat(offsets[:, mine, :][..., members]))
            columns.append(np.hstack(own))
        return columns

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
            values=self._values(sets, columns if rows else ()),
        )

    def _values(self, sets: Sequence[NDArray], columns: Sequence[NDArray]) -> tuple[NDArray, ...]:
        """An intercept and columns of the first sets, in the order of their people's hashes."""
        return tuple(
            np.hstack([np.ones((len(values), 1)), values])[np.argsort(self._hashes[members])]
            for values, members in zip(columns, sets, strict=False)
        )


def _flat(offsets: NDArray) -> NDArray:
    """Offsets (chromosomes, traits, people) as columns."""
    chromosomes, traits, people = offsets.shape  # of which there may be none
    return offsets.reshape(chromosomes * traits, people).T


def _digest(inputs: Mapping[str, NDArray], *names: str) -> str:
    return "".join(array_digest(inputs[name]) for name in names if name in inputs)
