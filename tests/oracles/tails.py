"""Tail of Student's t by the power series of the incomplete beta function, in many digits."""

from __future__ import annotations

import mpmath


def t_neg_log10_p(t, df) -> float:
    """−log10 of P(|T| ≥ |t|) = I_x(df/2, 1/2) at x = df/(df + t²), T with `df` degrees of freedom.

    Near the centre the series of the complement is short, and the digits that 1 − I cancels are
    there to spare; in the tail I itself is summed.
    """
    central = abs(t) < 20 and t * t < df
    with mpmath.workdps(150 if central else 40):
        square, a, half = mpmath.mpf(float(t)) ** 2, mpmath.mpf(float(df)) / 2, mpmath.mpf(0.5)
        total = 2 * a + square
        if central:
            p = 1 - _incomplete_beta(square / total, 2 * a / total, half, a)
        else:
            p = _incomplete_beta(2 * a / total, square / total, a, half)
        return float(-mpmath.log10(p))


def _incomplete_beta(x, y, a, b):
    """I_x(a, b) = x^a y^b / (a B(a, b)) · Σ (a+b)ₙ/(a+1)ₙ xⁿ, y = 1 − x (DLMF 8.17.8)."""
    term = total = mpmath.mpf(1)
    n = 0
    while term > mpmath.eps * total:
        term *= (a + b + n) / (a + 1 + n) * x
        total += term
        n += 1
    return x**a * y**b / (a * mpmath.beta(a, b)) * total
