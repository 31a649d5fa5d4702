"""Effects, standard errors and p-values from the sums of a linear model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from genome_eu.compiled import compiled
from genome_eu.errors import TraitError
from genome_eu.stats.linear.sums import (
    CompleteSums,
    DesignSums,
    MeanSums,
    RawSums,
    RowSums,
    mean_dosage,
)
from genome_eu.stats.tails import t_neg_log10_p

# A column is collinear with others where they explain all but this part of it.
_COLLINEAR = 1e-10

#: What `LinearResult.errcode` counts in, in PLINK's words where PLINK has one.
ERRCODES = (".", "CONST_ALLELE", "VIF_INFINITE", "TOO_FEW", "WITHHELD", "CONST_TRAIT")
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
    allele_frequency: NDArray  # (rows,)
    errcode: NDArray  # int8

    @property
    def errcode_words(self) -> NDArray:
        """The codes as text."""
        return np.array(ERRCODES)[self.errcode]


def complete(sums: RawSums, people: int) -> tuple[NDArray, NDArray, NDArray]:
    """gg, gx and gy with the mean over all sites in place of missing calls."""
    mean = mean_dosage(sums.allele_count, sums.called)
    gg = sums.gg + mean**2 * (people - sums.called)
    return gg, sums.gx + mean[:, None] * sums.mx, sums.gy + mean[:, None] * sums.my


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
    σ² = (yᵀy − cᵀc − β²V)/df, SE = √(σ²/V), df = N − intercepts − columns − 1.
    """
    columns = model.xx.shape[0]
    if isinstance(sums, CompleteSums):
        gg = sums.gg
        n, df = sums.called, sums.called - sums.intercepts - columns - 1
        v, score, residual = _adjust_by_row(
            np.ascontiguousarray(np.diagonal(model.xx)),
            sums.gg,
            *map(np.ascontiguousarray, (sums.gx, sums.gy, sums.xx, sums.xy, sums.yy)),
            df,
        )
    else:
        n = np.full(sums.called.shape, int(model.people))
        df = n - int(model.intercepts) - columns - 1
        if isinstance(sums, RawSums):
            gg, gx, gy = complete(sums, int(model.people))
        else:
            gg, gx, gy = sums.gg, sums.gx, sums.gy
        v, score, residual = _adjust(model, gg, gx, gy)
    codes = np.select(
        [~sums.shown, df <= 0, _monomorphic(sums), v <= _COLLINEAR * np.abs(gg)],
        [_WITHHELD, _TOO_FEW, _CONST_ALLELE, _VIF_INFINITE],
        default=_FIT,
    ).astype(np.int8)
    score, residual = np.ascontiguousarray(score), np.ascontiguousarray(residual)
    beta, se, t, errcode = _fit(v, score, residual, model.yy, df, codes, trait_scale)
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency = np.where(sums.shown, sums.allele_count / (2.0 * sums.called), np.nan)
    shape = beta.shape
    return LinearResult(
        beta=beta,
        se=se,
        t=t,
        neg_log10_p=t_neg_log10_p(t, df[:, None]),
        df=np.broadcast_to(np.where(sums.shown, df, -1)[:, None], shape),
        n=np.broadcast_to(np.where(sums.shown, n, -1)[:, None], shape),
        allele_frequency=frequency,
        errcode=errcode,
    )


def _adjust(
    model: DesignSums, gg: NDArray, gx: NDArray, gy: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """V (rows,), U (rows, traits) and yᵀy − cᵀc (1, traits), where all rows share XᵀX."""
    if not model.xx.size:
        return gg, gy, model.yy[None]
    lower = np.linalg.cholesky(model.xx)
    a = solve_triangular(lower, gx.T, lower=True).T
    c = solve_triangular(lower, model.xy, lower=True)
    v = gg - np.einsum("rc,rc->r", a, a)
    return v, gy - a @ c, (model.yy - np.einsum("ct,ct->t", c, c))[None]


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
) -> tuple[NDArray, NDArray, NDArray]:
    """V (rows,), U and yᵀy − cᵀc (rows, traits) from the XᵀX of each row's own people.

    V is 0 where the covariates explain each other among those people: what is left of a column is
    compared with the column over all people of the model (`whole`), since among the few who are
    called, a covariate that does not vary leaves only the rounding of that sum.
    """
    rows, columns = gx.shape
    traits = gy.shape[1]
    v, score, residual = gg.copy(), gy.copy(), yy.copy()
    lower = np.empty((columns, columns))
    a = np.empty(columns)
    c = np.empty((columns, traits))
    for row in range(rows):
        if df[row] <= 0:
            continue
        for i in range(columns):
            # One row of L, of a and of c at a time: forward substitution goes with Cholesky.
            for j in range(i):
                rest = xx[row, i, j]
                for k in range(j):
                    rest -= lower[i, k] * lower[j, k]
                lower[i, j] = rest / lower[j, j]
            rest = xx[row, i, i]
            a[i] = gx[row, i]
            c[i] = xy[row, i]
            for k in range(i):
                rest -= lower[i, k] ** 2
                a[i] -= lower[i, k] * a[k]
                for trait in range(traits):
                    c[i, trait] -= lower[i, k] * c[k, trait]
            if not rest > _COLLINEAR * whole[i]:
                v[row] = 0.0
                break
            lower[i, i] = np.sqrt(rest)
            a[i] /= lower[i, i]
            v[row] -= a[i] ** 2
            for trait in range(traits):
                c[i, trait] /= lower[i, i]
                score[row, trait] -= a[i] * c[i, trait]
                residual[row, trait] -= c[i, trait] ** 2
    return v, score, residual


