"""What is asked of a whole-genome regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from genome_eu.federation.parameters.linear import LinearParameters
from genome_eu.federation.parameters.types import PANEL, Frozen, Input, Name, Names

# More would be told apart by no result, and no site can hold more.
_MOST_FOLDS = 100
_WIDEST_BLOCK = 2**14
_MOST_PENALTIES = 100
_MOST_PARTS = 10_000


class RidgeParameters(LinearParameters):
    """A linear model of one group of traits, and the folds of its people.

    Sites with fewer than `smallest` people have them in no fold.
    """

    folds: int = Field(ge=2, le=_MOST_FOLDS)
    smallest: int = Field(default=0, ge=0)

    @field_validator("groups")
    @classmethod
    def _together(cls, groups: tuple[int, ...]) -> tuple[int, ...]:
        """The predictions of several traits are of the same people."""
        if any(groups):
            raise ValueError("traits do not share their people")
        return groups


class BlockParameters(RidgeParameters):
    """Products of the rows of ridge blocks of at most `width` rows."""

    width: int = Field(ge=1, le=_WIDEST_BLOCK)


class PredictionParameters(RidgeParameters):
    """Predict with these weights, and keep the predictions at the site under this id."""

    penalties: int = Field(ge=1, le=_MOST_PENALTIES)
    predictions: Name


class LogisticRidgeParameters(RidgeParameters):
    """A round of the logistic ridge of a binary trait on predictions that were kept."""

    predictions: Name
    trait: int = Field(ge=0)
    coded_12: bool = False


class OffsetParameters(LinearParameters):
    """Products of residuals beside predictions, which are kept at the site under the id `wgr`.

    They are made of `predictions` of one group of traits, in so many folds; or they are joined of
    `parts`, one of each group. With neither they are those that an earlier question kept.
    """

    wgr: Name
    folds: int = Field(default=2, ge=2, le=_MOST_FOLDS)
    smallest: int = Field(default=0, ge=0)
    predictions: Name | None = None
    parts: Names = Field(default=(), max_length=_MOST_PARTS)

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        groups = max(self.groups) + 1
        if self.predictions is not None and (groups > 1 or self.parts):
            raise ValueError("predictions are of one group of traits")
        if self.parts and len(self.parts) != groups:
            raise ValueError("each group of traits has one part")
        return self


class RidgeScoreParameters(LinearParameters):
    """Test rows beside the predictions that are kept under the id `wgr`."""

    wgr: Name


_EFFECTS: dict[str, Input] = {"effects": ("<f8", 2)}
_ROWS = PANEL | {"block": ("<i8", 1), "mean": ("<f8", 1)}
_STANDARD: dict[str, Input] = {
    "centre": ("<f8", 2),
    "scale": ("<f8", 2),
    "null": ("<f8", 1),
}
_SCORE = PANEL | _EFFECTS | {"chromosome": ("<i8", 1)}
_WEIGHTS = _ROWS | {"weights": ("<f8", 2), "adjust": ("<f8", 3)}

PARAMETERS: Mapping[str, type[Frozen]] = {
    "ridge_folds": RidgeParameters,
    "ridge_counts": RidgeParameters,
    "ridge_block": BlockParameters,
    "ridge_moments": PredictionParameters,
    "ridge_level1": PredictionParameters,
    "ridge_information": LogisticRidgeParameters,
    "ridge_gradient": LogisticRidgeParameters,
    "ridge_residuals": OffsetParameters,
    "ridge_score": RidgeScoreParameters,
    "ridge_score_raw": RidgeScoreParameters,
    "ridge_score_dosage": RidgeScoreParameters,
    "ridge_score_raw_dosage": RidgeScoreParameters,
}
INPUTS: Mapping[str, Mapping[str, Input]] = {
    "ridge_counts": PANEL,
    "ridge_block": _ROWS,
    "ridge_moments": _WEIGHTS,
    "ridge_level1": _WEIGHTS | _EFFECTS,
    "ridge_information": _STANDARD,
    "ridge_gradient": _STANDARD | {"left_out": ("<i8", 1), "position": ("<f8", 2)},
    "ridge_residuals": _EFFECTS
    | {"predictor_weights": ("<f8", 3), "centre": ("<f8", 2), "chromosome": ("<i8", 1)},
    "ridge_score": _SCORE,
    "ridge_score_raw": _SCORE,
    "ridge_score_dosage": _SCORE,
    "ridge_score_raw_dosage": _SCORE,
}
