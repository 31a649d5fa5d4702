from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from genome_eu.errors import BadInput
from genome_eu.stats import counts, linear, pca, traits, variants  # noqa: F401  declare themselves
from genome_eu.stats.aggregate import (
    AGGREGATES,
    Aggregate,
    concatenate,
    count,
    dimension_sizes,
    every,
    has_rows,
    merge,
    same,
    total,
)


@dataclass(frozen=True, eq=False)
class Toy(Aggregate):
    """One field of every kind. Without a name it is no statistic, so nothing can release it."""

    people: NDArray = count("people", gate="people")
    alleles: NDArray = count("alleles", "rows", gate="alleles")
    product: NDArray = total("x·g", "columns", "rows", gate="association")
    square: NDArray = total("x²", "columns", "columns", gate="moments")
    columns: NDArray = same("number", gate="label")
    shown: NDArray = every("flag", "rows")


def toy(rows: int = 3, people: int = 10, seed: int = 0, columns: int = 2) -> Toy:
    rng = np.random.default_rng(seed)
    return Toy(
        people=people,
        alleles=rng.integers(0, 50, rows),
        product=rng.normal(size=(columns, rows)),
        square=np.eye(columns) * people,
        columns=columns,
        shown=np.ones(rows, bool),
    )


class TestFields:
    def test_values_become_arrays_of_the_declared_type(self):
        part = toy()
        assert part.people.dtype == np.int64
        assert part.people.shape == ()
        assert part.product.dtype == np.float64
        assert part.shown.dtype == np.bool_

    def test_whole_numbers_may_come_as_floats(self):
        assert replace(toy(), people=10.0).people == 10

    @pytest.mark.parametrize("people", [10.5, np.nan, np.inf])
    def test_a_count_is_never_rounded_to_fit(self, people):
        with pytest.raises(BadInput, match="people holds values that are not int64"):
            replace(toy(), people=people)

    def test_a_flag_is_never_anything_but_true_or_false(self):
        with pytest.raises(BadInput, match="shown holds values that are not bool"):
            replace(toy(), shown=np.array([0, 1, 2]))

    def test_the_number_of_dimensions_is_checked(self):
        with pytest.raises(BadInput, match="alleles has 2 dimensions, but is declared over"):
            replace(toy(), alleles=np.zeros((3, 1), int))

    def test_dimensions_of_one_name_have_one_size(self):
        with pytest.raises(BadInput, match="has 4 rows, another field has 3"):
            replace(toy(), shown=np.ones(4, bool))

    def test_a_square_field_is_square(self):
        with pytest.raises(BadInput, match=r"square has 3 columns, another field has 2"):
            replace(toy(), square=np.zeros((2, 3)))

    def test_sizes_by_name(self):
        assert dimension_sizes(toy(rows=5)) == {"rows": 5, "columns": 2}
        assert toy(rows=5).rows == 5

    def test_it_cannot_be_changed(self):
        with pytest.raises(AttributeError, match="cannot assign"):
            toy().people = np.int64(3)


class TestMerge:
    def test_counts_and_sums_add(self):
        a, b = toy(seed=1), toy(seed=2, people=7)
        both = merge([a, b])
        assert both.people == 17
        np.testing.assert_array_equal(both.alleles, a.alleles + b.alleles)
        np.testing.assert_array_equal(both.product, a.product + b.product)

    def test_counts_are_exact_beyond_the_digits_of_a_float(self):
        big = 2**60 + 1
        parts = [replace(toy(), people=big, alleles=np.full(3, big)) for _ in range(3)]
        assert merge(parts).people == 3 * big
        np.testing.assert_array_equal(merge(parts).alleles, 3 * big)

    def test_numbers_without_a_dimension_keep_none(self):
        assert merge([toy(), toy()]).people.shape == ()
        assert merge([toy(), toy()]).columns.shape == ()

    def test_the_parts_are_left_as_they_are(self):
        a, b = toy(seed=1), toy(seed=2)
        before = a.alleles.copy(), a.product.copy(), b.product.copy()
        merged = merge([a, b])
        merged.alleles[0] = 999
        for part, kept in zip((a.alleles, a.product, b.product), before, strict=True):
            np.testing.assert_array_equal(part, kept)

    def test_every_holds_only_where_it_holds_at_every_site(self):
        flags = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], bool)
        merged = merge([replace(toy(), shown=flag) for flag in flags])
        np.testing.assert_array_equal(merged.shown, [True, False, False])

    def test_one_part_is_itself(self):
        part = toy()
        for item in fields(part):
            np.testing.assert_array_equal(
                getattr(merge([part]), item.name), getattr(part, item.name)
            )

    def test_sites_must_agree_on_what_is_the_same(self):
        with pytest.raises(BadInput, match=r"sites disagree on .*columns"):
            merge([toy(), replace(toy(), columns=3)])

    def test_shapes_must_agree(self):
        with pytest.raises(BadInput, match=r"alleles differs in shape between sites"):
            merge([toy(rows=3), toy(rows=4)])

    def test_one_row_is_not_spread_over_many(self):
        with pytest.raises(BadInput, match=r"differs in shape between sites"):
            merge([toy(rows=4), toy(rows=1)])

    def test_different_statistics_do_not_add(self):
        other = traits.summarize(np.ones((3, 1)), np.ones((3, 1)))
        with pytest.raises(BadInput, match=r"cannot merge \['Toy', 'TraitMoments'\]"):
            merge([toy(), other])


