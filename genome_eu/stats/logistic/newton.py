"""Newton's iteration over sums from the sites: many fits at once, each until it has converged.

Of a fit, the coordinator sends parameters, and for Firth's penalty the inverse information matrix
of the round before; sites send the sums of `profile`. Parameters are those of the pooled fit, and
the penalized log-likelihood is l + ½ ln |information|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import compiled

#: A step of less than this many standard errors is the last: where steps converge by squares, and
#: where leverages are those of the round before.
TOLERANCE, TOLERANCE_FIRTH = 1e-11, 1e-10
#: Rounds after which a fit has failed: Newton's own, and with leverages of the round before.
MOST_ROUNDS = 30
MOST_ROUNDS_FIRTH = 60
# Where cases are separated, standard errors grow faster than steps shrink; steps do not shrink.
_LARGEST_LAST_STEP = 1e-6
# A column that the others explain to this part has no coefficient; nor has one that a site's own
# intercept explains to this part of what a column of unit variance has.
_SINGULAR = 1e-10
# Leverages of the round before do where steps shrink to less than this from one to the next. Where
# they do not, as with a single carrier, a round without a step brings the leverages up to date.
_SHRINKING = 0.1
# Those rounds shrink steps by a constant where hardly anything is left of the weights. Within a
# standard error of the end, steps along one direction are then taken to their limit.
_NEAR, _COLLINEAR, _SLOWEST = 1.0, 0.98, 0.9
# Columns have about unit variance, and a dosage at most 2.
_LARGEST_STEP = 5.0
_HALVINGS = 25
# A likelihood that falls by more than this calls for half the step. A penalized one may fall by
# little on its way, since leverages are those of the round before.
_FALL, _FALL_FIRTH = 1e-9, 0.1

#: What has become of a fit: going on, converged, singular at its start, or failed later.
GOING_ON, CONVERGED, SINGULAR, FAILED = range(4)


@dataclass(frozen=True, eq=False)
class Fits:
    """Where fits stand, for all of them; the coordinator's own, made of what sites released."""

    theta: NDArray  # (fits, parameters), to be sent
    inverse: NDArray  # (fits, parameters, parameters), of the last round; to be sent for Firth
    status: NDArray  # int8 (fits,)
    firth: bool
    rounds: int
    base: NDArray  # the best parameters so far
    step: NDArray  # from them
    length: NDArray  # (fits,), of the last step, in standard errors
    exact: NDArray  # bool (fits,), wait for leverages that belong to the parameters
    current: NDArray  # bool (fits,), `inverse` belongs to `theta`
    halvings: NDArray  # int64 (fits,)
    objective: NDArray  # (fits,), penalized log-likelihood at `base`

    @property
    def active(self) -> NDArray[np.int64]:
        """The fits that need another round."""
        return np.flatnonzero(self.status == GOING_ON)

    @property
    def done(self) -> bool:
        """Whether no fit needs another round."""
        return not (self.status == GOING_ON).any()


def start(theta: NDArray, *, firth: bool, inverse: NDArray | None = None) -> Fits:
    """Fits before their first round.

    Parameters
    ----------
    theta : float64 array, shape (fits, parameters)
    firth : bool
        Penalize by Jeffreys' prior.
    inverse : float64 array, shape (fits, parameters, parameters), optional
        Inverse information near `theta`, where it is known; without it, the first round has no
        penalty.
    """
    fits, parameters = theta.shape
    if inverse is None:
        inverse = np.zeros((fits, parameters, parameters))
    return Fits(
        theta=theta.astype(float),
        inverse=inverse,
        status=np.full(fits, GOING_ON, np.int8),
        firth=firth,
        rounds=0,
        base=theta.astype(float),
        step=np.zeros((fits, parameters)),
        length=np.full(fits, np.inf),
        exact=np.zeros(fits, bool),
        current=np.zeros(fits, bool),
        halvings=np.zeros(fits, np.int64),
        objective=np.full(fits, -np.inf),
    )


def update(
    fits: Fits,
    score: NDArray,
    information: NDArray,
    curvature: NDArray,
    loglik: NDArray,
    log_weight: NDArray,
    people: tuple[NDArray, NDArray],
) -> Fits:
    """The next parameters, from the summed answers for the active fits.

    Each argument has one entry per active fit, in their order; `people` are cases and controls.

    References
    ----------
    Firth (1993), Biometrika 80:27–38; Heinze & Schemper (2002), Stat Med 21:2409–2419.
    """
    active = fits.active
    after = replace(
        fits,
        rounds=fits.rounds + 1,
        **{
            name: getattr(fits, name).copy()
            for name in (
                *("theta", "inverse", "status", "base", "step", "length", "exact", "current"),
                *("halvings", "objective"),
            )
        },
    )
    cases, controls = people
    _update(
        active,
        fits.firth,
        fits.rounds,
        np.ascontiguousarray(score),
        np.ascontiguousarray(information),
        np.ascontiguousarray(curvature),
        loglik,
        log_weight,
        cases * controls / np.maximum(cases + controls, 1),
        after.theta,
        after.inverse,
        after.status,
        after.base,
        after.step,
        after.length,
        after.exact,
        after.current,
        after.halvings,
        after.objective,
    )
    return after


