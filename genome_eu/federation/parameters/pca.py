"""What is asked of a principal component analysis."""

from __future__ import annotations

from collections.abc import Mapping

from genome_eu.federation.parameters.types import PANEL, Frozen, Input, Name


class ProjectionParameters(Frozen):
    """Project a block of loadings on the people and back."""


class ScoresParameters(Frozen):
    """Keep the scores of these loadings at the site under this id."""

    pca: Name


_PCA = PANEL | {"frequency": ("<f8", 1), "loadings": ("<f8", 2)}

PARAMETERS: Mapping[str, type[Frozen]] = {
    "pca_projection": ProjectionParameters,
    "pca_scores": ScoresParameters,
}
INPUTS: Mapping[str, Mapping[str, Input]] = {
    "pca_projection": _PCA,
    "pca_scores": _PCA | {"eigenvalues": ("<f8", 1)},
}
