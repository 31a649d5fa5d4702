from __future__ import annotations

import copy
import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numcodecs
import numpy as np
import pandas as pd
import pytest
import zarr

from genome_eu.cohort import arrays, import_genotypes, open_store, packing
from genome_eu.errors import SourceError
from tests.cohort.conftest import PEOPLE
from tests.cohort.genotype_files import write_plink


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """A store of 101 rows in chunks of 8, and its dosages."""
    monkeypatch.setattr(arrays, "_CHUNK_ROWS", 8)
    dosage = np.random.default_rng(11).integers(-1, 3, (101, 9))
    variants = [("1", f"v{j}", 100 + j, "C", "A") for j in range(101)]
    bed = write_plink(tmp_path / "x", [("F", f"I{j}", 1) for j in range(9)], variants, dosage)
    store = import_genotypes(bed, tmp_path / "fi.vcz")
    assert store.block_rows == 8
    return store, dosage


def packed_chunk(store, number: int) -> Path:
    return store.path / "genome_eu" / "packed" / f"{number}.0"


def flip(chunk: Path) -> None:
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def cut(chunk: Path) -> None:
    content = chunk.read_bytes()
    chunk.write_bytes(content[: len(content) // 2])


class TestRead:
    @pytest.mark.parametrize(
        "rows",
        [
            slice(None),
            slice(8, 16),
            slice(96, 101),
            slice(3, 29),
            slice(0, 0),
            slice(50, 20),
            slice(2, 90, 7),
            np.array([100, 0, 57, 57, 3]),
            np.arange(16, 24),
            np.arange(5, 40),
            np.array([], dtype=np.int64),
        ],
        ids=str,
    )
    def test_slices_and_indices(self, blocks, rows):
        store, dosage = blocks
        block = store.read(rows, backend="reference")
        np.testing.assert_array_equal(block.dosages(), dosage[rows])
        assert block.packed.flags.c_contiguous
        assert block.people == 9

    @pytest.mark.parametrize(
        ("rows", "match"), [([101], "row 101 is not"), ([-1], "row -1 is not"), ([1.5], "whole")]
    )
    def test_rows_that_are_not_there(self, blocks, rows, match):
        with pytest.raises(IndexError, match=match):
            blocks[0].read(np.array(rows))

    def test_many_threads(self, blocks):
        store, dosage = blocks
        rng = np.random.default_rng(1)
        wanted = [rng.integers(0, 101, 40) for _ in range(60)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda rows: store.read(rows, "reference").dosages(), wanted))
        for rows, dosages in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(dosages, dosage[rows])

    def test_a_worker_is_handed_only_the_path(self, blocks):
        store, _ = blocks
        _ = store.rows
        assert store.__reduce__() == (open_store, (str(store.path),))
        assert copy.copy(store).digest == store.digest


class TestCounts:
    def test_counts_of_everybody(self, blocks):
        store, dosage = blocks
        expected = np.stack([(dosage == code).sum(axis=1) for code in (0, 1, 2, -1)], axis=1)
        np.testing.assert_array_equal(store.row_counts, expected)
        assert store.row_counts.dtype == np.int64
        some = np.array([100, 3, 3, 40])
        np.testing.assert_array_equal(store.counts(some), expected[some])
        assert store.counts(some[:0]).shape == (0, 4)
        everybody = np.zeros(9, dtype=int)
        counted = store.read(slice(None)).counts(everybody, 1)[:, 0]
        np.testing.assert_array_equal(open_store(store.path).row_counts, counted)

    def test_counts_of_a_vcf(self, made):
        dosage = made.read(slice(None), backend="reference").dosages()
        expected = np.stack([(dosage == code).sum(axis=1) for code in (0, 1, 2, -1)], axis=1)
        np.testing.assert_array_equal(made.row_counts, expected)

    def test_a_store_of_many_pieces(self, tmp_path, monkeypatch):
        """Every array whose chunks depend on the number of rows, cut small."""
        monkeypatch.setattr(arrays, "_CHUNK_ROWS", 7)
        monkeypatch.setattr(packing, "_COLUMN_ROWS", 5)
        monkeypatch.setattr(packing, "_ALLELES_AT_ONCE", 1)
        monkeypatch.setattr(arrays, "_FILE_CHUNK", 100)
        rng = np.random.default_rng(5)
        dosage = rng.integers(-1, 3, (2300, 6))
        variants = [(str(1 + j // 700), f"v{j}", 100 + j, "C", "A") for j in range(2300)]
        people = [("F", f"I{j}", 1) for j in range(6)]
        bed = write_plink(tmp_path / "x", people, variants, dosage)
        store = import_genotypes(bed, tmp_path / "fi.vcz")
        np.testing.assert_array_equal(store.read(slice(None), "reference").dosages(), dosage)
        np.testing.assert_array_equal(store.row_counts[:, 3], (dosage == -1).sum(axis=1))
        assert store.rows["id"].tolist() == [f"v{j}" for j in range(2300)]
        assert store.describe()["contigs"] == {"1": 700, "2": 700, "3": 700, "4": 200}
        store.verify()
        monkeypatch.undo()
        whole = import_genotypes(bed, tmp_path / "whole.vcz")
        assert (whole.digest, whole.block_rows) == (store.digest, 2300)
        pd.testing.assert_frame_equal(whole.rows, store.rows)


class TestDescription:
    def test_describe(self, made):
        description = made.describe()
        assert json.loads(json.dumps(description)) == description
        assert description["people"] == len(PEOPLE)
        assert description["variants"] == 44
        assert description["rows"] == description["autosomal_rows"] == 45
        assert description["variants_without_alt"] == 1
        assert description["duplicated_rows"] == 1
        assert description["contigs"] == {"21": 40, "22": 5}
        assert description["call_rate"] == pytest.approx(1 - 6 / (45 * 7))
        assert description["sample_columns"] == [
            {"name": "sex", "type": "text", "people": 7},
            {"name": "population", "type": "text", "people": 7},
            {"name": "age", "type": "number", "people": 6},
            {"name": "note", "type": "text", "people": 6},
        ]
        assert 0 < description["packed_bytes"] < description["bytes"]

    def test_people_and_names(self, made):
        assert made.name == "fi"
        assert made.sample_id.tolist() == PEOPLE
        assert made.sample_id.dtype.kind == "U"
        assert made.samples.index.tolist() == PEOPLE
        assert made.samples["sex"].tolist() == ["M", "F", "F", "M", "F", "F", "M"]
        assert made.samples["age"].dtype == np.float64
        assert np.isnan(made.samples.loc["P3", "age"])
        assert made.samples["population"].tolist() == ["0", "1", "0", "1", "0", "1", "0"]
        assert made.samples["note"].isna().tolist() == [True] + [False] * 6
        assert "7 people, 45 rows" in repr(made)

    def test_opening_reads_no_genotypes(self, blocks):
        store, _ = blocks
        shutil.rmtree(store.path / "call_genotype")
        for chunk in (store.path / "genome_eu" / "packed").glob("*.0"):
            chunk.unlink()
        assert open_store(store.path).people == 9


class TestChunks:
    def test_rows_of_a_chunk(self):
        rows = packing.packed_chunk_rows
        assert rows(9, 101) == 101
        assert rows(500, 1_000_000) == 8192
        assert rows(10_000, 100_000) == 8 * 2**20 // 2500
        assert rows(1_000_000, 50_000_000) == 64 * 2**20 // 250_000
        # Between them, as large as so many files need.
        assert 50_000_000 / rows(100_000, 50_000_000) <= 100_100

    @pytest.mark.parametrize("compressor", [None, numcodecs.Zstd(1)])
    def test_a_store_that_another_tool_compressed_anew(self, blocks, compressor):
        store, dosage = blocks
        group = zarr.open_group(str(store.path), mode="r+")["genome_eu"]
        packed = group["packed"][:]
        del group["packed"]
        arrays.create_array(
            group, "packed", packed.shape, (8, 3), np.uint8, compressor, nested=True
        )[:] = packed
        zarr.consolidate_metadata(str(store.path))
        again = open_store(store.path)
        again.verify()
        np.testing.assert_array_equal(again.read(slice(None), "reference").dosages(), dosage)

    def test_a_file_that_was_cut_is_not_decoded(self, blocks, monkeypatch):
        """Blosc would read on behind the end of what there is."""
        store, _ = blocks
        cut(packed_chunk(store, 3))
        again = open_store(store.path)
        monkeypatch.setattr(arrays.numcodecs.blosc, "decompress", None)
        with pytest.raises(SourceError, match="rows 24 to 31, is damaged") as caught:
            again.read(slice(24, 32))
        assert "bytes of a chunk that needs" in str(caught.value.__cause__)


class TestDamage:
    @pytest.mark.parametrize("spoil", ["flip", "cut", "empty", "absent", "another"])
    def test_packed_chunk(self, blocks, spoil):
        store, dosage = blocks
        chunk = packed_chunk(store, 3)
        content = chunk.read_bytes()
        if spoil == "flip":
            chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 4]))
        elif spoil == "cut":
            chunk.write_bytes(content[:-3])
        elif spoil == "empty":
            chunk.write_bytes(b"")
        elif spoil == "absent":
            chunk.unlink()
        else:
            shutil.copy(packed_chunk(store, 4), chunk)
        again = open_store(store.path)
        pattern = r"cohort fi.vcz: genome_eu/packed, rows 24 to 31, is damaged .*genome-eu import"
        for rows in (slice(24, 32), slice(0, 101), np.array([99, 30])):
            with pytest.raises(SourceError, match=pattern):
                again.read(rows)
        with pytest.raises(SourceError, match=pattern):
            again.verify()
        np.testing.assert_array_equal(
            again.read(slice(0, 24), backend="reference").dosages(), dosage[:24]
        )

    def test_chunk_of_people_without_the_allele(self, tmp_path):
        """Some versions of Zarr do not write a chunk of zeros; it is not taken for damage."""
        variants = [("1", f"v{j}", 100 + j, "C", "A") for j in range(5)]
        bed = write_plink(tmp_path / "x", [("F", "I", 1)], variants, np.zeros((5, 1), int))
        store = import_genotypes(bed, tmp_path / "fi.vcz")
        assert store.read(slice(None), backend="reference").dosages().tolist() == [[0]] * 5
        store.verify()

    @pytest.mark.parametrize("spoil", [flip, cut, Path.unlink])
    @pytest.mark.parametrize("asked", ["rows", "verify"])
    def test_names_of_rows(self, blocks, spoil, asked):
        store, _ = blocks
        spoil(store.path / "genome_eu" / "rows_parquet" / "0")
        again = open_store(store.path)
        with pytest.raises(SourceError, match="cohort fi.vcz: its row table is damaged or absent"):
            again.verify() if asked == "verify" else again.rows

    @pytest.mark.parametrize(
        "array", ["genome_eu/row_allele", "variant_position", "variant_allele"]
    )
    def test_variants_that_rows_were_named_by(self, blocks, array):
        store, _ = blocks
        for chunk in (store.path / array).rglob("[0-9]*"):
            if chunk.is_file():
                chunk.unlink()
        again = open_store(store.path)
        pd.testing.assert_frame_equal(again.rows, store.rows)
        with pytest.raises(SourceError, match="its row table is damaged"):
            again.verify()

    @pytest.mark.parametrize("spoil", [flip, cut, Path.unlink])
    @pytest.mark.parametrize("asked", ["row_counts", "verify"])
    def test_counts(self, blocks, spoil, asked):
        store, _ = blocks
        spoil(store.path / "genome_eu" / "row_counts" / "0.0")
        again = open_store(store.path)
        with pytest.raises(SourceError, match="genome_eu/row_counts is damaged or absent"):
            again.verify() if asked == "verify" else again.row_counts

    @pytest.mark.parametrize("name", ["row_counts", "rows_parquet"])
    def test_another_store_s(self, blocks, made, name):
        store, _ = blocks
        shutil.rmtree(store.path / "genome_eu" / name)
        shutil.copytree(made.path / "genome_eu" / name, store.path / "genome_eu" / name)
        (store.path / ".zmetadata").unlink()
        zarr.consolidate_metadata(str(store.path))
        again = open_store(store.path)
        with pytest.raises(SourceError, match="is damaged or absent"):
            _ = again.rows if name == "rows_parquet" else again.row_counts

    def test_counts_that_are_not_those_of_the_rows(self, blocks):
        """Their digest is right, so only counting again tells."""
        store, _ = blocks
        root = zarr.open_group(str(store.path), mode="r+")
        counts = root["genome_eu/row_counts"][:]
        counts[100] = counts[100][[1, 0, 2]] + [0, 0, 1]
        root["genome_eu/row_counts"][:] = counts
        digest = hashlib.sha256(counts.tobytes()).hexdigest()
        root["genome_eu"].attrs["row_counts_sha256"] = digest
        zarr.consolidate_metadata(str(store.path))
        again = open_store(store.path)
        assert again.row_counts[100, 3] == counts[100, 2]
        with pytest.raises(SourceError, match="genome_eu/row_counts is damaged"):
            again.verify()

    def test_a_chunk_is_checked_once_in_a_process_and_always_by_verify(self, blocks, monkeypatch):
        store, dosage = blocks
        checked = []

        def digest(block):
            checked.append(len(block))
            return arrays.chunk_digest(block)

        monkeypatch.setattr("genome_eu.cohort.chunks.chunk_digest", digest)
        for _ in range(3):
            np.testing.assert_array_equal(
                store.read(slice(4, 20), backend="reference").dosages(), dosage[4:20]
            )
        assert len(checked) == 3
        store.verify()
        assert len(checked) == 3 + 13
        store.read(slice(0, 101))
        assert len(checked) == 3 + 13

    def test_rows_that_were_chosen_are_read_once_while_their_file_stays(self, blocks, monkeypatch):
        store, dosage = blocks
        decoded = []
        read = arrays.ChunkReader.read

        def reading(reader, chunk):
            decoded.append(chunk)
            return read(reader, chunk)

        monkeypatch.setattr(arrays.ChunkReader, "read", reading)
        chosen = np.array([3, 9, 40])
        for rows in (chosen, chosen[[2, 0]], chosen[[1, 1, 2]]):
            found = store.read(rows, backend="reference").dosages()
            np.testing.assert_array_equal(found, dosage[rows])
        assert decoded == [0, 1, 5]
        other = np.array([3, 9, 10, 11])
        np.testing.assert_array_equal(store.read(other, "reference").dosages(), dosage[other])
        assert decoded == [0, 1, 5, 1]
        shutil.copy(packed_chunk(store, 4), packed_chunk(store, 0))
        with pytest.raises(SourceError, match="rows 0 to 7, is damaged"):
            store.read(chosen)

    def test_rows_that_were_chosen_take_little_memory(self, blocks, monkeypatch):
        store, dosage = blocks
        two_rows = store.read(slice(0, 2)).packed.nbytes
        monkeypatch.setattr("genome_eu.cohort.chunks._KEPT_BYTES", two_rows)
        rows = np.array([3, 9, 40])
        for _ in range(2):
            np.testing.assert_array_equal(store.read(rows, "reference").dosages(), dosage[rows])
        assert list(store._packed._chosen) == [1, 5]

    def test_a_chunk_that_was_wrong_is_checked_again(self, blocks):
        store, dosage = blocks
        chunk = packed_chunk(store, 0)
        content = chunk.read_bytes()
        shutil.copy(packed_chunk(store, 4), chunk)
        for _ in range(2):
            with pytest.raises(SourceError, match="rows 0 to 7, is damaged"):
                store.read(slice(0, 8))
        chunk.write_bytes(content)
        np.testing.assert_array_equal(store.read(slice(0, 8), "reference").dosages(), dosage[:8])

    @pytest.mark.parametrize("array", ["sample_id", "genome_eu/samples_parquet"])
    def test_people(self, blocks, array):
        store, _ = blocks
        (store.path / array / "0").unlink()
        with pytest.raises(SourceError, match="its table of people is damaged"):
            _ = open_store(store.path).samples

    def test_genotypes_changed_after_packing(self, blocks):
        store, _ = blocks
        store.verify()
        genotypes = zarr.open_group(str(store.path), mode="r+")["call_genotype"]
        genotypes[0, 0] = [1, 1] if genotypes[0, 0, 0] == 0 else [0, 0]
        with pytest.raises(SourceError, match="call_genotype is damaged or was changed"):
            open_store(store.path).verify()


class TestNotACohort:
    def test_absent_or_no_zarr(self, tmp_path):
        with pytest.raises(SourceError, match="no such cohort"):
            open_store(tmp_path / "none.vcz")
        (tmp_path / "folder").mkdir()
        with pytest.raises(SourceError, match="is not a cohort store"):
            open_store(tmp_path / "folder")

    def test_zarr_of_another_tool(self, blocks, tmp_path):
        store, _ = blocks
        shutil.rmtree(store.path / "genome_eu")
        (store.path / ".zmetadata").unlink()
        with pytest.raises(SourceError, match="Zarr without packed rows, made by another tool"):
            open_store(store.path)

    def test_another_format(self, blocks):
        store, _ = blocks
        root = zarr.open_group(str(store.path), mode="r+")
        root["genome_eu"].attrs["format"] = 99
        zarr.consolidate_metadata(str(store.path))
        with pytest.raises(SourceError, match="format 99, but this version reads format 2"):
            open_store(store.path)

    def test_attributes_that_do_not_belong(self, blocks):
        store, _ = blocks
        root = zarr.open_group(str(store.path), mode="r+")
        root["genome_eu"].attrs["people"] = 8
        root["genome_eu"].attrs["rows"] = 100
        zarr.consolidate_metadata(str(store.path))
        with pytest.raises(SourceError, match=r"genome_eu/packed .* is damaged"):
            open_store(store.path)
