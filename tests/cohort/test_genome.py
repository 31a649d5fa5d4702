from __future__ import annotations

import pytest

from genome_eu.cohort.genome import agree_on_build, contig_name, header_contig_lengths
from genome_eu.errors import SourceError


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("22", "chr22", "Chr22", "CHR22", "NC_000022.10", "NC_000022.11"), "22"),
        (("1", "NC_000001.10", "NC_000001.11"), "1"),
        (("X", "chrX", "x", "23", "chr23", "NC_000023.10", "NC_000023.11"), "X"),
        (("Y", "chrY", "24", "NC_000024.9", "NC_000024.10"), "Y"),
        (("M", "chrM", "MT", "chrMT", "26", "NC_012920.1"), "MT"),
        (("25", "XY", "PAR1", "PAR2"), "XY"),
    ],
)
def test_one_name_for_each_contig(names, expected):
    assert {contig_name(name) for name in names} == {expected}


@pytest.mark.parametrize(
    "name",
    ["0", "27", "GL000191.1", "NC_000022.9", "NC_001807.4", "chrUn_KI270302v1", "HLA-A*01:01", ""],
)
def test_other_contigs_keep_theirs(name):
    assert contig_name(name) == name


def test_lengths_in_a_header():
    header = (
        "##contig=<ID=chr1,assembly=b38,length=248956422>\n##contig=<ID=2>\n"
        "##contig=<length=57227415,ID=chrY>\n##INFO=<ID=X,length=3>\n"
    )
    lengths = header_contig_lengths(header)
    assert lengths == {"1": 248956422, "Y": 57227415}
    assert agree_on_build("x", None, lengths) == "GRCh38"
    assert agree_on_build("x", "GRCh38", lengths) == "GRCh38"


def test_lengths_that_fit_no_build():
    assert agree_on_build("x", None, {}) == "unknown"
    assert agree_on_build("x", None, {"1": 248387328}) == "unknown"
    assert agree_on_build("x", None, {"1": 248956422, "2": 243199373}) == "unknown"
    with pytest.raises(SourceError, match="contig 1 248,387,328 bases, but GRCh37"):
        agree_on_build("x", "GRCh37", {"1": 248387328})
