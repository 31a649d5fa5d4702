from __future__ import annotations

import shutil
import warnings

import numpy as np
import pytest
import zarr

from genome_eu.cohort import bed as bed_module
from genome_eu.cohort import import_genotypes
from genome_eu.cohort.calls import GENOTYPE_ARRAYS
from genome_eu.errors import SourceError
from genome_eu.kernels import pack_genotypes
from tests.cohort.genotype_files import write_plink


def fileset(folder, people: int, variants: int, missing: bool = True):
    dosage = np.random.default_rng([people, variants]).integers(-missing, 3, (variants, people))
    rows = [
        ("1" if j < variants // 2 else "X", f"v{j}", 100 + j, "C", "A") for j in range(variants)
    ]
    ids = [("F", f"I{j}", 1) for j in range(people)]
    return write_plink(folder / "x", ids, rows, dosage), dosage


@pytest.mark.parametrize("people", [1, 3, 4, 5, 8, 257])
@pytest.mark.parametrize("missing", [True, False])
def test_packed_rows_are_those_of_the_genotypes(tmp_path, people, missing):
    bed, dosage = fileset(tmp_path, people, 300, missing)
    store = import_genotypes(bed, tmp_path / "fi.vcz")
    block = store.read(slice(None), backend="reference")
    np.testing.assert_array_equal(block.dosages(), dosage)
    genotypes = zarr.open_group(str(store.path), mode="r")["call_genotype"][:]
    np.testing.assert_array_equal(pack_genotypes(genotypes, np.ones(300, int)), block.packed)
    store.verify()


@pytest.mark.parametrize("people", [6, 20_001])
def test_the_store_is_the_one_that_bio2zarr_writes(tmp_path, people):
    """But for how its arrays of calls are compressed."""
    plink = pytest.importorskip("bio2zarr.plink")
    bed, _ = fileset(tmp_path, people, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plink.convert(str(bed.with_suffix("")), str(tmp_path / "peer.vcz"))
    ours = zarr.open_group(str(import_genotypes(bed, tmp_path / "fi.vcz").path), mode="r")
    theirs = zarr.open_group(str(tmp_path / "peer.vcz"), mode="r")
    assert set(ours.array_keys()) == set(theirs.array_keys())
    for name, array in theirs.arrays():
        mine = ours[name]
        np.testing.assert_array_equal(mine[...], array[...], err_msg=name)
        assert (mine.dtype, mine.chunks) == (array.dtype, array.chunks), name
        assert mine.fill_value == array.fill_value, name
        assert dict(mine.attrs) == dict(array.attrs), name


def test_sgkit_reads_the_calls(tmp_path):
    sgkit = pytest.importorskip("sgkit")
    bed, dosage = fileset(tmp_path, 13, 40)
    store = import_genotypes(bed, tmp_path / "fi.vcz")
    dataset = sgkit.load_dataset(str(store.path))
    assert set(GENOTYPE_ARRAYS) <= set(dataset)
    counted = sgkit.count_call_alleles(dataset)["call_allele_count"].values
    np.testing.assert_array_equal(counted[:, :, 1], np.where(dosage < 0, 0, dosage))
    np.testing.assert_array_equal(dataset["call_genotype_mask"].values.all(axis=2), dosage < 0)


def test_codes_after_the_last_person_are_ignored(tmp_path):
    bed, dosage = fileset(tmp_path, 5, 7)
    content = bytearray(bed.read_bytes())
    content[4::2] = [byte | 0b11011100 for byte in content[4::2]]
    bed.write_bytes(content)
    store = import_genotypes(bed, tmp_path / "fi.vcz")
    np.testing.assert_array_equal(store.read(slice(None), backend="reference").dosages(), dosage)
    np.testing.assert_array_equal(store.row_counts[:, 3], (dosage < 0).sum(axis=1))


def test_a_file_that_becomes_shorter_meanwhile(tmp_path, monkeypatch):
    bed, _ = fileset(tmp_path, 9, 50)

    def cut_first(*args):
        bed.write_bytes(bed.read_bytes()[:-2])
        return made(*args)

    made = bed_module.BedCalls
    monkeypatch.setattr("genome_eu.cohort.convert.BedCalls", cut_first)
    with pytest.raises(SourceError, match=r"x\.bed became shorter while it was read"):
        import_genotypes(bed, tmp_path / "fi.vcz")
    assert not (tmp_path / "fi.vcz").exists()
    assert not list(tmp_path.glob(".*partial*"))


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    """An error on one thread stops the others, and then the folder is removed."""
    bed, _ = fileset(tmp_path, 9, 3500)
    expanded = bed_module.BedCalls._expanded
    calls = []

    def fill(*args):
        calls.append(args)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return expanded(*args)

    monkeypatch.setattr(bed_module.BedCalls, "_expanded", fill)
    with pytest.raises(Exception, match=r"fi\.vcz cannot be written: No space left on device"):
        import_genotypes(bed, tmp_path / "fi.vcz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.bed", "x.bim", "x.fam"]


def test_a_changed_call_is_found(tmp_path):
    bed, _ = fileset(tmp_path, 9, 50)
    store = import_genotypes(bed, tmp_path / "fi.vcz")
    shutil.rmtree(store.path / "call_genotype" / "0")
    with pytest.raises(SourceError, match="call_genotype is damaged"):
        store.verify()
