"""Score tests of every row under the null model, from one pass over the genotypes.

Missing calls are replaced by the mean dosage of the people of the trait: the site's own, or with a
common intercept the mean over all sites. With site effects a site completes its sums by itself, so
that sums over missing calls stay there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from genome_eu.stats.aggregate import Aggregate, count, every, total
from genome_eu.stats.block import Block
from genome_eu.stats.linear.model import tile_columns
from genome_eu.stats.logistic import codes
from genome_eu.stats.logistic.dosage import by_trait
from genome_eu.stats.logistic.model import Design
from genome_eu.stats.logistic.null import Fitted, Null
from genome_eu.stats.ploidy import other_alleles

# A row is collinear with the covariates where they explain all but this part of it.
_COLLINEAR = 1e-10


@dataclass(frozen=True, eq=False)
class ScoreSums(Aggregate):
    """Row sums under the null model, centred within the site at weighted means."""

    statistic = "logistic_score"

    called_cases: NDArray = count("people", "rows", "traits", gate="association")
    called_controls: NDArray = count("people", "rows", "traits", gate="association")
    alleles_cases: NDArray = total("alleles", "rows", "traits", gate="association")
    alleles_controls: NDArray = total("alleles", "rows", "traits", gate="association")
    gg: NDArray = total("dosage²", "rows", "traits", gate="association")
    gx: NDArray = total("dosage·covariate", "rows", "traits", "covariates", gate="association")
    gr: NDArray = total("dosage·residual", "rows", "traits", gate="association")
    shown: NDArray = every("flag", "rows", "traits")


@dataclass(frozen=True, eq=False)
class RawScoreSums(Aggregate):
    """Row sums of observed dosages and of the missing plane, for one mean over all sites."""

    statistic = "logistic_score_raw"

    called_cases: NDArray = count("people", "rows", "traits", gate="association")
    called_controls: NDArray = count("people", "rows", "traits", gate="association")
    missing: NDArray = count("people", "rows", "traits", gate="missing")
    alleles_cases: NDArray = total("alleles", "rows", "traits", gate="association")
    alleles_controls: NDArray = total("alleles", "rows", "traits", gate="association")
    squares: NDArray = total("dosage²", "rows", "traits", gate="association")
    gg: NDArray = total("dosage²", "rows", "traits", gate="association")
    gx: NDArray = total("dosage·covariate", "rows", "traits", "covariates", gate="association")
    gr: NDArray = total("dosage·residual", "rows", "traits", gate="association")
    mx: NDArray = total("missing·covariate", "rows", "traits", "covariates", gate="missing")
    mr: NDArray = total("missing·residual", "rows", "traits", gate="missing")
    shown: NDArray = every("flag", "rows", "traits")


@dataclass(frozen=True, eq=False)
class HardCallsOfClasses(Aggregate):
    """What sums of dosages have: hard calls say how many people an allele count is of."""

    hard_called_cases: NDArray = count("people", "rows", "traits", gate="association")
    hard_called_controls: NDArray = count("people", "rows", "traits", gate="association")
    hard_cases: NDArray = count("alleles", "rows", "traits", gate="association")
    hard_controls: NDArray = count("alleles", "rows", "traits", gate="association")


@dataclass(frozen=True, eq=False)
class DosageScoreSums(HardCallsOfClasses, ScoreSums):
    """`ScoreSums` of dosages."""

    statistic = "logistic_score_dosage"


@dataclass(frozen=True, eq=False)
class DosageRawScoreSums(HardCallsOfClasses, RawScoreSums):
    """`RawScoreSums` of dosages."""

    statistic = "logistic_score_raw_dosage"


AnyScoreSums: TypeAlias = ScoreSums | RawScoreSums
#: The kinds of score sums of dosages.
DOSAGE_SCORE_SUMS = (DosageScoreSums, DosageRawScoreSums)


def numbers_per_row(width: int, traits: int, *, raw: bool, dosages: bool = False) -> int:
    """Numbers of one row of the sums, with `width` shared parameters in the null model."""
    return traits * (width + (width + 9 if raw else 7) + 4 * dosages)


def columns_at_a_time(width: int, traits: int, people: int) -> int:
    """Most columns of one product with a block."""
    return min((width + 2) * traits, max(width + 2, tile_columns(people)))


def fewest_alleles(
    block: Block,
    trait: NDArray,
    design: Design,
    halved: NDArray | None = None,
    *,
    dosages: bool = False,
) -> NDArray[np.float64]:
    """Alleles in cases and in controls, and people without a call.

    Parameters
    ----------
    trait : int array, shape (rows,)
    design : Design
    halved : int array, shape (traits, 2), optional
        Controls and cases of each trait whose one copy counts as one.
    dosages : bool
        An allele counts no more often than in hard calls, but as half of one where dosages alone
        say that there is any: expected copies add up over people who carry none.

    Returns
    -------
    float64 array, shape (rows, 5)
        Copies of ALT in controls and in cases, of other alleles (at least) in both, and people
        without a call: among the people of each row's trait. Without people, copies are infinite.
    """
    fewest = np.column_stack([np.full((block.rows, 4), np.inf), np.zeros(block.rows)])
    for one, rows in by_trait(block, trait):
        if not design.included[:, one].any():
            continue
        labels = design.labels(one)
        called, missing, alleles, _ = block.tally(labels, 2)
        others = other_alleles(2 * called - alleles, 0 if halved is None else halved[one])
        copies = np.concatenate([alleles, others], axis=1)
        if dosages:
            calls = block.counts(labels, 2)
            hard = calls[..., 1] + 2 * calls[..., 2]
            hard = np.concatenate([hard, 2 * calls[..., :3].sum(axis=-1) - hard], axis=1)
            certain = np.minimum(copies, np.maximum(hard, 0.5))
            copies = np.where(copies > 0, certain, 0.0)
        fewest[rows] = np.column_stack([copies, missing.sum(axis=1)])[rows]
    return fewest


@dataclass(frozen=True, eq=False)
class ScoreResult:
    """Score tests, each float64 (rows, traits) unless said otherwise; NaN where there is none.

    `beta` and `se` are one Newton step from the null model, not a converged fit.
    """

    z: NDArray
    beta: NDArray
    se: NDArray
    v: NDArray  # information on the row, given the covariates
    u: NDArray  # the score
    mean: NDArray  # of the called; what replaced missing calls with a common intercept
    coefficients: NDArray  # (rows, traits, width): of the row on the covariates, weighted
    n_cases: NDArray  # int64, called cases; −1 where withheld
    n_controls: NDArray
    allele_frequency: NDArray
    allele_frequency_cases: NDArray
    allele_frequency_controls: NDArray
    errcode: NDArray  # int8, a place in `ERRCODES`


def hard_calls(block: Block, design: Design, kind: type[Aggregate]) -> dict[str, NDArray]:
    """What sums of dosages have beside those of hard calls."""
    if not issubclass(kind, HardCallsOfClasses):
        return {}
    calls = np.stack(
        [block.counts(design.labels(trait), 2) for trait in range(design.traits)], axis=1
    )
    called, copies = calls[..., :3].sum(axis=-1), calls[..., 1] + 2 * calls[..., 2]
    return {
        "hard_called_cases": called[..., 1],
        "hard_called_controls": called[..., 0],
        "hard_cases": copies[..., 1],
        "hard_controls": copies[..., 0],
    }


def summarize_score(block: Block, fitted: Fitted, kind: type[ScoreSums] = ScoreSums) -> ScoreSums:
    """Row sums at one site with its own mean in place of missing calls (needs site effects)."""
    people, copies, squares, gg, gx, gr, mw, mx, mr, gw = _raw(block, fitted)
    called, alleles = people.sum(axis=-1), copies.sum(axis=-1)
    mean = alleles / np.maximum(called, 1)
    weight = np.maximum(fitted.weight.sum(axis=0), np.finfo(float).tiny)
    # Exactly nothing where everybody called at this site has the same genotype.
    varies = squares * called != alleles**2
    gw = gw + mean * mw
    return kind(
        **hard_calls(block, fitted.design, kind),
        called_cases=people[..., 1],
        called_controls=people[..., 0],
        alleles_cases=copies[..., 1],
        alleles_controls=copies[..., 0],
        gg=np.where(varies, gg + mean**2 * mw - gw**2 / weight, 0.0),
        gx=np.where(varies[..., None], gx + mean[..., None] * mx, 0.0),
        gr=np.where(varies, gr + mean * mr, 0.0),
        shown=np.ones(called.shape, bool),
    )


def summarize_score_raw(
    block: Block, fitted: Fitted, kind: type[RawScoreSums] = RawScoreSums
) -> RawScoreSums:
    """Row sums at one site, to be completed with the mean over all sites."""
    people, copies, squares, gg, gx, gr, _, mx, mr, _ = _raw(block, fitted)
    called = people.sum(axis=-1)
    return kind(
        **hard_calls(block, fitted.design, kind),
        called_cases=people[..., 1],
        called_controls=people[..., 0],
        missing=fitted.design.included.sum(axis=0) - called,
        alleles_cases=copies[..., 1],
        alleles_controls=copies[..., 0],
        squares=squares,
        gg=gg,
        gx=gx,
        gr=gr,
        mx=mx,
        mr=mr,
        shown=np.ones(called.shape, bool),
    )


def _raw(block: Block, fitted: Fitted) -> tuple[NDArray, ...]:
    """Counts of a block's rows, and products with columns.

    Called people and their alleles, (rows, traits, 2), controls first; Σg², (rows, traits); then
    gg, gx, gr, mw, mx, mr and gw.
    """
    design = fitted.design
    shape, width = (block.rows, design.traits), design.width
    people, copies = np.empty((*shape, 2), np.int64), np.empty((*shape, 2))
    squares, gg, gr, mw, mr, gw = np.empty((6, *shape))
    gx, mx = np.empty((2, *shape, width))
    for trait in range(design.traits):
        called, _, alleles, square = block.tally(design.labels(trait), 2)
        people[:, trait], copies[:, trait] = called, alleles
        squares[:, trait] = square.sum(axis=1)
    each = width + 2
    step = max(1, tile_columns(block.people) // each)
    for first in range(0, design.traits, step):
        some = range(first, min(first + step, design.traits))
        columns = np.empty((block.people, len(some), each))
        for place, trait in enumerate(some):
            weight = fitted.weight[:, trait]
            # Centred columns: what is left of a constant is rounding, however large it is.
            centred = design.x - fitted.centre[trait]
            np.multiply(weight[:, None], centred, out=columns[:, place, :width])
            columns[:, place, width] = fitted.residual[:, trait]
            columns[:, place, width + 1] = weight
        here = slice(first, first + len(some))
        planes = block.matmul(columns.reshape(block.people, len(some) * each))
        dosage, missing = (plane.reshape(block.rows, len(some), each) for plane in planes)
        gx[:, here], mx[:, here] = dosage[..., :width], missing[..., :width]
        gr[:, here], mr[:, here] = dosage[..., width], missing[..., width]
        gw[:, here], mw[:, here] = dosage[..., width + 1], missing[..., width + 1]
        gg[:, here] = block.square_matmul(np.ascontiguousarray(columns[..., width + 1]))
    return people, copies, squares, gg, gx, gr, mw, mx, mr, gw


def summarize_score_stratified(block: Block, fitted: Fitted) -> ScoreSums:
    """Row sums of a site that has fitted a null model of its own; summed, the stratified test.

    One round is enough. The reference is the pooled test with every covariate interacting with
    the site. `fitted` is the site's own fit, with site effects; the sums have no covariates left.
    """
    sums, design = summarize_score(block, fitted), fitted.design
    gg = sums.gg.copy()
    for trait in range(design.traits):
        if not design.included[:, trait].any():
            continue
        weight = fitted.weight[:, trait]
        x = np.where(design.included[:, trait, None], design.x - fitted.centre[trait], 0.0)
        lower = np.linalg.cholesky((x.T * weight) @ x)
        a = solve_triangular(lower, sums.gx[:, trait].T, lower=True)
        gg[:, trait] -= np.einsum("cr,cr->r", a, a)
        gg[gg[:, trait] <= _COLLINEAR * sums.gg[:, trait], trait] = 0.0
    return ScoreSums(
        called_cases=sums.called_cases,
        called_controls=sums.called_controls,
        alleles_cases=sums.alleles_cases,
        alleles_controls=sums.alleles_controls,
        gg=gg,
        gx=np.empty((*gg.shape, 0)),
        gr=sums.gr,
        shown=sums.shown,
    )


def finalize_score(null: Null | None, sums: AnyScoreSums) -> ScoreResult:
    """Score tests of every row and trait.

    Parameters
    ----------
    null : Null, optional
        The null model of each trait; not needed for the stratified test.
    sums : ScoreSums or RawScoreSums
        A shard of rows, merged over sites.

    Notes
    -----
    b = XᵀWg, V = gᵀWg − bᵀ(XᵀWX)⁻¹b, U = gᵀ(y − μ), z = U/√V; the one-step β is U/V.
    """
    called = sums.called_cases + sums.called_controls
    alleles = sums.alleles_cases + sums.alleles_controls
    mean = alleles / np.maximum(called, 1)
    gg, gx, u = sums.gg, sums.gx, sums.gr
    if isinstance(sums, RawScoreSums):
        # The first column of X is the intercept, so that the first of XᵀWm is Σwm.
        gg = gg + mean**2 * sums.mx[..., 0]
        gx = gx + mean[..., None] * sums.mx
        u = u + mean * sums.mr
        constant = sums.squares * called == alleles**2
    else:
        constant = gg == 0.0
    v, coefficients = gg.copy(), np.zeros(gx.shape)
    of_traits = () if null is None or not gx.shape[-1] else null.information
    for trait, information in enumerate(of_traits):
        lower = np.linalg.cholesky(information)
        a = solve_triangular(lower, gx[:, trait].T, lower=True)
        v[:, trait] -= np.einsum("cr,cr->r", a, a)
        coefficients[:, trait] = solve_triangular(lower, a, lower=True, trans="T").T
    errcode = np.select(
        [~sums.shown, constant, v <= _COLLINEAR * gg],
        [codes.WITHHELD, codes.CONST_ALLELE, codes.VIF_INFINITE],
        default=codes.FIT,
    ).astype(np.int8)
    fits = errcode == codes.FIT
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(np.where(fits, v, np.nan))
        z, beta, se = u / root, u / root**2, 1.0 / root

        def frequency(count: NDArray, people: NDArray) -> NDArray:
            return np.where(sums.shown & (people > 0), count / (2.0 * people), np.nan)

        return ScoreResult(
            z=z,
            beta=beta,
            se=se,
            v=v,
            u=u,
            mean=mean,
            coefficients=coefficients,
            n_cases=np.where(sums.shown, sums.called_cases, -1),
            n_controls=np.where(sums.shown, sums.called_controls, -1),
            allele_frequency=frequency(alleles, called),
            allele_frequency_cases=frequency(sums.alleles_cases, sums.called_cases),
            allele_frequency_controls=frequency(sums.alleles_controls, sums.called_controls),
            errcode=errcode,
        )
