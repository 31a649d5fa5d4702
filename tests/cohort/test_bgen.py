from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.cohort import import_genotypes
from genome_eu.cohort.bgen import open_bgen
from genome_eu.errors import SampleError, SourceError, UsageError
from tests.cohort.bgen_files import UNCOMPRESSED, ZLIB, ZSTD, BgenVariant, draw, write_bgen
from tests.oracles import dosages as oracle

PEOPLE = [f"P{number}" for number in range(9)]


def expected_codes(variant: BgenVariant, *, ref_last: bool = False) -> list[int]:
    """The code of each person by exact fractions."""
    codes = []
    ploidy = variant.ploidy if variant.ploidy is not None else [2] * len(variant.numerators)
    for (first, second), copies in zip(variant.numerators, ploidy, strict=True):
        if first < 0 or copies == 0:
            codes.append(oracle.MISSING)
            continue
        phased = variant.phased or copies == 1
        other = first if copies == 1 else second
        code = oracle.code_of_probabilities(int(first), int(other), variant.bits, phased=phased)
        codes.append(code if ref_last else 2 * oracle.ONE - code)
    return codes


def some_variants(bits: int = 8, seed: int = 1) -> list[BgenVariant]:
    return [
        BgenVariant(
            draw(9, bits, bool(number % 2), seed + number),
            bits=bits,
            phased=bool(number % 2),
            position=1000 + number,
            rsid=f"rs{number}",
        )
        for number in range(8)
    ]


class TestCodes:
    @settings(deadline=None, max_examples=60)
    @given(
        st.integers(1, 32),
        st.booleans(),
        st.booleans(),
        st.integers(1, 40),
        st.integers(0, 2**32 - 1),
        st.sampled_from((UNCOMPRESSED, ZLIB, ZSTD)),
    )
    def test_are_those_of_plink(
        self, tmp_path_factory, bits, phased, ref_last, people, seed, compression
    ):
        ploidy = np.random.default_rng(seed).integers(0, 3, people)
        variants = [
            BgenVariant(draw(people, bits, phased, seed), bits, phased),
            BgenVariant(draw(people, bits, phased, seed + 1), bits, phased, ploidy),
        ]
        path = tmp_path_factory.mktemp("bgen") / "x.bgen"
        write_bgen(path, variants, people=[f"P{j}" for j in range(people)], compression=compression)
        codes = open_bgen(path, first_is_ref=not ref_last).codes(slice(0, 2))
        for row, variant in zip(codes, variants, strict=True):
            assert row.tolist() == expected_codes(variant, ref_last=ref_last)


class TestImport:
    def test_a_store(self, tmp_path):
        variants = some_variants()
        path = write_bgen(tmp_path / "x.bgen", variants, people=PEOPLE)
        store = import_genotypes(path, tmp_path / "fi.vcz", build="GRCh37")
        assert store.sample_id.tolist() == PEOPLE
        assert store.has_dosages
        assert store.rows.id.tolist() == [f"rs{number}" for number in range(8)]
        assert (store.rows["ref"] == "A").all()
        assert (store.rows["alt"] == "G").all()
        assert store.describe()["source"] == {"kind": "bgen", "name": "x.bgen"}
        codes = np.array([expected_codes(variant) for variant in variants])
        np.testing.assert_array_equal(store.read_dosages(slice(None)).codes, codes)
        calls = oracle.hard_calls(oracle.of_codes(codes))
        np.testing.assert_array_equal(store.read(slice(None)).dosages(), calls)
        store.verify()
        dataset = store.dataset()
        alleles = dataset.call_genotype.values
        np.testing.assert_array_equal(np.where(calls < 0, -2, calls), alleles.sum(axis=2))
        np.testing.assert_array_equal(dataset.call_genotype_mask.values, alleles < 0)

    def test_the_second_allele_may_be_ref(self, tmp_path):
        variants = some_variants(bits=16)
        path = write_bgen(tmp_path / "x.bgen", variants, people=PEOPLE)
        store = import_genotypes(path, tmp_path / "fi.vcz", ref_last=True)
        assert (store.rows["ref"] == "G").all()
        codes = np.array([expected_codes(variant, ref_last=True) for variant in variants])
        np.testing.assert_array_equal(store.read_dosages(slice(None)).codes, codes)

    def test_some_of_the_people(self, tmp_path):
        variants = some_variants()
        path = write_bgen(tmp_path / "x.bgen", variants, people=PEOPLE)
        table = tmp_path / "people.tsv"
        table.write_text("sample_id\tage\nP7\t40\nP2\t50\nP3\t60\n")
        store = import_genotypes(path, tmp_path / "fi.vcz", samples=table, allow_unlisted=True)
        assert store.sample_id.tolist() == ["P2", "P3", "P7"]
        codes = np.array([expected_codes(variant) for variant in variants])[:, [2, 3, 7]]
        np.testing.assert_array_equal(store.read_dosages(slice(None)).codes, codes)
        store.verify()

    def test_contigs_of_uk_biobank_and_names(self, tmp_path):
        variants = some_variants()[:2]
        variants[0].contig, variants[0].rsid = "01", "."
        path = write_bgen(tmp_path / "x.bgen", variants, people=PEOPLE)
        rows = import_genotypes(path, tmp_path / "fi.vcz").rows
        assert rows["contig"].tolist() == ["1", "22"]
        assert rows["id"].tolist() == ["name", "rs1"]


