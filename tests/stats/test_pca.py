from __future__ import annotations

import numpy as np
import pytest

from genome_eu.stats import pca
from genome_eu.stats.aggregate import Private
from tests import simulate
from tests.oracles import pca as oracle

PEOPLE = 53


@pytest.fixture(scope="module", params=[0.0, 0.1], ids=["complete", "missing"])
def dosage(request) -> np.ndarray:
    return simulate.dosages(80, PEOPLE, request.param, seed=6)


def frequency(dosage: np.ndarray) -> np.ndarray:
    called = dosage >= 0
    return (dosage * called).sum(axis=1) / np.maximum(2 * called.sum(axis=1), 1)


def iterate(z: np.ndarray, width: int, k: int, tolerance: float = 1e-13) -> tuple:
    """Run the iteration on ZZᵀ until it has converged or has nothing left."""
    krylov = pca.BlockKrylov(len(z), width, seed=1)
    while True:
        krylov.absorb(z @ (z.T @ krylov.next_block()))
        found = krylov.ritz(k)
        if found.residuals.max() <= tolerance or krylov.exhausted:
            return krylov, found


class TestStandardizedProducts:
    @pytest.mark.parametrize("kernels", ["cpu", "reference"])
    def test_people_are_projected_on_loadings(self, dosage, kernels):
        q = np.random.default_rng(0).normal(size=(80, 7))
        found = pca.project_people(simulate.block(dosage, kernels), frequency(dosage), q)
        np.testing.assert_allclose(found, oracle.standardized(dosage).T @ q, atol=1e-11)

    @pytest.mark.parametrize("kernels", ["cpu", "reference"])
    def test_rows_are_projected_on_scores(self, dosage, kernels):
        scores = np.random.default_rng(0).normal(size=(PEOPLE, 7))
        found = pca.project_rows(simulate.block(dosage, kernels), frequency(dosage), scores)
        np.testing.assert_allclose(found, oracle.standardized(dosage) @ scores, atol=1e-11)

    def test_people_whose_scores_are_zero_add_nothing(self, dosage):
        """So a site leaves people out by zeroing their scores."""
        scores = np.random.default_rng(0).normal(size=(PEOPLE, 2))
        chosen = np.arange(PEOPLE) % 3 > 0
        p = frequency(dosage)
        all_of_them = np.where(chosen[:, None], scores, 0.0)
        found = pca.project_rows(simulate.block(dosage), p, all_of_them)
        alone = pca.project_rows(simulate.block(dosage[:, chosen]), p, scores[chosen])
        np.testing.assert_allclose(found, alone, atol=1e-11)

    def test_rows_that_do_not_vary_are_rows_of_zeros(self, dosage):
        p = frequency(dosage)
        scores = np.ones((PEOPLE, 1))
        found = pca.project_rows(simulate.block(dosage), p, scores)
        for row in ("nobody carries", "all carry twice", "all missing"):
            assert found[simulate.SPECIAL_ROWS[row], 0] == 0.0

    def test_scale_is_one_over_the_standard_deviation_of_a_binomial(self):
        found = pca.row_scale(np.array([0.0, 0.5, 0.1, 1.0]))
        np.testing.assert_allclose(found, [0, np.sqrt(2), 1 / np.sqrt(0.18), 0], rtol=1e-15)


