from __future__ import annotations

import shutil

import numpy as np
import pytest
import zarr

from genome_eu.cohort import arrays, import_genotypes, open_store
from genome_eu.cohort.exchanged import oriented
from genome_eu.errors import SourceError
from tests.cohort.bgen_files import BgenVariant, draw, write_bgen
from tests.cohort.genotype_files import GRCH37, HEADER, write_vcf
from tests.oracles import dosages as oracle

PEOPLE = ["P0", "P1", "P2", "P3"]


def import_vcf(folder, records, header=None):
    path = write_vcf(folder / "x.vcf.gz", PEOPLE, records, header=header)
    return import_genotypes(path, folder / "fi.vcz", build="GRCh37")


def record(position, alt, *calls):
    return ("chr22", position, ".", "A", alt, *[f"{call}:." for call in calls])


class TestVcf:
    def test_dosages_take_the_place_of_calls_where_there_are_any(self, tmp_path):
        store = import_vcf(
            tmp_path,
            [
                record(100, "C", "0/0:0.123", "0/1:1.0001", "1/1:2", "./.:1.5"),
                record(200, "C", "0/0:.", "0/1:.", "1/1:.", "./.:."),
                record(300, "C,G", "0/1:1.1,0.25", "1/2:.,.", "2/2:0,1.987654", "./.:.,0.5"),
            ],
        )
        found = store.read_dosages(slice(None)).dosages()
        expected = [
            [0.123, 1.0001, 2, 1.5],
            [0, 1, 2, -1],
            [1.1, 1, 0, -1],
            [0.25, 1, 1.987654, 0.5],
        ]
        codes = np.array(
            [[np.floor(value * oracle.ONE + 0.5) for value in row] for row in expected]
        )
        np.testing.assert_array_equal(found * oracle.ONE, codes)
        # Hard calls stay those of the source.
        assert store.read(slice(0, 1)).dosages().tolist() == [[0, 1, 2, -1]]
        store.verify()

    def test_every_three_and_four_decimals_are_read_as_written(self, tmp_path):
        texts = [f"{number / 10_000:.4f}" for number in range(0, 20_001, 3)]
        texts += [f"{number / 1000:.3f}" for number in range(2001)]
        texts += ["0"] * (-len(texts) % 4)
        records = [
            record(100 + j, "C", *[f"0/1:{text}" for text in texts[j : j + 4]])
            for j in range(0, len(texts), 4)
        ]
        store = import_vcf(tmp_path, records)
        codes = store.read_dosages(slice(None)).codes.ravel()
        assert codes.tolist() == [int(float(text) * oracle.ONE + 0.5) for text in texts]

    def test_a_haploid_counts_twice(self, tmp_path):
        store = import_vcf(tmp_path, [record(100, "C", "0/1:0.5", "1:0.75", "0:.", ".:0.25")])
        assert store.read_dosages(slice(None)).dosages().tolist() == [[0.5, 1.5, 0, 0.5]]

    @pytest.mark.parametrize(
        "call", ["0/1:2.1", "0/1:-0.1", "1:1.2", "0/1:inf"], ids=lambda call: call.split(":")[1]
    )
    def test_what_is_no_dosage(self, tmp_path, call):
        records = [record(100, "C", *["0/1:1"] * 4), record(200, "C", *["0/1:1"] * 3, call)]
        with pytest.raises(
            SourceError, match="variant 2 has a DS that is no dosage; .*annotate -x"
        ):
            import_vcf(tmp_path, records)

    def test_one_value_for_several_alts(self, tmp_path):
        header = HEADER.format(**GRCH37).replace("ID=DS,Number=A", "ID=DS,Number=1")
        records = [record(100, "C", *["0/1:0.75"] * 4)]
        store = import_vcf(tmp_path, records, header)
        assert store.read_dosages(slice(None)).dosages().tolist() == [[0.75] * 4]
        shutil.rmtree(store.path)
        records.append(record(200, "C,G", *["0/1:0.75"] * 4))
        with pytest.raises(SourceError, match="variant 2 has one DS for several ALTs"):
            import_vcf(tmp_path, records, header)

    def test_a_header_alone_makes_no_dosages(self, tmp_path):
        store = import_vcf(tmp_path, [record(100, "C", "0/0:.", "0/1:.", "1/1:.", "./.:.")])
        assert not store.has_dosages
        assert "dosage" not in zarr.open_group(str(store.path), mode="r")["genome_eu"]


