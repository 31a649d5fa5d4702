"""Step 2 of a quantitative trait: the score test of a row beside all other chromosomes.

e = what covariates leave of the trait, less the prediction of all chromosomes but the row's own;
σ² = eᵀe/(N − 1), β = gᵀe/gᵀg with g freed of the covariates, SE = √(σ²/gᵀg), χ² = (β/SE)² with
one degree of freedom (REGENIE's test: the variance is that of the null model).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, Private, count, declared, same, total
from genome_eu.stats.block import Block
from genome_eu.stats.linear.fit import ERRCODES, LinearResult, adjusted, monomorphic
from genome_eu.stats.linear.independence import COLLINEAR
from genome_eu.stats.linear.model import Design, DesignSums, as_slice
from genome_eu.stats.linear.sums import (
    DosageMeanSums,
    DosageRawSums,
    MeanSums,
    RawSums,
    of_traits,
    summarize_mean,
    summarize_raw,
)
from genome_eu.stats.ridge.level1 import Offsets
from genome_eu.stats.tails import normal_neg_log10_p


@dataclass(frozen=True, eq=False)
class ResidualSums(Aggregate):
    """Products of e with the covariates and with itself, for each chromosome left out.

    Traits of a group share their people, as in a linear model. The last place is that of rows whose
    chromosome predicts nothing.
    """

    statistic = "ridge_residuals"

    people: NDArray = count("people", "groups", gate="people")
    intercepts: NDArray = count("sites", "groups", gate="label")
    xx: NDArray = total("covariate²", "groups", "covariates", "covariates", gate="moments")
    xy: NDArray = total("covariate·residual", "chromosomes", "covariates", "traits", gate="moments")
    yy: NDArray = total("residual²", "chromosomes", "traits", gate="moments")
    trait_group: NDArray = same("group", "traits", gate="label")


@dataclass(frozen=True, eq=False)
class RidgeScoreSums(MeanSums):
    """Sums of rows with e in place of the trait, missing calls at the site's own mean."""

    statistic = "ridge_score"


@dataclass(frozen=True, eq=False)
class RawRidgeScoreSums(RawSums):
    """The same for one mean over all sites."""

    statistic = "ridge_score_raw"


@dataclass(frozen=True, eq=False)
class DosageRidgeScoreSums(DosageMeanSums):
    """`RidgeScoreSums` of dosages; hard calls say how many people an allele count is of."""

    statistic = "ridge_score_dosage"


@dataclass(frozen=True, eq=False)
class DosageRawRidgeScoreSums(DosageRawSums):
    """`RawRidgeScoreSums` of dosages; hard calls say how many people an allele count is of."""

    statistic = "ridge_score_raw_dosage"


AnyRidgeScoreSums: TypeAlias = (
    RidgeScoreSums | RawRidgeScoreSums | DosageRidgeScoreSums | DosageRawRidgeScoreSums
)
#: Sums of step 2 by what a model has: an intercept for every site, and dosages.
SCORE_SUMS: Mapping[tuple[bool, bool], type[AnyRidgeScoreSums]] = {
    (True, False): RidgeScoreSums,
    (False, False): RawRidgeScoreSums,
    (True, True): DosageRidgeScoreSums,
    (False, True): DosageRawRidgeScoreSums,
}


@dataclass(frozen=True, eq=False)
class Residuals(Private):
    """e of the people of a site, for each chromosome left out; 0 for who is not of a trait."""

    values: NDArray  # (chromosomes + 1, people, traits)


def residuals(model: Design, effects: NDArray, offsets: Offsets) -> Residuals:
    """What covariates leave of the traits, less the predictions beside each chromosome.

    Parameters
    ----------
    model : Design
        The people of each group of traits.
    effects : float64 array, shape (covariates, traits)
        What covariates explain of the traits, each among its own people.
    offsets : Offsets
        Of all traits; 0 for people who are not of a trait.
    """
    left = np.array(model.y)
    for group in range(model.groups):
        traits = as_slice(model.trait_group == group)
        left[:, traits] -= model.covariates(group) @ effects[:, traits]
    return Residuals(left - offsets.values.swapaxes(1, 2))


def summarize_residuals(model: Design, left: Residuals) -> ResidualSums:
    """Products of e at one site, for every chromosome left out."""
    people = model.included.sum(axis=0)
    places, _, traits = left.values.shape
    xx = np.empty((model.groups, model.width, model.width))
    xy = np.empty((places, model.width, traits))
    for group in range(model.groups):
        x = model.covariates(group)
        members = as_slice(model.trait_group == group)
        xx[group] = x.T @ x
        xy[:, :, members] = x.T @ left.values[:, :, members]
    return ResidualSums(
        people=people,
        intercepts=(people > 0) & model.site_effects,
        xx=xx,
        xy=xy,
        yy=np.einsum("pit,pit->pt", left.values, left.values),
        trait_group=model.trait_group,
    )