class TestBlockKrylov:
    def test_it_finds_the_eigenpairs_of_a_dense_decomposition(self, dosage):
        z = oracle.standardized(dosage)
        _, found = iterate(z, 16, 3)
        expected = oracle.components(dosage, 3)
        np.testing.assert_allclose(found.eigenvalues / 80, expected.eigenvalues, rtol=1e-12)
        np.testing.assert_allclose(found.vectors, expected.loadings, atol=1e-10)

    def test_the_residual_is_how_far_a_pair_is_from_an_eigenpair(self, dosage):
        z = oracle.standardized(dosage)
        krylov = pca.BlockKrylov(80, 8, seed=1)
        for _ in range(3):
            krylov.absorb(z @ (z.T @ krylov.next_block()))
        found = krylov.ritz(3)
        image = z @ (z.T @ found.vectors)
        expected = np.linalg.norm(image - found.vectors * found.eigenvalues, axis=0)
        np.testing.assert_allclose(
            found.residuals, expected / found.eigenvalues[0], rtol=1e-6, atol=1e-13
        )
        assert found.residuals.max() > 1e-6

    def test_eigenvalues_are_off_by_no_more_than_the_residual(self, dosage):
        z = oracle.standardized(dosage)
        exact = np.linalg.eigvalsh(z.T @ z)[::-1]
        krylov = pca.BlockKrylov(80, 8, seed=1)
        for _ in range(4):
            krylov.absorb(z @ (z.T @ krylov.next_block()))
            found = krylov.ritz(3)
            for value, residual in zip(found.eigenvalues, found.residuals, strict=True):
                assert np.abs(exact - value).min() <= residual * exact[0] * (1 + 1e-9)

    def test_blocks_stay_orthonormal_to_all_before(self, dosage):
        z = oracle.standardized(dosage)
        krylov = pca.BlockKrylov(80, 6, seed=1)
        blocks = []
        while not krylov.exhausted and krylov.rounds < 12:
            blocks.append(krylov.next_block().copy())
            krylov.absorb(z @ (z.T @ blocks[-1]))
        basis = np.hstack(blocks)
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)

    def test_clustered_eigenvalues(self):
        """Three equal to twelve digits: their space is found, whichever vectors span it."""
        rng = np.random.default_rng(3)
        left = np.linalg.qr(rng.normal(size=(60, 30)))[0]
        values = np.r_[9.0, 4.0, 4.0 + 1e-12, 4.0 - 1e-12, np.linspace(1, 0.1, 26)]
        z = left * np.sqrt(values)
        _, found = iterate(z, 12, 4)
        np.testing.assert_allclose(found.eigenvalues, [9, 4, 4, 4], rtol=1e-11)
        inside = left[:, 1:4] @ (left[:, 1:4].T @ found.vectors[:, 1:])
        np.testing.assert_allclose(inside, found.vectors[:, 1:], atol=1e-9)

    def test_a_small_space_is_exhausted(self):
        z = np.random.default_rng(4).normal(size=(50, 5))
        krylov, found = iterate(z, 20, 5, tolerance=0.0)
        assert krylov.exhausted
        np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(z.T @ z)[::-1], rtol=1e-12)

    def test_fewer_rows_than_the_block_is_wide(self):
        z = np.random.default_rng(4).normal(size=(4, 30))
        krylov, found = iterate(z, 20, 4)
        assert krylov.next_block().shape == (4, 0)
        np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(z @ z.T)[::-1], rtol=1e-12)

    def test_an_operator_of_zeros(self):
        krylov, found = iterate(np.zeros((6, 3)), 4, 2)
        assert krylov.exhausted or found.residuals.max() == 0
        np.testing.assert_array_equal(found.eigenvalues, 0.0)

    def test_the_largest_loading_is_positive(self, dosage):
        _, found = iterate(oracle.standardized(dosage), 16, 5)
        largest = np.abs(found.vectors).argmax(axis=0)
        assert (found.vectors[largest, np.arange(5)] > 0).all()
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=0), 1.0, rtol=1e-12)

    def test_the_same_seed_gives_the_same_bits(self, dosage):
        z = oracle.standardized(dosage)
        one, other = (iterate(z, 16, 3)[1] for _ in range(2))
        np.testing.assert_array_equal(one.vectors, other.vectors)
        np.testing.assert_array_equal(one.eigenvalues, other.eigenvalues)


class TestScores:
    def test_only_moments_of_those_who_take_part(self):
        values = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, -2.0]])
        found = pca.summarize_scores(pca.Scores(values), np.array([True, False, True]))
        assert found.people == 2
        assert found.components == 2
        np.testing.assert_array_equal(found.score_sum, [4, 0])
        np.testing.assert_array_equal(found.score_square, [10, 8])

    def test_scores_are_private(self):
        assert issubclass(pca.Scores, Private)
