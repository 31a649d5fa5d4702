"""Polygenic scores over sites are those of the pooled people, and only distributions leave."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

import genome_eu as ge
from genome_eu.errors import GenomeEuError, PanelError, Refused
from genome_eu.formats.weights import Weights
from genome_eu.stats import scores as statistics
from tests import simulate
from tests.laws.splits import block_sizes, law, rates, sites
from tests.oracles import scores as oracle

ROWS = 60
RNG = np.random.default_rng(31)
#: G is ALT in simulated genotypes, A is REF... of the first allele of the PLINK file.
COUNTS_REF = RNG.random(ROWS) < 0.4
WEIGHT = RNG.normal(size=(ROWS, 2))


def weights(cohort, names=("one", "two")):
    rows = ge.open_cohort(cohort.store.path).rows
    effect = np.where(COUNTS_REF, rows["ref"], rows["alt"])
    other = np.where(COUNTS_REF, rows["alt"], rows["ref"])
    lines = pd.DataFrame(
        {
            "contig": rows["contig"].astype(str),
            "position": rows["position"],
            "effect_allele": effect,
            "other_allele": other,
        }
    )
    order = np.random.default_rng(5).permutation(ROWS)
    return Weights(lines.iloc[order].reset_index(drop=True), WEIGHT[order], tuple(names))


def pooled(cohort, *, imputed=True):
    """Scores one person and one row at a time; rows that nobody is called in are no part."""
    dosage = cohort.dosage
    called = (dosage >= 0).sum(axis=1)
    kept = called > 0
    frequency = np.where(dosage >= 0, dosage, 0)[kept].sum(axis=1) / (2 * called[kept])
    return np.column_stack(
        [
            oracle.scores(
                dosage[kept], WEIGHT[kept, k], COUNTS_REF[kept], frequency if imputed else None
            )
            for k in range(2)
        ]
    )


@pytest.mark.parametrize("missing", ["mean", "zero"])
@given(rate=rates, site=sites(least=2), block_size=block_sizes)
@law
def test_the_distribution_is_the_pooled_one(cohort_with, missing, rate, site, block_size):
    cohort = cohort_with(rate)
    found = simulate.split(cohort, site, block_size=block_size).score(
        weights(cohort), by="sex", missing=missing
    )
    expected = pooled(cohort, imputed=missing == "mean")
    sex = cohort.people["sex"].to_numpy()
    assert found["cohort_id"].values.tolist() == ["Total", "F", "M"]
    assert "sample_score_sum" not in found
    for group, members in enumerate([np.ones(len(sex), bool), sex == "F", sex == "M"]):
        values = expected[members]
        assert found["score_people"].values[group] == len(values)
        np.testing.assert_allclose(found["score_mean"][group], values.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(
            found["score_variance"][group], values.var(axis=0, ddof=1), rtol=1e-9
        )
        for score in range(2):
            edges = found["score_edge"].values[score]
            bins = np.histogram(values[:, score], [-np.inf, *edges, np.inf])[0]
            np.testing.assert_array_equal(found["score_bin_people"].values[group, score], bins)


@given(rate=rates, site=sites())
@law
def test_a_cohort_has_its_own_peoples_scores(cohort_with, rate, site):
    cohort = cohort_with(rate)
    whole = ge.open_cohort(cohort.store.path)
    found = whole.score(weights(cohort))
    np.testing.assert_allclose(found["sample_score_sum"], pooled(cohort), rtol=1e-10, atol=1e-12)
    one = np.sort(cohort.people["sex"].unique())[0]
    some = whole.where(sex=one).score(weights(cohort))
    assert some.sizes["samples"] == (cohort.people["sex"] == one).sum()


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("floors")
    return simulate.cohort(folder, rows=ROWS, people_number=600, missing=0.0, seed=3)


class TestUnderFloors:
    def asked(self, cohort, weights, **options):
        site = np.array(["A", "B"])[np.arange(600) % 2]
        return simulate.split(cohort, site, policy="default").score(weights, **options)

    def test_bins_have_enough_people_in_every_group(self, larger):
        found = self.asked(larger, weights(larger), by="sex")
        assert found["cohort_id"].values.tolist() == ["Total", "F", "M"]
        bins = found["score_bin_people"].values
        left = bins >= 0
        assert (left == left[:1]).all()
        assert (bins[left] >= 10).all()
        assert 3 < left[0, 0].sum() < statistics.EDGES.size
        np.testing.assert_array_equal(
            np.where(left, bins, 0).sum(axis=2)[:, 0], found["score_people"]
        )
        np.testing.assert_array_equal(bins[0], np.where(left[0], bins[1:].sum(axis=0), -1))

    def test_a_score_of_one_row_is_that_row(self, larger):
        given = weights(larger)
        only = np.full_like(given.weights, 1e-7)
        only[20] = 1.0
        with pytest.raises(Refused, match="carried by fewer than 10 rows"):
            self.asked(larger, Weights(given.lines, only, ("one", "two")))


class TestWhatCannotBe:
    @pytest.fixture
    def cohort(self, cohort_with):
        return cohort_with(0.0)

    def test_weights_of_other_rows(self, cohort):
        given = weights(cohort)
        lines = given.lines.assign(position=given.lines["position"] + 1)
        with pytest.raises(PanelError, match="no weight speaks of a row"):
            ge.open_cohort(cohort.store.path).score(Weights(lines, given.weights, given.names))

    def test_weights_of_rows_that_do_not_vary(self, cohort):
        given = weights(cohort)
        kept = (given.lines["position"] == 1000).to_numpy()
        one = Weights(given.lines[kept], given.weights[kept], given.names)
        with pytest.raises(GenomeEuError, match="same for everybody"):
            ge.open_cohort(cohort.store.path).score(one)

    def test_what_is_left_out_is_counted(self, cohort):
        given = weights(cohort)
        lines = given.lines.copy()
        lines.loc[3, "other_allele"] = "T"
        found = ge.open_cohort(cohort.store.path).score(Weights(lines, given.weights, given.names))
        assert '"weights of other alleles": 1' in found.attrs["left_out"]
        assert '"rows that nobody is called in": 1' in found.attrs["left_out"]
        assert found.attrs["rows_used"] == ROWS - 2


def test_expected_scales_are_the_same_for_all(cohort_with):
    """What sites divide by comes from the plan, so that it is the same number everywhere."""
    frequency = np.linspace(0.1, 0.9, ROWS)
    one = statistics.expected_scale(WEIGHT, COUNTS_REF, frequency)
    two = statistics.expected_scale(WEIGHT.copy(), COUNTS_REF.copy(), frequency.copy())
    np.testing.assert_array_equal(one.spread, two.spread)
