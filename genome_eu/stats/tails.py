"""Tail probabilities as −log10 p, exact where p itself underflows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

_LN10 = float(np.log(10.0))
# Below this the incomplete beta function is close to the smallest normal float64.
_SMALL = 1e-280


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
    x^a (1−x)^b / (a B(a, b)) · ₂F₁(a+b, 1; a+1; x) (DLMF 8.17.8).
    """
    t, df = np.broadcast_arrays(np.asarray(t, float), np.asarray(df, float))
    valid = np.isfinite(df) & (df > 0) & ~np.isnan(t)
    df = np.where(valid, df, 1.0)
    square = np.where(valid, t, 0.0) ** 2
    a, b = df / 2.0, 0.5
    # x and 1−x are each computed without cancellation.
    x, y = df / (df + square), square / (df + square)
    # The complement keeps its digits where p is near 1.
    p = np.where(x < 0.5, special.betainc(a, b, x), special.betaincc(b, a, y))
    with np.errstate(divide="ignore"):
        out = np.asarray(-np.log(p) / _LN10)
    tiny = valid & (p < _SMALL)
    if np.any(tiny):
        at, xt, yt = a[tiny], x[tiny], y[tiny]
        with np.errstate(divide="ignore"):
            log_x = -np.log1p(square[tiny] / df[tiny])
        log_p = (
            at * log_x
            + b * np.log(yt)
            - np.log(at)
            - special.betaln(at, b)
            + np.log(special.hyp2f1(at + b, 1.0, at + 1.0, xt))
        )
        out[tiny] = -log_p / _LN10
    # −0.0 is not a p-value that anybody wants to read.
    return np.where(valid, np.maximum(out, 0.0), np.nan)
