from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2
from statsmodels.stats.meta_analysis import combine_effects

from genome_eu.errors import BadInput, UsageError
from genome_eu.stats import meta
from genome_eu.stats.meta.alleles import canonical
from genome_eu.stats.tails import (
    chi2_neg_log10_p,
    normal_from_neg_log10_p,
    normal_neg_log10_p,
)
from tests.oracles import meta as oracle

NAN = np.nan


def study(name, lines, n=100.0):
    """Lines are (key, effect allele, other allele, beta, se)."""
    key, effect, other, beta, se = (np.array(column, object) for column in zip(*lines, strict=True))
    beta, se = beta.astype(float), se.astype(float)
    return meta.Study(
        name=name,
        key=key,
        contig=np.full(len(key), "", object),
        position=np.zeros(len(key), np.int64),
        effect_allele=effect,
        other_allele=other,
        beta=beta,
        se=se,
        neg_log10_p=normal_neg_log10_p(beta / np.where(se > 0, se, NAN)),
        n=np.full(len(key), n),
        frequency=np.full(len(key), 0.25),
    )


class TestAlleles:
    @pytest.mark.parametrize(
        ("pair", "expected"),
        [
            (("A", "G"), (("A", "G"), False, False)),
            (("g", "a"), (("A", "G"), True, False)),
            (("T", "C"), (("A", "G"), False, True)),
            (("C", "T"), (("A", "G"), True, True)),
            (("T", "G"), (("A", "C"), False, True)),
            (("T", "A"), (("A", "T"), True, False)),
            (("G", "C"), (("C", "G"), True, False)),
            (("2", "4"), (("A", "G"), True, True)),
            (("AT", "A"), (("A", "AT"), True, False)),
            (("T", "TA"), (("T", "TA"), False, False)),
            (("I", "D"), (("D", "I"), True, False)),
        ],
    )
    def test_pairs_in_order_and_on_one_strand(self, pair, expected):
        assert canonical(*pair) == expected

    @pytest.mark.parametrize("pair", [("A", "A"), ("", "G"), ("NA", "G"), ("A", ".")])
    def test_what_is_no_pair(self, pair):
        assert canonical(*pair) is None


class TestAlignment:
    one = study("one", [("a", "A", "G", 1, 1), ("b", "C", "T", 1, 1), ("c", "A", "T", 1, 1)])

    def test_swap_strand_and_palindrome(self):
        two = study("two", [("a", "G", "A", 2, 1), ("b", "G", "A", 2, 1), ("c", "T", "A", 2, 1)])
        found = meta.align([self.one, two])
        assert found.effect_allele.tolist() == ["A", "C", "A"]
        np.testing.assert_array_equal(found.sign, [[1, 1, 1], [-1, 1, -1]])
        beta = found.gather([self.one.beta, two.beta], signed=True)
        np.testing.assert_array_equal(beta, [[1, 1, 1], [-2, 2, -2]])
        assert found.left_out["two"]["effects turned"] == 2
        assert found.left_out["two"]["rows on the other strand"] == 1

    def test_palindromes_can_be_left_out(self):
        found = meta.align([self.one, self.one.select(np.array([2, 0]))], palindromic="drop")
        assert found.key.tolist() == ["a", "b"]
        assert found.left_out["one"]["palindromic rows left out"] == 1

    def test_rows_of_other_alleles_and_repeated_rows_are_counted(self):
        two = study(
            "two",
            [
                ("a", "A", "C", 5, 1),
                ("a", "A", "G", 6, 1),
                ("a", "A", "G", 7, 1),
                ("z", "A", "A", 8, 1),
                ("new", "T", "C", 9, 1),
            ],
        )
        found = meta.align([self.one, two])
        assert found.key.tolist() == ["a", "b", "c", "new"]
        np.testing.assert_array_equal(found.place[1], [1, -1, -1, 4])
        assert found.left_out["two"] == {
            "rows without two alleles": 1,
            "palindromic rows left out": 0,
            "rows of other alleles": 1,
            "repeated rows": 1,
            "effects turned": 0,
            "rows on the other strand": 0,
        }

    def test_keys_by_position_do_not_depend_on_order_or_strand(self):
        contig, position = np.full(4, "7", object), np.full(4, 123)
        one, other = (np.array(list(text), object) for text in ("AGCA", "GATT"))
        keys = meta.keys_by_position(contig, position, one, other)
        assert keys.tolist() == ["7:123:A/G"] * 3 + ["7:123:A/T"]

    def test_an_unknown_rule(self):
        with pytest.raises(UsageError, match="choose keep or drop"):
            meta.align([self.one, self.one], palindromic="guess")


