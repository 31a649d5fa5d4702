from __future__ import annotations

import gzip
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr

from genome_eu.cohort import convert, import_genotypes, open_store
from genome_eu.errors import BadInput, SampleError, SourceError, UsageError
from genome_eu.kernels import pack_genotypes, unpack
from tests.cohort.conftest import MULTI_ALLELIC, PEOPLE, vcf_records
from tests.cohort.genotype_files import BGZF_END, GRCH38, HEADER, write_plink, write_vcf

REAL = Path(__file__).parents[3] / "shared" / "data"


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if ".partial-" in path.name)


class TestVcf:
    def test_rows_are_every_variant_and_alt(self, made):
        rows = made.rows
        expected = []
        for contig, position, name, ref, alts, *_ in vcf_records():
            for alt in alts.split(","):
                if alt != ".":
                    expected.append((contig.removeprefix("chr"), position, name, ref, alt, True))
        assert list(rows.itertuples(index=False, name=None)) == expected
        assert list(rows.columns) == ["contig", "position", "id", "ref", "alt", "autosomal"]
        assert rows["position"].dtype == np.int64

    def test_multi_allelic_rows_count_their_own_allele(self, made):
        mine = np.flatnonzero(made.rows["ref"] == "AT")
        assert made.read(mine, backend="reference").dosages().tolist() == MULTI_ALLELIC

    def test_sgkit_opens_the_store_and_its_genotypes_are_the_packed_ones(self, made):
        sgkit = pytest.importorskip("sgkit")
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("error", UserWarning)
            dataset = sgkit.load_dataset(str(made.path))
        genotypes = dataset["call_genotype"].values
        n_alts = (dataset["variant_allele"].values[:, 1:] != "").sum(axis=1)
        block = made.read(slice(None), backend="reference")
        expected = unpack(pack_genotypes(genotypes, n_alts), len(PEOPLE))
        np.testing.assert_array_equal(block.dosages(), expected)
        assert dataset["sample_id"].values.tolist() == PEOPLE
        assert made.dataset().sizes == dataset.sizes

    def test_other_fields_are_dropped_and_dosages_kept(self, made):
        arrays = set(zarr.open_group(str(made.path), mode="r").array_keys())
        assert "call_DS" in arrays
        assert not {"call_AD", "variant_DP"} & arrays

    def test_two_imports_have_one_digest(self, made, vcf, table, tmp_path):
        again = import_genotypes(vcf, tmp_path / "other.vcz", samples=table)
        assert again.digest == made.digest
        assert again.genotype_digest == made.genotype_digest
        bare = import_genotypes(vcf, tmp_path / "bare.vcz")
        assert bare.genotype_digest == made.genotype_digest
        assert bare.digest != made.digest
        assert bare.samples.columns.empty

    @pytest.mark.parametrize("spoil", ["cut", "no end", "bit", "extra"])
    def test_damaged_file(self, vcf, tmp_path, spoil):
        copy = tmp_path / "x.vcf.gz"
        content = vcf.read_bytes()
        if spoil == "cut":
            content = content[: len(content) // 2]
        elif spoil == "no end":
            content = content.removesuffix(BGZF_END)
        elif spoil == "bit":
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        else:
            content += b"tail"
        copy.write_bytes(content)
        shutil.copy(f"{vcf}.tbi", f"{copy}.tbi")
        with pytest.raises(SourceError, match=r"x\.vcf\.gz is (cut short|damaged)") as caught:
            import_genotypes(copy, tmp_path / "fi.vcz")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "fi.vcz").exists()
        assert not leftovers(tmp_path)

    def test_index_of_another_file(self, vcf, tmp_path):
        copy = write_vcf(tmp_path / "x.vcf.gz", PEOPLE, vcf_records()[:30])
        other = write_vcf(tmp_path / "y.vcf.gz", PEOPLE, vcf_records()[:31])
        shutil.copy(f"{other}.tbi", f"{copy}.tbi")
        with pytest.raises(SourceError, match=r"30 readable variants, but its index lists 31"):
            import_genotypes(copy, tmp_path / "fi.vcz")
        assert not leftovers(tmp_path)

    def test_not_bgzipped_or_not_indexed(self, vcf, tmp_path):
        text = gzip.decompress(vcf.read_bytes())
        plain = tmp_path / "x.vcf"
        plain.write_bytes(text)
        with pytest.raises(SourceError, match=re.escape("`bgzip x.vcf && tabix -p vcf x.vcf.gz`")):
            import_genotypes(plain, tmp_path / "fi.vcz")
        zipped = tmp_path / "z.vcf.gz"
        zipped.write_bytes(gzip.compress(text))
        with pytest.raises(SourceError, match=r"gunzip z\.vcf\.gz && bgzip z\.vcf && tabix"):
            import_genotypes(zipped, tmp_path / "fi.vcz")
        bare = write_vcf(tmp_path / "b.vcf.gz", PEOPLE, vcf_records(), index=False)
        with pytest.raises(SourceError, match=re.escape("`tabix -p vcf b.vcf.gz`")):
            import_genotypes(bare, tmp_path / "fi.vcz")
        text_file = tmp_path / "notes.txt"
        text_file.write_text("hello")
        with pytest.raises(SourceError, match="neither VCF, BCF, PLINK nor BGEN"):
            import_genotypes(text_file, tmp_path / "fi.vcz")

    @pytest.mark.parametrize(
        ("people", "drop", "match"),
        [
            (["P0", "P1", "P0"], "", r"1 sample id more than once \(first: P0\)"),
            ([], "", "only sites"),
            (["P0"], "ID=GT", "no GT field"),
        ],
    )
    def test_headers_that_cannot_be_used(self, tmp_path, people, drop, match):
        lines = HEADER.format(**GRCH38).splitlines(keepends=True)
        header = "".join(line for line in lines if not (drop and drop in line))
        records = [("chr21", 9_500_000, ".", "A", "C", *["0/1:1:1,1"] * len(people))]
        path = write_vcf(tmp_path / "x.vcf.gz", people, records, header=header)
        with pytest.raises((SourceError, SampleError), match=match):
            import_genotypes(path, tmp_path / "fi.vcz")

    def test_polyploid_calls(self, tmp_path):
        records = [("chr21", 9_500_000, ".", "A", "C", "0/1/1:1:1,1")]
        path = write_vcf(tmp_path / "x.vcf.gz", ["P0"], records)
        with pytest.raises(SourceError, match="calls of 3 alleles"):
            import_genotypes(path, tmp_path / "fi.vcz")

    def test_haploid_only(self, tmp_path):
        records = [("chrM", 100, ".", "A", "C", "1:1:1,1", "0:0:1,1", ".:.:.")]
        store = import_genotypes(
            write_vcf(tmp_path / "x.vcf.gz", ["P0", "P1", "P2"], records), tmp_path / "fi.vcz"
        )
        assert store.read(slice(None), backend="reference").dosages().tolist() == [[2, 0, -1]]
        assert store.rows["contig"].tolist() == ["MT"]
        assert not store.rows["autosomal"].any()


