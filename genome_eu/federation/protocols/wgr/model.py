"""What a whole-genome regression is asked with, and what every party may know of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from genome_eu.errors import UsageError
from genome_eu.federation.parameters.linear import LinearParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.gwas import GwasModel, Origins, covariate_names
from genome_eu.federation.protocols.panel import Rounds
from genome_eu.stats import linear, ridge


@dataclass(frozen=True)
class WgrSettings:
    """How a whole-genome regression is made.

    Attributes
    ----------
    block : int
        Rows of a block of level 0.
    folds : int
        Folds of each site's people, in their order.
    min_frequency : float
        Least minor allele frequency, among the people analysed, of rows of step 1.
    heritability : tuple of float
        Shares of the variance that penalties stand for, at both levels.
    binary : bool
        Traits are of cases and controls: level 1 and step 2 are logistic.
    smallest_site : int
        Sites with fewer people of a trait fit nothing in step 1. Weights fitted at the others
        predict for their people, who take part in step 2 as everybody does.
    """

    block: int = 1000
    folds: int = ridge.FOLDS
    min_frequency: float = 0.01
    heritability: tuple[float, ...] = ridge.GRID
    binary: bool = False
    smallest_site: int = 0

    @property
    def outsiders(self) -> bool:
        """Whether there may be people in no fold."""
        return self.smallest_site > 0

    def check(self) -> None:
        """Raise where a setting is out of range."""
        if not 1 <= self.block <= 2**14:
            raise UsageError(f"block={self.block}: choose from 1 to {2**14:,} rows")
        if not 2 <= self.folds <= 100:
            raise UsageError(f"folds={self.folds}: choose from 2 to 100 folds")
        if not 0 <= self.min_frequency < 0.5:
            raise UsageError(f"min_frequency={self.min_frequency}: choose from 0 to 0.5")
        if not self.heritability or any(not 0 < h < 1 for h in self.heritability):
            raise UsageError("heritability: give shares between 0 and 1")
        if self.smallest_site < 0:
            raise UsageError(f"smallest_site={self.smallest_site}: give a number of people")


@dataclass(frozen=True, eq=False)
class StepOne:
    """What every party may know of step 1; `residuals` are of all groups of traits."""

    id: str
    residuals: ridge.ResidualSums
    effects: NDArray  # (covariates, traits)
    summary: dict[str, Any]
    left_out: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WgrFit:
    """People analysed for each trait, and finished shards (lazily, in row order)."""

    people: NDArray
    shards: Iterator[ridge.ScoreResult]


def common(model: GwasModel, origins: Origins) -> dict[str, Any]:
    """Parameters that the plans of all rounds have in common."""
    x, y = origins.covariates, origins.traits
    return {
        **model.columns,
        "groups": origins.groups,
        "trait_mean": tuple(y.mean),
        "trait_scale": tuple(y.scale),
        "covariate_mean": tuple(x.mean),
        "covariate_scale": tuple(x.scale),
        "site_effects": model.site_effects,
    }


def whole_design(model: GwasModel, origins: Origins, asked: dict[str, Any]) -> Rounds:
    """Products of covariates and traits over everybody; a bad model ends here."""
    answer = yield Ask(linear.DesignSums, LinearParameters(**asked))
    design: linear.DesignSums = answer.whole()
    names = covariate_names(model, origins.covariates.mean.size)
    linear.require_independent(design, names, model.traits)
    return design
