from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import zarr

from genome_eu.cohort import arrays, packing
from genome_eu.cohort.arrays import ZARR_2, ByteFile, ByteReader, CheckedArray, create_array
from genome_eu.cohort.rows import RowNames, RowTableWriter, as_slice


@pytest.fixture
def group(tmp_path):
    options = {} if ZARR_2 else {"zarr_format": 2}
    return zarr.open_group(str(tmp_path / "x.zarr"), mode="w", **options)


@pytest.fixture
def values():
    return np.random.default_rng(3).integers(0, 100, (23, 3)).astype(np.int32)


def sha256(values) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def stored(group, values, chunk: int):
    array = create_array(group, "values", values.shape, (chunk, *values.shape[1:]), values.dtype)
    array[:] = values
    return array


class TestCheckedArray:
    @pytest.mark.parametrize("chunk", [1, 5, 23])
    def test_any_range(self, group, values, chunk):
        checked = CheckedArray(stored(group, values, chunk), sha256(values))
        assert (len(checked), checked.shape) == (23, (23, 3))
        for start in range(24):
            for stop in range(start, 26):
                np.testing.assert_array_equal(checked.read(start, stop), values[start:stop])

    def test_many_threads(self, group, values):
        checked = CheckedArray(stored(group, values, 4), sha256(values))
        ranges = [(start, start + 6) for start in range(17)] * 20
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda one: checked.read(*one), ranges))
        for (start, stop), part in zip(ranges, found, strict=True):
            np.testing.assert_array_equal(part, values[start:stop])

    @pytest.mark.parametrize("chunk", [5, 23])
    def test_another_array(self, group, values, chunk):
        with pytest.raises(ValueError, match="another digest than at import"):
            CheckedArray(stored(group, values, chunk), sha256(values[::-1]))

    def test_a_chunk_that_is_another_when_it_is_read_again(self, group, values):
        array = stored(group, values, 5)
        checked = CheckedArray(array, sha256(values))
        np.testing.assert_array_equal(checked.read(0, 3), values[:3])
        array[6] = values[6] + 1
        with pytest.raises(ValueError, match="has changed since it was opened"):
            checked.read(4, 8)

    def test_only_the_last_chunk_stays(self, group, values):
        checked = CheckedArray(stored(group, values, 5), sha256(values))
        checked.read(0, 23)
        kept = [item for item in vars(checked).values() if isinstance(item, tuple)]
        assert [chunk.shape for _, chunk in kept] == [(3, 3)]


@pytest.mark.parametrize("chunk", [7, 1000])
def test_bytes_are_read_as_from_a_file(group, monkeypatch, chunk):
    monkeypatch.setattr(arrays, "_FILE_CHUNK", chunk)
    content = np.random.default_rng(5).bytes(300)
    with ByteFile(group, "file") as file:
        file.write(content)
    checked = CheckedArray(group["file"], file.digest.hexdigest())
    ours, theirs = io.BufferedReader(ByteReader(checked)), io.BytesIO(content)
    for offset, whence in ((0, 0), (290, 0), (-20, 2), (-40, 1), (0, 2), (310, 0)):
        assert ours.seek(offset, whence) == theirs.seek(offset, whence)
        assert ours.read(25) == theirs.read(25)
        assert ours.tell() == theirs.tell()


class TestRowNames:
    @pytest.fixture
    def whole(self):
        return pd.DataFrame(
            {
                "contig": ["2"] * 30 + ["X"] * 40 + ["1"] * 30,
                "position": np.arange(100, dtype=np.int64),
                "id": [f"v{j}" for j in range(100)],
                "ref": ["A", "C"] * 50,
                "alt": ["G", "T", "AAA", "."] * 25,
                "autosomal": [True] * 30 + [False] * 40 + [True] * 30,
            }
        )

    @pytest.fixture
    def names(self, whole):
        """The same table in pieces of 16 rows."""
        file = io.BytesIO()
        file.close, close = lambda: None, file.close
        writer = RowTableWriter(file)
        for start in range(0, 100, 16):
            writer.append(whole.iloc[start : start + 16])
        writer.close()
        yield RowNames(io.BytesIO(file.getvalue()))
        close()

    @pytest.mark.parametrize(
        "rows",
        [
            np.arange(100),
            np.arange(10, 50),
            np.arange(16, 32),
            np.arange(99, -1, -3),
            np.array([5, 90, 5, 40, 41, 42, 6]),
            np.array([], dtype=np.int64),
        ],
        ids=str,
    )
    def test_any_rows_in_any_order(self, names, whole, rows):
        expected = whole.iloc[rows].reset_index(drop=True)
        pd.testing.assert_frame_equal(names.take(rows), expected, check_dtype=len(rows) > 0)
        assert len(names) == 100

    def test_columns(self, names, whole):
        assert names.column("contig").astype(str).tolist() == whole["contig"].tolist()
        np.testing.assert_array_equal(names.column("autosomal"), whole["autosomal"])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([3, 4, 5], slice(3, 6)),
        ([0], slice(0, 1)),
        ([3, 5, 4, 6], None),
        ([3, 5], None),
        ([5, 4, 3], None),
        ([3, 3, 5], None),
        ([], None),
    ],
)
def test_rows_that_follow_each_other(rows, expected):
    rows = np.array(rows, dtype=np.int64)
    found = as_slice(rows)
    assert found is rows if expected is None else found == expected


def test_names_of_a_store_in_pieces(tmp_path, monkeypatch):
    """The store's own answers, against its whole table."""
    from genome_eu.cohort import import_genotypes
    from tests.cohort.genotype_files import write_plink

    monkeypatch.setattr(packing, "_ALLELES_AT_ONCE", 1)
    monkeypatch.setattr(arrays, "_FILE_CHUNK", 100)
    variants = [("X" if j < 1200 else "21", f"v{j}", 100 + j, "C", "A") for j in range(2100)]
    dosage = np.random.default_rng(5).integers(-1, 3, (2100, 3))
    bed = write_plink(tmp_path / "x", [("F", f"I{j}", 1) for j in range(3)], variants, dosage)
    store = import_genotypes(bed, tmp_path / "fi.vcz")
    rows = np.array([2099, 0, 1300, 1000])
    expected = store.rows.iloc[rows].reset_index(drop=True)
    pd.testing.assert_frame_equal(store.names(rows), expected)
    assert store.contigs(rows) == ["21", "X"]
    assert store.contigs(rows[[1, 2]]) == ["X", "21"]
    np.testing.assert_array_equal(store.autosomal, np.arange(2100) >= 1200)
