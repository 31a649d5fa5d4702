"""Meta-analysis of one variant, as the definitions read; studies are plain lists of numbers."""

from __future__ import annotations

import math

import mpmath


def fixed(beta, se):
    """Mean weighted by 1/SE², and its standard error."""
    weights = [1 / s**2 for s in se]
    total = math.fsum(weights)
    return math.fsum(w * b for w, b in zip(weights, beta, strict=True)) / total, total**-0.5


def cochran_q(beta, se):
    mean, _ = fixed(beta, se)
    return math.fsum(((b - mean) / s) ** 2 for b, s in zip(beta, se, strict=True))


def i_squared(beta, se):
    q, df = cochran_q(beta, se), len(beta) - 1
    return max(0.0, (q - df) / q) if q > 0 else 0.0


def between(beta, se):
    """DerSimonian and Laird's variance between studies."""
    weights = [1 / s**2 for s in se]
    spread = math.fsum(weights) - math.fsum(w**2 for w in weights) / math.fsum(weights)
    return max(0.0, (cochran_q(beta, se) - (len(beta) - 1)) / spread) if len(beta) > 1 else 0.0


def random(beta, se):
    tau2 = between(beta, se)
    return fixed(beta, [math.sqrt(s**2 + tau2) for s in se])


def stouffer(z, n):
    """Σ √n z / √Σn."""
    return math.fsum(math.sqrt(m) * x for x, m in zip(z, n, strict=True)) / math.sqrt(math.fsum(n))


def normal_neg_log10_p(z):
    with mpmath.workdps(40):
        return float(-mpmath.log10(mpmath.erfc(abs(mpmath.mpf(z)) / mpmath.sqrt(2))))


def chi2_neg_log10_p(x, df):
    with mpmath.workdps(60):
        tail = mpmath.gammainc(mpmath.mpf(df) / 2, mpmath.mpf(x) / 2, mpmath.inf)
        return float(-mpmath.log10(tail / mpmath.gamma(mpmath.mpf(df) / 2)))
