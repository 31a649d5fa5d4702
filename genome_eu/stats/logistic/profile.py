"""Sums of a logistic likelihood over one site's people, the site's own intercept profiled out.

One function serves the null model, Firth's null model and the fits with a genotype: they differ in
their columns, and in whether leverages count. With parameters θ, columns z, own intercept α,
μ = expit(offset + α + zᵀθ), w = μ(1−μ) and leverages h, the sums are those of

    Σ (y − μ + h(½−μ)) (z − z̄),   Σ w (z − z̄)(z − z̄)ᵀ,   the same with w(1+h),   Σ ln L,   ln Σ w,

z̄ the means weighted by w, where α solves Σ (y − μ + h(½−μ)) = 0 (without an intercept of its own,
z̄ = 0 and α = 0). With S the second of these over all sites, |information| = |S| Π Σₖw, and the
leverage of a person at site k is h = w (1/Σₖw + (z − z̄)ᵀS⁻¹(z − z̄)).

Columns are first centred at the site's plain means where the intercept is its own, which changes
only the intercept: what is then left of a square after centring at z̄ keeps its digits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import compiled, compiled_in_lanes
from genome_eu.stats.logistic.tiles import TILE, exp_minus

# Newton's steps for a site's own intercept, on the scale of the linear predictor. What is left
# after a step is below its square, but with leverages below a part of it.
_LAST_STEP = 1e-7
_LAST_STEP_WITH_LEVERAGES = 1e-12
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
    z, shift = np.empty((parameters, people)), np.zeros(parameters)
    for a in range(width):
        shift[a] = x[:, a].mean() if own_intercept else 0.0
        z[a] = x[:, a] - shift[a]
    use, fixed, h = np.ones(people), np.empty(people), np.zeros(people)
    # S⁻¹z and the quadratic form zᵀS⁻¹z, worked out once for all steps of the intercept.
    s = np.empty((parameters, people if firth else 0))
    form = np.empty(people if firth else 0)
    mu, w = np.empty((2, people if firth else 0))
    for fit in range(fits):
        score[fit] = 0.0
        information[fit] = 0.0
        curvature[fit] = 0.0
        loglik[fit] = log_weight[fit] = intercept[fit] = 0.0
        if parameters > width:
            shift[width] = _fill_dosage(dosage[fit], own_intercept, z[width], use)
        everybody, cases = use.sum(), (use * y).sum()
        counts[fit, 0] = round(everybody - cases)
        counts[fit, 1] = round(cases)
        if everybody == 0 or (own_intercept and (counts[fit, 0] == 0 or counts[fit, 1] == 0)):
            counts[fit] = 0
            continue
        fixed[:] = offset
        for start in range(0, people, TILE):
            _add_combination(z, start, min(start + TILE, people), theta[fit], fixed)

        alpha = 0.0
        if firth:
            _fill_forms(z, inverse[fit], s, form)
            if own_intercept:
                alpha = math.log(cases / (everybody - cases)) - (use * fixed).sum() / everybody
            for _ in range(_INTERCEPT_STEPS):
                step = _fill_leverages(
                    *(z, inverse[fit], s, form, y, fixed, use, alpha, own_intercept), mu, w, h
                )
                if not (own_intercept and abs(step) > _LAST_STEP_WITH_LEVERAGES):
                    break
                alpha += min(max(step, -_LARGEST_STEP), _LARGEST_STEP)
        elif own_intercept:
            alpha = math.log(cases / (everybody - cases)) - (use * fixed).sum() / everybody
            for _ in range(_INTERCEPT_STEPS):
                step = _step(y, fixed, use, alpha)
                alpha += min(max(step, -_LARGEST_STEP), _LARGEST_STEP)
                if not abs(step) > _LAST_STEP:
                    break

        intercept[fit] = alpha - (theta[fit] * shift).sum()
        means, rest, totals = np.zeros(parameters), np.zeros(parameters), np.zeros(4)
        for start in range(0, people, TILE):
            stop = min(start + TILE, people)
            _add_tile(
                *(z, start, stop, y, fixed, use, h, alpha, firth),
                *(score[fit], information[fit], curvature[fit], means, rest, totals),
            )
        loglik[fit], weight, residuals, leverages = totals[0], totals[1], totals[2], totals[3]
        if own_intercept:
            log_weight[fit] = math.log(weight)
        for a in range(parameters):
            at = means[a] / weight if own_intercept else 0.0
            score[fit, a] -= at * residuals
            for b in range(a + 1):
                by = means[b] / weight if own_intercept else 0.0
                information[fit, a, b] -= at * means[b]
                information[fit, b, a] = information[fit, a, b]
                curvature[fit, a, b] += at * by * leverages - at * rest[b] - rest[a] * by
                if own_intercept:
                    # Σ w z is 0 once centred, so only what h adds has a mean left.
                    curvature[fit, a, b] -= (
                        (rest[a] - at * leverages) * (rest[b] - by * leverages)
                    ) / (weight + leverages)
                curvature[fit, a, b] += information[fit, a, b]
                curvature[fit, b, a] = curvature[fit, a, b]


@compiled
def _fill_dosage(dosage: NDArray, centred: bool, column: NDArray, use: NDArray) -> float:
    """Fill in a row's dosages, and who has one; the mean that was taken away."""
    total = called = 0.0
    for i in range(dosage.size):
        known = not math.isnan(dosage[i])
        use[i] = 1.0 if known else 0.0
        column[i] = dosage[i] if known else 0.0
        total += column[i]
        called += use[i]
    mean = total / called if centred and called > 0.0 else 0.0
    column -= mean * use
    return mean