def simulated(seed, studies=4, variants=60):
    """Effects and standard errors, some variants missing from some studies."""
    rng = np.random.default_rng(seed)
    beta = rng.normal(0.1, 0.3, (studies, variants))
    se = rng.uniform(0.05, 0.4, (studies, variants))
    absent = rng.random(beta.shape) < 0.3
    absent[0, absent.all(axis=0)] = False
    beta[absent] = se[absent] = NAN
    return beta, se


class TestFixedAndRandomEffects:
    @pytest.mark.parametrize("seed", [1, 2])
    def test_as_the_definitions_read(self, seed):
        beta, se = simulated(seed)
        fixed = meta.fixed_effect(beta, se)
        differ = meta.cochran(beta, 1 / se**2, fixed.beta)
        random, tau2 = meta.random_effects(beta, se)
        for j in range(beta.shape[1]):
            here = ~np.isnan(beta[:, j])
            b, s = beta[here, j].tolist(), se[here, j].tolist()
            assert (fixed.beta[j], fixed.se[j]) == pytest.approx(oracle.fixed(b, s), rel=1e-13)
            assert (random.beta[j], random.se[j]) == pytest.approx(oracle.random(b, s), rel=1e-12)
            assert tau2[j] == pytest.approx(oracle.between(b, s), rel=1e-11, abs=1e-16)
            assert differ.df[j] == len(b) - 1
            if len(b) > 1:
                assert differ.q[j] == pytest.approx(oracle.cochran_q(b, s), rel=1e-11)
                assert differ.i_squared[j] == pytest.approx(oracle.i_squared(b, s), abs=1e-11)
                expected = oracle.chi2_neg_log10_p(oracle.cochran_q(b, s), len(b) - 1)
                assert differ.neg_log10_p[j] == pytest.approx(expected, rel=1e-10)

    def test_as_statsmodels(self):
        beta, se = simulated(3, studies=6, variants=20)
        fixed, (random, tau2) = meta.fixed_effect(beta, se), meta.random_effects(beta, se)
        for j in range(beta.shape[1]):
            here = ~np.isnan(beta[:, j])
            if here.sum() < 2:
                continue
            theirs = combine_effects(beta[here, j], se[here, j] ** 2, method_re="dl")
            assert fixed.beta[j] == pytest.approx(theirs.mean_effect_fe, rel=1e-12)
            assert fixed.se[j] == pytest.approx(theirs.sd_eff_w_fe, rel=1e-12)
            # Theirs may be negative; a variance is not.
            assert tau2[j] == pytest.approx(max(theirs.tau2, 0.0), rel=1e-11)
            if theirs.tau2 > 0:
                assert random.beta[j] == pytest.approx(theirs.mean_effect_re, rel=1e-12)
                assert random.se[j] == pytest.approx(theirs.sd_eff_w_re, rel=1e-12)
            else:
                assert random.beta[j] == pytest.approx(fixed.beta[j], rel=1e-14)

    def test_one_study_does_not_differ_from_itself(self):
        beta, se = np.array([[0.3], [NAN]]), np.array([[0.1], [NAN]])
        fixed = meta.fixed_effect(beta, se)
        differ = meta.cochran(beta, 1 / se**2, fixed.beta)
        random, tau2 = meta.random_effects(beta, se)
        assert [differ.q, differ.df, differ.i_squared, differ.neg_log10_p, tau2] == [0] * 5
        assert random.beta == pytest.approx(0.3, rel=1e-15)

    def test_equal_effects_have_no_heterogeneity(self):
        beta, se = np.full((3, 1), 0.25), np.array([[0.1], [0.2], [0.3]])
        random, tau2 = meta.random_effects(beta, se)
        assert tau2 == 0
        assert random.se == meta.fixed_effect(beta, se).se


