"""Tail probabilities as −log10 p, exact where p itself underflows."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincc, log_ndtr, ndtri_exp

from genome_eu.compiled import compiled

_LN10 = math.log(10.0)
_LN_PI = math.log(math.pi)

# The table: quintics on cells of |t| below its end. Beyond it the fraction is as quick to sum.
_CELLS_PER_UNIT = 64
_END = 8.0
_CELLS = int(_END * _CELLS_PER_UNIT)
# With fewer degrees of freedom the cells are too wide for 1e-12 (the density has poles at ±i√df).
_LEAST_DF = 10.0
# Tests with the same df from which a table costs less than the sums themselves.
_MANY = 512
# Gauss–Legendre points and weights on [0, 1], exact to rounding on a cell.
_POINTS, _WEIGHTS = (np.polynomial.legendre.leggauss(5) + np.array([[1.0], [0.0]])) / 2.0


@compiled
def _log_gamma_ratio(a: float) -> float:
    """ln Γ(a + ½) − ln Γ(a), without the cancellation of two large logarithms."""
    shift = 1.0
    while a < 16.0:
        shift *= a / (a + 0.5)
        a += 1.0
    u = 1.0 / a
    v = u * u
    series = u * (-1 / 8 + v * (1 / 192 + v * (-1 / 640 + v * (17 / 14336 + v * (-31 / 18432)))))
    return math.log(shift) + 0.5 * math.log(a) + series


@compiled
def _central(a: float, y: float) -> float:
    """Σ (a + ½)ₙ/(3/2)ₙ yⁿ of I_y(½, a) (DLMF 8.17.8): all terms are positive."""
    total = term = 1.0
    n = 0
    while term > 1e-17 * total:
        term *= (a + 0.5 + n) / (1.5 + n) * y
        total += term
        n += 1
    return total


@compiled
def _fraction(a: float, x: float, y: float) -> float:
    """The even part of the continued fraction of I_x(a, ½), by the modified Lentz method.

    Unlike the fraction itself (DLMF 8.17.22) it does not cancel where `a` is large.
    """
    value = a * (a * y - 0.5 * x + 1.0) / (a + 1.0)
    numerator, denominator = value, 0.0
    for m in range(1, 500):
        even = a + 2.0 * m
        above = (a + m - 1.0) * (a + m - 0.5) * m * (0.5 - m) * (x / (even - 1.0)) ** 2
        below = (
            m
            + m * (0.5 - m) * x / (even - 1.0)
            + (a + m) * (a * y - 0.5 * x + 1.0 + m * (1.0 + y)) / (even + 1.0)
        )
        denominator = 1.0 / (below + above * denominator)
        numerator = below + above / numerator
        change = numerator * denominator
        value *= change
        if abs(change - 1.0) < 1e-16:
            break
    return value


@compiled
def _exact(t: float, df: float) -> float:
    """−ln of the two-sided p-value of t ≥ 0."""
    a = 0.5 * df
    spread = t / math.sqrt(df)
    size = math.hypot(1.0, spread)
    ratio = spread * spread
    # x and y = 1−x, each without cancellation; t² may be larger than any float64.
    x = 1.0 / (1.0 + ratio)
    root_y = spread / size if spread < math.inf else 1.0
    y = root_y * root_y
    log_x = -math.log1p(ratio) if spread < 1.0 else -2.0 * math.log(size)
    # 1/B(a, ½)
    log_scale = _log_gamma_ratio(a) - 0.5 * _LN_PI
    if t * t < 6.0 and y < 0.7:
        inside = 2.0 * root_y * math.exp(a * log_x + log_scale) * _central(a, y)
        return -math.log1p(-inside)
    return math.log(_fraction(a, x, y)) - a * log_x - math.log(root_y) - log_scale


@compiled
def _tabulate(df: float, points: NDArray, weights: NDArray, out: NDArray) -> None:
    """Coefficients of the quintic of every cell: −log10 p and two derivatives at both ends.

    The density is a closed form, so p at the ends comes from its integral over the cells: summed
    from 0 while p > ½ (as 1−p, which keeps the digits of −log10 p near 0), from the end after.
    With h = −d ln p/dt = 2f/p, the second derivative is h′ = h (f′/f + h).
    """
    width = 1.0 / _CELLS_PER_UNIT
    scale = 2.0 * math.exp(_log_gamma_ratio(0.5 * df) - 0.5 * (_LN_PI + math.log(df)))
    power = -0.5 * (df + 1.0)
    mass = np.empty(_CELLS)
    for cell in range(_CELLS):
        total = 0.0
        for k in range(points.size):
            t = (cell + points[k]) * width
            total += weights[k] * math.exp(power * math.log1p(t * t / df))
        mass[cell] = total * scale * width

    nodes = np.empty((_CELLS + 1, 3))
    tail = math.exp(-_exact(_END, df))
    for node in range(_CELLS, -1, -1):
        if node < _CELLS:
            tail += mass[node]
        nodes[node, 0] = -math.log(tail)
    inside = 0.0
    for node in range(_CELLS + 1):
        if inside >= 0.5:
            break
        nodes[node, 0] = -math.log1p(-inside)
        inside += mass[node]
    for node in range(_CELLS + 1):
        t = node * width
        p = math.exp(-nodes[node, 0])
        hazard = scale * math.exp(power * math.log1p(t * t / df)) / p
        slope = -(df + 1.0) * t / (df + t * t)
        nodes[node, 1] = hazard * width
        nodes[node, 2] = 0.5 * hazard * (slope + hazard) * width * width
    nodes /= _LN10

    for cell in range(_CELLS):
        c0, c1, c2 = nodes[cell, 0], nodes[cell, 1], nodes[cell, 2]
        d0 = nodes[cell + 1, 0] - c0 - c1 - c2
        d1 = nodes[cell + 1, 1] - c1 - 2.0 * c2
        d2 = nodes[cell + 1, 2] - c2
        out[cell, 0] = c0
        out[cell, 1] = c1
        out[cell, 2] = c2
        out[cell, 3] = 10.0 * d0 - 4.0 * d1 + d2
        out[cell, 4] = -15.0 * d0 + 7.0 * d1 - 2.0 * d2
        out[cell, 5] = 6.0 * d0 - 3.0 * d1 + d2


@lru_cache(maxsize=128)
def _table(df: float) -> NDArray[np.float64]:
    """The table of one df; a shard asks for those of the shard before."""
    out = np.empty((_CELLS, 6))
    _tabulate(df, _POINTS, _WEIGHTS, out)
    return out


@compiled
def _evaluate(
    t: NDArray, df: NDArray, place: NDArray, tables: NDArray, which: NDArray, out: NDArray
) -> None:
    """−log10 p of lines of tests; `which[place]` is the table of a line's df, or −1."""
    for line in range(t.shape[0]):
        free = df[place[line]]
        table = which[place[line]]
        possible = 0.0 < free < math.inf
        for test in range(t.shape[1]):
            size = abs(t[line, test])
            if table >= 0 and size < _END:
                at = size * _CELLS_PER_UNIT
                cell = int(at)
                u = at - cell
                c = tables[table, cell]
                out[line, test] = c[0] + u * (
                    c[1] + u * (c[2] + u * (c[3] + u * (c[4] + u * c[5])))
                )
            elif possible and not math.isnan(size):
                # −0.0 is not a p-value that anybody wants to read.
                out[line, test] = _exact(size, free) / _LN10 if size > 0.0 else 0.0
            else:
                out[line, test] = math.nan


