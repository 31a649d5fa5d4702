"""What is asked of a logistic model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from genome_eu.federation.parameters.model import ModelParameters
from genome_eu.federation.parameters.types import PANEL, Frozen, Input, Name, Reals
from genome_eu.stats.ridge import AUTOSOMES


class LogisticParameters(ModelParameters):
    """A logistic model: binary traits, covariates, and their agreed origins.

    Traits are 0 and 1, or with `coded_12` 1 for controls and 2 for cases. The parameters of the
    null models come as the input `theta`, and for Firth's penalty their inverse information
    matrices as `inverse`. With `dosages`, rows are tested by expected copies of ALT. With `wgr`,
    the offsets that the sites keep under that id are added to the linear predictor: the
    predictions beside the `chromosome` of that place.
    """

    covariate_mean: Reals
    covariate_scale: Reals
    site_effects: bool
    coded_12: bool = False
    dosages: bool = False
    wgr: Name | None = None
    chromosome: int | None = Field(default=None, ge=0, le=AUTOSOMES)

    @model_validator(mode="after")
    def _of_a_chromosome(self) -> Self:
        """Offsets are those of one chromosome, and of a regression."""
        if (self.wgr is None) != (self.chromosome is None):
            raise ValueError("offsets need an id and a chromosome")
        return self


class LogisticFitParameters(LogisticParameters):
    """Fits of all parameters, row by row; `missing` calls are imputed, or their people left out."""

    missing: Literal["mean", "drop"]


_NULL: dict[str, Input] = {"theta": ("<f8", 2), "inverse": ("<f8", 3)}
_ROWS = PANEL | _NULL
_TESTS = _ROWS | {"trait": ("<i8", 1), "mean": ("<f8", 1)}
_RESIDUALS = _TESTS | {"coefficients": ("<f8", 2)}

PARAMETERS: Mapping[str, type[Frozen]] = {
    "logistic_null": LogisticParameters,
    "logistic_score": LogisticParameters,
    "logistic_score_raw": LogisticParameters,
    "logistic_score_dosage": LogisticParameters,
    "logistic_score_raw_dosage": LogisticParameters,
    "logistic_stratified": LogisticParameters,
    "logistic_stratified_dosage": LogisticParameters,
    "logistic_products": LogisticParameters,
    "logistic_spa": LogisticParameters,
    "logistic_firth": LogisticParameters,
    "logistic_fit": LogisticFitParameters,
}
INPUTS: Mapping[str, Mapping[str, Input]] = {
    "logistic_null": _NULL,
    "logistic_score": _ROWS,
    "logistic_score_raw": _ROWS,
    "logistic_score_dosage": _ROWS,
    "logistic_score_raw_dosage": _ROWS,
    "logistic_stratified": PANEL,
    "logistic_stratified_dosage": PANEL,
    "logistic_products": _TESTS,
    "logistic_spa": _RESIDUALS | {"t": ("<f8", 2)},
    "logistic_firth": _RESIDUALS | {"effect": ("<f8", 1)},
    "logistic_fit": _TESTS | {"row_theta": ("<f8", 2), "row_inverse": ("<f8", 3)},
}
