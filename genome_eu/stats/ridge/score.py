"""Step 2 of a quantitative trait: the score test of a row beside all other chromosomes.

e = what covariates leave of the trait, less the prediction of all chromosomes but the row's own;
σ² = eᵀe/(N − 1), β = gᵀe/gᵀg with g freed of the covariates, SE = √(σ²/gᵀg), χ² = (β/SE)² with
one degree of freedom (REGENIE's test: the variance is that of the null model).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, count, declared, total
from genome_eu.stats.block import Block
from genome_eu.stats.linear.fit import ERRCODES, LinearResult, adjusted, monomorphic
from genome_eu.stats.linear.independence import COLLINEAR
from genome_eu.stats.linear.model import Design, DesignSums
from genome_eu.stats.linear.sums import MeanSums, RawSums, summarize_mean, summarize_raw
from genome_eu.stats.ridge.level1 import Offsets
from genome_eu.stats.ridge.model import FoldedDesign
from genome_eu.stats.tails import normal_neg_log10_p


@dataclass(frozen=True, eq=False)
class ResidualSums(Aggregate):
    """Products of e with the covariates and with itself, for each chromosome left out.

    The last place is that of rows whose chromosome predicts nothing.
    """

    statistic = "ridge_residuals"

    people: NDArray = count("people", gate="people")
    intercepts: NDArray = count("sites", gate="label")
    xx: NDArray = total("covariate²", "covariates", "covariates", gate="moments")
    xy: NDArray = total("covariate·residual", "chromosomes", "covariates", "traits", gate="moments")
    yy: NDArray = total("residual²", "chromosomes", "traits", gate="moments")


@dataclass(frozen=True, eq=False)
class RidgeScoreSums(MeanSums):
    """Sums of rows with e in place of the trait, missing calls at the site's own mean."""

    statistic = "ridge_score"


@dataclass(frozen=True, eq=False)
class RawRidgeScoreSums(RawSums):
    """The same for one mean over all sites."""

    statistic = "ridge_score_raw"


def _residuals(model: FoldedDesign, effects: NDArray, beside: NDArray) -> NDArray:
    """e of those who take part, 0 for others, (people, traits)."""
    return model.residuals(effects) - beside.T


def summarize_residuals(model: FoldedDesign, effects: NDArray, offsets: Offsets) -> ResidualSums:
    """Products of e at one site, for every chromosome left out."""
    left = [_residuals(model, effects, beside) for beside in offsets.values]
    people = int((model.fold >= 0).sum())
    return ResidualSums(
        people=np.array(people),
        intercepts=np.array(int(people > 0 and model.site_effects)),
        xx=model.x.T @ model.x,
        xy=np.stack([model.x.T @ e for e in left]),
        yy=np.stack([np.einsum("it,it->t", e, e) for e in left]),
    )


def residual_design(
    model: Design, folded: FoldedDesign, effects: NDArray, beside: NDArray
) -> Design:
    """A linear model whose traits are the e of one chromosome: what its rows are summed with.

    Parameters
    ----------
    model : Design
        The people, of one group.
    folded : FoldedDesign
        The same people in folds.
    beside : float64 array, shape (traits, people)
        `Offsets.values` at the chromosome.
    """
    e = _residuals(folded, effects, beside)
    if model.site_effects:
        # Sums of rows leave a site centred; e itself is not, as predictions are not.
        members = model.members(0)
        mean = e.sum(axis=0) / max(int(members.sum()), 1)
        e = np.where(members[:, None], e - mean, 0.0)
    return replace(model, y=e)


def summarize_score(
    block: Block,
    places: NDArray,
    model: Design,
    folded: FoldedDesign,
    effects: NDArray,
    offsets: Offsets,
) -> RidgeScoreSums | RawRidgeScoreSums:
    """Sums of rows at one site, each beside all chromosomes but its own.

    Parameters
    ----------
    places : int64 array, shape (rows,)
        The place of each row's chromosome in `Offsets.values`.
    model, folded : Design, FoldedDesign
        The people.
    """
    kind: type[RidgeScoreSums] | type[RawRidgeScoreSums] = (
        RidgeScoreSums if model.site_effects else RawRidgeScoreSums
    )
    values: dict[str, NDArray] = {}
    for place in np.unique(places):
        design = residual_design(model, folded, effects, offsets.values[place])
        part = (summarize_mean if model.site_effects else summarize_raw)(block, design)
        mine = places == place
        for item in declared(kind):
            found = getattr(part, item.name)
            if item.name in values and "rows" in item.metadata["dims"]:
                values[item.name][mine] = found[mine]
            else:
                values[item.name] = np.array(found)
    return kind(**values)


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
    sums: RidgeScoreSums | RawRidgeScoreSums,
    trait_scale: NDArray,
) -> ScoreResult:
    """Effect, standard error, χ² and p-value of every row and trait.

    Parameters
    ----------
    residuals : ResidualSums
        Merged over sites.
    places : int64 array, shape (rows,)
        The place of each row's chromosome in `residuals`.
    sums : RidgeScoreSums or RawRidgeScoreSums
        Merged over sites.
    trait_scale : float64 array, shape (traits,)
        What traits were divided by; effects are given on the trait's own scale.
    """
    people = int(residuals.people)
    variance = residuals.yy / max(people - 1, 1)
    # Traits have unit variance on the agreed scale.
    explained = residuals.yy <= COLLINEAR * people
    v, score = np.empty(sums.called.shape), np.empty(sums.gy.shape)
    n = df = gg = v
    for place in np.unique(places):
        model = DesignSums(
            people=residuals.people[None],
            intercepts=residuals.intercepts[None],
            xx=residuals.xx[None],
            xy=residuals.xy[place],
            yy=residuals.yy[place],
            trait_group=sums.trait_group,
        )
        n, df, gg, v_here, score_here, _ = adjusted(model, sums)
        mine = places == place
        v[mine], score[mine] = v_here[mine], score_here[mine]
    shape = score.shape
    reasons = (
        ("WITHHELD", ~sums.shown),
        ("TOO_FEW", df <= 0),
        ("CONST_ALLELE", monomorphic(sums)),
        ("VIF_INFINITE", v <= COLLINEAR * np.abs(gg)),
        ("CONST_TRAIT", explained[places]),
    )
    errcode = np.select(
        [np.broadcast_to(holds, shape) for _, holds in reasons],
        [ERRCODES.index(word) for word, _ in reasons],
        default=0,
    ).astype(np.int8)
    fits = errcode == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        beta = np.where(fits, score / v, np.nan)
        se = np.where(fits, np.sqrt(variance[places] / v), np.nan)
        frequency = np.where(sums.shown, sums.allele_count / (2.0 * sums.called), np.nan)
    z = beta / se
    return ScoreResult(
        beta=beta * trait_scale,
        se=se * trait_scale,
        chisq=z**2,
        neg_log10_p=normal_neg_log10_p(z),
        n=np.broadcast_to(np.where(sums.shown, n, -1), shape),
        allele_frequency=np.broadcast_to(frequency, shape),
        errcode=errcode,
    )