@compiled
def _factor(matrix: NDArray, unit: float, lower: NDArray) -> bool:
    """Cholesky's factor; false where a column is a combination of those before it.

    `unit` is about what a column of unit variance has on the diagonal.
    """
    size = matrix.shape[0]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest -= lower[i, k] * lower[j, k]
            if i == j:
                if not rest > _SINGULAR * max(matrix[i, i], unit):
                    return False
                lower[i, i] = math.sqrt(rest)
            else:
                lower[i, j] = rest / lower[j, j]
    return True


@compiled
def _solve(lower: NDArray, right: NDArray, out: NDArray) -> None:
    """LLᵀ out = right."""
    size = right.size
    for i in range(size):
        rest = right[i]
        for k in range(i):
            rest -= lower[i, k] * out[k]
        out[i] = rest / lower[i, i]
    for i in range(size - 1, -1, -1):
        rest = out[i]
        for k in range(i + 1, size):
            rest -= lower[k, i] * out[k]
        out[i] = rest / lower[i, i]


@compiled
def _acceleration(step: NDArray, before: NDArray) -> float:
    """How much further to go where steps shrink by a constant along one direction (Aitken)."""
    along = squares = before_squares = 0.0
    for a in range(step.size):
        along += step[a] * before[a]
        squares += step[a] ** 2
        before_squares += before[a] ** 2
    shrinks = along / before_squares
    same = along > 0.0 and along**2 > _COLLINEAR * squares * before_squares
    return 1.0 / (1.0 - shrinks) if same and shrinks < _SLOWEST else 1.0


@compiled
def _update(
    active: NDArray,
    firth: bool,
    rounds: int,
    score: NDArray,
    information: NDArray,
    curvature: NDArray,
    loglik: NDArray,
    log_weight: NDArray,
    typical: NDArray,
    theta: NDArray,
    inverse: NDArray,
    status: NDArray,
    base: NDArray,
    step: NDArray,
    length: NDArray,
    exact: NDArray,
    current: NDArray,
    halvings: NDArray,
    objective: NDArray,
) -> None:
    size = theta.shape[1]
    lower = np.zeros((size, size))
    unit, column = np.zeros(size), np.empty(size)
    for place in range(active.size):
        fit = active[place]
        if not _factor(information[place], typical[place], lower):
            status[fit] = SINGULAR if rounds == 0 else FAILED
            continue
        value = loglik[place]
        if firth:
            value += 0.5 * log_weight[place]
            for a in range(size):
                value += math.log(lower[a, a])
        fell = objective[fit] - value
        least = _FALL_FIRTH if firth else _FALL * (1.0 + abs(value))
        if fell > least and halvings[fit] < _HALVINGS:
            halvings[fit] += 1
            step[fit] *= 0.5
            theta[fit] = base[fit] + step[fit]
            continue
        if not math.isfinite(value):
            status[fit] = FAILED
            continue
        halvings[fit] = 0
        objective[fit] = value
        base[fit] = theta[fit]
        for a in range(size):
            unit[:] = 0.0
            unit[a] = 1.0
            _solve(lower, unit, column)
            inverse[fit, :, a] = column
        if firth and exact[fit] and not current[fit]:
            current[fit] = True
            continue
        if firth and not _factor(curvature[place], typical[place], lower):
            status[fit] = FAILED
            continue
        _solve(lower, score[place], column)
        largest = worst = 0.0
        for a in range(size):
            largest = max(largest, abs(column[a]))
            worst = max(worst, abs(column[a]) / math.sqrt(inverse[fit, a, a]))
        if largest > _LARGEST_STEP:
            column *= _LARGEST_STEP / largest
        if firth and exact[fit] and worst < _NEAR:
            column *= _acceleration(column, step[fit])
        step[fit] = column
        theta[fit] = base[fit] + column
        exact[fit] |= firth and worst > _SHRINKING * length[fit]
        length[fit] = worst
        current[fit] = False
        if worst <= (TOLERANCE_FIRTH if firth else TOLERANCE) and largest <= _LARGEST_LAST_STEP:
            status[fit] = CONVERGED
        elif rounds + 1 >= (MOST_ROUNDS_FIRTH if firth else MOST_ROUNDS):
            status[fit] = FAILED