class TestSampleSize:
    def test_as_the_definition_reads(self):
        rng = np.random.default_rng(4)
        z, n = rng.normal(size=(3, 30)), rng.integers(50, 5000, (3, 30)).astype(float)
        z[1, ::3] = n[1, ::3] = NAN
        found, total = meta.sample_size(z, n)
        for j in range(30):
            here = ~np.isnan(z[:, j])
            assert found[j] == pytest.approx(oracle.stouffer(z[here, j], n[here, j]), rel=1e-13)
            assert total[j] == n[here, j].sum()

    def test_a_zero_effect_is_positive_and_minus_zero_is_not(self):
        lines = [("a", "A", "G", 0.0, 1), ("b", "A", "G", -0.0, 1)]
        one = study("one", lines)
        one = meta.Study(**vars(one) | {"neg_log10_p": np.array([2.0, 2.0])})
        found = meta.combine([one, study("two", [("c", "A", "G", 1, 1)])], scheme="samplesize")
        assert found.direction.tolist() == ["+?", "-?", "?+"]

    def test_p_of_one_has_no_direction(self):
        one = study("one", [("a", "A", "G", -0.1, 1)])
        one = meta.Study(**vars(one) | {"neg_log10_p": np.array([0.0])})
        found = meta.combine([one, study("two", [("a", "G", "A", 1, 1)])], scheme="samplesize")
        assert found.direction.tolist() == ["0-"]

    def test_p_below_the_smallest_float(self):
        one = study("one", [("a", "A", "G", 1, 1)])
        one = meta.Study(**vars(one) | {"neg_log10_p": np.array([1000.0])})
        two = meta.Study(**vars(one) | {"name": "two"})
        found = meta.combine([one, two], scheme="samplesize")
        z = normal_from_neg_log10_p(1000.0) * np.sqrt(2)
        assert found.estimate.z == pytest.approx(z, rel=1e-13)
        assert found.estimate.neg_log10_p > 1990


