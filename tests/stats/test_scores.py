from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome_eu.errors import UsageError
from genome_eu.stats import aggregate, scores
from genome_eu.stats.scores import PersonScores, Scale
from tests import simulate
from tests.oracles import scores as oracle

ROWS = pd.DataFrame(
    [
        ("1", 100, "a", "A", "G"),
        ("1", 200, "b", "C", "T"),
        ("1", 300, "p", "A", "T"),
        ("1", 400, "m1", "A", "C"),
        ("1", 400, "m2", "A", "G"),
        ("1", 500, "i", "A", "ATT"),
    ],
    columns=["contig", "position", "id", "ref", "alt"],
)


def weights(*lines):
    return pd.DataFrame(lines, columns=["contig", "position", "effect_allele", "other_allele"])


def why(found):
    return {name: lines for name, lines in found.left_out.items() if lines}


class TestMatching:
    @pytest.mark.parametrize(
        ("line", "row", "ref"),
        [
            (("1", 100, "G", "A"), 0, False),
            (("1", 100, "a", "g"), 0, True),
            (("1", 100, "G", ""), 0, False),
            (("1", 100, "A", ""), 0, True),
            (("1", 200, "A", "G"), 1, False),  # the other strand of T, C
            (("1", 200, "G", "A"), 1, True),
            (("1", 400, "G", "A"), 4, False),
            (("1", 400, "C", ""), 3, False),
            (("1", 500, "ATT", "A"), 5, False),
            (("1", 500, "A", "ATT"), 5, True),
        ],
    )
    def test_rows_that_are_found(self, line, row, ref):
        found = scores.match_weights(weights(line), ROWS)
        assert (found.row.tolist(), found.counts_ref.tolist()) == ([row], [ref])

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (("1", 300, "T", "A"), "weights palindromic"),
            (("1", 300, "A", "T"), "weights palindromic"),
            (("1", 100, "G", "C"), "weights of other alleles"),
            (("1", 100, "T", ""), "weights of other alleles"),
            (("1", 400, "A", "G"), "weights whose effect allele is the REF of several ALTs"),
            (("2", 100, "G", "A"), "weights not in the genotypes"),
            (("1", 101, "G", "A"), "weights not in the genotypes"),
            (("1", 500, "T", "TAA"), "weights of other alleles"),
        ],
    )
    def test_rows_that_are_not(self, line, reason):
        found = scores.match_weights(weights(line), ROWS)
        assert found.row.tolist() == [-1]
        assert why(found) == {reason: 1}

    def test_palindromes_on_request(self):
        lines = weights(("1", 300, "T", "A"))
        found = scores.match_weights(lines, ROWS, palindromic=True)
        assert (found.row.tolist(), found.counts_ref.tolist()) == ([2], [False])

    def test_the_first_line_of_a_row_counts(self):
        lines = weights(("1", 100, "G", "A"), ("1", 100, "A", "G"), ("1", 200, "T", "C"))
        found = scores.match_weights(lines, ROWS)
        assert found.row.tolist() == [0, -1, 1]
        assert why(found) == {"weights repeated": 1}

    def test_by_id(self):
        lines = pd.DataFrame(
            {"id": ["b", "x"], "effect_allele": ["T", "T"], "other_allele": ["", ""]}
        )
        found = scores.match_weights(lines, ROWS)
        assert found.row.tolist() == [1, -1]

    def test_the_other_strand_is_counted(self):
        found = scores.match_weights(weights(("1", 200, "A", "G")), ROWS)
        assert why(found) == {"weights taken on the other strand": 1}


def scored(dosage, columns):
    parts = scores.summarize_people(simulate.block(dosage), columns.dosage, columns.missing)
    return parts + columns.constant


class TestScores:
    rng = np.random.default_rng(3)
    dosage = simulate.dosages(40, 37, 0.1, 4)
    weight = rng.normal(size=(40, 2))
    counts_ref = rng.random(40) < 0.5
    frequency = rng.uniform(0.1, 0.9, 40)

    @pytest.mark.parametrize("imputed", [True, False])
    def test_as_the_definition_reads(self, imputed):
        frequency = self.frequency if imputed else None
        found = scored(self.dosage, scores.score_columns(self.weight, self.counts_ref, frequency))
        for k in range(2):
            expected = oracle.scores(self.dosage, self.weight[:, k], self.counts_ref, frequency)
            np.testing.assert_allclose(found[:, k], expected, rtol=1e-12, atol=1e-12)

    def test_scores_add_over_blocks_of_rows(self):
        whole = scored(self.dosage, scores.score_columns(self.weight, self.counts_ref, None))
        parts = [
            scored(
                self.dosage[at], scores.score_columns(self.weight[at], self.counts_ref[at], None)
            )
            for at in (slice(0, 13), slice(13, 40))
        ]
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-12, atol=1e-12)

    def test_expected_mean_and_spread_are_those_of_independent_rows(self):
        rng = np.random.default_rng(6)
        dosage = rng.binomial(2, self.frequency[:, None], (40, 20_000)).astype(np.int8)
        found = scored(dosage, scores.score_columns(self.weight, self.counts_ref, None))
        scale = scores.expected_scale(self.weight, self.counts_ref, self.frequency)
        np.testing.assert_allclose(found.mean(axis=0), scale.mean, atol=5 * scale.spread[0] / 141)
        np.testing.assert_allclose(found.std(axis=0), scale.spread, rtol=0.03)

    def test_a_score_that_does_not_vary(self):
        with pytest.raises(UsageError, match="same for everybody"):
            scores.expected_scale(np.ones((2, 1)), np.zeros(2, bool), np.array([0.0, 1.0]))

    def test_how_many_rows_carry_a_score(self):
        half = np.full(100, 0.5)
        assert scores.effective_rows(np.ones((100, 1)), half) == pytest.approx(100)
        one = np.full((100, 1), 1e-9)
        one[7] = 1.0
        assert scores.effective_rows(one, half) == pytest.approx(1)
        assert scores.effective_rows(one * 0, half) == 0


