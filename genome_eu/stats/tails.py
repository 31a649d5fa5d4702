"""Tail probabilities as −log10 p, exact where p itself underflows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

_LN10 = float(np.log(10.0))
# Below this the incomplete beta function is close to the smallest normal float64.
_SMALL = 1e-280
# Far in the tail the continued fraction settles within tens of terms.
_MOST_TERMS = 500


def t_neg_log10_p(t: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """−log10 of the two-sided p-value of Student's t.

    Parameters
    ----------
    t : float64 array
        Statistic.
    df : float64 or int array, broadcast against `t`
        Degrees of freedom, positive.

    Returns
    -------
    neg_log10_p : float64 array
        NaN where `t` is NaN or `df` is not positive.

    Notes
    -----
    p = I_x(df/2, 1/2) at x = df/(df + t²). Where that is tiny, its logarithm comes from
    x^a (1−x)^b / (a B(a, b)) over a continued fraction (DLMF 8.17.22), which needs few terms far
    out in the tail whatever the degrees of freedom.
    """
    t, df = np.broadcast_arrays(np.asarray(t, float), np.asarray(df, float))
    valid = np.isfinite(df) & (df > 0) & ~np.isnan(t)
    df = np.where(valid, df, 1.0)
    t = np.where(valid, np.abs(t), 0.0)
    a, b = df / 2.0, 0.5
    with np.errstate(over="ignore", divide="ignore"):
        ratio = t**2 / df
        # x and y = 1−x are each computed without cancellation.
        x, y = 1.0 / (1.0 + ratio), 1.0 / (1.0 + 1.0 / ratio)
        # The complement keeps its digits where p is near 1.
        low = x < 0.5
        p = np.empty(x.shape)
        p[low] = special.betainc(a[low], b, x[low])
        p[~low] = special.betaincc(b, a[~low], y[~low])
        out = np.asarray(-np.log(p) / _LN10)
    tiny = valid & (p < _SMALL)
    if np.any(tiny):
        out[tiny] = -_log_far_tail(t[tiny], df[tiny], x[tiny], y[tiny]) / _LN10
    # −0.0 is not a p-value that anybody wants to read.
    return np.where(valid, np.maximum(out, 0.0), np.nan)


def _log_far_tail(t: NDArray, df: NDArray, x: NDArray, y: NDArray) -> NDArray:
    """ln I_x(df/2, 1/2) where it is tiny."""
    a, b = df / 2.0, 0.5
    spread = t / np.sqrt(df)
    with np.errstate(over="ignore"):
        # t² may be larger than any float64.
        log_x = np.where(spread < 1.0, -np.log1p(t**2 / df), -2.0 * np.log(np.hypot(1.0, spread)))
    return (
        a * log_x
        + b * np.log(y)
        - np.log(a)
        - special.betaln(a, b)
        - np.log(_continued_fraction(a, b, x))
    )


def _continued_fraction(a: NDArray, b: float, x: NDArray) -> NDArray:
    """1 + d₁/(1 + d₂/(1 + …)) of the incomplete beta function, by the modified Lentz method."""
    value = np.ones(x.shape)
    numerator, denominator = np.ones(x.shape), np.zeros(x.shape)
    for step in range(1, _MOST_TERMS):
        m = step // 2
        if step % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1.0 / (1.0 + d * denominator)
        numerator = 1.0 + d / numerator
        change = numerator * denominator
        value = value * change
        if np.all(np.abs(change - 1.0) < 1e-15):
            break
    return value