def t_neg_log10_p(t: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """−log10 of the two-sided p-value of Student's t.

    Parameters
    ----------
    t : float64 array
        Statistic.
    df : float64 or int array, broadcast against `t`
        Degrees of freedom, positive. Quickest where it is the same along the last axis.

    Returns
    -------
    neg_log10_p : float64 array
        NaN where `t` is NaN or `df` is not positive.

    Notes
    -----
    p = I_x(df/2, 1/2) at x = df/(df + t²), by the series of its complement near 0 and by a
    continued fraction beyond. Where many tests share a df, −log10 p below |t| = 8 is looked up in
    a table of quintics that agree with it and its first two derivatives at 512 points; the
    difference is below 1e-13 of the value.
    """
    t, df = np.asarray(t, float), np.asarray(df, float)
    shape = np.broadcast_shapes(t.shape, df.shape)
    t, df = np.broadcast_to(t, shape), np.broadcast_to(df, shape)
    if t.ndim and t.shape[-1] and df.strides[-1] == 0:
        df = df[..., 0]
    lines = np.ascontiguousarray(t).reshape(df.size, -1 if df.size else 1)
    distinct, place, number = np.unique(df, return_inverse=True, return_counts=True)
    # NaN and infinity compare false with one of them.
    many = (number * lines.shape[1] >= _MANY) & (distinct >= _LEAST_DF) & (distinct < np.inf)
    which = np.where(many, np.cumsum(many) - 1, -1)
    tables = np.stack([_table(float(free)) for free in distinct[many]] or [np.empty((0, 6))])
    out = np.empty(lines.shape)
    _evaluate(lines, distinct, place.ravel(), tables, which, out)
    return out.reshape(shape)


def normal_neg_log10_p(z: ArrayLike) -> NDArray[np.float64]:
    """−log10 of the two-sided p-value of a standard normal statistic; NaN where `z` is."""
    log_p = log_ndtr(-np.abs(np.asarray(z, float))) + math.log(2.0)
    # Half of the mass lies beyond 0, but for the last digit.
    return np.maximum(-log_p / _LN10, 0.0)


def normal_from_neg_log10_p(neg_log10_p: ArrayLike) -> NDArray[np.float64]:
    """|z| of a two-sided p-value, the inverse of `normal_neg_log10_p`."""
    log_tail = -np.asarray(neg_log10_p, float) * _LN10 - math.log(2.0)
    return np.maximum(-ndtri_exp(log_tail), 0.0)


@compiled
def _log_upper_gamma(a: float, x: float) -> float:
    """ln Γ(a, x)/Γ(a) for x > a + 1, by its continued fraction (DLMF 8.9.2; modified Lentz)."""
    below = x + 1.0 - a
    numerator = 1e300
    denominator = 1.0 / below
    value = denominator
    for k in range(1, 1000):
        step = -k * (k - a)
        below += 2.0
        denominator = 1.0 / (step * denominator + below)
        numerator = below + step / numerator
        change = numerator * denominator
        value *= change
        if abs(change - 1.0) < 1e-16:
            break
    return a * math.log(x) - x - math.lgamma(a) + math.log(value)


@compiled
def _far_tails(x: NDArray, a: NDArray, out: NDArray) -> None:
    for test in range(x.size):
        out[test] = -_log_upper_gamma(a[test], x[test])


def chi2_neg_log10_p(x: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """−log10 of the upper tail of χ², also where the tail underflows.

    Parameters
    ----------
    x : float64 array
        Statistic, not negative.
    df : float64 or int array, broadcast against `x`
        Degrees of freedom.

    Returns
    -------
    neg_log10_p : float64 array
        NaN where `x` is NaN or `df` is not positive.
    """
    half, a = np.broadcast_arrays(np.asarray(x, float) / 2.0, np.asarray(df, float) / 2.0)
    with np.errstate(invalid="ignore"):
        far, possible = half > a + 1.0, a > 0.0
    out = np.full(half.shape, np.nan)
    near = ~far & possible
    # Whichever of the two is small keeps the digits of the logarithm.
    lower = gammainc(a[near], half[near])
    with np.errstate(divide="ignore"):
        out[near] = np.where(
            lower < 0.5, -np.log1p(-lower), -np.log(gammaincc(a[near], half[near]))
        )
    far &= possible & np.isfinite(half)
    tails = np.empty(int(far.sum()))
    _far_tails(half[far], a[far], tails)
    out[far] = tails
    out[possible & np.isposinf(half)] = np.inf
    return np.abs(out) / _LN10