class TestBuild:
    def test_detected_from_the_header(self, made, tmp_path):
        assert made.build == "GRCh37"
        path = write_vcf(
            tmp_path / "x.vcf.gz", PEOPLE, vcf_records(), header=HEADER.format(**GRCH38)
        )
        assert import_genotypes(path, tmp_path / "fi.vcz").build == "GRCh38"

    def test_conflict_with_the_header(self, vcf, tmp_path):
        with pytest.raises(SourceError, match=r"contig 21 48,129,895 bases, but GRCh38"):
            import_genotypes(vcf, tmp_path / "fi.vcz", build="GRCh38")

    def test_position_beyond_the_contig(self, tmp_path):
        variants = [("22", "far", 51_000_000, "C", "A")]
        bed = write_plink(tmp_path / "x", [("F", "I", 1)], variants, np.array([[1]]))
        with pytest.raises(SourceError, match=r"22:51000000, beyond the 50,818,468 bases"):
            import_genotypes(bed, tmp_path / "fi.vcz", build="GRCh38")
        assert import_genotypes(bed, tmp_path / "fi.vcz", build="GRCh37").build == "GRCh37"

    def test_unknown_name(self, vcf, tmp_path):
        with pytest.raises(UsageError, match="unknown genome build 'hg19'"):
            import_genotypes(vcf, tmp_path / "fi.vcz", build="hg19")


