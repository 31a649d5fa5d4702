"""The null model: traits ~ covariates, fitted over sites by Newton's rounds.

Each round the coordinator sends the shared parameters of every null model, and sites send a
gradient, an information matrix and a log-likelihood. With Firth's penalty (for the offset of the
approximate Firth test) they also need the inverse information matrix of the round before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import TraitError
from genome_eu.stats.aggregate import Aggregate, Private, count, total
from genome_eu.stats.logistic import newton
from genome_eu.stats.logistic.model import Design
from genome_eu.stats.logistic.profile import profile

# Where the model explains every trait value but for this much log-likelihood a person.
_SEPARATED = 1e-6


@dataclass(frozen=True, eq=False)
class NullSums(Aggregate):
    """One Newton round of every null model: of each design in turn, each trait."""

    statistic = "logistic_null"

    cases: NDArray = count("people", "nulls", gate="people")
    controls: NDArray = count("people", "nulls", gate="people")
    sites: NDArray = count("sites", "nulls", gate="label")
    xx: NDArray = total("covariate²", "nulls", "covariates", "covariates", gate="moments")
    score: NDArray = total("covariate·residual", "nulls", "covariates", gate="moments")
    information: NDArray = total("covariate²", "nulls", "covariates", "covariates", gate="moments")
    curvature: NDArray = total("covariate²", "nulls", "covariates", "covariates", gate="moments")
    loglik: NDArray = total("log-likelihood", "nulls", gate="moments")
    log_weight: NDArray = total("log weight", "nulls", gate="moments")


@dataclass(frozen=True, eq=False)
class Null:
    """Null models that have converged, from what sites released.

    All arrays have one entry per null model: of each design in turn, each trait.
    """

    theta: NDArray  # (nulls, width)
    information: NDArray  # (nulls, width, width)
    inverse: NDArray  # its inverse
    xx: NDArray  # (nulls, width, width), XᵀX without weights
    cases: NDArray  # int64 (nulls,)
    controls: NDArray
    sites: NDArray  # sites that took part
    loglik: NDArray
    firth: bool
    rounds: int

    def take(self, nulls: slice | NDArray) -> Null:
        """Some of the null models."""
        parts = ("theta", "information", "inverse", "xx")
        counts = ("cases", "controls", "sites", "loglik")
        some = {name: getattr(self, name)[nulls] for name in (*parts, *counts)}
        return Null(**some, firth=self.firth, rounds=self.rounds)


@dataclass(frozen=True, eq=False)
class Fitted(Private):
    """A site's people under a null model: what they are expected to be, and their weights.

    Everything is 0 for people who do not take part; an intercept of the site's own is included.
    """

    design: Design
    eta: NDArray  # (people, traits), the linear predictor
    mu: NDArray  # (people, traits), the probability of being a case
    weight: NDArray  # (people, traits), μ(1−μ)
    residual: NDArray  # (people, traits), y − μ
    centre: NDArray  # (traits, width), the columns' weighted means; 0 with a common intercept


def start_null(traits: int, width: int, *, firth: bool = False) -> newton.Fits:
    """Null models before their first round: `traits` of them, with `width` shared parameters."""
    return newton.start(np.zeros((traits, width)), firth=firth)


def summarize_null(
    designs: Sequence[Design], theta: NDArray, inverse: NDArray | None = None
) -> NullSums:
    """One round at one site.

    Parameters
    ----------
    designs : sequence of Design
        Of the same people, traits and covariates; with whole-genome regression one per
        chromosome, each with its offset.
    theta : float64 array, shape (nulls, width)
        Parameters of each null model, of each design in turn, each trait.
    inverse : float64 array, shape (nulls, width, width), optional
        `Fits.inverse` of the last round; given for Firth's penalty only.
    """
    nulls, width = theta.shape
    square = np.zeros((nulls, width, width))
    score, information = np.zeros((nulls, width)), np.zeros((nulls, width, width))
    curvature, loglik, log_weight = np.zeros_like(information), np.zeros(nulls), np.zeros(nulls)
    counts = np.zeros((nulls, 2), np.int64)
    null = 0
    for design in designs:
        for trait in range(design.traits):
            who, here = design.who(trait), slice(null, null + 1)
            x = np.ascontiguousarray(design.x[who])
            profile(
                x,
                np.empty((1, 0)),
                design.y[who, trait],
                design.offset[who, trait],
                np.ascontiguousarray(theta[here]),
                np.zeros((1, width, width)) if inverse is None else inverse[here].copy(),
                inverse is not None,
                design.site_effects,
                score[here],
                information[here],
                curvature[here],
                loglik[here],
                log_weight[here],
                counts[here],
                np.empty(1),
            )
            if design.site_effects and who.size:
                x = x - x.mean(axis=0)
            square[null] = x.T @ x
            null += 1
    return NullSums(
        cases=counts[:, 1],
        controls=counts[:, 0],
        sites=(counts.sum(axis=1) > 0).astype(np.int64),
        xx=square,
        score=score,
        information=information,
        curvature=curvature,
        loglik=loglik,
        log_weight=log_weight,
    )


def update_null(fits: newton.Fits, sums: NullSums) -> newton.Fits:
    """The next parameters, from the merged sums of a round.

    All null models are asked for in every round, so that those that have converged keep their
    place; only the others move.
    """
    here = fits.active
    return newton.update(
        fits,
        sums.score[here],
        sums.information[here],
        sums.curvature[here],
        sums.loglik[here],
        sums.log_weight[here],
        (sums.cases[here], sums.controls[here]),
    )


def finish_null(fits: newton.Fits, sums: NullSums, names: Sequence[str]) -> Null:
    """The null models, once `fits.done`; `sums` is the last round's, `names` the traits'.

    Raises
    ------
    TraitError
        If a trait has no cases or no controls, or covariates separate the cases from the
        controls, or are combinations of each other or of the sites.
    """
    people = sums.cases + sums.controls
    for null in range(people.size):
        name = names[null % len(names)]
        if not (sums.cases[null] and sums.controls[null]):
            raise TraitError(
                f"trait {name} has {sums.cases[null]} cases and {sums.controls[null]} controls at "
                f"the sites that have both; ask of other sites, or without site effects"
            )
        if fits.status[null] == newton.SINGULAR:
            raise TraitError(
                f"the covariates of trait {name} are combinations of each other or of the sites; "
                f"leave one out"
            )
        if separated(sums.loglik[null], people[null]) or fits.status[null] != newton.CONVERGED:
            raise TraitError(
                f"the null model of trait {name} does not converge: covariates separate its cases "
                f"from its controls; leave out those that do"
            )
    return Null(
        theta=fits.theta,
        information=sums.information,
        inverse=fits.inverse,
        xx=sums.xx,
        cases=sums.cases,
        controls=sums.controls,
        sites=sums.sites,
        loglik=sums.loglik,
        firth=fits.firth,
        rounds=fits.rounds,
    )


def separated(loglik: NDArray, people: NDArray) -> NDArray:
    """Whether a model predicts every case, so that its parameters have no largest value."""
    return np.asarray(-loglik < _SEPARATED * people)


def fit_people(design: Design, theta: NDArray, inverse: NDArray | None = None) -> Fitted:
    """A site's people under null models that have converged.

    Parameters
    ----------
    theta : float64 array, shape (traits, width)
    inverse : float64 array, shape (traits, width, width), optional
        Given for Firth's null model, whose own intercepts are penalized as well.
    """
    shape = design.y.shape
    eta, centre = np.zeros(shape), np.zeros((design.traits, design.width))
    mu, weight = np.zeros(shape), np.zeros(shape)
    for trait in range(design.traits):
        who = design.who(trait)
        if not who.size:
            continue
        x = design.x[who]
        eta[who, trait] = design.offset[who, trait] + x @ theta[trait]
        if design.site_effects:
            penalty = None if inverse is None else inverse[trait]
            eta[who, trait] += own_intercept(x, design.y[who, trait], eta[who, trait], penalty)
        small = np.exp(-np.abs(eta[who, trait]))
        mu[who, trait] = np.where(eta[who, trait] > 0, 1.0, small) / (1.0 + small)
        weight[who, trait] = w = small / (1.0 + small) ** 2
        if design.site_effects:
            centre[trait] = w @ x / w.sum()
    residual = np.where(design.included, design.y - mu, 0.0)
    return Fitted(design, eta, mu, weight, residual, centre)


def own_intercept(x: NDArray, y: NDArray, fixed: NDArray, inverse: NDArray | None) -> float:
    """A site's own intercept, given the rest of the linear predictor; see `profile`."""
    width = x.shape[1]
    out = np.empty((1, width))
    matrix, number = np.empty((2, 1, width, width)), np.empty((3, 1))
    profile(
        np.ascontiguousarray(x),
        np.empty((1, 0)),
        y,
        fixed,
        np.zeros((1, width)),
        np.zeros((1, width, width)) if inverse is None else inverse[None].copy(),
        inverse is not None,
        True,
        out,
        *matrix,
        *number[:2],
        np.empty((1, 2), np.int64),
        number[2],
    )
    return float(number[2, 0])
