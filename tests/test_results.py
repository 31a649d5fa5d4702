"""Shards of a result are labelled datasets; joined, they say in words what became of each test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from genome_eu import results
from genome_eu.formats import ParquetWriter, read_gwas
from genome_eu.formats.folder import GwasFiles
from genome_eu.stats import linear

ROWS, TRAITS = 40, ["ldl", "bmi", "height"]


def names(rows: int = ROWS) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "contig": np.repeat(["1", "2", "X"], [10, rows - 15, 5]),
            "position": np.arange(rows) * 100 + 1,
            "ref": "A",
            "alt": np.where(np.arange(rows) % 2, "C", "GT"),
            "id": np.where(np.arange(rows) % 3, ".", "rs1"),
        }
    )


def fitted() -> linear.LinearResult:
    rng = np.random.default_rng(0)
    shape = (ROWS, len(TRAITS))
    codes = np.zeros(shape, np.int8)
    codes[3] = linear.ERRCODES.index("CONST_ALLELE")
    codes[5] = linear.ERRCODES.index("WITHHELD")
    codes[7, 1] = linear.ERRCODES.index("CONST_TRAIT")
    numbers = {
        name: np.where(codes == 0, rng.normal(size=shape), np.nan) for name in ("beta", "se", "t")
    }
    n = np.where(codes[:, :1] == linear.ERRCODES.index("WITHHELD"), -1, 500)
    return linear.LinearResult(
        **numbers,
        neg_log10_p=np.where(codes == 0, rng.exponential(size=shape), np.nan),
        df=np.broadcast_to(n - 2, shape),
        n=np.broadcast_to(n, shape),
        allele_frequency=np.where(n < 0, np.nan, rng.uniform(size=shape)),
        errcode=codes,
    )


def shards(pieces: int) -> list[xr.Dataset]:
    found, rows = fitted(), names()
    out = []
    for places in np.array_split(np.arange(ROWS), pieces):
        cut = slice(places[0], places[-1] + 1)
        part = linear.LinearResult(**{name: values[cut] for name, values in vars(found).items()})
        attrs = {"build": "GRCh38"}
        out.append(results.gwas_shard(rows.iloc[cut], ["1", "2", "X"], part, TRAITS, attrs))
    return out


@pytest.mark.parametrize("pieces", [1, 3])
def test_joined_shards_say_what_became_of_each_test(pieces: int):
    streamed = shards(pieces)
    assert streamed[0]["variant_linreg_errcode"].dtype == np.int8
    whole = results.join(streamed)
    assert isinstance(whole, results.GwasResult)
    assert whole.attrs == {"build": "GRCh38"}
    code = whole["variant_linreg_errcode"]
    assert code.attrs == {}
    assert code.values[[0, 3, 5, 7], 1].tolist() == [".", "CONST_ALLELE", "WITHHELD", "CONST_TRAIT"]
    assert (code.values == ".").sum() == 3 * ROWS - 7
    assert whole["contig_id"].values[whole["variant_contig"].values].tolist() == (
        names()["contig"].tolist()
    )
    np.testing.assert_array_equal(
        whole["variant_linreg_p_value"].values, 10.0 ** -whole["variant_linreg_neg_log10_p"].values
    )


def test_a_streamed_result_and_the_joined_one_make_the_same_files(tmp_path):
    streamed = shards(3)
    (tmp_path / "one").mkdir()
    files = results.join(streamed).to_files(tmp_path / "one")
    with GwasFiles(tmp_path / "many") as out:
        for shard in streamed:
            out.append(shard)
    assert len(files) == 1 + 3 + 2 * 3
    for path in files:
        if path.suffix != ".parquet":
            assert path.read_bytes() == (tmp_path / "many" / path.name).read_bytes()
    one, many = (read_gwas(tmp_path / name / "gwas.parquet") for name in ("one", "many"))
    xr.testing.assert_identical(one, many)


def test_a_result_writes_the_formats_named(tmp_path):
    paths = results.join(shards(1)).to_files(tmp_path, ["plink"])
    assert sorted(path.name for path in paths) == [
        f"gwas.{trait}.glm.linear" for trait in sorted(TRAITS)
    ]


def test_one_string_stands_for_all_tests_with_a_code(tmp_path):
    with ParquetWriter(tmp_path / "x") as out:
        for shard in shards(4):
            out.append(shard)
    words = read_gwas(tmp_path / "x")["variant_linreg_errcode"].values
    assert len({id(word) for word in words.ravel()}) <= 4 * 4
