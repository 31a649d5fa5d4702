"""Logistic regression row by row, with every intercept, covariate and genotype as a column."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm


def columns(covariates, site, site_effects):
    """Intercepts and covariates side by side."""
    places = np.unique(site)
    intercepts = [site == place for place in places] if site_effects else [np.ones(len(site))]
    return np.column_stack([*intercepts, covariates]).astype(float)


def informative(trait, site, site_effects):
    """People of sites that have both cases and controls; everybody with a common intercept."""
    keep = np.ones(len(trait), bool)
    for place in np.unique(site) if site_effects else []:
        here = site == place
        keep[here] = trait[here].min() < trait[here].max()
    return keep


def impute(dosage, site, site_effects):
    """Missing calls (−1) replaced by the mean of the site, or of everybody."""
    g = dosage.astype(float)
    strata = site if site_effects else np.zeros(len(site))
    for place in np.unique(strata):
        here = strata == place
        known = here & (dosage >= 0)
        g[here & (dosage < 0)] = g[known].mean() if known.any() else 0.0
    return g


def fit(z, y, offset, firth=False):
    """Coefficients, information and penalized log-likelihood, by Newton's steps to the end."""
    theta = np.zeros(z.shape[1])
    best = -math.inf
    step = np.zeros_like(theta)
    for _ in range(500):
        eta = offset + z @ theta
        mu = 1 / (1 + np.exp(-eta))
        w = mu * (1 - mu)
        information = (z.T * w) @ z
        value = (y * eta - np.logaddexp(0, eta)).sum()
        residual, curvature = y - mu, information
        if firth:
            value += 0.5 * np.linalg.slogdet(information)[1]
            h = w * np.einsum("ia,ab,ib->i", z, np.linalg.inv(information), z)
            residual = residual + h * (0.5 - mu)
            curvature = (z.T * (w * (1 + h))) @ z
        if value < best - 1e-9:
            step = step / 2
            theta = theta - step
            continue
        best = value
        step = np.linalg.solve(curvature, z.T @ residual)
        if (np.abs(step) < 1e-13 * (1 + np.abs(theta))).all():
            break
        theta = theta + step
    return theta, information, value


def score(g, x, y, offset):
    """Score U and its variance V, given the null model."""
    theta, _, _ = fit(x, y, offset)
    mu = 1 / (1 + np.exp(-(offset + x @ theta)))
    w = mu * (1 - mu)
    rest = g - x @ np.linalg.solve((x.T * w) @ x, x.T @ (w * g))
    return rest @ (y - mu), rest @ (w * rest), rest, mu


def wald(g, x, y, offset, firth=False):
    """β and its standard error from the fit of all parameters."""
    theta, information, _ = fit(np.column_stack([x, g]), y, offset, firth)
    return theta[-1], math.sqrt(np.linalg.inv(information)[-1, -1])


def firth_approximate(g, x, y, offset):
    """REGENIE's: covariates' Firth fit as an offset, ĝ = g − X(XᵀX)⁻¹Xᵀg; β, SE, χ²."""
    theta, _, _ = fit(x, y, offset, firth=True)
    rest = (g - x @ np.linalg.lstsq(x, g, rcond=None)[0])[:, None]
    fixed = offset + x @ theta
    beta, information, value = fit(rest, y, fixed, firth=True)
    mu = 1 / (1 + np.exp(-fixed))
    at_zero = (y * fixed - np.logaddexp(0, fixed)).sum()
    at_zero += 0.5 * math.log((mu * (1 - mu)) @ rest[:, 0] ** 2)
    return beta[0], 1 / math.sqrt(information[0, 0]), max(2 * (value - at_zero), 0.0)


def spa(g, x, y, offset):
    """Two-sided saddlepoint p of the score, or None where the score has no root."""
    s, _, rest, mu = score(g, x, y, offset)

    def k(t):
        return np.logaddexp(np.log1p(-mu), np.log(mu) + t * rest).sum() - t * (rest @ mu)

    def k1(t):
        return rest @ (1 / (1 + np.exp(-(t * rest + np.log(mu / (1 - mu)))))) - rest @ mu

    def k2(t):
        tilted = 1 / (1 + np.exp(-(t * rest + np.log(mu / (1 - mu)))))
        return (rest**2) @ (tilted * (1 - tilted))

    p = 0.0
    for q, observed in ((s, True), (-s, False)):
        if (
            not -np.minimum(rest, 0).sum() > -(q + rest @ mu)
            or not np.maximum(rest, 0).sum() > q + rest @ mu
        ):
            if observed:
                return None
            continue
        far = math.copysign(1.0, q)
        while abs(k1(far)) < abs(q):
            far *= 2
            if abs(far) > 1e4:
                return None
        t = brentq(lambda t, q=q: k1(t) - q, 0.0, far, xtol=1e-15, rtol=1e-15)
        w = math.copysign(math.sqrt(2 * (t * q - k(t))), t)
        v = t * math.sqrt(k2(t))
        # The tail away from 0, which can be more than a half where outcomes are few.
        p += norm.sf(math.copysign(1.0, q) * (w + math.log(v / w) / w))
    return p


def neg_log10_p(z):
    """Of a normal statistic, two-sided."""
    return -(norm.logsf(abs(z)) + math.log(2)) / math.log(10)


def neg_log10_p_chisq(chisq):
    """Of a χ² statistic with one degree of freedom."""
    return -chi2.logsf(chisq, 1) / math.log(10)
