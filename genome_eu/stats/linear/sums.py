"""What a site sums for a linear model: products of covariates, traits and dosages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, Private, count, every, total
from genome_eu.stats.block import Block


@dataclass(frozen=True, eq=False)
class Design(Private):
    """One site's people: covariates and traits on the agreed scale, 0 for people left out."""

    x: NDArray  # (people, covariates), with the common intercept first where there is one
    y: NDArray  # (people, traits)
    included: NDArray  # bool (people,)
    site_effects: bool

    @property
    def groups(self) -> NDArray:
        """Group labels for counting: 0 for the people in the model, −1 for all others."""
        return np.where(self.included, 0, -1)


def design(x: NDArray, y: NDArray, *, site_effects: bool) -> Design:
    """Prepare a site's people for the sums.

    Parameters
    ----------
    x : float64 array, shape (people, covariates)
        Covariates less the agreed origin, over the agreed scale; NaN where missing.
    y : float64 array, shape (people, traits)
        Traits, likewise. Only people with every value take part.
    site_effects : bool
        Centre within this site, instead of one intercept column for all sites.
    """
    included = ~(np.isnan(x).any(axis=1) | np.isnan(y).any(axis=1))
    x = np.where(included[:, None], x, 0.0)
    y = np.where(included[:, None], y, 0.0)
    if site_effects:
        people = max(int(included.sum()), 1)
        x = np.where(included[:, None], x - x.sum(axis=0) / people, 0.0)
        y = np.where(included[:, None], y - y.sum(axis=0) / people, 0.0)
    else:
        x = np.column_stack([included.astype(float), x])
    return Design(x, y, included, site_effects)


@dataclass(frozen=True, eq=False)
class DesignSums(Aggregate):
    """Products of covariates and traits over the people of the model."""

    statistic = "linear_design"

    people: NDArray = count("people", gate="people")
    intercepts: NDArray = count("sites", gate="label")
    xx: NDArray = total("covariate²", "covariates", "covariates", gate="moments")
    xy: NDArray = total("covariate·trait", "covariates", "traits", gate="moments")
    yy: NDArray = total("trait²", "traits", gate="moments")


def summarize_design(model: Design) -> DesignSums:
    """Products of covariates and traits at one site."""
    people = int(model.included.sum())
    return DesignSums(
        people=np.array(people),
        intercepts=np.array(1 if model.site_effects and people else 0),
        xx=model.x.T @ model.x,
        xy=model.x.T @ model.y,
        yy=np.einsum("it,it->t", model.y, model.y),
    )


@dataclass(frozen=True, eq=False)
class MeanSums(Aggregate):
    """Row sums with missing calls replaced by the site's own mean, centred within the site."""

    statistic = "linear_mean"

    called: NDArray = count("people", "rows", gate="association")
    allele_count: NDArray = count("alleles", "rows", gate="association")
    gg: NDArray = total("dosage²", "rows", gate="association")
    gx: NDArray = total("dosage·covariate", "rows", "covariates", gate="association")
    gy: NDArray = total("dosage·trait", "rows", "traits", gate="association")
    shown: NDArray = every("flag", "rows")


@dataclass(frozen=True, eq=False)
class RawSums(Aggregate):
    """Row sums of observed dosages and of the missing plane, for one mean over all sites."""

    statistic = "linear_raw"

    called: NDArray = count("people", "rows", gate="association")
    missing: NDArray = count("people", "rows", gate="missing")
    allele_count: NDArray = count("alleles", "rows", gate="association")
    gg: NDArray = count("dosage²", "rows", gate="association")
    gx: NDArray = total("dosage·covariate", "rows", "covariates", gate="association")
    gy: NDArray = total("dosage·trait", "rows", "traits", gate="association")
    mx: NDArray = total("missing·covariate", "rows", "covariates", gate="missing")
    my: NDArray = total("missing·trait", "rows", "traits", gate="missing")
    shown: NDArray = every("flag", "rows")


@dataclass(frozen=True, eq=False)
class CompleteSums(Aggregate):
    """Row sums over the people called in that row; every product of the model, row by row."""

    statistic = "linear_complete"

    called: NDArray = count("people", "rows", gate="missing")
    intercepts: NDArray = count("sites", "rows", gate="missing")
    allele_count: NDArray = count("alleles", "rows", gate="association")
    gg: NDArray = total("dosage²", "rows", gate="association")
    gx: NDArray = total("dosage·covariate", "rows", "covariates", gate="association")
    gy: NDArray = total("dosage·trait", "rows", "traits", gate="association")
    xx: NDArray = total("covariate²", "rows", "covariates", "covariates", gate="missing")
    xy: NDArray = total("covariate·trait", "rows", "covariates", "traits", gate="missing")
    yy: NDArray = total("trait²", "rows", "traits", gate="missing")
    shown: NDArray = every("flag", "rows")


