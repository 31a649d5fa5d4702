from __future__ import annotations

import gzip

import numpy as np
import pytest

from genome_eu.errors import BadInput, UsageError
from genome_eu.formats.summary_statistics import read_study

SSF = """chromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta\tstandard_error\teffect_allele_frequency\tneg_log_10_p_value\tvariant_id\trsid\tn
1\t100\tA\tG\t0.5\t0.1\t0.2\t350.5\t1_100_G_A\trs1\t1000
23\t200\tC\tT\t-0.25\t0.2\t#NA\t0.5\t23_200_T_C\t#NA\t1000
"""
REGENIE = """##options
CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ N TEST BETA SE CHISQ LOG10P EXTRA
1 100 rs1 G A 0.2 500 ADD 0.5 0.1 25 6.2 NA
"""
PLINK_LINEAR = """#CHROM\tPOS\tID\tREF\tALT\tA1\tA1_FREQ\tTEST\tOBS_CT\tBETA\tSE\tT_STAT\tP\tERRCODE
chr1\t100\trs1\tG\tA\tG\t0.8\tADD\t503\t-0.5\t0.1\t-5\t1e-6\t.
chr1\t100\trs1\tG\tA\tG\t0.8\tAGE\t503\t9\t9\t9\t0.9\t.
chr1\t200\trs2\tC\tT\tT\t0.1\tADD\t503\tNA\tNA\tNA\tNA\tCONST_ALLELE
"""
PLINK_LOGISTIC = """#CHROM\tPOS\tID\tREF\tALT\tA1\tFIRTH?\tTEST\tOBS_CT\tOR\tLOG(OR)_SE\tZ_STAT\tLOG10_P\tERRCODE
1\t100\trs1\tG\tA\tA\tN\tADD\t503\t2\t0.1\t6.9\t-11.5\t.
"""
METAL = """MarkerName\tAllele1\tAllele2\tEffect\tStdErr\tP-value\tDirection
rs1\ta\tg\t0.5\t0.1\t3e-412\t++
"""


def written(tmp_path, text, name="study.txt"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


class TestKnownTables:
    def test_gwas_ssf(self, tmp_path):
        found = read_study(written(tmp_path, SSF, "ldl.tsv.gz"))
        assert found.name == "ldl"
        assert found.key.tolist() == ["rs1", ""]
        assert found.contig.tolist() == ["1", "X"]
        assert found.position.tolist() == [100, 200]
        assert (found.effect_allele.tolist(), found.other_allele.tolist()) == (
            ["A", "C"],
            ["G", "T"],
        )
        np.testing.assert_array_equal(found.beta, [0.5, -0.25])
        np.testing.assert_array_equal(found.neg_log10_p, [350.5, 0.5])
        np.testing.assert_array_equal(found.n, [1000, 1000])
        np.testing.assert_array_equal(found.frequency, [0.2, np.nan])

    def test_regenie(self, tmp_path):
        found = read_study(written(tmp_path, REGENIE, "out.regenie"))
        assert (found.effect_allele[0], found.other_allele[0]) == ("A", "G")
        assert (found.beta[0], found.se[0], found.neg_log10_p[0]) == (0.5, 0.1, 6.2)

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text.replace(" ", "   "),
            lambda text: "".join(f" {line}\n" for line in text.splitlines()[1:]),
            lambda text: text.replace(" ", "\t").replace("\n", "\r\n"),
            lambda text: text.replace(" ", ",").replace("CHROM", '"CHROM"'),
        ],
    )
    def test_however_columns_are_set_apart(self, tmp_path, change):
        found = read_study(written(tmp_path, change(REGENIE), "out.regenie"))
        assert found.contig.tolist() == ["1"]
        assert (found.effect_allele[0], found.other_allele[0]) == ("A", "G")
        assert (found.position[0], found.beta[0], found.neg_log10_p[0]) == (100, 0.5, 6.2)

    def test_plink_linear(self, tmp_path):
        found = read_study(written(tmp_path, PLINK_LINEAR))
        assert found.key.tolist() == ["rs1", "rs2"]
        assert (found.effect_allele.tolist(), found.other_allele.tolist()) == (
            ["G", "T"],
            ["A", "C"],
        )
        assert found.contig.tolist() == ["1", "1"]
        np.testing.assert_array_equal(found.beta, [-0.5, np.nan])
        np.testing.assert_allclose(found.neg_log10_p, [6, np.nan])

    def test_plink_logistic(self, tmp_path):
        found = read_study(written(tmp_path, PLINK_LOGISTIC))
        assert found.beta[0] == np.log(2)
        assert found.se[0] == 0.1
        assert found.neg_log10_p[0] == 11.5

    def test_metal_and_a_p_value_below_the_smallest_float(self, tmp_path):
        found = read_study(written(tmp_path, METAL))
        assert found.neg_log10_p[0] == pytest.approx(412 - np.log10(3), rel=1e-14)
        assert found.position[0] == 0


class TestOtherTables:
    def test_columns_can_be_named(self, tmp_path):
        path = written(tmp_path, "rs,a,b,or,p\nrs1,A,G,0.5,0\nrs2,A,G,0,0.1\n", "x.csv")
        columns = {"id": "rs", "effect_allele": "a", "other_allele": "b", "odds_ratio": "or"}
        found = read_study(path, columns=columns | {"p": "p"}, n=70, name="mine")
        assert found.name == "mine"
        np.testing.assert_array_equal(found.beta, [np.log(0.5), np.nan])
        assert np.isnan(found.neg_log10_p[0])
        np.testing.assert_array_equal(found.n, [70, 70])

    def test_a_name_comes_before_the_heading(self, tmp_path):
        text = PLINK_LINEAR.replace("ERRCODE", "ERRCODE\tLN_P").replace("\t.\n", "\t.\t3\n")
        found = read_study(written(tmp_path, text), columns={"neg_log10_p": "LN_P"})
        assert found.neg_log10_p[0] == 3

    @pytest.mark.parametrize(
        ("text", "columns", "message"),
        [
            ("a b\n1 2\n", {}, "do not say which column is effect_allele"),
            ("a b\n1 2\n", {"id": "c"}, "has no column c"),
            ("a b\n", {}, "has no line below its headings"),
            ("", {}, "cannot be read as a table"),
            ("a b c d\n1 2 3 4\n", {"id": "a", "effect_allele": "b", "beta": "c"}, "se, p or"),
            (
                "a b c d\n1 2 3 4\n",
                {"id": "a", "effect_allele": "b", "beta": "c", "p": "d"},
                "other_allele",
            ),
        ],
    )
    def test_what_is_missing_is_said(self, tmp_path, text, columns, message):
        with pytest.raises(BadInput, match=message):
            read_study(written(tmp_path, text), columns=columns)

    def test_a_meaning_that_no_column_has(self, tmp_path):
        with pytest.raises(UsageError, match="no column is weight"):
            read_study(written(tmp_path, METAL), columns={"weight": "Weight"})

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(BadInput, match="cannot be read"):
            read_study(tmp_path / "none.txt")

    def test_a_file_that_is_not_what_its_name_says(self, tmp_path):
        (tmp_path / "x.gz").write_bytes(b"not gzip")
        with pytest.raises(BadInput, match="cannot be read"):
            read_study(tmp_path / "x.gz")
