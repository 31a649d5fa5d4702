"""Sums of a logistic likelihood over one site's people, the site's own intercept profiled out.

One function serves the null model, Firth's null model and the fits with a genotype: they differ in
their columns, and in whether leverages count. With parameters θ, columns z, own intercept α,
μ = expit(offset + α + zᵀθ), w = μ(1−μ) and leverages h, the sums are those of

    Σ (y − μ + h(½−μ)) (z − z̄),   Σ w (z − z̄)(z − z̄)ᵀ,   the same with w(1+h),   Σ ln L,   ln Σ w,

z̄ the means weighted by w, where α solves Σ (y − μ + h(½−μ)) = 0 (without an intercept of its own,
z̄ = 0 and α = 0). With S the second of these over all sites, |information| = |S| Π Σₖw, and the
leverage of a person at site k is h = w (1/Σₖw + (z − z̄)ᵀS⁻¹(z − z̄)).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import compiled

# Newton's steps for a site's own intercept, on the scale of the linear predictor.
_INTERCEPT_TOLERANCE = 1e-12
_INTERCEPT_STEPS = 200
_LARGEST_STEP = 2.0


@compiled
def profile(
    x: NDArray,
    dosage: NDArray,
    y: NDArray,
    offset: NDArray,
    theta: NDArray,
    inverse: NDArray,
    firth: bool,
    own_intercept: bool,
    score: NDArray,
    information: NDArray,
    curvature: NDArray,
    loglik: NDArray,
    log_weight: NDArray,
    counts: NDArray,
    intercept: NDArray,
) -> None:
    """Fill in the sums of every fit; the columns are those of `x` and then the dosage.

    Parameters
    ----------
    x : float64 array, shape (people, covariates)
    dosage : float64 array, shape (fits, people) or (fits, 0)
        Without people, a fit has no genotype. NaN leaves the person out of that fit.
    y, offset : float64 array, shape (people,)
    theta : float64 array, shape (fits, parameters)
    inverse : float64 array, shape (fits, parameters, parameters)
        S⁻¹ of the leverages; not looked at unless `firth`.
    firth, own_intercept : bool
    score, information, curvature, loglik, log_weight
        Results: (fits, parameters), twice (fits, parameters, parameters), twice (fits,).
    counts : int64 array, shape (fits, 2)
        Result: controls and cases that took part.
    intercept : float64 array, shape (fits,)
        Result: the site's own intercept. It stays at the site.
    """
    people, width = x.shape
    fits, parameters = theta.shape
    genotyped = parameters > width
    z = np.empty((people, parameters))
    z[:, :width] = x
    # S⁻¹z and the quadratic form zᵀS⁻¹z, worked out once for all steps of the intercept.
    s = np.empty((people if firth else 0, parameters))
    form = np.empty(people if firth else 0)
    fixed, mu, w, h = np.empty(people), np.empty(people), np.empty(people), np.zeros(people)
    use = np.ones(people, np.bool_)
    centre, central, rest = np.empty(parameters), np.empty(parameters), np.empty(parameters)
    for fit in range(fits):
        cases = controls = 0
        for i in range(people):
            if genotyped:
                z[i, width] = dosage[fit, i]
                use[i] = not math.isnan(dosage[fit, i])
            if use[i]:
                cases += y[i] > 0.5
                controls += y[i] < 0.5
        score[fit] = 0.0
        information[fit] = 0.0
        curvature[fit] = 0.0
        loglik[fit] = log_weight[fit] = intercept[fit] = 0.0
        if cases + controls == 0 or (own_intercept and (cases == 0 or controls == 0)):
            counts[fit] = 0
            continue
        counts[fit, 0] = controls
        counts[fit, 1] = cases

        for i in range(people):
            if not use[i]:
                continue
            total = offset[i]
            for a in range(parameters):
                total += z[i, a] * theta[fit, a]
            fixed[i] = total
            if firth:
                form[i] = 0.0
                for a in range(parameters):
                    total = 0.0
                    for b in range(parameters):
                        total += inverse[fit, a, b] * z[i, b]
                    s[i, a] = total
                    form[i] += total * z[i, a]

        alpha = 0.0
        if own_intercept:
            mean = 0.0
            for i in range(people):
                if use[i]:
                    mean += fixed[i]
            alpha = math.log(cases / controls) - mean / (cases + controls)
        steps = _INTERCEPT_STEPS if own_intercept else 1
        weight = 0.0
        for _ in range(steps):
            weight = 0.0
            centre[:] = 0.0
            for i in range(people):
                if not use[i]:
                    continue
                eta = fixed[i] + alpha
                # e^−|η| does not overflow, and w keeps its digits at both ends.
                small = math.exp(-abs(eta))
                mu[i] = (1.0 if eta > 0.0 else small) / (1.0 + small)
                w[i] = small / ((1.0 + small) * (1.0 + small))
                weight += w[i]
                if own_intercept and firth:
                    for a in range(parameters):
                        centre[a] += w[i] * z[i, a]
            if firth:
                constant = 0.0
                if own_intercept:
                    for a in range(parameters):
                        centre[a] /= weight
                    for a in range(parameters):
                        for b in range(parameters):
                            constant += centre[a] * inverse[fit, a, b] * centre[b]
                for i in range(people):
                    if not use[i]:
                        continue
                    total = form[i]
                    if own_intercept:
                        total += 1.0 / weight + constant
                        for a in range(parameters):
                            total -= 2.0 * centre[a] * s[i, a]
                    h[i] = w[i] * total
            if not own_intercept:
                break
            above = below = 0.0
            for i in range(people):
                if use[i]:
                    above += y[i] - mu[i] + h[i] * (0.5 - mu[i])
                    below += w[i] * (1.0 + h[i])
            step = above / below
            if not abs(step) > _INTERCEPT_TOLERANCE:
                break
            alpha += min(max(step, -_LARGEST_STEP), _LARGEST_STEP)

        intercept[fit] = alpha
        if own_intercept:
            if not firth:
                for i in range(people):
                    if use[i]:
                        for a in range(parameters):
                            centre[a] += w[i] * z[i, a]
                for a in range(parameters):
                    centre[a] /= weight
            log_weight[fit] = math.log(weight)
        # The logarithm of a product of factors between 1 and 2, taken before it overflows.
        product, second = 1.0, 0.0
        rest[:] = 0.0
        for i in range(people):
            if not use[i]:
                continue
            eta = fixed[i] + alpha
            product *= 1.0 + math.exp(-abs(eta))
            if product > 1e300:
                loglik[fit] -= math.log(product)
                product = 1.0
            # ln(1 + e^η) = max(η, 0) + ln(1 + e^−|η|)
            loglik[fit] += y[i] * eta - max(eta, 0.0)
            residual = y[i] - mu[i] + h[i] * (0.5 - mu[i])
            more = w[i] * h[i]
            second += w[i] + more
            for a in range(parameters):
                central[a] = z[i, a] - centre[a]
                score[fit, a] += residual * central[a]
            for a in range(parameters):
                weighted = w[i] * central[a]
                for b in range(a + 1):
                    information[fit, a, b] += weighted * central[b]
            if firth:
                for a in range(parameters):
                    weighted = more * central[a]
                    rest[a] += weighted
                    for b in range(a + 1):
                        curvature[fit, a, b] += weighted * central[b]
        loglik[fit] -= math.log(product)
        for a in range(parameters):
            for b in range(a + 1):
                curvature[fit, a, b] += information[fit, a, b]
                if own_intercept:
                    # Σ w z is 0 once centred, so only what h adds has a mean left.
                    curvature[fit, a, b] -= rest[a] * rest[b] / second
                information[fit, b, a] = information[fit, a, b]
                curvature[fit, b, a] = curvature[fit, a, b]