def residual_design(model: Design, left: NDArray) -> Design:
    """A linear model whose traits are the e of one chromosome: what its rows are summed with.

    Parameters
    ----------
    model : Design
        The people of each group of traits.
    left : float64 array, shape (people, traits)
        `Residuals.values` at the chromosome.
    """
    if model.site_effects:
        # Sums of rows leave a site centred; e itself is not, as predictions are not.
        members = model.included[:, model.trait_group]
        mean = left.sum(axis=0) / np.maximum(members.sum(axis=0), 1)
        left = np.where(members, left - mean, 0.0)
    return replace(model, y=left)


def summarize_score(
    block: Block, places: NDArray, model: Design, left: Residuals, dosages: bool = False
) -> AnyRidgeScoreSums:
    """Sums of rows at one site, each beside all chromosomes but its own.

    Parameters
    ----------
    places : int64 array, shape (rows,)
        The place of each row's chromosome in `Residuals.values`.
    model : Design
        The people of each group of traits.
    dosages : bool
        The block is of dosages.
    """
    kind: type[Any] = SCORE_SUMS[model.site_effects, dosages]
    values: dict[str, NDArray] = {}
    for place in np.unique(places):
        design = residual_design(model, left.values[place])
        part = (summarize_mean if model.site_effects else summarize_raw)(block, design, kind)
        mine = places == place
        for item in declared(kind):
            found = getattr(part, item.name)
            if item.name in values and "rows" in item.metadata["dims"]:
                values[item.name][mine] = found[mine]
            else:
                values[item.name] = np.array(found)
    sums: AnyRidgeScoreSums = kind(**values)
    return sums


@dataclass(frozen=True, eq=False)
class ScoreResult:
    """Per row and trait, float64 (rows, traits) unless said otherwise; `errcode` as in `linear`."""

    beta: NDArray
    se: NDArray
    chisq: NDArray
    neg_log10_p: NDArray
    n: NDArray  # int64
    allele_frequency: NDArray
    errcode: NDArray  # int8

    @property
    def errcode_words(self) -> NDArray:
        """The codes as text."""
        return np.array(ERRCODES)[self.errcode]

    def as_linear(self) -> LinearResult:
        """The same with the signed root of χ² as the statistic, on the N − 1 of its variance."""
        return LinearResult(
            beta=self.beta,
            se=self.se,
            t=self.beta / self.se,
            neg_log10_p=self.neg_log10_p,
            df=np.where(self.n > 0, self.n - 1, -1),
            n=self.n,
            allele_frequency=self.allele_frequency,
            errcode=self.errcode,
        )


def finalize(
    residuals: ResidualSums,
    places: NDArray,
    sums: AnyRidgeScoreSums,
    trait_scale: NDArray,
) -> ScoreResult:
    """Effect, standard error, χ² and p-value of every row and trait.

    Parameters
    ----------
    residuals : ResidualSums
        Merged over sites.
    places : int64 array, shape (rows,)
        The place of each row's chromosome in `residuals`.
    sums : one of `SCORE_SUMS`
        Merged over sites.
    trait_scale : float64 array, shape (traits,)
        What traits were divided by; effects are given on the trait's own scale.
    """
    group = sums.trait_group
    people = residuals.people[group]
    variance = residuals.yy / np.maximum(people - 1, 1)
    # Traits have unit variance on the agreed scale.
    explained = residuals.yy <= COLLINEAR * people
    v, score = np.empty(sums.called.shape), np.empty(sums.gy.shape)
    n = df = gg = v
    for place in np.unique(places):
        model = DesignSums(
            people=residuals.people,
            intercepts=residuals.intercepts,
            xx=residuals.xx,
            xy=residuals.xy[place],
            yy=residuals.yy[place],
            trait_group=group,
        )
        n, df, gg, v_here, score_here, _ = adjusted(model, sums)
        mine = places == place
        v[mine], score[mine] = v_here[mine], score_here[mine]

    def of_tests(values: NDArray) -> NDArray:
        return np.broadcast_to(of_traits(values, group), score.shape)

    reasons = (
        ("WITHHELD", of_tests(~sums.shown)),
        ("TOO_FEW", of_tests(df <= 0)),
        ("CONST_ALLELE", of_tests(monomorphic(sums))),
        ("VIF_INFINITE", of_tests(v <= COLLINEAR * np.abs(gg))),
        ("CONST_TRAIT", explained[places]),
    )
    errcode = np.select(
        [holds for _, holds in reasons],
        [ERRCODES.index(word) for word, _ in reasons],
        default=0,
    ).astype(np.int8)
    fits = errcode == 0
    varying = of_tests(v)
    with np.errstate(invalid="ignore", divide="ignore"):
        beta = np.where(fits, score / varying, np.nan)
        se = np.where(fits, np.sqrt(variance[places] / varying), np.nan)
        frequency = np.where(sums.shown, sums.allele_count / (2.0 * sums.called), np.nan)
    z = beta / se
    return ScoreResult(
        beta=beta * trait_scale,
        se=se * trait_scale,
        chisq=z**2,
        neg_log10_p=normal_neg_log10_p(z),
        n=of_tests(np.where(sums.shown, n, -1)),
        allele_frequency=of_tests(frequency),
        errcode=errcode,
    )
