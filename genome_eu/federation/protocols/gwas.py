"""Linear association over all sites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import TraitError, UsageError
from genome_eu.federation.parameters.linear import LinearParameters, TraitMomentsParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import linear, traits
from genome_eu.stats.traits import TraitMoments

Missing = Literal["mean", "drop"]


@dataclass(frozen=True)
class GwasModel:
    """What a GWAS fits. Site effects are one intercept per site."""

    traits: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    pca: str | None = None
    missing: Missing = "mean"
    site_effects: bool = True

    def check(self) -> None:
        """Raise where the question contradicts itself."""
        if not self.traits:
            raise UsageError("name at least one trait")
        for kind, names in (("trait", self.traits), ("covariate", self.covariates)):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise UsageError(f"{kind} {repeated[0]} is named twice")
        both = sorted(set(self.traits) & set(self.covariates))
        if both:
            raise UsageError(f"{both[0]} is both a trait and a covariate; choose one")
        if self.missing not in ("mean", "drop"):
            raise UsageError(f"missing={self.missing!r}: choose mean or drop")


@dataclass(frozen=True, eq=False)
class Origins:
    """The agreed origins of covariates and traits, and the group of each trait.

    Traits of a group share their people at every site.
    """

    covariates: traits.Origins
    traits: traits.Origins
    groups: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Fit:
    """People analysed for each trait, and finished shards (lazily, in row order)."""

    people: NDArray
    shards: Iterator[linear.LinearResult]


def moments(model: GwasModel) -> Rounds:
    """Agree on origins, and find out which traits share their people."""
    model.check()
    answer = yield Ask(
        TraitMoments,
        TraitMomentsParameters(traits=model.traits, covariates=model.covariates, pca=model.pca),
    )
    by_site = answer.by_site()
    parts = list(by_site.values())
    for name, people in zip(model.traits, sum(part.trait_people for part in parts), strict=True):
        if people < 3:
            raise TraitError(
                f"trait {name} has {int(people)} people with all covariates; at least 3 are needed"
            )
    x = traits.origins(
        np.asarray(sum(part.covariate_people for part in parts)),
        sum(part.covariate_sum for part in parts),
        sum(part.covariate_square for part in parts),
    )
    y = traits.origins(
        sum(part.trait_people for part in parts),
        sum(part.trait_sum for part in parts),
        sum(part.trait_square for part in parts),
    )
    traits.require_variation(list(model.traits), "trait", y)
    names = covariate_names(model, x.mean.size)
    traits.require_variation(names, "covariate", x)
    return Origins(x, y, traits.trait_groups([part.pattern for part in parts]))


def covariate_names(model: GwasModel, columns: int) -> list[str]:
    """Names of the covariate columns, the PCs last."""
    components = columns - len(model.covariates)
    return [*model.covariates, *(f"PC{number}" for number in range(1, components + 1))]


def fit(model: GwasModel, panel: Panel, origins: Origins) -> Rounds:
    """Fit all traits in one pass: the design first, so that a bad one costs none."""
    x, y = origins.covariates, origins.traits
    parameters = LinearParameters(
        traits=model.traits,
        groups=origins.groups,
        covariates=model.covariates,
        pca=model.pca,
        trait_mean=tuple(y.mean),
        trait_scale=tuple(y.scale),
        covariate_mean=tuple(x.mean),
        covariate_scale=tuple(x.scale),
        site_effects=model.site_effects,
    )
    answer = yield Ask(linear.DesignSums, parameters)
    design: linear.DesignSums = answer.whole()
    linear.require_independent(design, covariate_names(model, x.mean.size), model.traits)

    kind: type[linear.RowSums] = linear.MeanSums if model.site_effects else linear.RawSums
    if model.missing == "drop":
        kind = linear.CompleteSums
    covariates, number = design.xy.shape
    width = linear.numbers_per_row(kind, covariates, number, design.people.size)
    answer = yield Ask(kind, parameters, panel.inputs, panel.size, width)
    shards = (linear.finalize(design, part, y.scale) for part in answer.shards(design.people))
    return Fit(design.people[design.trait_group], shards)
