"""PLINK's tables: exact columns, what withheld rows look like, and that files are atomic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genome_eu.errors import BadInput, UsageError
from genome_eu.formats import (
    AfreqWriter,
    GcountWriter,
    GlmLinearWriter,
    HardyWriter,
    write_eigenval,
    write_eigenvec,
)
from tests.formats import fake_results as fake

HEADERS = {
    AfreqWriter: "#CHROM ID REF ALT ALT_FREQS OBS_CT",
    GcountWriter: "#CHROM ID REF ALT HOM_REF_CT HET_REF_ALT_CTS TWO_ALT_GENO_CTS "
    "HAP_REF_CT HAP_ALT_CTS MISSING_CT",
    HardyWriter: "#CHROM ID A1 AX HOM_A1_CT HET_A1_CT TWO_AX_CT O(HET_A1) E(HET_A1) P",
}
GLM = "#CHROM POS ID REF ALT A1 A1_FREQ TEST OBS_CT BETA SE T_STAT P ERRCODE"


def lines(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


@pytest.mark.parametrize("writer", HEADERS)
def test_shards_make_one_table_with_plinks_columns(tmp_path, writer):
    result = fake.frequencies()
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    with writer(whole) as out:
        out.append(result)
    with writer(pieces) as out:
        for shard in fake.shards(result):
            out.append(shard)
    assert whole.read_bytes() == pieces.read_bytes()
    table = lines(whole)
    assert table[0] == HEADERS[writer].split()
    assert len(table) == 61
    assert {len(row) for row in table} == {len(table[0])}


def test_frequencies_of_everybody_and_of_a_group(tmp_path):
    result = fake.frequencies()
    for group, frequency, total in (
        ("Total", result.variant_allele_frequency[0, 1], result.variant_allele_total[0]),
        ("TSI", result.cohort_allele_frequency[0, 1, 1], result.cohort_allele_total[0, 1]),
    ):
        with AfreqWriter(tmp_path / group, group=group) as out:
            out.append(result)
        assert lines(tmp_path / group)[1][4:] == [f"{float(frequency):g}", str(int(total))]


def test_withheld_and_uncalled_rows_differ(tmp_path):
    result = fake.frequencies()
    for writer in HEADERS:
        with writer(tmp_path / writer.__name__) as out:
            out.append(result)
    afreq = lines(tmp_path / "AfreqWriter")
    assert afreq[5][4:] == ["NA", "NA"]
    assert afreq[6][4:] == ["nan", "0"]
    assert "NA" not in afreq[4][4:]
    gcount = lines(tmp_path / "GcountWriter")
    assert gcount[4][4:] == ["NA"] * 6
    assert gcount[6][4:9] == ["0"] * 5
    hardy = lines(tmp_path / "HardyWriter")
    assert hardy[5][4:] == ["NA"] * 6
    assert hardy[6][4:] == ["0", "0", "0", "nan", "0", "1"]
    assert hardy[7][9] == "5.62341e-401"


def test_hardy_leaves_out_what_is_not_diploid(tmp_path):
    result = fake.frequencies(10)
    result["variant_contig"][7:] = [22, 23, 24]
    with HardyWriter(tmp_path / "x.hardy") as out:
        out.append(result)
        assert out.close() == 3
    assert len(lines(tmp_path / "x.hardy")) == 8


def test_one_association_file_for_each_trait(tmp_path):
    result = fake.gwas()
    with GlmLinearWriter(tmp_path / "eu") as out:
        for shard in fake.shards(result):
            out.append(shard)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "eu.bmi.glm.linear",
        "eu.ldl.glm.linear",
    ]
    table = lines(tmp_path / "eu.bmi.glm.linear")
    assert table[0] == GLM.split()
    assert table[1][4] == table[1][5] == result.variant_allele.values[0, 1]
    assert table[1][9] == f"{float(result.variant_linreg_beta[0, 1]):g}"
    assert table[3][7:] == ["ADD", "480", "NA", "NA", "NA", "NA", "CONST_ALLELE"]
    assert table[5][6:] == ["NA", "ADD", "NA", "NA", "NA", "NA", "NA", "WITHHELD"]
    assert table[7][12] == "5.62341e-401"
    read = pd.read_csv(tmp_path / "eu.ldl.glm.linear", sep="\t")
    beta = result.variant_linreg_beta.values[:, 0]
    np.testing.assert_allclose(read["BETA"], beta, rtol=5e-6)


def test_eigenvectors_and_eigenvalues(tmp_path):
    result = fake.pca(people=3, components=2)
    scores = result.sample_pca_projection.values
    write_eigenvec(tmp_path / "a", result.sample_id.values, scores)
    write_eigenvec(tmp_path / "b", result.sample_id.values, scores, family_id=["F", "F", "0"])
    write_eigenval(tmp_path / "c", np.array([3.84430001, 2.078]))
    assert lines(tmp_path / "a")[:2] == [
        ["#IID", "PC1", "PC2"],
        ["PERSON0", *(f"{v:g}" for v in scores[0])],
    ]
    assert lines(tmp_path / "b")[0] == ["#FID", "IID", "PC1", "PC2"]
    assert (tmp_path / "c").read_text() == "3.8443\n2.078\n"
    with pytest.raises(BadInput, match="3 sample ids"):
        write_eigenvec(tmp_path / "d", result.sample_id.values, scores[:2])


def test_an_exception_leaves_the_older_file_and_no_other(tmp_path):
    target = tmp_path / "x.afreq"
    target.write_text("older")

    def interrupted():
        with AfreqWriter(target) as out:
            out.append(fake.frequencies())
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert [p.name for p in tmp_path.iterdir()] == ["x.afreq"]
    assert target.read_text() == "older"


def test_a_bad_shard_removes_what_was_begun(tmp_path):
    out = GlmLinearWriter(tmp_path / "x")
    out.append(fake.gwas(traits=("ldl",)))
    with pytest.raises(BadInput, match="Append shards of one result only"):
        out.append(fake.gwas(traits=("bmi",)))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="is closed"):
        out.append(fake.gwas(traits=("ldl",)))


def test_nothing_has_its_name_before_close(tmp_path):
    out = AfreqWriter(tmp_path / "x.afreq")
    out.append(fake.frequencies())
    assert not (tmp_path / "x.afreq").exists()
    out.close()
    out.close()
    assert [p.name for p in tmp_path.iterdir()] == ["x.afreq"]


def test_errors_say_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"folder .* does not exist"):
        AfreqWriter(tmp_path / "none" / "x.afreq")
    with (
        pytest.raises(UsageError, match=r"no group 'SWE'\. It has: Total, FIN"),
        AfreqWriter(tmp_path / "x", group="SWE") as out,
    ):
        out.append(fake.frequencies())
    with pytest.raises(BadInput, match="made by frequencies"), AfreqWriter(tmp_path / "x") as out:
        out.append(fake.gwas())
    with (
        pytest.raises(UsageError, match="cannot be part of a file name"),
        GlmLinearWriter(tmp_path / "x") as out,
    ):
        out.append(fake.gwas(traits=("../ldl",)))
    assert list(tmp_path.iterdir()) == []
