"""Rows of a panel in lists that are written in other ways, against the rules one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.errors import PanelError
from genome_eu.stats import alleles, variants
from genome_eu.stats.harmonize import Kind, join, match
from tests.oracles import harmonize as oracle


def table(*rows: tuple) -> pd.DataFrame:
    """Rows of (position, ref, alt), or with a contig before."""
    whole = [row if len(row) == 4 else ("1", *row) for row in rows]
    frame = pd.DataFrame(whole, columns=variants.KEY).astype({"position": np.int64})
    return frame.assign(id=[f"v{number}" for number in range(len(frame))])


def kind(row: tuple, *listed: tuple) -> str:
    """How one row is found in a list."""
    found = match(table(row), table(*listed))
    return Kind(int(found.kinds[0])).name.lower()


def written(joined) -> list[tuple]:
    return [tuple(row) for row in joined.rows[["position", "ref", "alt"]].itertuples(index=False)]


class TestMinimal:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ((100, "A", "G"), (100, "A", "G")),
            ((100, "CAT", "CGT"), (101, "A", "G")),
            ((100, "ATT", "ATTT"), (100, "A", "AT")),
            ((100, "ATTT", "AT"), (100, "ATT", "A")),
            ((100, "GCA", "GCA"), (100, "G", "G")),
            ((100, "TAC", "TGT"), (101, "AC", "GT")),
            ((100, "cat", "cgt"), (101, "A", "G")),
        ],
    )
    def test_shared_bases_are_cut(self, given, expected):
        assert alleles.minimal(*given) == expected

    @given(st.text("ACGT", min_size=1, max_size=6), st.text("ACGT", min_size=1, max_size=6))
    def test_as_the_definition_says(self, ref, alt):
        assert alleles.minimal(7, ref, alt) == oracle.minimal(7, ref, alt)

    def test_two_ways_to_write_a_variant_are_one(self):
        found = match(
            table((100, "CAT", "CGT"), (200, "ATT", "ATTT")),
            table((101, "a", "g"), (200, "A", "AT")),
        )
        assert found.kinds.tolist() == [Kind.EXACT, Kind.EXACT]
        assert found.rows.tolist() == [0, 1]

    def test_symbols_are_not_cut(self):
        assert kind((5, "A", "<DEL>"), (5, "A", "<DEL>")) == "exact"
        assert kind((5, "A", "<DEL>"), (5, "A", "<del>")) == "absent"


class TestSingleBases:
    @pytest.mark.parametrize(
        ("listed", "expected", "flipped"),
        [
            (("A", "G"), "exact", False),
            (("G", "A"), "swapped", True),
            (("T", "C"), "strand", False),
            (("C", "T"), "strand_swapped", True),
            (("A", "C"), "absent", False),
            (("G", "T"), "mismatch", False),
        ],
    )
    def test_the_ways_to_write_a_transition(self, listed, expected, flipped):
        found = match(table((10, "A", "G")), table((10, *listed)))
        assert Kind(int(found.kinds[0])).name.lower() == expected
        assert found.flipped[0] == flipped
        assert found.found[0] == (expected not in ("absent", "mismatch"))

    @pytest.mark.parametrize(("ref", "alt"), ["AT", "TA", "CG", "GC"])
    def test_palindromes_are_never_turned(self, ref, alt):
        assert kind((10, ref, alt), (10, ref, alt)) == "exact"
        assert kind((10, ref, alt), (10, alt, ref)) == "palindromic"

    def test_indels_are_never_exchanged(self):
        assert kind((10, "A", "AT"), (10, "AT", "A")) == "indel"
        assert kind((10, "A", "AT"), (10, "T", "TA")) == "mismatch"
        assert kind((10, "AC", "GT"), (10, "GT", "AC")) == "indel"

    def test_an_insertion_and_a_deletion_at_one_base_are_two_variants(self):
        both = [(10, "A", "AT"), (10, "AT", "A")]
        found = match(table(*both), table(*both))
        assert found.kinds.tolist() == [Kind.EXACT, Kind.EXACT]

    def test_a_variant_in_two_forms_at_one_site_names_no_row(self):
        assert kind((10, "A", "G"), (10, "A", "G"), (10, "G", "A")) == "duplicate"
        assert kind((10, "A", "G"), (10, "A", "G"), (10, "T", "C")) == "duplicate"

    def test_nothing_is_exchanged_where_there_are_other_alleles(self):
        assert kind((10, "A", "G"), (10, "G", "A"), (10, "G", "T")) == "multiallelic"
        assert kind((10, "A", "G"), (10, "G", "A"), (10, "G", "GC")) == "multiallelic"
        # A record whose alleles are cut to another position is still the same record.
        assert kind((11, "A", "G"), (10, "CG", "CA"), (10, "CG", "C")) == "multiallelic"
        assert kind((10, "A", "G"), (10, "A", "G"), (10, "A", "T")) == "exact"
        assert kind((10, "A", "G"), (10, "T", "C"), (10, "T", "A")) == "strand"

    def test_another_contig_is_another_variant(self):
        assert kind(("1", 10, "A", "G"), ("2", 10, "A", "G")) == "absent"

    def test_only_what_a_list_says_nothing_of_can_be_homozygous_reference(self):
        found = match(
            table((10, "A", "G"), (20, "A", "G"), (30, "A", "G"), (40, "A", "T")),
            table((20, "A", "C"), (30, "C", "A"), (40, "T", "A")),
        )
        assert found.absent.tolist() == [True, True, False, False]


sequences = st.sampled_from(["A", "C", "G", "T", "AT", "TA", "CA", "CAT", "CGT", "AA", "<DEL>"])
rows = st.tuples(st.sampled_from(["1", "X"]), st.integers(10, 13), sequences, sequences)


class TestAgainstTheDefinition:
    @given(st.lists(rows, min_size=1, max_size=6), st.lists(rows, min_size=0, max_size=9))
    @settings(max_examples=100, deadline=None)
    def test_every_row_is_found_as_the_rules_say(self, panel, listed):
        found = match(table(*panel), table(*listed))
        for number, row in enumerate(panel):
            name, place = oracle.find(row, listed)
            assert Kind(int(found.kinds[number])).name.lower() == name, (row, listed)
            assert found.rows[number] == (-1 if place is None else place)
        assert sum(found.tally().values()) == len(panel)

    def test_what_is_flipped_counts_the_same_allele(self):
        """Strings of alleles, as they are in people, however a site writes them."""
        rng = np.random.default_rng(3)
        panel = table((10, "A", "G"), (20, "A", "C"), (30, "G", "T"), (40, "C", "T"))
        listed = [(10, "G", "A"), (20, "T", "G"), (30, "A", "C"), (40, "C", "T")]
        found = match(panel, table(*listed))
        for number, (ref, alt) in enumerate(zip(panel["ref"], panel["alt"], strict=True)):
            _, own_ref, own_alt = listed[found.rows[number]]
            people = rng.choice([own_ref, own_alt], (30, 2))
            dosage = (people == own_alt).sum(axis=1)
            harmonized = 2 - dosage if found.flipped[number] else dosage
            turned = {own_ref, own_alt} != {ref, alt}
            as_panel = alt if not turned else oracle.COMPLEMENT[alt]
            np.testing.assert_array_equal(harmonized, (people == as_panel).sum(axis=1))


class TestJoin:
    def test_a_row_is_written_as_most_sites_write_it(self):
        lists = {
            "ES": table((10, "G", "A"), (20, "A", "C")),
            "FI": table((10, "A", "G"), (20, "C", "A")),
            "IT": table((10, "A", "G"), (20, "C", "A")),
        }
        joined = join(lists, "intersection")
        assert written(joined) == [(10, "A", "G"), (20, "C", "A")]
        assert joined.report["ES"]["swapped"] == 2
        assert joined.report["FI"]["exact"] == joined.report["IT"]["exact"] == 2

    def test_of_as_many_sites_the_first_by_name_decides(self):
        lists = {"FI": table((10, "A", "G")), "ES": table((10, "G", "A"))}
        assert written(join(lists, "intersection")) == [(10, "G", "A")]
        assert written(join(lists, "union")) == [(10, "G", "A")]

    def test_a_union_has_every_row_by_contig_and_position(self):
        lists = {
            "FI": table(("2", 5, "A", "G"), ("10", 3, "A", "G"), ("X", 1, "A", "G")),
            "ES": table(("2", 4, "A", "G"), ("MT", 1, "A", "G"), ("2", 5, "G", "A")),
        }
        rows = join(lists, "union").rows
        assert list(zip(rows["contig"], rows["position"], strict=True)) == [
            ("2", 4),
            ("2", 5),
            ("10", 3),
            ("X", 1),
            ("MT", 1),
        ]

    def test_an_intersection_has_the_order_of_the_first_site(self):
        lists = {
            "ES": table((40, "A", "G"), (20, "A", "G"), (30, "A", "G")),
            "FI": table((20, "A", "G"), (30, "G", "A"), (40, "A", "G"), (50, "A", "G")),
        }
        assert written(join(lists, "intersection")) == [
            (40, "A", "G"),
            (20, "A", "G"),
            (30, "A", "G"),
        ]

    def test_palindromes_the_other_way_round_are_two_rows_and_neither_is_common(self):
        lists = {
            "ES": table((10, "A", "T"), (20, "A", "G")),
            "FI": table((10, "T", "A"), (20, "A", "G")),
        }
        assert written(join(lists, "union")) == [(10, "A", "T"), (10, "T", "A"), (20, "A", "G")]
        joined = join(lists, "intersection")
        assert written(joined) == [(20, "A", "G")]
        assert joined.report["ES"]["palindromic"] == joined.report["FI"]["palindromic"] == 1

    def test_what_a_site_lists_twice_is_left_to_the_others(self):
        lists = {
            "ES": table((10, "A", "G"), (10, "A", "G"), (20, "A", "G")),
            "FI": table((10, "A", "G"), (20, "A", "G")),
        }
        assert written(join(lists, "intersection")) == [(20, "A", "G")]
        joined = join(lists, "union")
        assert written(joined) == [(10, "A", "G"), (20, "A", "G")]
        assert (
            joined.report["ES"] | {"listed": 3, "listed_twice": 2, "duplicate": 1, "exact": 1}
            == (joined.report["ES"])
        )

    def test_a_given_panel_is_kept_as_it_is_written(self):
        lists = {"ES": table((10, "A", "G"), (20, "A", "G")), "FI": table((10, "A", "G"))}
        panel = table((30, "A", "G"), (20, "G", "A"), (10, "G", "A"))
        assert written(join(lists, "union", panel)) == [
            (30, "A", "G"),
            (20, "G", "A"),
            (10, "G", "A"),
        ]
        joined = join(lists, "intersection", panel)
        assert written(joined) == [(10, "G", "A")]
        assert joined.report["FI"] | {"swapped": 1, "absent": 2, "panel": 1} == joined.report["FI"]

    def test_a_panel_that_names_a_variant_twice_is_an_error(self):
        panel = table((10, "A", "G"), (20, "A", "G"), (10, "G", "A"))
        with pytest.raises(PanelError, match=r"more than once \(first: 1:10 G A\); remove 1 rows"):
            join({"ES": table((10, "A", "G"))}, "union", panel)

    def test_the_site_that_shares_nothing_is_named(self):
        lists = {"ES": table((1, "A", "C")), "FI": table((1, "C", "A")), "IT": table((7, "A", "C"))}
        with pytest.raises(PanelError, match="site IT lists no variant that another site lists"):
            join(lists, "intersection")

    def test_sites_that_share_in_pairs_only(self):
        a, b, c = (1, "A", "C"), (2, "A", "C"), (3, "A", "C")
        lists = {"ES": table(a, b), "FI": table(b, c), "IT": table(c, a)}
        with pytest.raises(PanelError, match="no variant is listed by every site"):
            join(lists, "intersection")

    def test_lists_without_rows_make_no_panel(self):
        with pytest.raises(PanelError, match="no site lists a variant"):
            join({"ES": table(), "FI": table()}, "union")

    @given(st.lists(st.lists(rows, max_size=6), min_size=1, max_size=4))
    @settings(max_examples=60, deadline=None)
    def test_joining_is_fair(self, given_lists):
        """The order of sites given does not matter, and each row of a union is at some site."""
        lists = {f"S{number}": table(*some) for number, some in enumerate(given_lists)}
        backwards = dict(reversed(lists.items()))
        try:
            union = join(lists, "union")
        except PanelError:
            return
        pd.testing.assert_frame_equal(union.rows, join(backwards, "union").rows)
        matches = [match(union.rows, one) for one in lists.values()]
        exact = np.array([one.kinds == Kind.EXACT for one in matches])
        assert exact.any(axis=0).all()
        for name, one in zip(lists, matches, strict=True):
            # Every row that a site lists once is a row of the union, in some form.
            assert sum(one.found) + one.tally()["multiallelic"] == (
                union.report[name]["listed"] - union.report[name]["listed_twice"]
            )
        common = np.logical_and.reduce([one.found for one in matches])
        if common.any():
            assert len(join(lists, "intersection").rows) == common.sum()