class TestCombine:
    def test_each_study_is_divided_by_its_own_inflation(self):
        rng = np.random.default_rng(5)
        keys = [f"v{j}" for j in range(501)]
        lines = [
            (key, "A", "G", b, 0.1) for key, b in zip(keys, rng.normal(0, 0.2, 501), strict=True)
        ]
        quiet = [
            (key, "A", "G", b, 0.1) for key, b in zip(keys, rng.normal(0, 0.05, 501), strict=True)
        ]
        loud, quiet = study("loud", lines), study("quiet", quiet)
        found = meta.combine([loud, quiet], genomic_control=True)
        median = np.median((loud.beta / loud.se) ** 2) / chi2.ppf(0.5, 1)
        assert found.inflation == {"loud": pytest.approx(median, rel=1e-12), "quiet": 1.0}
        corrected = meta.fixed_effect(
            np.array([loud.beta, quiet.beta]), np.array([loud.se * median**0.5, quiet.se])
        )
        np.testing.assert_allclose(
            found.estimate.fixed.beta, corrected.beta, rtol=1e-12, atol=1e-15
        )
        np.testing.assert_allclose(found.estimate.fixed.se, corrected.se, rtol=1e-12)

    def test_rows_without_numbers_are_left_out_and_counted(self):
        one = study(
            "one", [("a", "A", "G", 1, 0.0), ("b", "A", "G", NAN, 1), ("c", "A", "G", 1, 1)]
        )
        found = meta.combine([one, study("two", [("c", "A", "G", 3, 1)])])
        assert found.aligned.key.tolist() == ["c"]
        assert found.aligned.left_out["one"]["rows without usable numbers"] == 2
        assert found.estimate.fixed.beta == 2.0
        assert found.errcode.tolist() == [0]

    def test_people_and_frequency_of_those_who_have_the_variant(self):
        one = study("one", [("a", "A", "G", 1, 1), ("b", "A", "G", 1, 1)], n=100)
        two = study("two", [("a", "G", "A", 1, 1)], n=300)
        found = meta.combine([one, two], scheme="samplesize")
        np.testing.assert_array_equal(found.n, [400, 100])
        np.testing.assert_allclose(found.frequency, [(100 * 0.25 + 300 * 0.75) / 400, 0.25])
        assert [meta.ERRCODES[code] for code in found.errcode] == [".", "ONE_STUDY"]

    def test_order_of_studies_changes_only_whose_alleles_are_named(self):
        one = study("one", [("a", "A", "G", 1, 0.5), ("b", "A", "G", -1, 0.2)])
        two = study("two", [("a", "G", "A", 2, 0.3), ("b", "C", "T", 3, 0.4)])
        forth, back = meta.combine([one, two]), meta.combine([two, one])
        sign = np.where(forth.aligned.effect_allele == back.aligned.effect_allele, 1, -1)
        sign[1] = -1  # A/G and C/T: C is G on the other strand.
        np.testing.assert_allclose(forth.estimate.z, sign * back.estimate.z, rtol=1e-14)

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"scheme": "fixed"}, "choose ivw or samplesize"), ({"palindromic": "x"}, "keep or drop")],
    )
    def test_options_that_do_not_exist(self, options, message):
        one = study("one", [("a", "A", "G", 1, 1)])
        with pytest.raises(UsageError, match=message):
            meta.combine([one, study("two", [("a", "A", "G", 1, 1)])], **options)

    def test_one_study_or_two_of_a_name(self):
        one = study("one", [("a", "A", "G", 1, 1)])
        with pytest.raises(UsageError, match="at least two"):
            meta.combine([one])
        with pytest.raises(UsageError, match="same name"):
            meta.combine([one, one])

    def test_a_study_without_what_the_scheme_needs(self):
        one = study("one", [("a", "A", "G", 1, NAN)])
        with pytest.raises(
            BadInput, match="study one has no row with an effect and a standard error"
        ):
            meta.combine([one, study("two", [("a", "A", "G", 1, 1)])])


class TestTails:
    @pytest.mark.parametrize("z", [0.0, 1e-6, 0.3, 1.96, 8.0, 37.0, 39.0, 100.0, 3000.0])
    def test_normal(self, z):
        found = normal_neg_log10_p(-z)
        assert found == pytest.approx(oracle.normal_neg_log10_p(z), rel=1e-11, abs=1e-15)
        assert normal_from_neg_log10_p(found) == pytest.approx(z, rel=1e-9, abs=1e-12)

    @pytest.mark.parametrize("df", [1, 2, 5, 28])
    @pytest.mark.parametrize("x", [1e-6, 0.5, 2.0, 9.0, 60.0, 1500.0, 1e5])
    def test_chi_square(self, x, df):
        expected = oracle.chi2_neg_log10_p(x, df)
        assert chi2_neg_log10_p(x, df) == pytest.approx(expected, rel=1e-12, abs=1e-16)

    def test_chi_square_where_there_is_none(self):
        found = chi2_neg_log10_p([NAN, 1.0, 0.0, np.inf], [1, 0, 3, 2])
        np.testing.assert_array_equal(found, [NAN, NAN, 0.0, np.inf])