RowSums: TypeAlias = MeanSums | RawSums | CompleteSums


def _tally(block: Block, model: Design) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Called people, missing people, Σg and Σg² per row, int64."""
    tallies = block.counts(model.groups, 1)[:, 0]
    allele_count = tallies[:, 1] + 2 * tallies[:, 2]
    return (
        tallies[:, :3].sum(axis=1),
        tallies[:, 3],
        allele_count,
        tallies[:, 1] + 4 * tallies[:, 2],
    )


def mean_dosage(allele_count: NDArray, called: NDArray) -> NDArray:
    """Mean copies of ALT among the called, 0 where nobody is."""
    return allele_count / np.maximum(called, 1)


def summarize_mean(block: Block, model: Design) -> MeanSums:
    """Row sums at one site with its own mean in place of missing calls (needs site effects)."""
    called, _, allele_count, squares = _tally(block, model)
    mean = mean_dosage(allele_count, called)
    dosage, missing = block.matmul(np.hstack([model.x, model.y]))
    centred = dosage + mean[:, None] * missing
    covariates = model.x.shape[1]
    return MeanSums(
        called=called,
        allele_count=allele_count,
        gg=squares - called * mean**2,
        gx=centred[:, :covariates],
        gy=centred[:, covariates:],
        shown=np.ones(called.shape, bool),
    )


def summarize_raw(block: Block, model: Design) -> RawSums:
    """Row sums at one site, to be completed with the mean over all sites."""
    called, absent, allele_count, squares = _tally(block, model)
    dosage, missing = block.matmul(np.hstack([model.x, model.y]))
    covariates = model.x.shape[1]
    return RawSums(
        called=called,
        missing=absent,
        allele_count=allele_count,
        gg=squares,
        gx=dosage[:, :covariates],
        gy=dosage[:, covariates:],
        mx=missing[:, :covariates],
        my=missing[:, covariates:],
        shown=np.ones(called.shape, bool),
    )


def summarize_complete(block: Block, model: Design) -> CompleteSums:
    """Row sums at one site over the people called in each row."""
    x, y = model.x, model.y
    covariates, traits = x.shape[1], y.shape[1]
    upper = np.triu_indices(covariates)
    called, absent, allele_count, squares = _tally(block, model)
    dosage, missing = block.matmul(np.hstack([x, y]))
    sums = summarize_design(model)

    xx = np.broadcast_to(sums.xx, (called.size, covariates, covariates)).copy()
    xy = np.broadcast_to(sums.xy, (called.size, covariates, traits)).copy()
    yy = np.broadcast_to(sums.yy, (called.size, traits)).copy()
    if absent.any():
        pairs = (x[:, upper[0]] * x[:, upper[1]], (x[:, :, None] * y[:, None, :]), y**2)
        products = np.hstack([pairs[0], pairs[1].reshape(len(x), -1), pairs[2]])
        _, lost = block.matmul(products)
        lost_xx = np.zeros_like(xx)
        lost_xx[:, upper[0], upper[1]] = lost[:, : upper[0].size]
        lost_xx[:, upper[1], upper[0]] = lost[:, : upper[0].size]
        xx -= lost_xx
        xy -= lost[:, upper[0].size : upper[0].size + covariates * traits].reshape(xy.shape)
        yy -= lost[:, upper[0].size + covariates * traits :]
    mean = np.zeros(called.shape)
    if model.site_effects:
        # Centre g, X and y over the people called in this row.
        mean = mean_dosage(allele_count, called)
        people = np.maximum(called, 1)[:, None]
        x_sum, y_sum = -missing[:, :covariates], -missing[:, covariates:]
        xx -= x_sum[:, :, None] * (x_sum / people)[:, None, :]
        xy -= x_sum[:, :, None] * (y_sum / people)[:, None, :]
        yy -= y_sum**2 / people
        dosage[:, :covariates] -= mean[:, None] * x_sum
        dosage[:, covariates:] -= mean[:, None] * y_sum
    return CompleteSums(
        called=called,
        intercepts=(called > 0).astype(np.int64) if model.site_effects else np.zeros_like(called),
        allele_count=allele_count,
        gg=squares - called * mean**2,
        gx=dosage[:, :covariates],
        gy=dosage[:, covariates:],
        xx=xx,
        xy=xy,
        yy=yy,
        shown=np.ones(called.shape, bool),
    )