@compiled
def _fit(
    v: NDArray,
    score: NDArray,
    residual: NDArray,
    whole: NDArray,
    df: NDArray,
    codes: NDArray,
    scale: NDArray,
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Effect, standard error, t and code of every test; one residual for all rows or one each."""
    rows, traits = score.shape
    beta = np.full((rows, traits), np.nan)
    se = np.full((rows, traits), np.nan)
    t = np.full((rows, traits), np.nan)
    errcode = np.empty((rows, traits), np.int8)
    own = np.int64(residual.shape[0] > 1)
    for row in range(rows):
        errcode[row] = codes[row]
        if codes[row] != _FIT:
            continue
        for trait in range(traits):
            left = residual[own * row, trait]
            # Without this, t would be a quotient of two roundings.
            if left <= _COLLINEAR * whole[trait]:
                errcode[row, trait] = _CONST_TRAIT
                continue
            effect = score[row, trait] / v[row]
            variance = max(left - effect * effect * v[row], 0.0) / df[row]
            error = np.sqrt(variance / v[row])
            beta[row, trait] = effect * scale[trait]
            se[row, trait] = error * scale[trait]
            t[row, trait] = effect / error
    return beta, se, t, errcode


def _monomorphic(sums: RowSums) -> NDArray:
    """Rows in which every analysed person has the same number of copies."""
    constant = sums.gg * sums.called == sums.allele_count**2
    if isinstance(sums, RawSums):
        return constant
    # Centred within sites, gg is exactly 0 where a site does not vary, at least 1/2 elsewhere.
    centred = sums.gg < 0.25
    if isinstance(sums, MeanSums):
        return centred
    return np.where(sums.intercepts > 0, centred, constant)


def require_independent(model: DesignSums, names: list[str], trait_names: list[str]) -> None:
    """Raise where covariates are collinear or determine a trait, or too few people are left.

    With site effects, columns must be on the agreed scale, on which the square of each is about
    the number of people: what is left within sites is compared with that.
    """
    columns = model.xx.shape[0]
    free = int(model.people) - int(model.intercepts) - columns - 1
    if free <= 0:
        raise TraitError(
            f"trait {trait_names[0]} has {int(model.people)} people with all covariates, too few "
            f"for {columns} covariates and the genotype; leave covariates out"
        )
    # Names of the columns: a common intercept, where there is one, comes first.
    labels = ["the intercept"] * (columns - len(names)) + names
    sites = int(model.intercepts) > 0
    least = float(model.people) if sites else np.finfo(float).tiny
    lower = np.zeros_like(model.xx)
    for column, label in enumerate(labels):
        square = model.xx[column, column]
        rest = square - lower[column, :column] @ lower[column, :column]
        if sites and square <= _COLLINEAR * least:
            raise TraitError(
                f"covariate {label} has the same value for everybody at each site; leave it out, "
                f"or ask without site effects"
            )
        if rest <= _COLLINEAR * max(square, least):
            raise TraitError(
                f"covariate {label} is a combination of {', '.join(labels[:column])}"
                f"{' and of the sites' if sites else ''}; leave it out"
            )
        lower[column, column] = np.sqrt(rest)
        below = slice(column + 1, None)
        lower[below, column] = (
            model.xx[below, column] - lower[below, :column] @ lower[column, :column]
        ) / lower[column, column]
    explained = (
        solve_triangular(lower, model.xy, lower=True) if columns else np.zeros_like(model.xy)
    )
    left = model.yy - np.einsum("ct,ct->t", explained, explained)
    for name, rest, square in zip(trait_names, left, model.yy, strict=True):
        if sites and square <= _COLLINEAR * least:
            raise TraitError(
                f"trait {name} has the same value for everybody at each site; ask without site "
                f"effects, or of other sites"
            )
        if rest <= _COLLINEAR * max(square, least):
            raise TraitError(
                f"trait {name} does not vary once the covariates are taken out; check whether a "
                f"covariate repeats it"
            )
