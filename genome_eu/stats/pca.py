"""Principal components by block Krylov iteration on sums over people.

z = (g − 2p)/√(2p(1−p)) with the frequency p over all sites, 0 for a missing call or a row that
does not vary. The iteration needs only H(Q) = Σ Z(ZᵀQ), rows × width, summed over sites; ZᵀQ
itself has one value per person and stays where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, Private, count, same, total
from genome_eu.stats.block import Block


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


def summarize_scores(scores: Scores, included: NDArray) -> ScoreMoments:
    """Sums of the scores of the people who take part."""
    values = scores.values[included]
    return ScoreMoments(
        people=np.array(values.shape[0]),
        score_sum=values.sum(axis=0),
        score_square=(values**2).sum(axis=0),
        components=np.array(values.shape[1]),
    )


@dataclass(frozen=True, eq=False)
class Components:
    """Leading eigenpairs of ZZᵀ: `loadings` (rows, k) of unit norm, `eigenvalues` (k,)."""

    loadings: NDArray
    eigenvalues: NDArray
    residuals: NDArray  # ‖Hu − λu‖ / λ₁, (k,)


class BlockKrylov:
    """Block Krylov iteration with Rayleigh–Ritz extraction, for an operator seen from outside.

    `next_block` gives the rows × width that the operator is to be applied to, `absorb` takes the
    answer. All blocks are kept, so the Ritz values are those of the whole Krylov space.

    References
    ----------
    Musco & Musco (2015), NeurIPS 28: 1396–1404; Golub & Van Loan, Matrix Computations, 10.3.6.
    """

    def __init__(self, rows: int, width: int, seed: int) -> None:
        start = np.random.default_rng(seed).standard_normal((rows, min(width, rows)))
        self._block = np.linalg.qr(start)[0]
        self._basis: list[NDArray] = []
        self._images: list[NDArray] = []
        self._projected = np.empty((0, 0))
        self._rows = rows

    @property
    def rounds(self) -> int:
        """Blocks absorbed."""
        return len(self._basis)

    @property
    def exhausted(self) -> bool:
        """Whether the space holds every direction that the operator can reach."""
        return self._block.shape[1] == 0

    def next_block(self) -> NDArray:
        """The orthonormal rows × width block to apply the operator to."""
        return self._block

    def absorb(self, image: NDArray) -> None:
        """Take H(block) and prepare the next block."""
        self._basis.append(self._block)
        self._images.append(image)
        dimension = sum(block.shape[1] for block in self._basis)
        new = image.shape[1]
        grown = np.zeros((dimension, dimension))
        grown[:-new, :-new] = self._projected
        grown[:, -new:] = np.vstack([block.T @ image for block in self._basis])
        grown[-new:, :-new] = grown[:-new, -new:].T
        self._projected = grown

        rest = self._beyond_basis(image)
        directions, triangle = np.linalg.qr(rest)
        left, sizes, _ = np.linalg.svd(triangle)
        # Directions that rounding made are not new; nor can there be more than rows.
        reached = int((sizes > 1e-12 * np.linalg.norm(image)).sum()) if sizes.size else 0
        reached = max(min(reached, self._rows - dimension), 0)
        block = directions @ left[:, :reached]
        self._block = np.linalg.qr(self._beyond_basis(block))[0]

    def _beyond_basis(self, block: NDArray) -> NDArray:
        """What the basis does not reach of a block; twice is enough (Kahan)."""
        rest = block.copy()
        for _ in range(2):
            for known in self._basis:
                rest -= known @ (known.T @ rest)
        return rest

    def ritz(self, k: int) -> Components:
        """The best k eigenpairs in the space so far, largest first, with their residuals."""
        values, vectors = np.linalg.eigh((self._projected + self._projected.T) / 2.0)
        order = np.argsort(values)[::-1][:k]
        values, vectors = values[order], vectors[:, order]
        ends = np.cumsum([block.shape[1] for block in self._basis])
        parts = np.split(vectors, ends[:-1])
        loadings = sum(block @ part for block, part in zip(self._basis, parts, strict=True))
        image = sum(block @ part for block, part in zip(self._images, parts, strict=True))
        error = np.linalg.norm(image - loadings * values, axis=0)
        largest = max(float(values[0]), np.finfo(float).tiny) if values.size else 1.0
        sign = np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(loadings.shape[1])])
        return Components(loadings * np.where(sign == 0, 1.0, sign), values, error / largest)
