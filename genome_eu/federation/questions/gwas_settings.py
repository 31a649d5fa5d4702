"""What a GWAS is asked with, and the model that it fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from genome_eu.errors import UsageError
from genome_eu.federation.formula_text import is_formula, parse
from genome_eu.federation.parameters.model import Transform
from genome_eu.federation.protocols.gwas import GwasModel, Missing
from genome_eu.federation.questions.logistic import AskedTest
from genome_eu.federation.questions.wgr import Wgr
from genome_eu.results import PcaResult
from genome_eu.stats import variants
from genome_eu.stats.formula import Term
from genome_eu.stats.logistic import Test
from genome_eu.stats.ploidy import XMales

Model = Literal["linear", "logistic", "wgr"]
MODELS: tuple[Model, ...] = get_args(Model)
#: About what mean and standard deviation columns have.
GivenOrigins: TypeAlias = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class GwasSettings:
    """What `GwasQuestions.gwas` is asked with, as it says.

    Raises
    ------
    UsageError, TraitError
        There is no such model, or it cannot be fitted.
    """

    trait: str | Sequence[str]
    covariates: str | Sequence[str] = ()
    pcs: PcaResult | str | int | None = None
    missing: Missing = "mean"
    site_effects: bool = True
    transform: Transform | None = None
    condition_on: str | Sequence[str] = ()
    origins: GivenOrigins | None = None
    dosages: bool = False
    min_info: float = 0.0
    min_maf: float = 0.0
    x_males: XMales = "0/2"
    model: Model = "linear"
    wgr: Wgr = None
    test: Test = "firth"
    cutoff: float | None = None
    case_control_12: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.pcs, bool) or not isinstance(self.pcs, PcaResult | str | int | None):
            raise UsageError("pcs: give the result of pca(), its id, or a number of components")
        self.fitted().check()
        if self.model not in MODELS:
            raise UsageError(f"model={self.model!r}: choose {' or '.join(MODELS)}")

    @property
    def components(self) -> int | None:
        """Principal components that must be computed before."""
        return self.pcs if isinstance(self.pcs, int) else None

    @property
    def tested(self) -> AskedTest:
        """How rows of a binary trait are tested."""
        return AskedTest(self.test, self.cutoff, self.case_control_12)

    def fitted(self) -> GwasModel:
        """The traits and covariates of the model."""
        plain, terms = _covariates(self.covariates)
        rows = self.condition_on
        named = variants.named((rows,) if isinstance(rows, str) else tuple(rows))
        pcs = self.pcs.pca_id if isinstance(self.pcs, PcaResult) else self.pcs
        return GwasModel(
            traits=(self.trait,) if isinstance(self.trait, str) else tuple(self.trait),
            covariates=plain,
            terms=terms,
            condition=tuple(
                f"{row.contig}:{row.position}:{row.ref}:{row.alt}" for row in named.itertuples()
            ),
            transform=self.transform,
            pca=pcs if isinstance(pcs, str) else None,
            missing=self.missing,
            site_effects=self.site_effects,
            dosages=self.dosages,
            min_info=self.min_info,
            min_maf=self.min_maf,
            x_males=self.x_males,
        )


def _covariates(given: str | Sequence[str]) -> tuple[tuple[str, ...], tuple[Term, ...]]:
    """Covariates that are columns as they are, or the terms of a formula."""
    items = (given,) if isinstance(given, str) else tuple(given)
    if not any(is_formula(item) for item in items):
        return items, ()
    return (), parse(" + ".join(items))


def said(model: GwasModel) -> dict[str, Any]:
    """The question as data; the levels of categories are part of the answer."""
    always = ("traits", "covariates", "pca", "missing", "site_effects")
    settings = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(model).items()
        if name in always or (value and name not in ("terms", "levels"))
    }
    if model.x_males == GwasModel.x_males:
        del settings["x_males"]
    if model.terms:
        settings["terms"] = [term.name for term in model.terms]
    return {"ask": "gwas", **settings}