@pytest.fixture
def imputed(tmp_path, monkeypatch):
    """A store of 50 rows of dosages in chunks of 8."""
    monkeypatch.setattr(arrays, "_CHUNK_ROWS", 8)
    variants = [BgenVariant(draw(13, 8, False, j), position=1000 + j) for j in range(50)]
    path = write_bgen(tmp_path / "x.bgen", variants, people=[f"P{j:02d}" for j in range(13)])
    return import_genotypes(path, tmp_path / "fi.vcz")


def assert_sums(store, rows):
    """What was summed at import is what the kernels give."""
    everybody = np.zeros(store.people, int)
    block = store.read_dosages(rows)
    called, _, *sums = block.tally(everybody, 1)
    expected = [called[:, 0], *(one[:, 0] for one in sums), block.counts(everybody, 1)[:, 0]]
    for found, values in zip(store.dosage_sums(rows), expected, strict=True):
        np.testing.assert_array_equal(found, values)


class TestStore:
    @pytest.mark.parametrize(
        "rows",
        [slice(None), slice(8, 16), slice(3, 29), slice(40, 2, -3), np.array([49, 0, 7, 7, 31])],
        ids=repr,
    )
    def test_any_rows_in_any_order(self, imputed, rows):
        whole = imputed.read_dosages(np.arange(50)).codes
        np.testing.assert_array_equal(imputed.read_dosages(rows).codes, whole[rows])

    def test_sums_of_everybody(self, imputed):
        rows = np.array([30, 2, 2, 49])
        assert_sums(imputed, rows)
        for codes, called, total, square in zip(
            imputed.read_dosages(rows).codes, *imputed.dosage_sums(rows)[:3], strict=True
        ):
            known = [int(code) for code in codes if code != oracle.MISSING]
            assert (called, total * oracle.ONE) == (len(known), sum(known))
            assert square * oracle.ONE**2 == sum(code**2 for code in known)

    def test_exchanged_alleles(self, imputed):
        rows = np.array([30, 2, 49])
        exchanged = oriented(rows, np.array([True, False, True]))
        codes = imputed.read_dosages(rows).codes.astype(int)
        codes[[0, 2]] = np.where(codes == oracle.MISSING, codes, 2 * oracle.ONE - codes)[[0, 2]]
        np.testing.assert_array_equal(imputed.read_dosages(exchanged).codes, codes)
        assert_sums(imputed, exchanged)

    def test_hard_calls_are_dosages_where_there_are_no_others(self, bed, tmp_path):
        store = import_genotypes(bed, tmp_path / "bed.vcz")
        assert not store.has_dosages
        calls = store.read(slice(None)).dosages()
        np.testing.assert_array_equal(store.read_dosages(slice(None)).dosages(), calls)
        assert_sums(store, np.arange(store.n_rows))

    def test_a_cohort_is_another_with_other_dosages(self, tmp_path):
        digests = set()
        for extra in (0, 1):
            numerators = np.tile([[255, 0], [10 + extra, 20]], (5, 1))
            path = write_bgen(
                tmp_path / "x.bgen", [BgenVariant(numerators)], people=[f"P{j}" for j in range(10)]
            )
            store = import_genotypes(path, tmp_path / f"{extra}.vcz")
            digests.add((store.genotype_digest, store.digest))
        assert len(digests) == 2

    def test_describe(self, imputed):
        assert imputed.describe()["dosages"] is True


class TestDamage:
    @pytest.mark.parametrize("what", ["cut", "flip", "unlink"])
    def test_a_chunk(self, imputed, what):
        chunk = imputed.path / "genome_eu" / "dosage" / "2.0"
        content = bytearray(chunk.read_bytes())
        if what == "unlink":
            chunk.unlink()
        else:
            content[len(content) // 2] ^= 8
            chunk.write_bytes(content[:-3] if what == "cut" else content)
        store = open_store(imputed.path)
        store.read_dosages(slice(0, 16))
        message = "genome_eu/dosage, rows 16 to 23, is damaged or absent"
        with pytest.raises(SourceError, match=message):
            store.read_dosages(slice(17, 18))
        with pytest.raises(SourceError, match=message):
            store.verify()

    def test_sums(self, imputed):
        group = zarr.open_group(str(imputed.path), mode="r+")["genome_eu"]
        group["dosage_sums"][3, 1] += 1
        store = open_store(imputed.path)
        for question in (lambda: store.dosage_sums(np.arange(5)), store.verify):
            with pytest.raises(SourceError, match="genome_eu/dosage_sums is damaged"):
                question()

    def test_digests(self, imputed):
        shutil.rmtree(imputed.path / "genome_eu" / "dosage_digest")
        with pytest.raises(SourceError, match="dosage.* is damaged or absent"):
            open_store(imputed.path).read_dosages(slice(0, 8))
