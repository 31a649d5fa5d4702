"""Principal components by block Krylov iteration on sums over people.

z = (g − 2p)/√(2p(1−p)) with the frequency p over all sites, 0 for a missing call or a row that
does not vary. Over sites, the iteration needs only H(Q) = Σ Z(ZᵀQ), rows × width; ZᵀQ itself has
one value per person and stays where they are. People who hold the genotypes iterate on ZᵀZ instead,
people × people: the same eigenvalues from one pass a round, and a basis that does not grow with the
number of rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve_triangular

from genome_eu.stats.aggregate import Aggregate, Private, count, same, total
from genome_eu.stats.block import Block

# What rounding leaves of a residual, however good the pair.
_ROUNDING = 1e-15


@dataclass(frozen=True, eq=False)
class Scores(Private):
    """One value per person and component at one site, (people, components)."""

    values: NDArray


@dataclass(frozen=True, eq=False)
class ProjectionSums(Aggregate):
    """H(Q): rows × width."""

    statistic = "pca_projection"

    people: NDArray = count("people", gate="people")
    projected: NDArray = total("z·zᵀ", "rows", "width", gate="projection")


@dataclass(frozen=True, eq=False)
class ScoreMoments(Aggregate):
    """Means of the scores at a site; the scores themselves stay there under the PCA's id."""

    statistic = "pca_scores"

    people: NDArray = count("people", gate="people")
    score_sum: NDArray = total("score", "components", gate="moments")
    score_square: NDArray = total("score²", "components", gate="moments")
    components: NDArray = same("number", gate="label")


def row_scale(frequency: NDArray) -> NDArray:
    """1/√(2p(1−p)) per row; 0 where the row does not vary."""
    variance = 2.0 * frequency * (1.0 - frequency)
    varies = variance > 0.0
    return np.where(varies, 1.0 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)


def project_people(block: Block, frequency: NDArray, loadings: NDArray) -> NDArray:
    """ZᵀQ over the rows of a block, (people, width); sums over blocks."""
    scaled = row_scale(frequency)[:, None] * loadings
    shift = 2.0 * frequency[:, None] * scaled
    dosage, missing = block.rmatmul(scaled, shift)
    return dosage + missing - shift.sum(axis=0)


def project_rows(block: Block, frequency: NDArray, scores: NDArray) -> NDArray:
    """Z·S for scores S (people, width), 0 for people left out: (rows, width)."""
    dosage, missing = block.matmul(scores)
    shift = 2.0 * frequency[:, None]
    return row_scale(frequency)[:, None] * (dosage + shift * (missing - scores.sum(axis=0)))


def summarize_projection(
    block: Block, frequency: NDArray, scores: NDArray, people: int
) -> ProjectionSums:
    """One block of H(Q) from ZᵀQ of all rows (`scores`, 0 for people left out)."""
    projected = project_rows(block, frequency, scores)
    return ProjectionSums(people=np.array(people), projected=projected)


#: Inputs that name a PCA: the same everywhere, so that the same id means the same scores.
IDENTITY = ("eigenvalues", "frequency", "loadings")


def identify(*, eigenvalues: NDArray, frequency: NDArray, loadings: NDArray) -> str:
    """The id of a PCA, 16 hexadecimal digits."""
    found = hashlib.sha256()
    for array in (eigenvalues, frequency, loadings):
        found.update(str(array.shape).encode())
        found.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return found.hexdigest()[:16]


def summarize_scores(scores: Scores, included: NDArray) -> ScoreMoments:
    """Sums of the scores of the people who take part."""
    values = scores.values[included]
    return ScoreMoments(
        people=np.array(values.shape[0]),
        score_sum=values.sum(axis=0),
        score_square=(values**2).sum(axis=0),
        components=np.array(values.shape[1]),
    )


def apply_covariance(block: Block, frequency: NDArray, scores: NDArray) -> NDArray:
    """ZᵀZ·S over the rows of a block, (people, width); sums over blocks."""
    return project_people(block, frequency, project_rows(block, frequency, scores))


@dataclass(frozen=True, eq=False)
class Components:
    """Leading eigenpairs: `vectors` (size, k) of unit norm, `eigenvalues` (k,).

    Of ZZᵀ the vectors are loadings of rows, of ZᵀZ scores of people.
    """

    vectors: NDArray
    eigenvalues: NDArray
    residuals: NDArray  # ‖Hu − λu‖ / λ₁, (k,)