class TestPlink:
    def test_rows_and_genotypes(self, bed, tmp_path):
        store = import_genotypes(bed, tmp_path / "fi.vcz")
        assert store.build == "unknown"
        assert store.sample_id.tolist() == [f"I{j}" for j in range(6)]
        assert store.samples["sex"].tolist() == ["unknown", "M", "F"] * 2
        assert store.rows.iloc[-1].tolist() == ["X", 5000, "NA", "G", ".", False]
        dosage = np.random.default_rng(3).integers(-1, 3, (30, 6))
        dosage[-1] = [0, 0, -1, 0, 0, 0]
        np.testing.assert_array_equal(
            store.read(slice(None), backend="reference").dosages(), dosage
        )

    def test_by_prefix_and_by_bim(self, bed, tmp_path):
        by_prefix = import_genotypes(bed.with_suffix(""), tmp_path / "a.vcz")
        by_bim = import_genotypes(bed.with_suffix(".bim"), tmp_path / "b.vcz")
        assert by_prefix.digest == by_bim.digest

    @pytest.mark.parametrize("change", [-1, 1])
    def test_bed_of_another_size(self, bed, tmp_path, change):
        content = bed.read_bytes()
        bed.write_bytes(content[:change] if change < 0 else content + b"\0")
        with pytest.raises(SourceError, match=f"has {63 + change} bytes, but .* need 63"):
            import_genotypes(bed, tmp_path / "fi.vcz")
        assert not leftovers(tmp_path)

    def test_bed_magic(self, bed, tmp_path):
        content = bed.read_bytes()
        bed.write_bytes(b"\x6c\x1b\x00" + content[3:])
        with pytest.raises(SourceError, match="sample-major"):
            import_genotypes(bed, tmp_path / "fi.vcz")
        bed.write_bytes(b"abc" + content[3:])
        with pytest.raises(SourceError, match=r"not a PLINK \.bed file"):
            import_genotypes(bed, tmp_path / "fi.vcz")

    @pytest.mark.parametrize(
        ("suffix", "content", "match"),
        [
            (".bim", None, "no such file"),
            (".fam", "", "is empty"),
            (".fam", "F I 0 0 1\n", "has 5 columns"),
            (".bim", "1 a 0 5 A C\n1 b 0 6 A\n", "line 2 has fewer than 6"),
            (".bim", "1 a 0 5 A C\n1 b 0 6 A C D\n", "does not parse"),
            (".bim", "1 a 0 here A C\n", "line 1: position 'here' is not a whole number"),
        ],
    )
    def test_text_files_that_do_not_parse(self, bed, tmp_path, suffix, content, match):
        path = bed.with_suffix(suffix)
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        with pytest.raises(SourceError, match=match):
            import_genotypes(bed, tmp_path / "fi.vcz")

    def test_repeated_iids_take_the_family_along(self, tmp_path):
        variants = [("1", "v", 5, "C", "A")]
        people = [("A", "1", 1), ("B", "1", 2), ("B", "2", 2)]
        bed = write_plink(tmp_path / "x", people, variants, np.array([[0, 1, 2]]))
        store = import_genotypes(bed, tmp_path / "fi.vcz")
        assert store.sample_id.tolist() == ["A_1", "B_1", "B_2"]
        bed = write_plink(tmp_path / "y", [*people, ("B", "2", 1)], variants, np.array([[0] * 4]))
        with pytest.raises(SampleError, match=r"1 sample id more than once \(first: B_2\)"):
            import_genotypes(bed, tmp_path / "no.vcz")

    def test_sex_of_the_table_comes_first(self, bed, tmp_path):
        table = tmp_path / "t.tsv"
        table.write_text("sample_id\tsex\n" + "".join(f"I{j}\tF\n" for j in range(6)))
        store = import_genotypes(bed, tmp_path / "fi.vcz", samples=table)
        assert store.samples["sex"].tolist() == ["F"] * 6


