from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.errors import BadInput
from genome_eu.stats.regions import parse_bed, regions

BED = b"""track name=callable
browser position chr1
# made by a caller
chr1\t100\t200\tname\t0
chr1 150 250
chr2\t0\t10
chr1\t250\t260
chr1\t300\t301
"""


def rows(*some: tuple) -> pd.DataFrame:
    return pd.DataFrame(some, columns=["contig", "position", "ref"])


def test_regions_are_joined_where_they_touch():
    found = parse_bed(BED, rename=lambda name: name.removeprefix("chr"))
    assert list(zip(found.contig, found.start, found.stop, strict=True)) == [
        ("1", 100, 260),
        ("1", 300, 301),
        ("2", 0, 10),
    ]
    assert found.bases == 171


def test_coordinates_are_0_based_and_half_open():
    found = parse_bed(BED)
    asked = rows(
        *[("chr1", position, "A") for position in (100, 101, 260, 261, 301, 302)],
        ("chr2", 1, "A"),
        ("chr3", 1, "A"),
    )
    assert found.covers(asked).tolist() == [False, True, True, False, True, False, True, False]


def test_all_bases_of_ref_lie_within_a_region():
    found = parse_bed(BED)
    assert found.covers(rows(("chr1", 259, "AC"), ("chr1", 260, "AC"))).tolist() == [True, False]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(1, 9)), min_size=1)
)
@settings(max_examples=100, deadline=None)
def test_every_base_is_covered_that_a_line_covers(lines):
    contig, start, length = (np.array(one) for one in zip(*lines, strict=True))
    found = regions(contig, start, start + length)
    bases = {(c, base) for c, s, n in lines for base in range(s, s + n)}
    asked = rows(*[(c, position, "A") for c in "ab" for position in range(1, 60)])
    expected = [
        (c, p - 1) in bases for c, p in zip(asked["contig"], asked["position"], strict=True)
    ]
    assert found.covers(asked).tolist() == expected
    assert found.bases == len(bases)


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n"])
def test_a_file_without_regions(content):
    with pytest.raises(BadInput, match=r"callable.bed has no regions; give contig, start and end"):
        parse_bed(content, "callable.bed")


@pytest.mark.parametrize(
    "line", [b"chr1\t5\t5\n", b"chr1\tfive\t9\n", b"chr1\t5\n", b"chr1\t-1\t5\n"]
)
def test_a_line_that_is_not_a_region_is_named(line):
    with pytest.raises(BadInput, match=r"region 2 \(below 0 header lines\) is not contig, start"):
        parse_bed(b"chr1\t1\t2\n" + line, "callable.bed")
