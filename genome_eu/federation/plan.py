"""The question as data: what one round asks of every site."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genome_eu.errors import BundleError
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, has_rows

#: Version of plans, bundles and study folders. Another version is refused, never guessed at.
FORMAT: Final = 1

#: Rows in one shard of an answer: the unit that is gated, written, merged and finished.
ROWS_PER_SHARD = 8192

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Column = Annotated[str, Field(min_length=1, max_length=200)]
Real = Annotated[float, Field(allow_inf_nan=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VariantListParameters(_Frozen):
    """Which rows can the site speak of?"""


class GroupSizesParameters(_Frozen):
    """How many people are in the groups named by these sample columns?"""

    by: tuple[Column, ...]


class GenotypeCountsParameters(_Frozen):
    """Genotypes by row, for everybody and for these groups."""

    by: tuple[Column, ...]
    groups: tuple[Name, ...]


class TraitMomentsParameters(_Frozen):
    """Moments of traits and covariates."""

    traits: tuple[Column, ...] = Field(min_length=1)
    covariates: tuple[Column, ...]
    pca: Name | None


class LinearParameters(_Frozen):
    """A linear model: traits that share their people, covariates, and their agreed origins."""

    traits: tuple[Column, ...] = Field(min_length=1)
    covariates: tuple[Column, ...]
    pca: Name | None
    trait_mean: tuple[Real, ...]
    trait_scale: tuple[Real, ...]
    covariate_mean: tuple[Real, ...]
    covariate_scale: tuple[Real, ...]
    site_effects: bool


class ProjectionParameters(_Frozen):
    """Project a block of loadings on the people and back."""


class ScoresParameters(_Frozen):
    """Keep the scores of these loadings at the site under this id."""

    pca: Name


_PANEL = {"panel": ("|u1", 1)}
_PCA = _PANEL | {"frequency": ("<f8", 1), "loadings": ("<f8", 2)}

#: The arrays that may come with each statistic: number type and dimensions.
INPUTS: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "genotype_counts": _PANEL,
    "linear_mean": _PANEL,
    "linear_raw": _PANEL,
    "linear_complete": _PANEL,
    "pca_projection": _PCA,
    "pca_scores": _PCA | {"eigenvalues": ("<f8", 1)},
}


def check_inputs(statistic: str, inputs: Mapping[str, NDArray]) -> None:
    """Raise `BundleError` where arrays are not those that a statistic takes."""
    takes = INPUTS.get(statistic, {})
    for name, array in inputs.items():
        if name not in takes or (array.dtype.str, array.ndim) != takes[name]:
            raise BundleError(f"input {name} is not one that {statistic} takes")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BundleError(f"input {name} of {statistic} holds values that are not numbers")
    if "eigenvalues" in takes:
        values, loadings = inputs.get("eigenvalues"), inputs.get("loadings")
        fits = values is not None and loadings is not None and len(values) == loadings.shape[1]
        if not fits or np.any(values <= 0):  # type: ignore[operator]
            raise BundleError(f"{statistic} needs one positive eigenvalue a component")


#: What each statistic may be asked with.
PARAMETERS: Mapping[str, type[_Frozen]] = {
    "variant_list": VariantListParameters,
    "group_sizes": GroupSizesParameters,
    "genotype_counts": GenotypeCountsParameters,
    "trait_moments": TraitMomentsParameters,
    "linear_design": LinearParameters,
    "linear_mean": LinearParameters,
    "linear_raw": LinearParameters,
    "linear_complete": LinearParameters,
    "pca_projection": ProjectionParameters,
    "pca_scores": ScoresParameters,
}


class Plan(_Frozen):
    """One round of a study. Its hash names it; every answer carries that hash."""

    format: Literal[1] = FORMAT
    study: Name
    round: int = Field(ge=0, le=99_999)
    sites: tuple[Name, ...] = Field(min_length=1)
    statistic: Name
    version: int
    parameters: dict[str, Any]
    inputs: dict[Name, Hash]
    rows: int = Field(ge=0)
    rows_per_shard: int = Field(ge=1, le=2**17)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(canonical(self.model_dump(mode="json"))).hexdigest()

    def asked(self) -> Any:
        """The parameters, validated for this statistic.

        Raises
        ------
        BundleError
            The statistic is unknown or its parameters are not what it takes.
        """
        model = PARAMETERS.get(self.statistic)
        if model is None:
            raise BundleError(f"statistic {self.statistic} is not known here")
        try:
            return model.model_validate(self.parameters)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise BundleError(f"plan of {self.statistic}: {where} is not valid") from None

    def spans(self) -> list[tuple[int, int]]:
        """Row ranges of the shards of the answer; one empty range where it has no rows."""
        kind = AGGREGATES.get(self.statistic)
        if kind is None or not has_rows(kind) or not self.rows:
            return [(0, 0)]
        starts = range(0, self.rows, self.rows_per_shard)
        return [(a, min(a + self.rows_per_shard, self.rows)) for a in starts]


@dataclass(frozen=True)
class Ask:
    """What a protocol yields: a statistic, its parameters, and the arrays that go with them."""

    statistic: type[Aggregate]
    parameters: BaseModel
    inputs: Mapping[str, NDArray] = field(default_factory=dict)
    rows: int = 0

    def plan(self, study: str, number: int, sites: tuple[str, ...], rows_per_shard: int) -> Plan:
        """This question as round `number` of a study."""
        return Plan(
            study=study,
            round=number,
            sites=sites,
            statistic=self.statistic.statistic,
            version=self.statistic.version,
            parameters=self.parameters.model_dump(mode="json"),
            inputs={name: array_digest(value) for name, value in self.inputs.items()},
            rows=self.rows,
            rows_per_shard=rows_per_shard,
        )


def canonical(value: Any) -> bytes:
    """JSON with one spelling per value: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


def npy_bytes(array: NDArray) -> bytes:
    """An array in NumPy's own file format, never pickled."""
    buffer = io.BytesIO()
    # ascontiguousarray would give a single number a dimension.
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def array_digest(array: NDArray) -> str:
    """SHA-256 of the array as a `.npy` file."""
    return hashlib.sha256(npy_bytes(array)).hexdigest()
