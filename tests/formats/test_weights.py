from __future__ import annotations

import gzip

import numpy as np
import pytest

from genome_eu.errors import BadInput
from genome_eu.formats.weights import read_weights

CATALOG = """###PGS CATALOG SCORING FILE - see https://www.pgscatalog.org/downloads/#dl_ftp_scoring
#format_version=2.0
#pgs_id=PGS000001
#genome_build=GRCh37
#HmPOS_build=GRCh38
rsID\tchr_name\tchr_position\teffect_allele\tother_allele\teffect_weight\tis_dominant\thm_chr\thm_pos
rs1\t1\t100\tA\tG\t0.5\tFalse\t1\t1100
rs2\t1\t200\tC\tT\t-0.25\tTrue\t1\t1200
rs3\t2\t300\tG\tA/C\t0.125\tFalse\tchr2\t1300
rs4\t2\t400\tG\tA\t0.1\tFalse\t\t
rs5\t2\t500\tG\tA\tnone\tFalse\t2\t1500
"""


def written(tmp_path, text, name="score.txt"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


class TestCatalog:
    def test_harmonized_positions_come_first(self, tmp_path):
        found = read_weights(written(tmp_path, CATALOG, "PGS000001.txt.gz"))
        assert found.names == ("PGS000001",)
        assert found.build == "GRCh38"
        assert found.lines["contig"].tolist() == ["1", "2"]
        assert found.lines["position"].tolist() == [1100, 1300]
        assert found.lines["effect_allele"].tolist() == ["A", "G"]
        # Several candidates are no other allele.
        assert found.lines["other_allele"].tolist() == ["G", ""]
        np.testing.assert_array_equal(found.weights, [[0.5], [0.125]])
        assert found.left_out == {
            "weights that are not additive": 1,
            "weights without allele, place or number": 2,
        }

    def test_positions_of_the_authors(self, tmp_path):
        text = "\n".join(
            "\t".join(line.split("\t")[:6]) if "\t" in line else line
            for line in CATALOG.splitlines()
        )
        found = read_weights(written(tmp_path, text))
        assert found.build == "GRCh37"
        assert found.lines["position"].tolist() == [100, 200, 300, 400]

    def test_ids_where_there_are_no_positions(self, tmp_path):
        text = "#pgs_id=PGS2\nrsID\teffect_allele\teffect_weight\nrs1\tA\t2\n"
        found = read_weights(written(tmp_path, text))
        assert found.lines.columns.tolist() == ["effect_allele", "other_allele", "id"]
        assert found.build == "unknown"


class TestPlink:
    def test_three_columns_without_headings(self, tmp_path):
        found = read_weights(written(tmp_path, "rs1 A 0.5\nrs2 T -1e-3\n", "ldl.score"))
        assert found.names == ("ldl",)
        assert found.lines["id"].tolist() == ["rs1", "rs2"]
        assert found.lines["effect_allele"].tolist() == ["A", "T"]
        np.testing.assert_array_equal(found.weights[:, 0], [0.5, -1e-3])

    def test_several_scores(self, tmp_path):
        found = read_weights(written(tmp_path, "#ID\tA1\tldl\tbody mass\nrs1\tA\t1\t2\n"))
        assert found.names == ("ldl", "body_mass")
        np.testing.assert_array_equal(found.weights, [[1, 2]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("rsID\teffect_weight\nrs1\t2\n", "has no column effect_allele"),
        ("effect_allele\teffect_weight\nA\t2\n", "neither positions .* nor ids"),
        ("rsID\teffect_allele\nrs1\tA\n", "has no column effect_weight"),
        ("rsID\teffect_allele\teffect_weight\nrs1\tA\tx\n", "has no line with"),
    ],
)
def test_what_is_missing_is_said(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        read_weights(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_weights(tmp_path / "none.txt")