class TestPeople:
    def test_unlisted(self, vcf, tmp_path):
        table = tmp_path / "samples.tsv"
        table.write_text("sample_id\tage\nP4\t1\nP1\t2\nP5\t3\n")
        expected = (
            "cohort fi.vcz has 4 samples that samples.tsv does not list (first: P0). "
            "Add them, or pass --allow-unlisted to leave them out."
        )
        with pytest.raises(SampleError, match=re.escape(expected)):
            import_genotypes(vcf, tmp_path / "fi.vcz", samples=table)

    @pytest.mark.parametrize("kind", ["vcf", "plink"])
    def test_left_out_people_are_nowhere_in_the_store(self, kind, vcf, bed, tmp_path):
        prefix, kept = ("P", [1, 4, 5]) if kind == "vcf" else ("I", [1, 4, 5])
        source = vcf if kind == "vcf" else bed
        table = tmp_path / "samples.tsv"
        lines = "".join(f"{prefix}{j}\t{j}\n" for j in reversed(kept))
        table.write_text("sample_id\tage\n" + lines)
        whole = import_genotypes(source, tmp_path / "whole.vcz")
        store = import_genotypes(source, tmp_path / "fi.vcz", samples=table, allow_unlisted=True)
        assert store.sample_id.tolist() == [f"{prefix}{j}" for j in kept]
        assert store.samples["age"].tolist() == kept
        np.testing.assert_array_equal(
            store.read(slice(None), backend="reference").dosages(),
            whole.read(slice(None), backend="reference").dosages()[:, kept],
        )
        root = zarr.open_group(str(store.path), mode="r")
        for name, array in root.arrays():
            if "samples" in array.attrs["_ARRAY_DIMENSIONS"]:
                axis = array.attrs["_ARRAY_DIMENSIONS"].index("samples")
                assert array.shape[axis] == len(kept), name
        assert f"{prefix}0" not in json.dumps(dict(root.attrs))
        assert store.describe()["people_left_out"] == len(whole.sample_id) - 3
        np.testing.assert_array_equal(
            root["call_genotype"][:],
            zarr.open_group(str(whole.path), mode="r")["call_genotype"][:][:, kept],
        )
        store.verify()

    def test_without_genotypes(self, vcf, tmp_path):
        table = tmp_path / "samples.tsv"
        table.write_text("sample_id\n" + "".join(f"{one}\n" for one in [*PEOPLE, "Q1"]))
        with pytest.raises(SampleError, match=r"lists 1 sample that cohort fi.vcz does not have"):
            import_genotypes(vcf, tmp_path / "fi.vcz", samples=table)
        store = import_genotypes(vcf, tmp_path / "fi.vcz", samples=table, allow_unlisted=True)
        assert store.describe()["table_people_without_genotypes"] == 1

    def test_nobody_in_common(self, vcf, tmp_path):
        table = tmp_path / "samples.tsv"
        table.write_text("sample_id\nQ1\n")
        with pytest.raises(SampleError, match="nobody in common"):
            import_genotypes(vcf, tmp_path / "fi.vcz", samples=table, allow_unlisted=True)


