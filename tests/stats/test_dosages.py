from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.stats import dosages, linear
from genome_eu.stats.aggregate import concatenate, merge
from tests import simulate
from tests.kernels.test_dense import draw_codes
from tests.oracles import dosages as oracle
from tests.oracles import linear as linear_oracle

MODELS = [(missing, effects) for missing in ("mean", "drop") for effects in (True, False)]


def drawn(rows: int, people: int, missing: float, seed: int) -> np.ndarray:
    """Fractional dosages; the first rows are constant, certain, missing and all alike but one."""
    dosage = oracle.of_codes(draw_codes(rows, people, missing, seed))
    dosage[0] = 0.3125
    dosage[1] = 2.0
    dosage[2] = -1.0
    dosage[3], dosage[3, 0] = 1.0, 1.0 + 1 / oracle.ONE
    return dosage


class TestFrequencies:
    @settings(max_examples=40, deadline=None)
    @given(st.sampled_from((0.0, 0.1, 0.5)), st.integers(0, 2**32 - 1), st.integers(1, 5))
    def test_any_split_gives_what_everybody_does(self, missing, seed, sites):
        dosage = drawn(9, 40, missing, seed)
        site = np.random.default_rng(seed).integers(0, sites, 40)
        everybody = np.zeros(40, int)
        parts = [
            concatenate(
                [
                    dosages.summarize(simulate.dense(dosage[rows][:, site == here]), zeros, 1)
                    for rows in (slice(0, 4), slice(4, 9))
                ]
            )
            for here in np.unique(site)
            for zeros in [np.zeros((site == here).sum(), int)]
        ]
        found = dosages.finalize(merge(parts))
        whole = dosages.finalize(dosages.summarize(simulate.dense(dosage), everybody, 1))
        frequency, r2 = oracle.summary(dosage)
        for one in (found, whole):
            np.testing.assert_allclose(one.allele_frequency[:, 0], frequency, rtol=1e-15)
            np.testing.assert_allclose(one.imputation_r2[:, 0], r2, rtol=1e-12, atol=1e-13)
        # Sums of dosages are exact, so it does not matter who is added to whom.
        np.testing.assert_array_equal(found.imputation_r2, whole.imputation_r2)

    def test_certain_genotypes_in_their_proportions_are_imputed_perfectly(self):
        dosage = np.repeat([0.0, 1.0, 2.0], [1, 2, 1])[None]
        found = dosages.finalize(dosages.summarize(simulate.dense(dosage), np.zeros(4, int), 1))
        assert (found.allele_frequency, found.imputation_r2) == (0.5, 1.0)

    def test_people_who_take_no_part(self):
        dosage = drawn(9, 40, 0.1, seed=2)
        chosen = np.arange(40) % 3 > 0
        part = dosages.summarize(simulate.dense(dosage), np.where(chosen, 0, -1), 1)
        expected = dosages.summarize(simulate.dense(dosage[:, chosen]), np.zeros(26, int), 1)
        for name, value in vars(expected).items():
            np.testing.assert_array_equal(getattr(part, name), value, err_msg=name)


class TestFilters:
    def found(self, **more) -> dosages.DosageFrequencies:
        values = {
            "n_called": np.full(6, 100),
            "allele_count": np.zeros(6),
            "allele_number": np.full(6, 200),
            "n_lost": np.zeros(6, int),
            "allele_frequency": np.array([0.5, 0.995, 0.01, np.nan, 0.5, 0.2]),
            "imputation_r2": np.array([0.9, 0.9, 0.1, np.nan, 0.3, np.nan]),
            "alleles_withheld": np.array([0, 0, 0, 0, 0, 0], bool),
            "genotypes_withheld": np.array([0, 0, 0, 0, 0, 1], bool),
        }
        columns = {name: array[:, None] for name, array in (values | more).items()}
        return dosages.DosageFrequencies(**columns)

    @pytest.mark.parametrize(
        ("min_info", "min_maf", "unknown", "rare", "poor"),
        [
            (0.0, 0.0, [], [], []),
            (0.3, 0.0, [5], [], [2, 3]),
            (0.0, 0.01, [], [1, 3], []),
            (0.5, 0.05, [5], [1, 2, 3], [4]),
        ],
    )
    def test_a_row_fails_for_one_reason(self, min_info, min_maf, unknown, rare, poor):
        failed = dosages.failing(self.found(), min_info, min_maf)
        assert [np.flatnonzero(rows).tolist() for rows in failed.values()] == [unknown, rare, poor]


class TestLinear:
    """The same functions as for hard calls, on blocks of dosages."""

    def fit(self, dosage, x, y, site, missing, site_effects, kernels="cpu"):
        kind = linear.DosageMeanSums if site_effects else linear.DosageRawSums
        summarize = linear.summarize_mean if site_effects else linear.summarize_raw
        if missing == "drop":
            kind, summarize = linear.DosageCompleteSums, linear.summarize_complete
        scale = y.std(axis=0)
        designs, rows = [], []
        for place in np.unique(site):
            here = site == place
            model = linear.design(
                (x - x.mean(axis=0))[here], (y / scale)[here], site_effects=site_effects
            )
            designs.append(linear.summarize_design(model))
            rows.append(summarize(simulate.dense(dosage[:, here], kernels), model, kind))
        return linear.finalize(merge(designs), merge(rows), scale)

    @pytest.mark.parametrize("rate", [0.0, 0.02, 0.2])
    @pytest.mark.parametrize(("missing", "site_effects"), MODELS)
    def test_every_model_is_least_squares(self, missing, site_effects, rate):
        rng = np.random.default_rng(3)
        dosage = drawn(30, 90, rate, seed=4)
        x = rng.normal(size=(90, 2))
        y = (x @ [0.5, -1.0] + np.maximum(dosage[7], 0) + rng.normal(size=90))[:, None]
        site = rng.permutation(np.repeat([0, 1, 2], [50, 35, 5]))
        expected = linear_oracle.fit(
            dosage, y[:, 0], x, site, missing=missing, site_effects=site_effects
        )
        for kernels in ("cpu", "reference"):
            found = self.fit(dosage, x, y, site, missing, site_effects, kernels)
            # One step of one person is a row that varies, though the oracle's tolerance is coarser.
            rows = np.flatnonzero(np.arange(30) != 3)
            defined = np.isfinite(expected.beta)
            np.testing.assert_array_equal((found.errcode_words[:, 0] == ".")[rows], defined[rows])
            np.testing.assert_array_equal(found.n[:, 0], expected.n)
            rows = np.flatnonzero(defined & (np.arange(30) != 3))
            error = np.abs(found.beta[rows, 0] - expected.beta[rows])
            assert (error <= 1e-9 * expected.se[rows]).all()
            np.testing.assert_allclose(found.se[rows, 0], expected.se[rows], rtol=1e-9)
        assert found.errcode_words[:3, 0].tolist() == [
            "CONST_ALLELE",
            "CONST_ALLELE",
            "TOO_FEW" if missing == "drop" else "CONST_ALLELE",
        ]

    def test_a_row_of_hard_calls_counts_them(self):
        dosage = np.array([[0.0, 1.0, 2.0, 0.5, 1.05, -1.0] * 3])
        design = linear.design(np.empty((18, 0)), np.arange(18.0)[:, None], site_effects=True)
        part = linear.summarize_mean(simulate.dense(dosage), design, linear.DosageMeanSums)
        assert (part.hard_called.item(), part.hard_count.item()) == (12, 12)
        assert part.called.item() == 15
        np.testing.assert_allclose(part.allele_count, 3 * 4.55, rtol=1e-5)