class TestSampleFile:
    @pytest.fixture
    def nameless(self, tmp_path):
        return write_bgen(tmp_path / "x.bgen", some_variants())

    def write(self, path, ids=PEOPLE, head="ID_1 ID_2 missing sex\n0 0 0 D\n"):
        lines = [f"{one} {one} 0 {1 + number % 2}\n" for number, one in enumerate(ids)]
        path.write_text(head + "".join(lines))
        return path

    def test_beside_the_file_or_given(self, nameless, tmp_path):
        with pytest.raises(SourceError, match=r"does not name its people; give its \.sample file"):
            import_genotypes(nameless, tmp_path / "fi.vcz")
        given_one = self.write(tmp_path / "other.txt")
        store = import_genotypes(nameless, tmp_path / "fi.vcz", sample_file=given_one)
        assert store.sample_id.tolist() == PEOPLE
        assert store.samples["sex"].tolist() == ["M", "F", "M", "F", "M", "F", "M", "F", "M"]
        self.write(tmp_path / "x.sample", ids=[f"Q{number}" for number in range(9)])
        store = import_genotypes(nameless, tmp_path / "other.vcz")
        assert store.sample_id[0] == "Q0"

    def test_one_column_of_ids(self, nameless, tmp_path):
        path = tmp_path / "x.sample"
        path.write_text("ID\n0\n" + "\n".join(PEOPLE) + "\n")
        assert open_bgen(nameless).sample_id == PEOPLE

    def test_families_that_use_the_same_ids(self, nameless, tmp_path):
        path = tmp_path / "x.sample"
        lines = "".join(f"F{number // 3} {number % 3} 0\n" for number in range(9))
        path.write_text("ID_1 ID_2 missing\n0 0 0\n" + lines)
        assert open_bgen(nameless).sample_id[:4] == ["F0_0", "F0_1", "F0_2", "F1_0"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("P0\nP1\nP2\n", "is not a .sample file"),
            ("ID_1 ID_2 missing\n0 0 0\nP0 P0\n", "line 3 has 2 of 3 columns"),
            ("ID_1 ID_2 missing\n0 0 0\nP0 P0 0\n", "names 1 people, but x.bgen has 9"),
        ],
    )
    def test_wrong_ones_are_named(self, nameless, tmp_path, text, message):
        path = tmp_path / "x.sample"
        path.write_text(text)
        with pytest.raises(SourceError, match=message):
            open_bgen(nameless)

    def test_repeated_people(self, tmp_path):
        path = write_bgen(tmp_path / "x.bgen", some_variants(), people=["P0"] * 9)
        with pytest.raises(SampleError, match="P0"):
            import_genotypes(path, tmp_path / "fi.vcz")

    def test_options_of_bgen_are_not_for_others(self, vcf, tmp_path):
        with pytest.raises(UsageError, match="go with BGEN"):
            import_genotypes(vcf, tmp_path / "fi.vcz", ref_last=True)


