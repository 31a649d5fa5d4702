"""Linear association over all sites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import TraitError, UsageError
from genome_eu.federation.parameters.counts import GroupSizesParameters
from genome_eu.federation.parameters.linear import LinearParameters, TraitMomentsParameters
from genome_eu.federation.parameters.model import (
    FactorParameters,
    LevelsParameters,
    ModelParameters,
    Transform,
)
from genome_eu.federation.plan import ROWS_PER_SHARD, Ask
from genome_eu.federation.protocols.dosages import check_limits
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.federation.protocols.ploidy import in_row_order, kinds
from genome_eu.stats import linear, traits
from genome_eu.stats.counts import GroupSizes
from genome_eu.stats.formula import Term, agreed_levels, category_columns, column_names
from genome_eu.stats.ploidy import X_MALES, PloidyName, XMales, effect_scale
from genome_eu.stats.traits import TraitMoments
from genome_eu.stats.transform import require_known

Missing = Literal["mean", "drop"]


@dataclass(frozen=True)
class GwasModel:
    """What a GWAS fits. Site effects are one intercept per site."""

    traits: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    pca: str | None = None
    missing: Missing = "mean"
    site_effects: bool = True
    terms: tuple[Term, ...] = ()
    levels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    condition: tuple[str, ...] = ()
    transform: Transform | None = None
    x_males: XMales = "0/2"
    dosages: bool = False
    min_info: float = 0.0
    min_maf: float = 0.0

    @property
    def columns(self) -> dict[str, Any]:
        """What every plan of the model says of its columns (`ModelParameters`)."""
        return {
            "traits": self.traits,
            "covariates": self.covariates,
            "pca": self.pca,
            "terms": tuple(
                tuple(FactorParameters(**asdict(factor)) for factor in term.factors)
                for term in self.terms
            ),
            "levels": tuple(
                LevelsParameters(column=column, levels=levels) for column, levels in self.levels
            ),
            "condition": self.condition,
            "condition_dosages": self.dosages and bool(self.condition),
            "transform": self.transform,
        }

    def check(self) -> None:
        """Raise where the question contradicts itself."""
        if not self.traits:
            raise UsageError("name at least one trait")
        if self.transform is not None:
            require_known(self.transform)
        for kind, names in (
            ("trait", self.traits),
            ("covariate", self.covariates),
            ("row", self.condition),
        ):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise UsageError(f"{kind} {repeated[0]} is named twice")
        used = {factor.column for term in self.terms for factor in term.factors}
        both = sorted(set(self.traits) & (set(self.covariates) | used))
        if both:
            raise UsageError(f"{both[0]} is both a trait and a covariate; choose one")
        if self.missing not in ("mean", "drop"):
            raise UsageError(f"missing={self.missing!r}: choose mean or drop")
        check_limits(self.min_info, self.min_maf, of_dosages=self.dosages)
        if self.x_males not in X_MALES:
            raise UsageError(f"x_males={self.x_males!r}: choose {' or '.join(X_MALES)}")


@dataclass(frozen=True, eq=False)
class Origins:
    """The agreed origins of covariates and traits, and the group of each trait.

    Traits of a group share their people at every site. `without` has the sites where nobody has a
    trait; under a secure sum nobody knows.
    """

    covariates: traits.Origins
    traits: traits.Origins
    groups: tuple[int, ...]
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def left_out(self) -> dict[str, dict[str, str]]:
        """What a result says of sites that add nothing to a trait."""
        if not self.without:
            return {}
        named = {trait: ", ".join(sites) for trait, sites in self.without.items()}
        return {"sites where nobody has the trait": named}


@dataclass(frozen=True, eq=False)
class Fit:
    """People analysed for each trait, and finished shards (lazily, in row order)."""

    people: NDArray
    shards: Iterator[linear.LinearResult]


def agree_on_levels(model: GwasModel) -> Rounds:
    """The model with the levels of its categories: one round a category, its group sizes.

    A site whose policy lets it name none of its levels has those that others name; people of a
    level that is not agreed on lack the covariate.
    """
    model.check()
    levels = []
    for column in category_columns(model.terms):
        answer = yield Ask(GroupSizes, GroupSizesParameters(by=(column,)))
        sizes: dict[str, int] = {}
        for part in answer.by_site().values():
            # Under a secure sum levels come without their sizes; the first is the reference then.
            people = part.people if part.people.size else np.zeros(len(part.names), np.int64)
            for name, number in zip(part.names, people, strict=True):
                sizes[name] = sizes.get(name, 0) + int(number)
        levels.append((column, agreed_levels(sizes, column)))
    return replace(model, levels=tuple(levels))


def moments(model: GwasModel) -> Rounds:
    """Agree on origins, and find out which traits share their people."""
    model.check()
    answer = yield Ask(
        TraitMoments,
        TraitMomentsParameters(**model.columns),
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
    without = {
        name: tuple(site for site, part in by_site.items() if not part.trait_people[number])
        for number, name in enumerate(model.traits)
    }
    without = {name: sites for name, sites in without.items() if sites}
    return Origins(x, y, traits.trait_groups([part.pattern for part in parts]), without)


def covariate_names(model: GwasModel, columns: int) -> list[str]:
    """Names of the covariate columns: those of a formula, conditioned rows, and PCs come last."""
    made = column_names(model.terms, dict(model.levels))
    named = [*model.covariates, *made, *model.condition]
    return [*named, *(f"PC{number}" for number in range(1, columns - len(named) + 1))]


def fit(model: GwasModel, panel: Panel, origins: Origins) -> Rounds:
    """Fit all traits in one pass over each kind of rows; the design of each first.

    Two rounds for every kind of rows that the panel has (`stats.ploidy`): sums of covariates and
    traits, so that a bad model costs no pass, then those of each row.
    """
    people, shards = None, {}
    for kind, rows in kinds(panel).items():
        found: Fit = yield from _fit_kind(model, rows, origins, kind)
        shards[kind] = found.shards
        people = found.people if people is None else people
    return Fit(np.empty(0, np.int64) if people is None else people, in_row_order(panel, shards))


def asked_of(model: GwasModel, origins: Origins, ploidy: PloidyName) -> dict[str, Any]:
    """What a plan says of a model in rows of one kind (`LinearParameters`).

    On X the model has sex beside its covariates, if it is not one of them: 1 and 2, as the table of
    people has it, on an origin of its own.
    """
    x, y = origins.covariates, origins.traits
    columns = model.columns | {"ploidy": ploidy, "x_males": model.x_males}
    more = ModelParameters(**columns).adds_sex
    return columns | {
        "groups": origins.groups,
        "trait_mean": tuple(y.mean),
        "trait_scale": tuple(y.scale),
        "covariate_mean": (*x.mean, *([1.5] * more)),
        "covariate_scale": (*x.scale, *([0.5] * more)),
        "site_effects": model.site_effects,
    }


def of_kind(model: GwasModel, origins: Origins, ploidy: PloidyName) -> tuple[GwasModel, Origins]:
    """A model and its origins in rows of one kind, for plans that say which: with sex on X.

    Sex that is a covariate is none on Y, where all have the same.
    """
    x = origins.covariates
    if ploidy == "x":
        asked = asked_of(model, origins, ploidy)
        mean, scale = (np.array(asked[f"covariate_{name}"]) for name in ("mean", "scale"))
        return model, replace(origins, covariates=replace(x, mean=mean, scale=scale))
    if ploidy == "y" and "sex" in model.covariates:
        kept = np.arange(x.mean.size) != model.covariates.index("sex")
        x = replace(x, mean=x.mean[kept], scale=x.scale[kept])
        named = tuple(name for name in model.covariates if name != "sex")
        return replace(model, covariates=named), replace(origins, covariates=x)
    return model, origins


def _fit_kind(model: GwasModel, panel: Panel, origins: Origins, ploidy: PloidyName) -> Rounds:
    """Fit all traits in rows of one kind."""
    y = origins.traits
    parameters = LinearParameters(**asked_of(model, origins, ploidy))
    answer = yield Ask(linear.DesignSums, parameters)
    design: linear.DesignSums = answer.whole()
    names = covariate_names(model, origins.covariates.mean.size) + ["sex"] * parameters.adds_sex
    kept = np.ones(design.xy.shape[0], bool)
    if ploidy == "diploid":
        linear.require_independent(design, names, model.traits)
    else:
        # A covariate that does not vary among these people, as sex does not on Y, is left out.
        kept = linear.varying(design)
        design = linear.with_covariates(design, kept)
        of_names = kept[kept.size - len(names) :]
        named = [name for name, keep in zip(names, of_names, strict=True) if keep]
        if code := linear.why_untested(design, named, list(model.traits)):
            shards = _untested(panel.size, design, code)
            return Fit(design.people[design.trait_group], shards)

    kind: type[linear.RowSums] = linear.MeanSums if model.site_effects else linear.RawSums
    if model.missing == "drop":
        kind = linear.CompleteSums
    kind = _of_dosages(kind) if model.dosages else kind
    width = linear.numbers_per_row(kind, kept.size, design.xy.shape[1], design.people.size)
    answer = yield Ask(kind, parameters, panel.inputs, panel.size, width)
    scale = y.scale * effect_scale(ploidy)
    shards = (
        linear.finalize(design, linear.with_covariates(part, kept), scale)
        for part in answer.shards(design.people)
    )
    return Fit(design.people[design.trait_group], shards)


def _of_dosages(kind: type[linear.RowSums]) -> type[linear.RowSums]:
    return next(one for one in linear.DOSAGE_SUMS if issubclass(one, kind))


def check_once(model: GwasModel, missing: Missing) -> None:
    """Raise where a model takes more than one round, or has calls that are not `missing` so."""
    model.check()
    if model.missing != missing:
        raise UsageError(f"in one round ask with --missing {missing} (missing={missing!r})")
    if not model.site_effects:
        raise UsageError("in one round there is one intercept per site")
    if model.min_info or model.min_maf:
        raise UsageError("limits on INFO and frequencies take a round of their own; leave them out")
    if category_columns(model.terms):
        raise UsageError("the levels of categories take a round of their own; leave out C()")
    if model.pca is not None:
        raise UsageError("how many components a PCA has takes a round; leave out --pcs")


def given_origins(
    origins: Mapping[str, tuple[float, float]], covariates: Sequence[str], traits: Sequence[str]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and standard deviations of covariates, then traits: 0 and 1 where not given.

    Raises
    ------
    UsageError
        An origin is of no column.
    """
    columns = [*covariates, *traits]
    unknown = sorted(set(origins) - set(columns))
    if unknown:
        raise UsageError(f"{unknown[0]} is no column of the model; it has no origin")
    pairs = [origins.get(name, (0.0, 1.0)) for name in columns]
    return tuple(float(mean) for mean, _ in pairs), tuple(float(spread) for _, spread in pairs)


