"""A result read back from Parquet is the result that was written."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr

from genome_eu.errors import BadInput, UsageError
from genome_eu.formats import ParquetWriter, parquet, read_frequencies, read_gwas, read_pca
from tests.formats import fake_results as fake

RESULTS = {
    "frequencies": (fake.frequencies, read_frequencies),
    "gwas": (fake.gwas, read_gwas),
    "pca": (fake.pca, read_pca),
}
TEXT = ("contig", "id", "ref", "alt", "trait", "errcode")
COLUMNS = {
    "frequencies": "contig position id ref alt group n_called n_missing n_hom_ref n_het n_hom_alt "
    "n_hap_ref n_hap_alt allele_count allele_number allele_frequency hwe_p hwe_neg_log10_p "
    "hwe_female_neg_log10_p inbreeding_coefficient faf95 faf99 allele_withheld genotype_withheld "
    "n_sites_observed n_sites_hom_ref n_sites_not_called n_sites_suppressed "
    "grpmax_faf95 grpmax_faf95_group grpmax_faf99 grpmax_faf99_group",
    "gwas": "contig position id ref alt trait n df allele_frequency beta se t p neg_log10_p "
    "errcode",
    "pca": "contig position id ref alt reference_frequency PC1 PC2 PC3 PC4",
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_round_trip_changes_nothing(tmp_path, kind):
    make, read = RESULTS[kind]
    result = make()
    path = tmp_path / "x.parquet"
    with ParquetWriter(path) as out:
        for shard in fake.shards(result):
            out.append(shard)
    back = read(path)
    assert set(back) == set(result)
    xr.testing.assert_allclose(back, result, rtol=1e-15)
    assert back.attrs == result.attrs
    file = pq.ParquetFile(path)
    assert file.schema_arrow.names == COLUMNS[kind].split()
    assert file.num_row_groups == 4
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_names_and_traits_are_plain_text_to_other_readers(tmp_path):
    result = fake.gwas()
    with ParquetWriter(tmp_path / "x") as out:
        out.append(result)
    table = pq.read_table(tmp_path / "x")
    assert {str(table.schema.field(name).type) for name in TEXT} == {"string"}
    ids = np.repeat(result.variant_id.values, 2)
    assert table["id"].to_pylist() == ids.tolist()
    assert table["trait"].to_pylist()[:3] == ["ldl", "bmi", "ldl"]
    assert table["alt"].to_pylist() == np.repeat(result.variant_allele.values[:, 1], 2).tolist()
    group = pq.ParquetFile(tmp_path / "x").metadata.row_group(0)
    encoded = {group.column(k).path_in_schema: group.column(k).encodings for k in range(15)}
    assert all("RLE_DICTIONARY" in encoded[name] for name in TEXT)
    assert all("BYTE_STREAM_SPLIT" in encoded[name] for name in ("beta", "se", "p"))


def test_row_groups_are_bounded_however_large_a_shard_is(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet.writer, "_ROW_GROUP", 25)
    result = fake.gwas()
    with ParquetWriter(tmp_path / "x") as out:
        out.append(result)
    metadata = pq.ParquetFile(tmp_path / "x").metadata
    assert [metadata.row_group(k).num_rows for k in range(5)] == [24] * 5
    xr.testing.assert_allclose(read_gwas(tmp_path / "x"), result, rtol=1e-15)


@pytest.mark.parametrize("kind", RESULTS)
def test_files_of_the_first_version_are_read(tmp_path, kind):
    """Before, every column had one encoding and text was plain in the Arrow schema as well."""
    make, read = RESULTS[kind]
    result = make()
    with ParquetWriter(tmp_path / "new") as out:
        out.append(result)
    table = pq.read_table(tmp_path / "new")
    pq.write_table(table, tmp_path / "old", compression="zstd", row_group_size=23)
    xr.testing.assert_identical(read(tmp_path / "old"), read(tmp_path / "new"))


@pytest.mark.parametrize("kind", RESULTS)
def test_no_rows_are_a_result_too(tmp_path, kind):
    make, read = RESULTS[kind]
    with ParquetWriter(tmp_path / "x") as out:
        out.append(make().isel(variants=slice(0, 0)))
    assert read(tmp_path / "x").sizes["variants"] == 0


def test_withheld_numbers_are_null(tmp_path):
    with ParquetWriter(tmp_path / "x") as out:
        out.append(fake.frequencies(groups=[]))
    row = pq.read_table(tmp_path / "x").to_pylist()[4]
    assert row["allele_withheld"]
    assert row["genotype_withheld"]
    assert row["group"] == "Total"
    numbers = [name for name in parquet.FREQUENCIES.names[6:] if not name.endswith("_withheld")]
    assert [row[name] for name in numbers] == [None] * len(numbers)
    assert read_frequencies(tmp_path / "x").variant_allele_withheld.values[4]


def test_a_flag_hides_numbers_that_are_still_there(tmp_path):
    result = fake.frequencies(groups=[])
    result["variant_genotype_withheld"][8] = True
    result["variant_allele_withheld"][9] = True
    with ParquetWriter(tmp_path / "x") as out:
        out.append(result)
    rows = pq.read_table(tmp_path / "x").to_pylist()
    assert rows[8]["n_het"] is None
    assert rows[8]["hwe_p"] is None
    assert rows[8]["allele_count"] is not None
    assert rows[9]["allele_count"] is rows[9]["allele_frequency"] is None
    tests = fake.gwas()
    tests["variant_linreg_errcode"][8, 0] = "WITHHELD"
    with ParquetWriter(tmp_path / "y") as out:
        out.append(tests)
    hidden, shown = pq.read_table(tmp_path / "y").slice(16, 2).to_pylist()
    assert [hidden[name] for name in ("n", "beta", "p", "allele_frequency")] == [None] * 4
    assert shown["beta"] is not None
    back = read_gwas(tmp_path / "y").variant_linreg_allele_frequency.values[8]
    assert back[0] != back[0]
    assert back[1] == tests.variant_linreg_allele_frequency.values[8, 1]


def test_people_are_not_written(tmp_path):
    with ParquetWriter(tmp_path / "x") as out:
        out.append(fake.pca(people=30))
    assert b"PERSON" not in (tmp_path / "x").read_bytes()
    assert "sample_pca_projection" not in read_pca(tmp_path / "x")


def test_mixed_shards_and_wrong_readers_are_refused(tmp_path):
    out = ParquetWriter(tmp_path / "x")
    out.append(fake.frequencies())
    with pytest.raises(BadInput, match="one result only"):
        out.append(fake.gwas())
    with pytest.raises(UsageError, match="received no shard"):
        ParquetWriter(tmp_path / "x").close()
    assert list(tmp_path.iterdir()) == []
    with ParquetWriter(tmp_path / "x") as out:
        out.append(fake.gwas())
    with pytest.raises(BadInput, match=r"holds gwas, not pca. Read it with read_gwas\(\)"):
        read_pca(tmp_path / "x")
    with pytest.raises(BadInput, match="cannot read"):
        read_pca(tmp_path / "none")
    with pytest.raises(BadInput, match="is no result"), ParquetWriter(tmp_path / "y") as out:
        out.append(xr.Dataset())
