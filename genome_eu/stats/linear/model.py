"""One site's people in a linear model: who takes part for which trait, and their columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, Private, count, same, total

# Bytes of columns that a thread multiplies at a time, and the fewest columns of a product.
_TILE_BYTES = 32 * 2**20
_LEAST_TILE = 64


def tile_columns(people: int) -> int:
    """Most columns that are multiplied at a time, however many a model has."""
    return max(_LEAST_TILE, _TILE_BYTES // (8 * max(people, 1)))


@dataclass(frozen=True, eq=False)
class DesignSums(Aggregate):
    """Products of covariates and traits over the people of each group of traits."""

    statistic = "linear_design"

    people: NDArray = count("people", "groups", gate="people")
    intercepts: NDArray = count("sites", "groups", gate="label")
    xx: NDArray = total("covariate²", "groups", "covariates", "covariates", gate="moments")
    xy: NDArray = total("covariate·trait", "covariates", "traits", gate="moments")
    yy: NDArray = total("trait²", "traits", gate="moments")
    trait_group: NDArray = same("group", "traits", gate="label")


@dataclass(frozen=True, eq=False)
class Design(Private):
    """One site's people: covariates and traits on the agreed scale.

    Traits of a group share their people. Covariates are kept once, and put together for a group
    when they are multiplied, so that a model of many groups is not many models in memory.
    """

    x: NDArray  # (people, covariates), 0 for people who lack one
    y: NDArray  # (people, traits), centred within the site; 0 for people outside the trait's group
    included: NDArray  # bool (people, groups)
    trait_group: NDArray  # int64 (traits,)
    site_effects: bool
    centre: NDArray  # (groups, covariates), what the group's covariates are centred by

    @property
    def groups(self) -> int:
        """Number of groups of traits."""
        return self.included.shape[1]

    @property
    def traits(self) -> int:
        """Number of traits."""
        return self.y.shape[1]

    @property
    def width(self) -> int:
        """Columns of a group's covariates: a common intercept, where there is one, comes first."""
        return self.x.shape[1] + (not self.site_effects)

    def members(self, group: int) -> NDArray[np.bool_]:
        """Who takes part for the traits of a group, bool (people,)."""
        return self.included[:, group]

    def labels(self, group: int) -> NDArray[np.int64]:
        """Labels for counting: 0 for the people of a group, −1 for all others."""
        return np.where(self.members(group), 0, -1)

    def covariates(self, group: int, out: NDArray | None = None) -> NDArray:
        """A group's covariates, (people, width); 0 for people outside it."""
        if out is None:
            out = np.empty((self.x.shape[0], self.width))
        members = self.members(group)
        out[:, : self.width - self.x.shape[1]] = 1.0
        np.subtract(self.x, self.centre[group], out=out[:, self.width - self.x.shape[1] :])
        if not members.all():
            out[~members] = 0.0
        return out

    def tiles(self, per_group: int, per_trait: int) -> Iterator[tuple[slice, slice]]:
        """Groups and traits whose columns are multiplied together; groups come first.

        Parameters
        ----------
        per_group, per_trait : int
            Columns that each takes.
        """
        most = tile_columns(self.x.shape[0])
        group = trait = 0
        while group < self.groups or trait < self.traits:
            first, group = group, min(self.groups, group + max(1, most // max(per_group, 1)))
            before = trait
            if group == self.groups:
                room = most - per_group * (group - first)
                # A tile without groups takes a trait, however wide that is.
                least = 0 if group > first else 1
                trait = min(self.traits, trait + max(least, room // per_trait))
            yield slice(first, group), slice(before, trait)

    def columns(self, groups: slice, traits: slice) -> NDArray:
        """Covariates of some groups and some traits side by side, (people, columns)."""
        inner = self.width * (groups.stop - groups.start)
        columns = np.empty((self.x.shape[0], inner + traits.stop - traits.start))
        for place, group in enumerate(range(groups.start, groups.stop)):
            self.covariates(group, columns[:, self.width * place : self.width * (place + 1)])
        columns[:, inner:] = self.y[:, traits]
        return columns

    def pairs(self, groups: slice, traits: slice) -> NDArray:
        """Products of two columns of the model, (people, columns).

        For every group those of its covariates, the upper triangle; then covariate by covariate
        those with each trait; then the squares of the traits.
        """
        rows, columns = np.triu_indices(self.width)
        some = traits.stop - traits.start
        inner = rows.size * (groups.stop - groups.start)
        products = np.empty((self.x.shape[0], inner + (self.width + 1) * some))
        for place, group in enumerate(range(groups.start, groups.stop)):
            x = self.covariates(group)
            out = products[:, rows.size * place : rows.size * (place + 1)]
            np.multiply(x[:, rows], x[:, columns], out=out)
        y = self.y[:, traits]
        shape = (self.x.shape[0], self.width, some)
        mixed = products[:, inner : inner + self.width * some].reshape(shape)
        for group in np.unique(self.trait_group[traits]):
            here = as_slice(self.trait_group[traits] == group)
            mixed[:, :, here] = self.covariates(group)[:, :, None] * y[:, None, here]
        np.square(y, out=products[:, inner + self.width * some :])
        return products

    @cached_property
    def sums(self) -> DesignSums:
        """Products of covariates and traits at this site; worked out once for all blocks."""
        people = self.included.sum(axis=0)
        xx = np.empty((self.groups, self.width, self.width))
        xy = np.empty((self.width, self.traits))
        yy = np.empty(self.traits)
        for group in range(self.groups):
            x = self.covariates(group)
            members = as_slice(self.trait_group == group)
            y = np.ascontiguousarray(self.y[:, members])
            xx[group] = x.T @ x
            xy[:, members] = x.T @ y
            yy[members] = np.einsum("it,it->t", y, y)
        return DesignSums(
            people=people,
            intercepts=(people > 0) & self.site_effects,
            xx=xx,
            xy=xy,
            yy=yy,
            trait_group=self.trait_group,
        )


def design(
    x: NDArray, y: NDArray, *, groups: Sequence[int] | None = None, site_effects: bool
) -> Design:
    """Prepare a site's people for the sums.

    Parameters
    ----------
    x : float64 array, shape (people, covariates)
        Covariates less the agreed origin, over the agreed scale; NaN where missing.
    y : float64 array, shape (people, traits)
        Traits, likewise.
    groups : sequence of int, length traits, optional
        The group of each trait, numbered from 0; all in one if not given. People with every
        covariate and every trait of a group take part in it.
    site_effects : bool
        Centre within this site, instead of one intercept column for all sites.
    """
    label = np.zeros(y.shape[1], np.int64) if groups is None else np.asarray(groups, np.int64)
    number = max(label.tolist(), default=0) + 1
    known = ~np.isnan(x).any(axis=1)
    x = np.where(known[:, None], x, 0.0)
    included = np.empty((len(x), number), bool)
    centre = np.zeros((number, x.shape[1]))
    kept = np.empty(y.shape)
    for group in range(number):
        members = as_slice(label == group)
        traits = np.ascontiguousarray(y[:, members])
        included[:, group] = here = known & ~np.isnan(traits).any(axis=1)
        traits = np.where(here[:, None], traits, 0.0)
        if site_effects:
            people = max(int(here.sum()), 1)
            centre[group] = np.where(here[:, None], x, 0.0).sum(axis=0) / people
            traits = np.where(here[:, None], traits - traits.sum(axis=0) / people, 0.0)
        kept[:, members] = traits
    return Design(x, kept, included, label, site_effects, centre)


def summarize_design(model: Design) -> DesignSums:
    """Products of covariates and traits at one site."""
    return model.sums


def as_slice(chosen: NDArray[np.bool_]) -> slice | NDArray[np.int64]:
    """Chosen places to index with: a slice where they lie side by side, which copies nothing."""
    places = np.flatnonzero(chosen)
    if places.size and places[-1] - places[0] + 1 == places.size:
        return slice(int(places[0]), int(places[-1]) + 1)
    return places