def fit_once(model: GwasModel, panel: Panel, origins: Mapping[str, tuple[float, float]]) -> Rounds:
    """Fit all traits in one round: sums over the people called in each row are all it takes.

    Every trait is a group of its own, as nobody has said which of them share their people. Sites
    centre covariates and traits within themselves; `origins` has mean and standard deviation of
    columns where they are known, 0 and 1 elsewhere.
    """
    check_once(model, "drop")
    names = covariate_names(model, 0)
    means, scales = given_origins(origins, names, model.traits)
    of_traits = slice(len(names), None)
    parameters = LinearParameters(
        **model.columns,
        groups=tuple(range(len(model.traits))),
        trait_mean=means[of_traits],
        trait_scale=scales[of_traits],
        covariate_mean=means[: len(names)],
        covariate_scale=scales[: len(names)],
        site_effects=True,
        as_listed=True,
    )
    number = len(model.traits)
    kind: type[linear.RowSums] = linear.CompleteSums
    kind = _of_dosages(kind) if model.dosages else kind
    width = linear.numbers_per_row(kind, len(names), number, number)
    answer = yield Ask(kind, parameters, panel.inputs, panel.size, width)
    people = np.zeros(number, np.int64)

    def finished() -> Iterator[linear.LinearResult]:
        scale = np.array(scales[of_traits])
        for part in answer.shards():
            design = linear.design_of_rows(part)
            np.maximum(people, design.people, out=people)
            yield linear.finalize(design, part, scale)

    return Fit(people, finished())


def _untested(rows: int, design: linear.DesignSums, code: str) -> Iterator[linear.LinearResult]:
    """Rows without a test, a shard at a time."""
    for start in range(0, rows, ROWS_PER_SHARD):
        yield linear.untested(min(ROWS_PER_SHARD, rows - start), design, code)
