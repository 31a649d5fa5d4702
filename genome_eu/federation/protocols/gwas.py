"""Linear association over all sites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from genome_eu.errors import TraitError, UsageError
from genome_eu.federation.plan import Ask, LinearParameters, TraitMomentsParameters
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import linear, traits
from genome_eu.stats.aggregate import Aggregate
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
class TraitGroup:
    """Traits that share their people, and their finished shards (lazily, in row order)."""

    traits: list[int]
    people: int
    shards: Iterator[linear.LinearResult] = field(repr=False)


def moments(model: GwasModel) -> Rounds:
    """Origins of covariates and traits, and the groups of traits that share their people."""
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
    return x, y, traits.trait_groups([part.pattern for part in parts])


def covariate_names(model: GwasModel, columns: int) -> list[str]:
    """Names of the covariate columns, the PCs last."""
    components = columns - len(model.covariates)
    return [*model.covariates, *(f"PC{number}" for number in range(1, components + 1))]


def linear_group(
    model: GwasModel, panel: Panel, x: traits.Origins, y: traits.Origins, members: list[int]
) -> Rounds:
    """Fit the traits of one group: the design first, so that a bad one costs no pass."""
    names = tuple(model.traits[trait] for trait in members)
    parameters = LinearParameters(
        traits=names,
        covariates=model.covariates,
        pca=model.pca,
        trait_mean=tuple(y.mean[members]),
        trait_scale=tuple(y.scale[members]),
        covariate_mean=tuple(x.mean),
        covariate_scale=tuple(x.scale),
        site_effects=model.site_effects,
    )
    answer = yield Ask(linear.DesignSums, parameters)
    sums = answer.whole()
    linear.require_independent(sums, covariate_names(model, x.mean.size), list(names))

    kind: type[Aggregate] = linear.MeanSums if model.site_effects else linear.RawSums
    if model.missing == "drop":
        kind = linear.CompleteSums
    answer = yield Ask(kind, parameters, panel.inputs, panel.size)

    def finished() -> Iterator[linear.LinearResult]:
        for part in answer.shards():
            yield linear.finalize(sums, part, y.scale[members])

    return TraitGroup(members, int(sums.people), finished())
