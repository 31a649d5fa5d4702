"""What every model of traits names: columns of the sample tables."""

from __future__ import annotations

from pydantic import Field

from genome_eu.federation.parameters.types import Columns, Frozen, Name


class ModelParameters(Frozen):
    """Traits, covariates, and the PCA whose scores are covariates too."""

    traits: Columns = Field(min_length=1)
    covariates: Columns
    pca: Name | None
