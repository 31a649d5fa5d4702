"""What is asked of a linear model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import FailFast, ValidationInfo, field_validator

from genome_eu.federation.parameters.model import ModelParameters
from genome_eu.federation.parameters.types import PANEL, Frozen, Input, Reals


class TraitMomentsParameters(ModelParameters):
    """Moments of traits and covariates."""


class LinearParameters(ModelParameters):
    """A linear model: traits, covariates, and their agreed origins.

    `groups` has the group of each trait: traits of a group share their people at every site. Where
    the sites have not listed their rows before, `as_listed` lets each withhold those that it does
    not list, instead of refusing the panel.
    """

    groups: Annotated[tuple[int, ...], FailFast()]
    trait_mean: Reals
    trait_scale: Reals
    covariate_mean: Reals
    covariate_scale: Reals
    site_effects: bool
    as_listed: bool = False

    @field_validator("groups")
    @classmethod
    def _numbered(cls, groups: tuple[int, ...], known: ValidationInfo) -> tuple[int, ...]:
        """One for each trait, numbered in the order of their first traits: one spelling each."""
        first = list(dict.fromkeys(groups))
        if len(groups) != len(known.data.get("traits", ())) or first != list(range(len(first))):
            raise ValueError("groups are not numbered by their first traits")
        return groups


PARAMETERS: Mapping[str, type[Frozen]] = {
    "trait_moments": TraitMomentsParameters,
    "linear_design": LinearParameters,
    "linear_mean": LinearParameters,
    "linear_raw": LinearParameters,
    "linear_complete": LinearParameters,
    "linear_mean_dosage": LinearParameters,
    "linear_raw_dosage": LinearParameters,
    "linear_complete_dosage": LinearParameters,
}
INPUTS: Mapping[str, Mapping[str, Input]] = {
    "linear_mean": PANEL,
    "linear_raw": PANEL,
    "linear_complete": PANEL,
    "linear_mean_dosage": PANEL,
    "linear_raw_dosage": PANEL,
    "linear_complete_dosage": PANEL,
}
