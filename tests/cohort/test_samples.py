from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genome_eu.cohort.samples import (
    from_parquet_bytes,
    match_samples,
    read_sample_table,
    table_digest,
    to_parquet_bytes,
)
from genome_eu.errors import SampleError


def write(path, text: str):
    path.write_text(text)
    return path


def test_types(tmp_path):
    table = read_sample_table(
        write(
            tmp_path / "t.tsv",
            "\ufeffsample_id\tsex\tage\tbatch\tpopulation\tnothing\n"
            "b\tMale\t1e2\t1_2\t1\t\n"
            "007\t2\tNA\t3\t.\tNA\n"
            "c\t\t-3\t\t2\tnan\n",
        )
    )
    assert table.index.tolist() == ["b", "007", "c"]
    assert table["sex"].tolist() == ["M", "F", "unknown"]
    np.testing.assert_array_equal(table["age"], [100, np.nan, -3])
    assert table["batch"].isna().tolist() == [False, False, True]
    assert table["batch"].tolist()[:2] == ["1_2", "3"]
    assert table["population"].tolist()[::2] == ["1", "2"]
    assert table["nothing"].dtype == np.float64


def test_parquet_and_text_give_one_table(tmp_path):
    frame = pd.DataFrame(
        {
            "sample_id": ["a", "b", "c"],
            "sex": [1, 2, None],
            "cases": [True, False, True],
            "group": pd.Categorical(["x", "y", None]),
            "n": [1, 2, 3],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    frame.set_index("sample_id").to_parquet(tmp_path / "indexed.parquet")
    text = "sample_id\tsex\tcases\tgroup\tn\na\tM\t1\tx\t1\nb\tF\t0\ty\t2\nc\t\t1\t\t3\n"
    digests = {
        table_digest(read_sample_table(path))
        for path in (
            tmp_path / "t.parquet",
            tmp_path / "indexed.parquet",
            write(tmp_path / "t.txt", text),
        )
    }
    assert len(digests) == 1


def test_storing_keeps_the_digest(tmp_path):
    text = "sample_id\tsex\tx\tg\tpopulation\na\tM\t1\t\tFIN\nb\tF\tNA\tq\tNA\n"
    table = read_sample_table(write(tmp_path / "t.tsv", text))
    stored = from_parquet_bytes(to_parquet_bytes(table))
    assert table_digest(stored) == table_digest(table)
    other = table.copy()
    other.loc["a", "x"] = 2.0
    assert table_digest(other) != table_digest(table)
    nobody_known = read_sample_table(write(tmp_path / "n.tsv", "sample_id\tpopulation\na\tNA\n"))
    stored = from_parquet_bytes(to_parquet_bytes(nobody_known))
    assert table_digest(stored) == table_digest(nobody_known)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is empty"),
        ("sample_id\n", "lists nobody"),
        ("id\tsex\na\tM\n", r"no column sample_id; it has id, sex\."),
        ("sample_id,sex\na,M\n", "is it tab-separated"),
        ("sample_id\tx\na\t1\nb\n", "line 3 has 1 fields, but its header has 2"),
        ("sample_id\tx\tx\na\t1\t2\n", "2 columns x"),
        ("sample_id\t\na\t1\n", "column without a name"),
        ("sample_id\tx\n\t1\n \t1\n", r"2 people with an empty sample_id \(first: person 1\)"),
        ("sample_id\na\nb\na\nb\nb\n", r"2 sample ids more than once \(first: a, b\)"),
        ("sample_id\tsex\na\tx\n", "gives a the sex 'x'"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, match):
    with pytest.raises(SampleError, match=match):
        read_sample_table(write(tmp_path / "t.tsv", text))


def test_files_that_are_refused(tmp_path):
    with pytest.raises(SampleError, match="no such sample table"):
        read_sample_table(tmp_path / "none.tsv")
    (tmp_path / "t.tsv").write_bytes(b"sample_id\n\xff\xfe\n")
    with pytest.raises(SampleError, match="not tab-separated UTF-8"):
        read_sample_table(tmp_path / "t.tsv")
    with pytest.raises(SampleError, match="cannot be read as Parquet"):
        read_sample_table(write(tmp_path / "t.parquet", "sample_id\n"))
    dates = pd.DataFrame({"sample_id": ["a"], "born": pd.to_datetime(["2000-01-01"])})
    dates.to_parquet(tmp_path / "d.parquet")
    with pytest.raises(SampleError, match="column born holds datetime64"):
        read_sample_table(tmp_path / "d.parquet")


def test_matching_keeps_the_order_of_the_genotypes(tmp_path):
    table = read_sample_table(write(tmp_path / "t.tsv", "sample_id\tx\nc\t3\na\t1\nz\t9\n"))
    matched = match_samples("fi.vcz", ["a", "b", "c"], table, "t.tsv", allow_unlisted=True)
    assert matched.keep.tolist() == [0, 2]
    assert matched.table["x"].tolist() == [1, 3]
    assert (matched.left_out, matched.without_genotypes) == (1, 1)
