"""Effects, standard errors and p-values from the sums of a linear model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from genome_eu.compiled import compiled
from genome_eu.stats.linear.independence import COLLINEAR
from genome_eu.stats.linear.model import DesignSums, as_slice
from genome_eu.stats.linear.sums import (
    CompleteSums,
    MeanSums,
    RawSums,
    RowSums,
    mean_dosage,
    of_traits,
)
from genome_eu.stats.tails import t_neg_log10_p

#: What `LinearResult.errcode` counts in, in PLINK's words where PLINK has one.
ERRCODES = (".", "CONST_ALLELE", "VIF_INFINITE", "TOO_FEW", "WITHHELD", "CONST_TRAIT")
# Less Σ(g − mean)² within a site than any that varies has.
_LEAST_VARIATION = 2.0**-30
_FIT, _CONST_ALLELE, _VIF_INFINITE, _TOO_FEW, _WITHHELD, _CONST_TRAIT = range(len(ERRCODES))


@dataclass(frozen=True, eq=False)
class LinearResult:
    """Per row and trait, each float64 (rows, traits) unless said otherwise.

    `errcode` is a place in `ERRCODES`: `.` is a fit, `CONST_ALLELE` a row that does not vary,
    `VIF_INFINITE` one that the covariates explain entirely (or among whose people the covariates
    explain each other), `TOO_FEW` one without residual degrees of freedom, `WITHHELD` one that a
    site's policy kept back. `CONST_TRAIT`, our own, is a row among whose people the covariates
    leave nothing of the trait.
    """

    beta: NDArray
    se: NDArray
    t: NDArray
    neg_log10_p: NDArray
    df: NDArray  # int64
    n: NDArray  # int64
    allele_frequency: NDArray
    errcode: NDArray  # int8

    @property
    def errcode_words(self) -> NDArray:
        """The codes as text."""
        return np.array(ERRCODES)[self.errcode]


def complete(sums: RawSums, people: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """gg, gx and gy with the mean over all sites in place of missing calls."""
    mean = mean_dosage(sums.allele_count, sums.called)
    return (
        sums.gg + mean**2 * (people - sums.called),
        sums.gx + mean[..., None] * sums.mx,
        sums.gy + of_traits(mean, sums.trait_group) * sums.my,
    )


def finalize(model: DesignSums, sums: RowSums, trait_scale: NDArray) -> LinearResult:
    """Effect, standard error and p-value of every row and trait.

    Parameters
    ----------
    model : DesignSums
        Merged over sites.
    sums : MeanSums, RawSums or CompleteSums
        A shard of rows, merged over sites.
    trait_scale : float64 array, shape (traits,)
        What traits were divided by; effects are given on the trait's own scale.

    Notes
    -----
    LLᵀ = XᵀX, a = L⁻¹Xᵀg, c = L⁻¹Xᵀy; V = gᵀg − aᵀa, U = gᵀy − aᵀc, β = U/V,
    σ² = (yᵀy − cᵀc − β²V)/df, SE = √(σ²/V), df = N − intercepts − columns − 1; N, X and V are
    those of the trait's group.
    """
    n, df, gg, v, score, residual = adjusted(model, sums)
    codes = np.select(
        [~sums.shown, df <= 0, monomorphic(sums), v <= COLLINEAR * np.abs(gg)],
        [_WITHHELD, _TOO_FEW, _CONST_ALLELE, _VIF_INFINITE],
        default=_FIT,
    ).astype(np.int8)
    group = sums.trait_group
    # Traits side by side that share a group, by the place of the first.
    runs = np.append(np.flatnonzero(np.diff(group, prepend=-1)), group.size)
    beta, se, t, errcode = _fit(
        *map(np.ascontiguousarray, (v, score, residual, model.yy, df, codes)),
        group[runs[:-1]],
        runs,
        trait_scale,
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency = np.where(sums.shown, sums.allele_count / (2.0 * sums.called), np.nan)

    def of_tests(values: NDArray) -> NDArray:
        return np.broadcast_to(of_traits(values, group), beta.shape)

    return LinearResult(
        beta=beta,
        se=se,
        t=t,
        neg_log10_p=_neg_log10_p(t, df, group),
        df=of_tests(np.where(sums.shown, df, -1)),
        n=of_tests(np.where(sums.shown, n, -1)),
        allele_frequency=of_tests(frequency),
        errcode=errcode,
    )


def adjusted(model: DesignSums, sums: RowSums) -> tuple[NDArray, ...]:
    """People, df, gᵀg and V (rows, groups), U (rows, traits), yᵀy − cᵀc (rows or 1, traits)."""
    columns = model.xx.shape[-1]
    if isinstance(sums, CompleteSums):
        df = sums.called - sums.intercepts - columns - 1
        order = np.argsort(sums.trait_group, kind="stable")
        groups = np.arange(model.people.size + 1)
        v, score, residual = _adjust_by_row(
            np.diagonal(model.xx, axis1=1, axis2=2).copy(),
            *map(np.ascontiguousarray, (sums.gg, sums.gx, sums.gy, sums.xx, sums.xy, sums.yy)),
            df,
            order,
            np.searchsorted(sums.trait_group[order], groups),
        )
        return sums.called, df, sums.gg, v, score, residual
    n = np.broadcast_to(model.people, sums.called.shape)
    df = np.broadcast_to(model.people - model.intercepts - columns - 1, sums.called.shape)
    if isinstance(sums, RawSums):
        gg, gx, gy = complete(sums, model.people)
    else:
        gg, gx, gy = sums.gg, sums.gx, sums.gy
    return n, df, gg, *_adjust(model, gg, gx, gy)


def _neg_log10_p(t: NDArray, df: NDArray, group: NDArray) -> NDArray:
    """p-values; quickest over the longer of the two dimensions along which df is the same."""
    if df.shape[1] == 1:
        return t_neg_log10_p(t, df)
    if df.strides[0] == 0:
        return t_neg_log10_p(t.T, df[0, group, None]).T
    return t_neg_log10_p(t, df[:, group])


def _adjust(
    model: DesignSums, gg: NDArray, gx: NDArray, gy: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """V (rows, groups), U (rows, traits), yᵀy − cᵀc (1, traits): rows share XᵀX of the group."""
    if not model.xx.size:
        return gg, gy, model.yy[None]
    v, score, residual = gg.copy(), gy.copy(), model.yy.copy()
    for group, xx in enumerate(model.xx):
        members = as_slice(model.trait_group == group)
        lower = np.linalg.cholesky(xx)
        a = solve_triangular(lower, gx[:, group].T, lower=True).T
        c = solve_triangular(lower, model.xy[:, members], lower=True)
        v[:, group] -= np.einsum("rc,rc->r", a, a)
        score[:, members] -= a @ c
        residual[members] -= np.einsum("ct,ct->t", c, c)
    return v, score, residual[None]


@compiled
def _adjust_by_row(
    whole: NDArray,
    gg: NDArray,
    gx: NDArray,
    gy: NDArray,
    xx: NDArray,
    xy: NDArray,
    yy: NDArray,
    df: NDArray,
    order: NDArray,
    ends: NDArray,
) -> tuple[NDArray, NDArray, NDArray]:
    """V (rows, groups), U and yᵀy − cᵀc (rows, traits) from the XᵀX of each row's own people.

    Traits of group g are `order[ends[g] : ends[g + 1]]`. V is 0 where the covariates explain each
    other among those people: what is left of a column is compared with the column over all people
    of the model (`whole`), since among the few who are called, a covariate that does not vary
    leaves only the rounding of that sum.
    """
    rows, groups, columns = gx.shape
    v, score, residual = gg.copy(), gy.copy(), yy.copy()
    lower = np.empty((columns, columns))
    a = np.empty(columns)
    c = np.empty((columns, gy.shape[1]))
    for row in range(rows):
        for group in range(groups):
            if df[row, group] <= 0:
                continue
            members = order[ends[group] : ends[group + 1]]
            for i in range(columns):
                # One row of L, of a and of c at a time: forward substitution goes with Cholesky.
                for j in range(i):
                    rest = xx[row, group, i, j]
                    for k in range(j):
                        rest -= lower[i, k] * lower[j, k]
                    lower[i, j] = rest / lower[j, j]
                rest = xx[row, group, i, i]
                a[i] = gx[row, group, i]
                for place, trait in enumerate(members):
                    c[i, place] = xy[row, i, trait]
                for k in range(i):
                    rest -= lower[i, k] ** 2
                    a[i] -= lower[i, k] * a[k]
                    for place in range(members.size):
                        c[i, place] -= lower[i, k] * c[k, place]
                if not rest > COLLINEAR * whole[group, i]:
                    v[row, group] = 0.0
                    break
                lower[i, i] = np.sqrt(rest)
                a[i] /= lower[i, i]
                v[row, group] -= a[i] ** 2
                for place, trait in enumerate(members):
                    c[i, place] /= lower[i, i]
                    score[row, trait] -= a[i] * c[i, place]
                    residual[row, trait] -= c[i, place] ** 2
    return v, score, residual


@compiled
def _fit(
    v: NDArray,
    score: NDArray,
    residual: NDArray,
    whole: NDArray,
    df: NDArray,
    codes: NDArray,
    group_of_run: NDArray,
    runs: NDArray,
    scale: NDArray,
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Effect, standard error, t and code of every test; one residual for all rows or one each.

    Traits `runs[k]` to `runs[k + 1]` are of the group `group_of_run[k]`.
    """
    rows, traits = score.shape
    beta = np.full((rows, traits), np.nan)
    se = np.full((rows, traits), np.nan)
    t = np.full((rows, traits), np.nan)
    errcode = np.empty((rows, traits), np.int8)
    own = int(residual.shape[0] > 1)
    for row in range(rows):
        for run in range(group_of_run.size):
            group, here = group_of_run[run], slice(runs[run], runs[run + 1])
            errcode[row, here] = codes[row, group]
            if codes[row, group] == _FIT:
                _fit_run(
                    v[row, group],
                    df[row, group],
                    score[row, here],
                    residual[own * row, here],
                    whole[here],
                    scale[here],
                    beta[row, here],
                    se[row, here],
                    t[row, here],
                    errcode[row, here],
                )
    return beta, se, t, errcode