class TestTarget:
    @pytest.mark.parametrize("error", [RuntimeError("bad luck"), KeyboardInterrupt()])
    @pytest.mark.parametrize("step", ["_encode", "write_packed_group", "_move_into_place"])
    def test_a_crash_leaves_nothing(self, vcf, tmp_path, monkeypatch, step, error):
        def crash(*args, **kwargs):
            raise error

        monkeypatch.setattr(convert, step, crash)
        with pytest.raises((SourceError, KeyboardInterrupt)) as caught:
            import_genotypes(vcf, tmp_path / "fi.vcz")
        if isinstance(error, RuntimeError):
            assert "cannot be converted: bad luck" in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_a_crash_keeps_what_was_to_be_replaced(self, vcf, bed, tmp_path, monkeypatch):
        old = import_genotypes(bed, tmp_path / "fi.vcz")
        rename = convert.os.rename

        def crash(source, target):
            if Path(source).name == "store":
                raise OSError("disk is gone")
            rename(source, target)

        monkeypatch.setattr(convert.os, "rename", crash)
        with pytest.raises(SourceError, match="disk is gone"):
            import_genotypes(vcf, tmp_path / "fi.vcz", overwrite=True)
        assert open_store(tmp_path / "fi.vcz").digest == old.digest
        assert not leftovers(tmp_path)

    def test_existing_target(self, vcf, bed, tmp_path):
        import_genotypes(bed, tmp_path / "fi.vcz")
        with pytest.raises(BadInput, match=r"fi\.vcz exists already"):
            import_genotypes(vcf, tmp_path / "fi.vcz")
        store = import_genotypes(vcf, tmp_path / "fi.vcz", overwrite=True)
        assert store.people == len(PEOPLE)
        assert not leftovers(tmp_path)

    def test_only_a_store_is_overwritten(self, vcf, tmp_path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "thesis.txt").write_text("years of work")
        with pytest.raises(BadInput, match="is not a store, so it is not overwritten"):
            import_genotypes(vcf, tmp_path / "home", overwrite=True)
        assert (tmp_path / "home" / "thesis.txt").exists()

    def test_no_such_folder_or_source(self, vcf, tmp_path):
        with pytest.raises(BadInput, match="no such folder"):
            import_genotypes(vcf, tmp_path / "none" / "fi.vcz")
        with pytest.raises(SourceError, match="no such file"):
            import_genotypes(tmp_path / "none.vcf.gz", tmp_path / "fi.vcz")
        with pytest.raises(SourceError, match="is a folder"):
            import_genotypes(tmp_path, tmp_path / "fi.vcz")
        with pytest.raises(SourceError, match=r"x\.bgen: no such file"):
            import_genotypes(tmp_path / "x.bgen", tmp_path / "fi.vcz")
        with pytest.raises(SourceError, match="plink2 --pfile"):
            import_genotypes(tmp_path / "x.pgen", tmp_path / "fi.vcz")


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the shared data folder")
def test_real_plink_fileset(tmp_path):
    store = import_genotypes(
        REAL / "kg_eur" / "kg_eur.bed",
        tmp_path / "eur.vcz",
        samples=REAL / "kg_eur" / "samples.tsv",
        build="GRCh37",
    )
    store.verify()
    assert (store.people, store.n_rows) == (503, 23770)
    assert store.samples["population"].value_counts().to_dict() == {
        "TSI": 107, "IBS": 107, "CEU": 99, "FIN": 99, "GBR": 91,
    }  # fmt: skip
    content = np.fromfile(REAL / "kg_eur" / "kg_eur.bed", dtype=np.uint8)[3:].reshape(23770, -1)
    codes = np.stack([content >> shift & 3 for shift in (0, 2, 4, 6)], axis=-1)
    dosage = np.array([2, -1, 1, 0])[codes.reshape(23770, -1)[:, :503]]
    np.testing.assert_array_equal(store.read(slice(None), backend="reference").dosages(), dosage)