@compiled_in_lanes
def _step(y: NDArray, fixed: NDArray, use: NDArray, alpha: float) -> float:
    """Newton's step of the intercept."""
    above = below = 0.0
    for i in range(y.size):
        eta = fixed[i] + alpha
        small = exp_minus(abs(eta))
        inverse = 1.0 / (1.0 + small)
        above += use[i] * (y[i] - (inverse if eta > 0.0 else small * inverse))
        below += use[i] * (small * inverse * inverse)
    return above / below


@compiled_in_lanes
def _add_combination(z: NDArray, start: int, stop: int, by: NDArray, out: NDArray) -> None:
    """Add a combination of the columns, for a tile of people."""
    out = out[start:stop]
    for a in range(len(z)):
        times, column = by[a], z[a][start:stop]
        for i in range(out.size):
            out[i] += times * column[i]


@compiled_in_lanes
def _fill_forms(z: NDArray, inverse: NDArray, s: NDArray, form: NDArray) -> None:
    s[:] = 0.0
    for start in range(0, form.size, TILE):
        stop = min(start + TILE, form.size)
        here = form[start:stop]
        here[:] = 0.0
        for a in range(len(z)):
            _add_combination(z, start, stop, inverse[a], s[a])
            row, column = s[a][start:stop], z[a][start:stop]
            for i in range(here.size):
                here[i] += row[i] * column[i]


@compiled_in_lanes
def _fill_leverages(
    z: NDArray,
    inverse: NDArray,
    s: NDArray,
    form: NDArray,
    y: NDArray,
    fixed: NDArray,
    use: NDArray,
    alpha: float,
    own_intercept: bool,
    mu: NDArray,
    w: NDArray,
    h: NDArray,
) -> float:
    """Fill in μ, w and h at an intercept; the next step of the intercept."""
    weight = 0.0
    for i in range(y.size):
        eta = fixed[i] + alpha
        small = exp_minus(abs(eta))
        both = 1.0 / (1.0 + small)
        mu[i] = both if eta > 0.0 else small * both
        w[i] = use[i] * (small * both * both)
        weight += w[i]
    h[:] = form
    if own_intercept:
        centre = np.empty(len(z))
        for a in range(len(z)):
            total, column = 0.0, z[a]
            for i in range(y.size):
                total += w[i] * column[i]
            centre[a] = total / weight
        constant = 1.0 / weight
        for a in range(len(z)):
            for b in range(len(z)):
                constant += centre[a] * inverse[a, b] * centre[b]
            by, row = 2.0 * centre[a], s[a]
            for i in range(y.size):
                h[i] -= by * row[i]
        for i in range(y.size):
            h[i] += constant
    above = below = 0.0
    for i in range(y.size):
        h[i] *= w[i]
        above += use[i] * (y[i] - mu[i] + h[i] * (0.5 - mu[i]))
        below += w[i] * (1.0 + h[i])
    return above / below


