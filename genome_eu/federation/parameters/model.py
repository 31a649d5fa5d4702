"""What every model of traits names: columns of the sample tables, and what is made of them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import FailFast, Field, model_validator

from genome_eu.federation.parameters.ploidy import PloidyParameters
from genome_eu.federation.parameters.types import Column, Columns, Frozen, Name, Names
from genome_eu.stats.formula import Factor, Term, category_columns, checked
from genome_eu.stats.ploidy import needs_sex

#: A row by its variant: contig:position:REF:ALT.
RowName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_.]{1,64}:[0-9]{1,10}:[A-Za-z0-9*<>._-]+:[A-Za-z0-9*<>._-]+$"),
    Field(max_length=2000),
]
Transform = Literal["rint", "log", "standardize"]


class FactorParameters(Frozen):
    """One factor of a term: a column as numbers, or as categories (`stats.formula.Factor`)."""

    column: Column
    category: bool
    function: Annotated[str, Field(max_length=16)]
    power: int


class LevelsParameters(Frozen):
    """Levels of a category that all sites code alike, the reference first."""

    column: Column
    levels: Names = Field(min_length=2)


class ModelParameters(PloidyParameters):
    """Traits, covariates, and the PCA whose scores are covariates too.

    `terms` are those of a formula, with the `levels` of its categories; the hard calls of the rows
    that `condition` names, or with `condition_dosages` their dosages, are covariates as well.
    Traits are taken on the scale of `transform`.
    """

    traits: Columns = Field(min_length=1)
    covariates: Columns
    pca: Name | None
    terms: Annotated[tuple[tuple[FactorParameters, ...], ...], FailFast()] = ()
    levels: tuple[LevelsParameters, ...] = ()
    condition: Annotated[tuple[RowName, ...], FailFast()] = Field(default=(), max_length=64)
    condition_dosages: bool = False
    transform: Transform | None = None

    @model_validator(mode="after")
    def _formula_is_whole(self) -> Self:
        """Terms are ones that a formula can have, and every category has its levels."""
        terms = self.formula
        if terms:
            checked(terms)
        named = [item.column for item in self.levels]
        if sorted(named) != sorted(category_columns(terms)):
            raise ValueError("levels are not those of the categories")
        if any(len(set(item.levels)) < len(item.levels) for item in self.levels):
            raise ValueError("a level is named twice")
        if len(set(self.condition)) < len(self.condition):
            raise ValueError("a row is named twice")
        return self

    @property
    def formula(self) -> tuple[Term, ...]:
        """The terms as statistics know them."""
        return tuple(
            Term(tuple(Factor(**factor.model_dump()) for factor in term)) for term in self.terms
        )

    @property
    def adds_sex(self) -> bool:
        """Whether sex joins the covariates as the last of them: on X, if it is not one already."""
        named = {factor.column for term in self.formula for factor in term.factors}
        return needs_sex(self.ploidy) and "sex" not in named.union(self.covariates)

    @property
    def levels_of(self) -> dict[str, tuple[str, ...]]:
        """Levels of each category."""
        return {item.column: item.levels for item in self.levels}
