from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.errors import BundleError
from genome_eu.stats import variants


def table(*rows: tuple) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=variants.COLUMNS)
    return frame.astype({"position": np.int64})


def one(position: int, ref: str = "A", alt: str = "C", contig: str = "1") -> tuple:
    return (contig, position, ref, alt, f"rs{position}")


def as_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


alleles = st.one_of(
    st.text("ACGTN", min_size=1, max_size=12),
    st.sampled_from(["*", ".", "-", "<DEL>", "<INS:ME:ALU>", "<CN_0>", "G]17:198982]", "acgt"]),
)
rows = st.lists(
    st.tuples(
        st.sampled_from(["1", "22", "X", "MT", "GL000192.1", "chrUn_KI270302v1"]),
        st.integers(0, 2**31 - 1),
        alleles,
        alleles,
        st.sampled_from([".", "rs12", "1:100:A:C", "rs1;rs2"]),
    ),
    max_size=8,
)


class TestRoundTrip:
    @given(rows)
    @settings(max_examples=60, deadline=None)
    def test_what_is_encoded_is_decoded(self, given_rows):
        given_table = table(*given_rows)
        pd.testing.assert_frame_equal(
            variants.decode(variants.encode(given_table)), given_table, check_dtype=False
        )

    def test_a_list_of_nothing(self):
        assert variants.encode(table()).size == 0
        found = variants.decode(variants.encode(table()))
        assert list(found.columns) == variants.COLUMNS
        assert found.empty
        assert found["position"].dtype == np.int64

    def test_equal_lists_have_equal_digests(self):
        a, b = table(one(1), one(2)), table(one(1), one(3))
        assert variants.digest(variants.encode(a)) == variants.digest(variants.encode(a.copy()))
        assert variants.digest(variants.encode(a)) != variants.digest(variants.encode(b))

    @pytest.mark.parametrize("name", ["HG00096 of Anna", "x" * 81, "a\tb", "naïve", ""])
    def test_an_id_that_could_say_something_else_does_not_travel(self, name):
        encoded = variants.encode(table(("1", 5, "A", "C", name)))
        assert variants.decode(encoded)["id"].tolist() == ["."]


class TestMalformed:
    @pytest.mark.parametrize(
        "line",
        [
            "1\t100\tA\tC",
            "1\t100\tA\tC\trs1\tmore",
            "1\t-100\tA\tC\trs1",
            "1\t1.5\tA\tC\trs1",
            "1\t12345678901\tA\tC\trs1",
            "1\t１００\tA\tC\trs1",
            "1\t100\t\tC\trs1",
            "1\t100\tA\tC,G\trs1",
            "1\t100\tA\tC\t",
            "1\t100\tA\tC\trs1 Anna",
            "1 100 A C rs1",
            "../etc\t100\tA\tC\trs1",
            "",
            "=1+1\t100\tA\tC\trs1",
        ],
    )
    def test_a_line_that_is_not_a_variant_is_named_by_number(self, line):
        text = f"1\t99\tA\tC\trs0\n{line}\n1\t101\tA\tC\trs2\n"
        with pytest.raises(BundleError, match="line 2 of a variant list is not contig, position"):
            variants.decode(as_bytes(text))

    def test_bytes_that_are_not_text(self):
        with pytest.raises(BundleError, match="line 1 of a variant list"):
            variants.decode(np.array([255, 254, 0, 10], np.uint8))