@compiled_in_lanes
def _add_tile(
    z: NDArray,
    start: int,
    stop: int,
    y: NDArray,
    fixed: NDArray,
    use: NDArray,
    h: NDArray,
    alpha: float,
    firth: bool,
    score: NDArray,
    information: NDArray,
    curvature: NDArray,
    means: NDArray,
    rest: NDArray,
    totals: NDArray,
) -> None:
    """Add a tile of people: sums of columns as they are, and ln L, Σw, Σ of residuals, Σwh."""
    people = stop - start
    y, fixed, use, h = y[start:stop], fixed[start:stop], use[start:stop], h[start:stop]
    w, residual, more = np.empty(people), np.empty(people), np.empty(people)
    loglik = weight = residuals = leverages = 0.0
    # The logarithm of a product of factors between 1 and 2, at most 2^512.
    product = 1.0
    for i in range(people):
        eta = fixed[i] + alpha
        small = exp_minus(abs(eta))
        inverse = 1.0 / (1.0 + small)
        # ln(1 + e^η) = max(η, 0) + ln(1 + e^−|η|)
        product *= 1.0 + use[i] * small
        loglik += use[i] * (y[i] * eta - max(eta, 0.0))
        mu = inverse if eta > 0.0 else small * inverse
        w[i] = use[i] * (small * inverse * inverse)
        more[i] = w[i] * h[i]
        residual[i] = use[i] * (y[i] - mu + h[i] * (0.5 - mu))
        weight += w[i]
        leverages += more[i]
        residuals += residual[i]
    totals[0] += loglik - math.log(product)
    totals[1] += weight
    totals[2] += residuals
    totals[3] += leverages
    weighted = np.empty(people)
    for a in range(len(z)):
        column = z[a][start:stop]
        first = second = 0.0
        for i in range(people):
            weighted[i] = w[i] * column[i]
            first += residual[i] * column[i]
            second += weighted[i]
        score[a] += first
        means[a] += second
        _add_products(z, a, start, weighted, information[a])
    if not firth:
        return
    for a in range(len(z)):
        column, second = z[a][start:stop], 0.0
        for i in range(people):
            weighted[i] = more[i] * column[i]
            second += weighted[i]
        rest[a] += second
        _add_products(z, a, start, weighted, curvature[a])


@compiled_in_lanes
def _add_products(z: NDArray, last: int, start: int, weighted: NDArray, out: NDArray) -> None:
    """Add the products of one weighted column with the columns up to `last`, four at a time."""
    people, stop = weighted.size, start + weighted.size
    whole = last + 1 - (last + 1) % 4
    for b in range(0, whole, 4):
        z0, z1 = z[b][start:stop], z[b + 1][start:stop]
        z2, z3 = z[b + 2][start:stop], z[b + 3][start:stop]
        s0 = s1 = s2 = s3 = 0.0
        for i in range(people):
            s0 += weighted[i] * z0[i]
            s1 += weighted[i] * z1[i]
            s2 += weighted[i] * z2[i]
            s3 += weighted[i] * z3[i]
        out[b] += s0
        out[b + 1] += s1
        out[b + 2] += s2
        out[b + 3] += s3
    for b in range(whole, last + 1):
        other, total = z[b][start:stop], 0.0
        for i in range(people):
            total += weighted[i] * other[i]
        out[b] += total
