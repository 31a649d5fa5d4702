"""`genome-eu freq` on panels, callable regions and groups beside each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.formats import read_frequencies
from genome_eu.formats.panel import read_rows, write_rows
from tests.cli.running import Ran, federation
from tests.federation.small_sites import PEOPLE, ROWS, Made, make, variants

Cli = Callable[..., Ran]


def record_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype=str, na_filter=False)


def test_groups_beside_each_other(cli: Cli, made: dict[str, Made], tmp_path: Path):
    toml, out = federation(tmp_path / "eu", *made.values()), tmp_path / "out"
    options = ("--by", "population", "--fst", "--site-fst", "--sfs", "20", "--grpmax", "south")
    ran = cli("freq", toml, *options, "--out", out)
    assert ran.code == 0, ran.err
    eu = ge.federate(
        {name: ge.open_cohort(one.store) for name, one in made.items()}, policy="open-data"
    )
    found = eu.frequencies(by="population", by_site=True)
    for among, stem in (("groups", "frequencies"), ("sites", "frequencies.sites")):
        fst = found.fst(among)
        summary = table(out / f"{stem}.fst.summary")
        assert list(summary) == ["#POP1", "POP2", "HUDSON_FST"]
        assert summary["HUDSON_FST"].tolist() == [f"{value:.6g}" for value in fst["fst"]]
        assert summary["#POP1"].tolist() == fst["group_1"].tolist()
        sharing = table(out / f"{stem}.sharing.tsv")
        assert sharing["rows"].astype(int).tolist() == found.sharing(among)["rows"].tolist()
    assert table(out / "frequencies.sites.fst.summary")["#POP1"].tolist() == ["ES", "ES", "FI"]
    spectra = table(out / "frequencies.spectra.tsv")
    assert len(spectra) == 2 * 21
    assert spectra["rows"].astype(float).sum() == pytest.approx(2 * ROWS)
    back = read_frequencies(out / "frequencies.parquet")
    assert set(back["variant_grpmax_faf95_group"].values) <= {"south", ""}
    np.testing.assert_array_equal(back["variant_faf95"], found["variant_faf95"])
    np.testing.assert_array_equal(
        back["variant_n_sites_observed"], found["variant_n_sites_observed"]
    )
    assert set(record_of(out)["files"]) >= {"harmonization.tsv", "frequencies.fst.tsv"}


def test_joint_spectra(cli: Cli, made: dict[str, Made], tmp_path: Path):
    """Of each pair of groups and of sites; by either side they are the spectra of one."""
    toml, out = federation(tmp_path / "eu", *made.values()), tmp_path / "out"
    options = ("--by", "population", "--site-fst", "--sfs", "12", "--joint-sfs")
    ran = cli("freq", toml, *options, "--out", out)
    assert ran.code == 0, ran.err
    for stem, names in (
        ("frequencies", ["north", "south"]),
        ("frequencies.sites", ["ES", "FI", "IT"]),
    ):
        joint = pd.read_csv(out / f"{stem}.joint-spectra.tsv", sep="\t")
        alone = pd.read_csv(out / f"{stem}.spectra.tsv", sep="\t")
        assert (alone["rows_left_out"] == 0).all()
        pairs = joint[["group_1", "group_2"]].drop_duplicates()
        assert pairs.apply(tuple, axis=1).tolist() == list(combinations(names, 2))
        for _, pair in joint.groupby(["group_1", "group_2"]):
            assert (pair["rows_left_out"] == 0).all()
            for side in (1, 2):
                mine = alone[alone["group"] == pair[f"group_{side}"].iloc[0]]["rows"].to_numpy()
                found = pair.groupby(f"allele_count_{side}")["rows"].sum()
                np.testing.assert_allclose(
                    found.reindex(range(13), fill_value=0.0), mine, rtol=1e-9, atol=1e-12
                )
    frequencies = ge.open_cohort(made["FI"].store).frequencies(by="population")
    said = frequencies.joint_spectra(12)
    assert said["rows"].sum() == pytest.approx(ROWS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--fst",), "--fst is of groups; name their columns with --by"),
        (("--sfs=10",), "--sfs is of groups or sites; name columns with --by, or add --site-fst"),
        (("--by=sex", "--joint-sfs"), "--joint-sfs needs the alleles to project to; add --sfs"),
    ],
)
def test_groups_need_names(cli: Cli, made: dict[str, Made], tmp_path: Path, options, says):
    ran = cli("freq", made["FI"].store, *options, "--out", tmp_path / "out")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert says in ran.err


def test_sites_of_a_cohort_are_none(cli: Cli, made: dict[str, Made], tmp_path: Path):
    ran = cli("freq", made["FI"].store, "--site-fst", "--out", tmp_path / "out")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "the result has no sites; ask a federation" in ran.err


def test_grpmax_names_groups_of_the_answer(cli: Cli, made: dict[str, Made], tmp_path: Path):
    asked = ("freq", made["FI"].store, "--by", "sex", "--grpmax", "F,X", "--out", tmp_path / "out")
    ran = cli(*asked)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "--grpmax X is not a group of the answer (F, M)" in ran.err


def test_rows_of_a_file_in_a_union_and_in_an_intersection(
    cli: Cli, made: dict[str, Made], tmp_path: Path
):
    fi = make(tmp_path / "fi", "FI", keep=np.arange(60))
    toml = federation(tmp_path / "eu", made["ES"], fi)
    rows = pd.DataFrame(variants(), columns=["contig", "id", "position", "alt", "ref"])
    write_rows(tmp_path / "rows.tsv", rows.iloc[50:70])
    out = {}
    for panel in ("union", "intersection"):
        out[panel] = tmp_path / panel
        asked = ("freq", toml, "--panel", panel, "--rows", tmp_path, "--out", out[panel])
        ran = cli(*asked)
        assert ran.code == 0, ran.err
    union, common = (read_frequencies(folder / "frequencies.parquet") for folder in out.values())
    assert union["variant_position"].values.tolist() == rows["position"][50:70].tolist()
    assert common["variant_position"].values.tolist() == rows["position"][50:60].tolist()
    assert union["variant_n_sites_not_called"].values.tolist() == [0] * 10 + [1] * 10
    told = table(out["union"] / "harmonization.tsv").set_index("site")
    assert told.loc["FI", "absent"] == "10"
    assert told.loc["ES", "exact"] == "20"
    assert record_of(out["union"])["question"]["panel"] == "union"
    again = cli("freq", toml, "--panel", "union", "--out", out["union"])
    assert again.code == 3
    assert "holds the result of another question" in again.err


def test_callable_regions_give_an_absent_variant_its_people(made: dict[str, Made], tmp_path: Path):
    fi = make(tmp_path / "fi", "FI", keep=np.arange(60))
    bed = tmp_path / "callable.bed"
    bed.write_text("#chrom start end\nchr3\t0\t14000\n")
    cohorts = {"ES": ge.open_cohort(made["ES"].store), "FI": ge.open_cohort(fi.store)}
    eu = ge.federate(cohorts, policy="open-data", callable_regions={"FI": bed})
    found = eu.frequencies()
    absent = np.arange(60, ROWS)
    inside = np.array([variants()[row][0] == "3" and variants()[row][2] <= 14000 for row in absent])
    assert inside.any()
    assert (~inside).any()
    np.testing.assert_array_equal(found["variant_n_sites_hom_ref"].values[absent], inside)
    np.testing.assert_array_equal(found["variant_n_sites_not_called"].values[absent], ~inside)
    missing = (made["ES"].dosage < 0).sum(axis=1)[absent]
    np.testing.assert_array_equal(
        found["variant_n_missing"].values[absent], missing + np.where(inside, 0, PEOPLE["FI"])
    )


class TestRowsOfAFile:
    EXPECTED = (("22", 100, "A", "G", "rs1"), ("X", 7, "C", "CT", "."), ("X", 7, "C", "T", "."))

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            (
                "a.vcf",
                "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tP1\n"
                "22\t100\trs1\tA\tG\t.\tPASS\t.\tGT\t0/1\nX\t7\t.\tC\tCT,T\t.\t.\t.\tGT\t1/2\n",
            ),
            ("a.pvar", "#CHROM POS ID REF ALT\n22 100 rs1 A G\nX 7 . C CT,T\n"),
            ("a.bim", "22 rs1 0 100 G A\nX . 0 7 CT C\nX . 0 7 T C\n"),
            (
                "a.tsv",
                "id\tcontig\tposition\tref\talt\nrs1\t22\t100\tA\tG\n"
                ".\tX\t7\tC\tCT\n.\tX\t7\tC\tT\n",
            ),
        ],
    )
    def test_each_kind_of_file(self, tmp_path: Path, name: str, text: str):
        (tmp_path / name).write_text(text)
        found = read_rows(tmp_path / name)
        assert tuple(found.itertuples(index=False, name=None)) == self.EXPECTED

    def test_names_one_a_line(self, tmp_path: Path):
        (tmp_path / "a.txt").write_text("22:100:A:G\n\nX:7:C:CT\n")
        assert read_rows(tmp_path / "a.txt")["position"].tolist() == [100, 7]

    def test_what_is_none_of_these(self, tmp_path: Path):
        (tmp_path / "a.txt").write_text("rs1\nrs2\n")
        with pytest.raises(ge.errors.BadInput, match="line 1 is not contig:position:REF:ALT"):
            read_rows(tmp_path / "a.txt")
        with pytest.raises(ge.errors.BadInput, match="cannot be read; give a VCF"):
            read_rows(tmp_path / "none.txt")
        (tmp_path / "b.pvar").write_text("#CHROM POS ID REF ALT\n22 x rs1 A G\n")
        with pytest.raises(ge.errors.BadInput, match="row 1 has no position"):
            read_rows(tmp_path / "b.pvar")