class TestBins:
    def test_neighbours_are_joined_until_there_are_enough(self):
        bins = np.array([[1, 0, 12, 3, 8, 30, 0, 2]])
        opens = scores.standing_bins(bins, 10)
        np.testing.assert_array_equal(opens, [1, 0, 0, 1, 0, 1, 0, 0])
        joined = scores.join_bins(bins[:, None], opens[None])
        np.testing.assert_array_equal(joined[0, 0], [13, 0, 0, 11, 0, 32, 0, 0])

    def test_too_few_people_are_one_bin(self):
        opens = scores.standing_bins(np.array([[1, 2, 3]]), 10)
        np.testing.assert_array_equal(opens, [True, False, False])

    def test_without_a_floor_nothing_is_joined(self):
        assert scores.standing_bins(np.array([[0, 2, 0]]), 0).all()
        assert scores.standing_bins(np.array([[0, 2, 0]]), 1).all()

    def test_groups_are_joined_alike_so_that_their_difference_shows_nobody(self):
        women, men = np.array([11, 20, 9]), np.array([1, 20, 10])
        opens = scores.standing_bins(np.stack([women + men, women, men, 0 * men]), 5)
        np.testing.assert_array_equal(opens, [True, False, True])

    @given(
        st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=30),
        st.integers(2, 25),
    )
    def test_nobody_is_lost_and_no_bin_is_small(self, people, floor):
        bins = np.array(people).T
        opens = scores.standing_bins(bins, floor)
        joined = scores.join_bins(bins[:, None], opens[None])[:, 0]
        np.testing.assert_array_equal(joined.sum(axis=1), bins.sum(axis=1))
        assert opens[0]
        left = joined[:, opens][bins.sum(axis=1) > 0]
        assert (left >= floor).all() or opens.sum() == 1


class TestDistribution:
    rng = np.random.default_rng(8)
    values = rng.normal(3.0, 2.0, (90, 2))
    groups = np.array([1, 2, 0] * 30)
    scale = Scale(np.array([3.1, 2.5]), np.array([1.7, 2.2]))

    def summarized(self, who):
        return scores.summarize_distribution(
            PersonScores(self.values[who]), self.groups[who], 3, self.scale, scores.EDGES
        )

    def finished(self, sums):
        return scores.finalize(sums, self.scale, scores.EDGES)

    def test_moments_and_histogram_on_the_scale_of_the_weights(self):
        found = self.finished(self.summarized(slice(None)))
        for group in range(3):
            members = self.values if group == 0 else self.values[self.groups == group]
            for score in range(2):
                one, x = found[group][score], members[:, score]
                assert one.people == len(x)
                assert one.mean == pytest.approx(x.mean(), rel=1e-13)
                assert one.variance == pytest.approx(x.var(ddof=1), rel=1e-12)
                inner = self.scale.mean[score] + self.scale.spread[score] * scores.EDGES
                np.testing.assert_allclose(one.edges, inner, rtol=1e-14, atol=1e-14)
                expected = np.histogram(x, np.concatenate([[-np.inf], inner, [np.inf]]))[0]
                np.testing.assert_array_equal(one.bins, expected)

    def test_sites_that_join_differently_add_exactly(self):
        whole = self.summarized(slice(None))
        parts = []
        for part in (self.summarized(slice(0, 30)), self.summarized(slice(30, None))):
            opens = np.stack([scores.standing_bins(part.polygenic_bins[:, k], 3) for k in range(2)])
            fields = vars(part) | {
                "polygenic_bins": scores.join_bins(part.polygenic_bins, opens),
                "opens": opens,
            }
            parts.append(scores.ScoreDistribution(**fields))
        assert not np.array_equal(parts[0].opens, parts[1].opens)
        found, everybody = self.finished(aggregate.merge(parts)), self.finished(whole)
        for group in range(3):
            for score in range(2):
                one, all_bins = found[group][score], everybody[group][score]
                assert one.bins.sum() == all_bins.people
                at = np.searchsorted(all_bins.edges, one.edges)
                np.testing.assert_array_equal(all_bins.edges[at], one.edges)
                starts = np.append(0, at + 1)
                np.testing.assert_array_equal(one.bins, np.add.reduceat(all_bins.bins, starts))
                assert one.mean == pytest.approx(all_bins.mean, rel=1e-13)

    def test_people_left_out_are_not_counted(self):
        groups = np.where(np.arange(90) < 10, -1, self.groups)
        found = scores.summarize_distribution(
            PersonScores(self.values), groups, 3, self.scale, scores.EDGES
        )
        assert found.people[0] == 80

    def test_a_withheld_group_is_none(self):
        part = self.summarized(slice(None))
        part = scores.ScoreDistribution(**vars(part) | {"shown": np.array([True, False, True])})
        assert self.finished(part)[1] == [None, None]

    def test_nobody_has_no_mean(self):
        nobody = scores.summarize_distribution(
            PersonScores(self.values), np.full(90, -1), 1, self.scale, scores.EDGES
        )
        one = self.finished(nobody)[0][0]
        assert one.people == 0
        assert np.isnan(one.mean)
        assert np.isnan(one.variance)