class TestDamage:
    @pytest.fixture
    def sound(self, tmp_path):
        return write_bgen(tmp_path / "x.bgen", some_variants(), people=PEOPLE)

    def test_every_cut_is_found(self, sound, tmp_path):
        content = sound.read_bytes()
        for size in range(len(content)):
            sound.write_bytes(content[:size])
            with pytest.raises(SourceError, match=r"cut short|damaged|empty|not a BGEN"):
                open_bgen(sound)

    def test_no_flipped_byte_is_more_than_an_error(self, sound):
        content = sound.read_bytes()
        for place in range(len(content)):
            for bit in (1, 128):
                changed = bytearray(content)
                changed[place] ^= bit
                sound.write_bytes(changed)
                try:
                    file = open_bgen(sound)
                    file.codes(slice(0, len(file.variants)))
                except SourceError:
                    pass

    def test_genotypes_are_checked_against_their_checksum(self, tmp_path):
        path = write_bgen(tmp_path / "x.bgen", some_variants()[:1], people=PEOPLE)
        sound, content = open_bgen(path), path.read_bytes()
        found = 0
        for place in range(sound.genotype_start[0], len(content)):
            for bit in range(8):
                changed = bytearray(content)
                changed[place] ^= 1 << bit
                path.write_bytes(changed)
                try:
                    codes = open_bgen(path).codes(slice(0, 1))
                except SourceError:
                    found += 1
                    continue
                path.write_bytes(content)  # a bit that zlib does not use
                np.testing.assert_array_equal(codes, sound.codes(slice(0, 1)))
        assert found > 7 * (len(content) - sound.genotype_start[0])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"numerators": np.full((9, 2), 200)}, "have a sum above 1 of probabilities"),
            ({"ploidy": np.full(9, 3), "numerators": np.zeros((9, 3))}, "a ploidy of 3 to 3"),
            (
                {
                    "ploidy": np.full(9, 3),
                    "numerators": np.zeros((9, 3)),
                    "extra": {"most": 2, "least": 1},
                },
                "have people of a ploidy above 2",
            ),
            ({"extra": {"people": 8}}, "are of 8 people and 2 alleles"),
            ({"phased": 2}, "phase 2"),
        ],
    )
    def test_wrong_genotypes_are_named(self, tmp_path, change, message):
        variant = some_variants()[0]
        for name, value in change.items():
            setattr(variant, name, value)
        path = write_bgen(tmp_path / "x.bgen", [variant], people=PEOPLE)
        with pytest.raises(SourceError, match=f"genotypes of rs0 at 22:1000 .*{message}"):
            open_bgen(path).codes(slice(0, 1))

    def test_several_alts(self, tmp_path):
        variant = some_variants()[0]
        variant.alleles = ("A", "C", "G")
        path = write_bgen(tmp_path / "x.bgen", [variant], people=PEOPLE)
        with pytest.raises(SourceError, match="rs0 at 22:1000 has 3 alleles; split such variants"):
            open_bgen(path)

    def test_layout_1(self, tmp_path):
        path = write_bgen(tmp_path / "x.bgen", some_variants(), people=PEOPLE, layout=1)
        with pytest.raises(SourceError, match="layout 1, and only layout 2 is read; convert it"):
            open_bgen(path)

    def test_something_else(self, tmp_path):
        path = tmp_path / "x.bgen"
        path.write_bytes(struct.pack("<4I4s", 20, 20, 1, 1, b"BGEN") + b"\0" * 40)
        with pytest.raises(SourceError, match="is not a BGEN file"):
            open_bgen(path)

    def test_no_contig(self, tmp_path):
        variant = some_variants()[0]
        variant.contig = ""
        path = write_bgen(tmp_path / "x.bgen", [variant], people=PEOPLE)
        with pytest.raises(SourceError, match="rs0 names no contig"):
            open_bgen(path)