class TestConcatenate:
    def test_rows_join_along_the_axis_that_has_them(self):
        a, b = toy(rows=3), replace(toy(rows=2, seed=5))
        joined = concatenate([a, b])
        assert joined.rows == 5
        np.testing.assert_array_equal(joined.alleles, np.append(a.alleles, b.alleles))
        np.testing.assert_array_equal(joined.product, np.hstack([a.product, b.product]))
        np.testing.assert_array_equal(joined.square, a.square)
        assert joined.people == 10

    def test_an_empty_block_adds_nothing(self):
        joined = concatenate([toy(rows=3), toy(rows=0)])
        np.testing.assert_array_equal(joined.alleles, toy(rows=3).alleles)

    def test_blocks_of_other_people_do_not_join(self):
        with pytest.raises(BadInput, match=r"blocks disagree on .*people"):
            concatenate([toy(people=10), toy(people=11)])

    def test_what_is_not_a_number_in_every_block_is_no_disagreement(self):
        part = replace(toy(), square=np.full((2, 2), np.nan))
        assert concatenate([part, part]).rows == 6

    def test_joining_then_merging_is_merging_then_joining(self):
        sites = [[toy(rows=2, seed=site), toy(rows=3, seed=10 + site)] for site in range(3)]
        one = merge([concatenate(blocks) for blocks in sites])
        other = concatenate([merge(parts) for parts in zip(*sites, strict=True)])
        for item in fields(Toy):
            np.testing.assert_array_equal(getattr(one, item.name), getattr(other, item.name))


class TestDeclarations:
    def test_statistics_have_names_of_their_own(self):
        with pytest.raises(TypeError, match="'genotype_counts' is declared twice"):

            class Twice(Aggregate):
                statistic = "genotype_counts"

        assert AGGREGATES["genotype_counts"] is counts.GenotypeCounts

    def test_a_nameless_type_is_no_statistic(self):
        assert Toy not in AGGREGATES.values()

    def test_only_statistics_with_rows_come_in_shards(self):
        assert {name for name, kind in AGGREGATES.items() if has_rows(kind)} == {
            "genotype_counts",
            "haploid_counts",
            "logistic_stratified",
            "linear_mean",
            "linear_raw",
            "ld_filled",
            "ld_pairwise",
            "linear_complete",
            "linear_mean_dosage",
            "linear_raw_dosage",
            "linear_complete_dosage",
            "dosage_counts",
            "haploid_dosage_counts",
            "logistic_stratified_dosage",
            "logistic_score",
            "logistic_score_raw",
            "logistic_score_dosage",
            "logistic_score_raw_dosage",
            "logistic_products",
            "logistic_spa",
            "logistic_firth",
            "logistic_fit",
            "ridge_counts",
            "ridge_block",
            "ridge_score",
            "ridge_score_raw",
            "ridge_score_dosage",
            "ridge_score_raw_dosage",
            "pca_projection",
        }

    @pytest.mark.parametrize("kind", AGGREGATES.values(), ids=AGGREGATES)
    def test_every_field_says_how_it_merges_and_what_gates_it(self, kind):
        for item in fields(kind):
            assert item.metadata["merge"] in ("total", "same", "every")
            assert item.metadata["gate"]
            assert np.dtype(item.metadata["dtype"]).kind in "ifbu"

    def test_a_row_flag_hides_rows_of_everything_that_has_rows(self):
        """What a site may withhold row by row needs a flag, or its zeros would be summed.

        Of other statistics every row leaves, or nothing does.
        """
        whole = {"pca_projection", "logistic_products", "logistic_spa"}
        whole |= {"logistic_firth", "logistic_fit", "ridge_block"}
        for name, kind in AGGREGATES.items():
            flags = [
                item
                for item in fields(kind)
                if item.metadata["merge"] == "every" and "rows" in item.metadata["dims"]
            ]
            assert bool(flags) == (has_rows(kind) and name not in whole)