@compiled
def _fit_run(
    v: float,
    df: int,
    score: NDArray,
    residual: NDArray,
    whole: NDArray,
    scale: NDArray,
    beta: NDArray,
    se: NDArray,
    t: NDArray,
    errcode: NDArray,
) -> None:
    """Fill in the tests of one row for traits side by side that share their people."""
    for trait in range(score.size):
        left = residual[trait]
        # Without this, t would be a quotient of two roundings.
        if left <= COLLINEAR * whole[trait]:
            errcode[trait] = _CONST_TRAIT
            continue
        effect = score[trait] / v
        variance = max(left - effect * effect * v, 0.0) / df
        error = np.sqrt(variance / v)
        beta[trait] = effect * scale[trait]
        se[trait] = error * scale[trait]
        t[trait] = effect / error


def monomorphic(sums: RowSums) -> NDArray:
    """Rows in which every analysed person has the same number of copies."""
    constant = sums.gg * sums.called == sums.allele_count**2
    if isinstance(sums, RawSums):
        return constant
    # Centred within sites, gg is exactly 0 where a site does not vary. Elsewhere it is at least
    # 1/2, or with dosages half the square of their step, 1/16,384.
    centred = sums.gg < _LEAST_VARIATION
    if isinstance(sums, MeanSums):
        return centred
    return np.where(sums.intercepts > 0, centred, constant)