class BlockKrylov:
    """Block Krylov iteration with Rayleigh–Ritz extraction, for an operator seen from outside.

    `next_block` gives the size × width that the operator is to be applied to, `absorb` takes the
    answer. All blocks are kept, so the Ritz values are those of the whole Krylov space.

    References
    ----------
    Musco & Musco (2015), NeurIPS 28: 1396–1404; Golub & Van Loan, Matrix Computations, 10.3.6.
    """

    def __init__(self, size: int, width: int, seed: int) -> None:
        start = np.random.default_rng(seed).standard_normal((size, min(width, size)))
        self._block = np.linalg.qr(start)[0]
        self._basis: list[NDArray] = []
        self._projected = np.empty((0, 0))
        # What the images of the last block have outside the space: next block × last block.
        self._coupling = np.empty((0, 0))

    @property
    def rounds(self) -> int:
        """How often the operator was applied."""
        return len(self._basis)

    @property
    def exhausted(self) -> bool:
        """Whether the space holds every direction that the operator can reach."""
        return self._block.shape[1] == 0

    def next_block(self) -> NDArray:
        """The orthonormal size × width block to apply the operator to."""
        return self._block

    def absorb(self, image: NDArray) -> None:
        """Take H(block) and prepare the next block."""
        self._basis.append(self._block)
        known = self._projected.shape[0]
        size = known + image.shape[1]
        rest, coefficients = self._outside(image)
        grown = np.empty((size, size))
        grown[:known, :known] = self._projected
        grown[:, known:] = coefficients
        grown[known:, :known] = coefficients[:known].T
        self._projected = grown

        floor = 1e-12 * float(np.linalg.norm(image))
        block = _orthonormal(rest, floor, image.shape[0] - size)
        # Subtracting twice is enough (Kahan): rounding of large components is gone.
        self._block = _orthonormal(self._outside(block)[0], 0.0, block.shape[1])
        self._coupling = self._block.T @ rest

    def _outside(self, columns: NDArray) -> tuple[NDArray, NDArray]:
        """What the space so far does not hold of the columns, and what it does hold."""
        rest = columns.copy()
        held = []
        for block in self._basis:
            held.append(block.T @ rest)
            rest -= block @ held[-1]
        return rest, np.concatenate(held)

    def residuals(self, k: int) -> NDArray:
        """How far the best k pairs are from eigenpairs: ‖Hu − λu‖ / λ₁, (k,)."""
        return self._pairs(k)[2]

    def ritz(self, k: int) -> Components:
        """The best k eigenpairs in the space so far, largest first, with their residuals."""
        values, vectors, residuals = self._pairs(k)
        places = np.cumsum([block.shape[1] for block in self._basis])[:-1]
        found = sum(
            block @ part for block, part in zip(self._basis, np.split(vectors, places), strict=True)
        )
        return Components(found * largest_sign(found), values, residuals)

    def _pairs(self, k: int) -> tuple[NDArray, NDArray, NDArray]:
        size = self._projected.shape[0]
        leading = (max(size - k, 0), size - 1)
        values, vectors = eigh(
            (self._projected + self._projected.T) / 2.0, subset_by_index=leading, driver="evr"
        )
        values, vectors = values[::-1], vectors[:, ::-1]
        # Images of all blocks but the last lie in the space, so only those of the last leave it.
        last = vectors[vectors.shape[0] - self._coupling.shape[1] :]
        error = np.linalg.norm(self._coupling @ last, axis=0)
        largest = max(float(values[0]), np.finfo(float).tiny) if values.size else 1.0
        return values, vectors, np.maximum(error / largest, _ROUNDING)


def largest_sign(columns: NDArray) -> NDArray:
    """Per column, the sign of its entry of largest size; 1 for a column of zeros."""
    sign = np.sign(columns[np.abs(columns).argmax(axis=0), np.arange(columns.shape[1])])
    return np.where(sign == 0, 1.0, sign)


def _orthonormal(columns: NDArray, floor: float, most: int) -> NDArray:
    """An orthonormal basis of the columns' span, without directions shorter than `floor`.

    Cholesky of the Gram matrix, twice, where the columns are far from dependent (many times
    faster than Householder for few long columns); else Householder and a small SVD.

    References
    ----------
    Yamamoto et al. (2015), ETNA 44:306–326.
    """
    most = max(most, 0)
    gram = columns.T @ columns
    squares = np.linalg.eigvalsh(gram) if gram.size else np.empty(0)
    well = squares.size and squares[0] > max(1e-10 * squares[-1], floor**2)
    if well and columns.shape[1] <= most:
        for _ in range(2):
            lower = np.linalg.cholesky(columns.T @ columns)
            columns = solve_triangular(lower, columns.T, lower=True, check_finite=False).T
        return columns
    directions, triangle = np.linalg.qr(columns)
    left, sizes, _ = np.linalg.svd(triangle)
    return directions @ left[:, : min(int((sizes > floor).sum()), most)]
